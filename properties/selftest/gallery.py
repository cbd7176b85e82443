"""Wrong engines: each holds one realistic fault, and is right in everything else.

A fault is a function of the right convolution and its operands and arguments, one value per axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

import engine
from properties.judge import (
    ArgumentModified,
    MarginalValueMismatch,
    MemoryShared,
    Mismatch,
    NotRepeatable,
    RejectedValid,
    ShapeMismatch,
    ValueMismatch,
)
from properties.ops import per_axis
from properties.subject import OWN, Subject


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
    def batched(self) -> bool:
        return self.x.ndim == self.w.ndim

    def border(self) -> tuple[int, ...]:
        """The zeros before each axis."""
        if self.padding == "valid":
            return (0,) * len(self.stride)
        if self.padding == "same":
            return tuple(
                d * (k - 1) // 2 for k, d in zip(self.w.shape[2:], self.dilation, strict=True)
            )
        return self.padding


@dataclass(frozen=True)
class Wrong:
    """A fault, the kind of failure that is meant for it, and its minimal case."""

    fault: Callable[..., Any]
    kind: type[Mismatch]
    line: str
    own: bool = False  # judged as our own engine, by its stricter contract

    def subject(self) -> Subject:
        functions = {f"conv{n}d": _planted(self.fault, n) for n in (1, 2, 3)}
        spec = OWN if self.own else self.fault.__name__
        return Subject(spec, SimpleNamespace(**functions), "")


def _planted(fault: Callable[..., Any], axes: int) -> Callable[..., Any]:
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
        if getattr(fault, "raw", False):
            return fault(right, input, weight, bias, stride, padding, dilation, groups)
        right(input, weight, bias, stride, padding, dilation, groups)  # rejects what is invalid
        if not isinstance(padding, str):
            padding = per_axis(padding, axes)
        stride, dilation = per_axis(stride, axes), per_axis(dilation, axes)
        return fault(Call(right, input, weight, bias, stride, padding, dilation, int(groups)))

    return conv


def raw(fault: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a fault that sees invalid calls too, its arguments as they came."""
    fault.raw = True  # type: ignore[attr-defined]
    return fault


GALLERY: list[Wrong] = []


def caught(kind: type[Mismatch], line: str, *, own: bool = False) -> Callable[..., Any]:
    def hang(fault: Callable[..., Any]) -> Callable[..., Any]:
        GALLERY.append(Wrong(fault, kind, line, own))
        return fault

    return hang


@caught(ShapeMismatch, "conv2d((1, 1, 1, 2), (1, 1, 1, 1), stride=(1, 2))")
def swapped_stride(c: Call) -> Any:
    return c.right(stride=c.stride[::-1])


@caught(ShapeMismatch, "")
def swapped_padding(c: Call) -> Any:
    return c.right(padding=c.padding if isinstance(c.padding, str) else c.padding[::-1])


@caught(RejectedValid, "")
def off_by_one_in_the_exact_fit(c: Call) -> Any:
    room = [x + 2 * p for x, p in zip(c.x.shape[-len(c.stride) :], c.border(), strict=True)]
    extent = [d * (k - 1) + 1 for k, d in zip(c.w.shape[2:], c.dilation, strict=True)]
    if any(e >= r for e, r in zip(extent, room, strict=True)) and c.padding != "same":
        raise ValueError("kernel too large")
    return c.right()


@caught(ShapeMismatch, "")
def dilation_is_stride_when_strided(c: Call) -> Any:
    pairs = zip(c.stride, c.dilation, strict=True)
    dilation = tuple(s if s > 1 else d for s, d in pairs)
    try:
        return c.right(dilation=dilation)
    except RuntimeError:
        return c.right()


@caught(ValueMismatch, "")
def flipped_kernel(c: Call) -> Any:
    return c.right(w=c.w[..., ::-1])


@caught(ValueMismatch, "")
def wrong_group_order(c: Call) -> Any:
    blocks = np.split(np.asarray(c.w), c.groups)
    return c.right(w=np.concatenate(blocks[::-1]))


@caught(ValueMismatch, "")
def bias_of_another_group(c: Call) -> Any:
    return c.right(b=None if c.b is None else np.roll(c.b, len(c.b) // c.groups))


@caught(ValueMismatch, "")
def last_tap_dropped_from_four_on(c: Call) -> Any:
    w = np.array(c.w)
    if w.shape[2] >= 4:
        w[:, :, -1] = 0
    return c.right(w=w)


@caught(ValueMismatch, "")
def wrong_for_three_groups(c: Call) -> Any:
    return -c.right() if c.groups == 3 else c.right()


@caught(ValueMismatch, "")
def wrong_above_64_terms(c: Call) -> Any:
    w = np.array(c.w)
    flat = w.reshape(len(w), -1)
    flat[:, 64:] = 0
    return c.right(w=w)


@caught(ValueMismatch, "")
def wrong_third_sample(c: Call) -> Any:
    y = c.right()
    if c.batched and len(y) > 2:
        y[2] = y[0]
    return y


@caught(MarginalValueMismatch, "")
def float16_accumulation(c: Call) -> Any:
    if c.x.dtype.type is not np.float16:
        return c.right()
    y = c.right(b=None)
    bias = 0 if c.b is None else np.asarray(c.b, np.float16).reshape(-1, *[1] * len(c.stride))
    with np.errstate(all="ignore"):
        half = c.right(w=np.concatenate([c.w[:, :1], np.zeros_like(c.w[:, 1:])], 1), b=None)
        return (half + (y - half) + bias).astype(np.float16)


@caught(ArgumentModified, "")
def argument_modified(c: Call) -> Any:
    y = c.right()
    if c.x.flags.writeable:
        c.x[...] = 0
    return y


@caught(MemoryShared, "")
def result_is_the_input(c: Call) -> Any:
    y = c.right()
    if c.x.shape == y.shape and c.x.flags.c_contiguous and c.x.dtype.isnative and (c.x == y).all():
        return c.x
    return y


def state_kept() -> Callable[..., Any]:
    kept: dict[Any, Any] = {}

    def state_kept_between_calls(c: Call) -> Any:
        key = (c.x.shape, c.w.shape, c.x.dtype, c.stride, str(c.padding), c.dilation, c.b is None)
        return kept.setdefault(key, c.right()).copy()

    return state_kept_between_calls


caught(NotRepeatable, "")(state_kept())
