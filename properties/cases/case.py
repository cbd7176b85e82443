"""A case: one call, completely, and the line of text that is its only reproducer.

    conv2d((1, 2, 1, 1), (2, 1, 1, 1), stride=(1, 2), groups=2, data='integers:7')

A line is a call with torch's names and order. An operand is a shape: a plain tuple is float32 and
C-contiguous, else ``DTYPE(sizes…, layout='…')``; anything that is no array stands as a literal.
Arguments are literals, valid or not; ``int64(2)`` is a NumPy integer. `grad_output` is the layout
of the gradient that is propagated back. `data` names the rule that fills the operands. `blame`,
on a call that must be rejected, names the argument at fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import rules
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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
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

    @property
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

    @property
    def output_shape(self) -> tuple[int, ...] | None:
        """The shape of the output; None for a call that must be rejected."""
        try:
            shape = output_shape(OPS[self.op], self.shapes, self.arguments)
        except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
            return None
        return shape if self.blame is None and min(shape, default=0) >= 0 else None

    def __str__(self) -> str:
        row = OPS[self.op]
        parts = []
        positional = True  # operands stand in order; after a gap, by name
        for name in row.operands:
            if name not in self.operands:
                positional = False
            else:
                text = literal(self.operands[name])
                optional = name not in row.operands[: row.required]
                parts.append(text if positional and not optional else f"{name}={text}")
        parts += [f"{k}={literal(self.arguments[k])}" for k in row.arguments if k in self.arguments]
        if self.grad_output != "contiguous":
            parts.append(f"grad_output={self.grad_output!r}")
        if self.data != "ones":
            parts.append(f"data={self.data!r}")
        if self.blame is not None:
            parts.append(f"blame={self.blame!r}")
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
    if isinstance(value, Operand):
        return str(value)
    if isinstance(value, np.integer):
        return f"{value.dtype.name}({int(value)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, (float, complex)):
        return repr(value).replace("inf", "1e999")  # inf is a name, not a literal
    return "..." if value is ... else repr(value)
