"""How a wrong engine is made: the right engine, with one fault planted in one function.

A fault is a function of the right convolution and its operands and arguments, one value per axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from inspect import signature
from types import SimpleNamespace
from typing import Any

import engine
from properties.cases.operation import per_axis
from properties.comparison.engine import Engine
from properties.comparison.mismatch import Mismatch


@dataclass(frozen=True)
class Call:
    """A valid call, its arguments one value per axis."""

    conv: Callable[..., Any]  # the right function
    x: Any
    w: Any
    b: Any
    stride: tuple[int, ...]
    padding: Any  # per axis, 'same' or 'valid'
    dilation: tuple[int, ...]
    groups: int

    def right(self, **changed: Any) -> Any:
        given = {**self.__dict__, **changed}
        names = ("x", "w", "b", "stride", "padding", "dilation", "groups")
        return given["conv"](*[given[name] for name in names])

    @property
    def operands(self) -> dict[str, Any]:
        return {"x": self.x, "w": self.w, "b": self.b}

    @property
    def batched(self) -> bool:
        return bool(self.x.ndim == self.w.ndim)

    def border(self) -> tuple[int, ...]:
        """The zeros before each axis."""
        if self.padding == "valid":
            return (0,) * len(self.stride)
        if self.padding == "same":
            return tuple(
                d * (k - 1) // 2 for k, d in zip(self.w.shape[2:], self.dilation, strict=True)
            )
        return tuple(self.padding)


Fault = Callable[[Call], Any]


@dataclass(frozen=True)
class Wrong:
    """A fault, the kind of failure that is meant for it, and its minimal case."""

    name: str
    namespace: SimpleNamespace
    kind: type[Mismatch]
    line: str
    own: bool = False  # judged as our own engine, by its stricter contract

    def engine(self) -> Engine:
        return Engine(self.name, self.namespace, strict=self.own)


GALLERY: list[Wrong] = []


def caught(kind: type[Mismatch], line: str) -> Callable[[Fault], Fault]:
    """Hang a wrong convolution of any number of axes."""

    def hang(fault: Fault) -> Fault:
        functions = {f"conv{n}d": planted(fault, n) for n in (1, 2, 3)}
        GALLERY.append(Wrong(fault.__name__, SimpleNamespace(**functions), kind, line))
        return fault

    return hang


def planted(fault: Fault, axes: int) -> Callable[..., Any]:
    right = getattr(engine, f"conv{axes}d")

    def conv(
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: Any = 1,
    ) -> Any:
        right(input, weight, bias, stride, padding, dilation, groups)  # rejects what is invalid
        if not isinstance(padding, str):
            padding = per_axis(padding, axes)
        stride, dilation = per_axis(stride, axes), per_axis(dilation, axes)
        return fault(Call(right, input, weight, bias, stride, padding, dilation, int(groups)))

    return conv


def _bound(fault: Callable[..., Any], right: Callable[..., Any]) -> Callable[..., Any]:
    """`fault`, which gets its named parameters by position and all that follows by name."""
    named = [p for p in signature(fault).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]

    @wraps(fault)
    def wrong(*arguments: Any, **given: Any) -> Any:
        try:
            bound = signature(right).bind(*arguments, **given)
        except TypeError:
            return right(*arguments, **given)
        call = dict(bound.arguments)
        bound.apply_defaults()
        first = [*bound.arguments][: len(named) - 1]
        rest = {name: value for name, value in call.items() if name not in first}
        return fault(right, *[bound.arguments[name] for name in first], **rest)

    return wrong


def caught_around(
    function: str,
    kind: type[Mismatch],
    line: str,
    *,
    own: bool = False,
    as_it_came: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Hang a wrong `function`, which calls the right one and sees arguments as they came.

    A dot leads into `engine.grad`; the other functions of the engine stay as they are.
    """

    def hang(fault: Callable[..., Any]) -> Callable[..., Any]:
        space, _, name = function.rpartition(".")
        right = getattr(engine.grad if space else engine, name)
        wrong = partial(fault, right) if as_it_came else _bound(fault, right)
        if space:
            grad = SimpleNamespace(**{**vars(engine.grad), name: wrong})
            base = name.removesuffix("_input").removesuffix("_weight")
            namespace = SimpleNamespace(**{base: getattr(engine, base), "grad": grad})
        else:
            namespace = SimpleNamespace(**{name: wrong, "grad": engine.grad})
        GALLERY.append(Wrong(fault.__name__, namespace, kind, line, own))
        return fault

    return hang
