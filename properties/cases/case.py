"""A case: one call, completely, and the line of text that is its only reproducer.

    conv2d((1, 2, 1, 1), (2, 1, 1, 1), stride=(1, 2), groups=2, data='integers:7')

A line is the call itself, in torch's order: what stands by position is passed by position, the
rest by name. For a layer, weight and bias are its state, `output_size` an argument of its call and
all others of its constructor. An operand is a shape: a plain tuple is float32 and C-contiguous,
else ``DTYPE(sizes…, layout='…')``; anything that is no array stands as a literal. Arguments are
literals, valid or not; ``int64(2)`` is a NumPy integer, ``Int(2)`` and ``Size(2, 1)`` are of
subclasses of int and tuple.

`grad_output` is the layout of the gradient that is propagated back, `sizes` the form of the shapes
that gradients and layers are given. `data` names the rule that fills the operands. `blame`, on a
call that must be rejected, names the argument at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import EllipsisType
from typing import Any

import numpy as np

from . import rules
from .forms import Int, Size
from .operation import OPS, output_shape

DTYPES = (
    *("float32", "float64", "float16", "complex64", "complex128"),
    *("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64"),
)


# The layouts that are one word and fit any operand; `layouts` has the language.
LAYOUTS = (
    *("contiguous", "fortran", "channels_last", "reversed", "strided"),
    *("broadcast", "readonly", "swapped", "unaligned"),
)


RULES = tuple(rules.RULES)


@dataclass(frozen=True, slots=True)
class Operand:
    """An array to be filled: its shape, dtype and memory layout."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    layout: str = "contiguous"

    def __str__(self) -> str:
        if self.dtype == "float32" and self.layout == "contiguous":
            return literal(self.shape)
        parts = [literal(n) for n in self.shape]
        if self.layout != "contiguous":
            parts.append(f"layout={self.layout!r}")
        return f"{self.dtype}({', '.join(parts)})"


@dataclass(frozen=True, eq=False, repr=False)
class Case:
    """One call of `op`; what is not given takes torch's default.

    Cases are equal if their lines are: 1, True and int64(1) are not the same argument.
    """

    op: str
    operands: Mapping[str, Any]  # an Operand each, or a literal that is no array
    arguments: Mapping[str, Any] = field(default_factory=dict)
    data: str = "ones"
    blame: str | None = None
    grad_output: str = "contiguous"  # the layout of the output's gradient
    sizes: str = "tuple"  # the form of the shapes that are passed, one of forms.SIZES
    positional: int | None = None  # so many parameters by position; None: the required operands

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every operand that is an array."""
        return {k: v.shape for k, v in self.operands.items() if isinstance(v, Operand)}

    @property
    def dtype(self) -> str:
        """The dtype of the first array: the one that a result takes."""
        arrays = (v.dtype for v in self.operands.values() if isinstance(v, Operand))
        return next(arrays, "float32")

    @property
    def rule(self) -> str:
        """The name of the data rule."""
        return self.data.partition(":")[0]

    @property
    def seed(self) -> int:
        """The seed of the data rule; 0 if it has none."""
        return int(self.data.partition(":")[2] or 0)

    @cached_property
    def output_shape(self) -> tuple[int, ...] | None:
        """The shape of the output; None for a call that must be rejected."""
        try:
            shape = output_shape(OPS[self.op], self.shapes, self.arguments)
        except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
            return None
        return shape if self.blame is None and min(shape, default=0) >= 0 else None

    @cached_property
    def by_position(self) -> dict[str, Any]:
        """What is passed by position: with torch's defaults in gaps, up to what has none."""
        row = OPS[self.op]
        count = row.required if self.positional is None else self.positional
        found = {}
        for name in row.parameters[:count]:
            if name in self.operands:
                found[name] = self.operands[name]
            elif name in self.arguments:
                found[name] = self.arguments[name]
            elif row.may_be_left_out(name):
                found[name] = row.arguments.get(name)  # None for a bias
            else:
                break
        return found

    def __str__(self) -> str:
        first = self.by_position
        parts = [literal(value) for value in first.values()]
        given = {**self.operands, **self.arguments}
        order = OPS[self.op].parameters
        parts += [f"{k}={literal(given[k])}" for k in order if k in given and k not in first]
        others = ("grad_output", "contiguous"), ("sizes", "tuple"), ("data", "ones")
        for name, plain in (*others, ("blame", None)):
            value = getattr(self, name)
            if value != plain:
                parts.append(f"{name}={value!r}")
        return f"{self.op}({', '.join(parts)})"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Case) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What Hypothesis prints: it ignores the repr of a dataclass."""
        printer.text(str(self))


def literal(value: Any) -> str:
    """`value` as it stands in a line."""
    if type(value) is not int:  # most are
        for kind, text in _LITERALS:
            if isinstance(value, kind):
                return text(value)
    return repr(value)


def _listed(values: Any) -> str:
    return ", ".join(map(literal, values))


_LITERALS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (Operand, str),
    (np.integer, lambda value: f"{value.dtype.name}({int(value)})"),
    (np.bool_, lambda value: f"bool_({bool(value)})"),
    (Int, lambda value: f"Int({int(value)})"),
    (Size, lambda value: f"Size({_listed(value)})"),
    (tuple, lambda value: f"({_listed(value)}{',' if len(value) == 1 else ''})"),
    (list, lambda value: f"[{_listed(value)}]"),
    ((float, complex), lambda value: repr(value).replace("inf", "1e999")),  # inf is a name
    (EllipsisType, lambda value: "..."),
)
