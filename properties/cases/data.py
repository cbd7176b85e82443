"""The arrays of a case, bit for bit the same on every machine.

=================  ===============================================================================
ones               1 everywhere: what a person reads most easily
ramp               1, 2, 3, … in C order, starting over above R
integers:SEED      uniform over -R … R (0 … R if unsigned): every sum exact in any order
reals:SEED         a random significand times 2**-4 … 2**3
special:SEED       zeros, small integers and subnormals with a few inf, -inf and nan (real floats)
wrap:SEED          integers over the dtype's whole range: exact modulo 2**bits
sparse:SEED        integers, most of them zero, with rows that are all zero
constant:SEED      one integer everywhere or in each row, R as a rule
symmetric:SEED     integers that mirror or repeat themselves along some axes
onehot:SEED        one nonzero, in one operand or in all
extreme:SEED       reals near overflow and underflow
cancelling:SEED    integers whose products have their negatives beside them
lopsided:SEED      one operand wide, the other a few of -1, 0 and 1: 20 bits at any K
=================  ===============================================================================

`rules` says what each of them shows. R is the widest range for which sums are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt, prod
from typing import Any

import numpy as np

from .bits import Bits
from .case import Case, Operand
from .layouts import laid_out, source
from .operation import OPS, terms
from .rules import BITS, RULES, SIGNIFICAND, Place

__all__ = ["BITS", "SIGNIFICAND", "Bits", "Filled", "arrays", "escape", "widest", "widest_range"]


def widest(case: Case) -> int:
    """R, the widest range over which `case` is exact; 0 if there is none."""
    return _widest(case, terms(OPS[case.op], case.shapes, case.arguments))


def _widest(case: Case, k: int) -> int:
    dtypes = {v.dtype for v in case.operands.values() if isinstance(v, Operand)}
    return min((widest_range(k, dtype) for dtype in dtypes), default=1)


def widest_range(k: int, dtype: str) -> int:
    """The largest R with K·R² + R < 2**p, for complex with 4·K·R² + 2R < 2**p.

    float16 holds integers to 2**11 and overflows above 65504; neither is passed.
    """
    limit = 65504 if dtype == "float16" else (1 << BITS[dtype]) - 1
    a, b = (4 * k, 2) if dtype.startswith("complex") else (k, 1)
    return (isqrt(b * b + 4 * a * limit) - b) // (2 * a)


def escape(case: Case) -> float:
    """The probability with which a fault of degree 2 in the data escapes `integers`.

    It is 2 ÷ the number of values that each element may have: 2R + 1, unsigned R + 1.
    """
    r = widest(case)
    return min(1.0, 2 / (r + 1 if case.dtype.startswith("u") else 2 * r + 1))


@dataclass
class Filled:
    """The operands of a case, and the stream that goes on to fill the gradient of its result."""

    operands: dict[str, Any]  # an ndarray for each `Operand`, every other value as it is
    case: Case
    terms: int  # K
    range: int  # R
    bits: Bits

    def fill(self, name: str, value: Any) -> Any:
        """`value` itself, or the array that an `Operand` describes."""
        if not isinstance(value, Operand):
            return value
        of = value.layout != "contiguous" and source(value.layout)
        if of and (within := self._within(of, value)) is not None:
            return within
        dtype = np.dtype(value.dtype)
        rule = RULES[self.case.rule]
        if dtype.kind not in rule.kinds:
            rule = RULES["ones"]
        place = Place(self.case, name, value.shape, dtype, self.range, self.terms, self.bits)
        return laid_out(rule.fill(place), "contiguous" if of else value.layout)

    def _within(self, name: str, value: Operand) -> Any:
        """The first elements of another operand, in its memory: itself, if the shapes are equal.

        Where they do not lie one after another, or are too few and are repeated, they are a copy.
        An operand of another dtype, or an empty one, can't be shared: None.
        """
        other = self.operands.get(name)
        if not isinstance(other, np.ndarray) or other.dtype.newbyteorder("=") != value.dtype:
            return None
        if other.shape == value.shape:
            return other
        n = prod(value.shape)
        if n > other.size:
            return np.resize(other, value.shape) if other.size else None
        return other.reshape(-1)[:n].reshape(value.shape)

    def grad_output(self, shape: tuple[int, ...]) -> Any:
        """The gradient to propagate back, in the input's dtype."""
        dtype = self.case.operands["input"].dtype
        return self.fill("grad_output", Operand(shape, dtype, self.case.grad_output))


def arrays(case: Case) -> Filled:
    """Fill the operands of `case`, in their order."""
    k = terms(OPS[case.op], case.shapes, case.arguments)
    filled = Filled({}, case, k, _widest(case, k), Bits(case.seed))
    for name, value in case.operands.items():
        filled.operands[name] = filled.fill(name, value)
    return filled
