"""The data rules: what fills a case's arrays, bit for bit the same on every machine.

Random bits come from ``PCG64(seed).random_raw``, whose stream NumPy guarantees (it guarantees
none for Generator's methods), and become integers by rejection, reals as dyadic numbers.

=============  ===================================================================================
ones           1 everywhere: what a person reads most easily
ramp           1, 2, 3, … in C order, starting over above R
integers:SEED  uniform over -R … R (0 … R if unsigned): every sum exact in any order
reals:SEED     a random significand times 2**-4 … 2**3
special:SEED   zeros, small integers and subnormals with a few inf, -inf and nan (real floats only)
wrap:SEED      integers over the dtype's whole range: exact modulo 2**bits
=============  ===================================================================================

R is the widest range for which K·R² + R (complex: 4·K·R² + 2R) stays below 2**p, with K the most
terms of the value or any gradient and p the accumulator's significand bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt, prod
from typing import Any

import numpy as np

from .case import Case, Operand
from .layouts import laid_out
from .operation import OPS, terms

# Bits of the significand in which a dtype's sums are formed; for integers, bits without the sign.
BITS = {
    "float16": 24,
    "float32": 24,
    "float64": 53,
    "complex64": 24,
    "complex128": 53,
    "int8": 7,
    "int16": 15,
    "int32": 31,
    "int64": 63,
    "uint8": 8,
    "uint16": 16,
    "uint32": 32,
    "uint64": 64,
}


SIGNIFICAND = {"float16": 11, "float32": 24, "float64": 53, "complex64": 24, "complex128": 53}


def widest(case: Case) -> int:
    """R, the widest range over which `case` is exact; 0 if there is none."""
    k = terms(OPS[case.op], case.shapes, case.arguments)
    dtypes = {v.dtype for v in case.operands.values() if isinstance(v, Operand)}
    return min((widest_range(k, dtype) for dtype in dtypes), default=1)


def widest_range(k: int, dtype: str) -> int:
    """The largest R with K·R² + R < 2**p, for complex with 4·K·R² + 2R < 2**p.

    float16 holds integers to 2**11 and overflows above 65504; neither is passed.
    """
    limit = 65504 if dtype == "float16" else (1 << BITS[dtype]) - 1
    a, b = (4 * k, 2) if dtype.startswith("complex") else (k, 1)
    return (isqrt(b * b + 4 * a * limit) - b) // (2 * a)


class Bits:
    """A stream of raw 64-bit words; operands are filled from it in order."""

    def __init__(self, seed: int) -> None:
        self._words = np.random.PCG64(seed)

    def words(self, n: int) -> Any:
        return self._words.random_raw(n)  # (n,) uint64

    def below(self, limit: int, n: int) -> Any:
        """`n` integers, uniform over 0 … limit - 1: masked words, those too large drawn anew."""
        shift = np.uint64(64 - max(1, (limit - 1).bit_length()))
        found = self.words(n) >> shift
        while (wrong := np.flatnonzero(found >= np.uint64(limit))).size:
            found[wrong] = self.words(wrong.size) >> shift
        return found


def _ones(n: int, dtype: np.dtype[Any], r: int, bits: Bits) -> Any:
    return np.ones(n, dtype)


def _ramp(n: int, dtype: np.dtype[Any], r: int, bits: Bits) -> Any:
    values = (np.arange(n) % max(1, r) + 1).astype(dtype)
    if dtype.kind == "c":
        values.imag = np.roll(values.real, -1)
    return values


def _integers(n: int, dtype: np.dtype[Any], r: int, bits: Bits) -> Any:
    if dtype.kind == "c":
        return _complex(_integers, n, dtype, r, bits)
    if dtype.kind in "iu":  # they wrap exactly: never all zeros
        r = max(1, r)
    if dtype.kind == "u":
        return bits.below(r + 1, n).astype(dtype)
    return (bits.below(2 * r + 1, n).astype(np.int64) - r).astype(dtype)


def _reals(n: int, dtype: np.dtype[Any], r: int, bits: Bits) -> Any:
    if dtype.kind == "c":
        return _complex(_reals, n, dtype, r, bits)
    words = bits.words(n)
    precision = SIGNIFICAND[dtype.name]
    magnitude = (words >> np.uint64(64 - precision)).astype(np.float64)  # the top bits
    sign = 1.0 - 2.0 * (words & np.uint64(1))
    exponent = (words >> np.uint64(1) & np.uint64(7)).astype(np.int32) - (precision + 4)
    return np.ldexp(sign * magnitude, exponent).astype(dtype)


def _special(n: int, dtype: np.dtype[Any], r: int, bits: Bits) -> Any:
    """Some three elements that are not finite, however many there are: more would hide the rest."""
    tiny = np.finfo(dtype).smallest_subnormal
    menu: Any = np.array([1, 2, -1, 0, -3, 3, tiny, -2, -0.0, 1, 5 * tiny, 2, -1, 0], dtype)
    chosen = bits.below(max(16, n), n).astype(np.intp)
    values = menu[chosen % len(menu)]
    for place, rare in enumerate((np.inf, -np.inf, np.nan)):
        values[chosen == place] = rare
    return values


def _wrap(n: int, dtype: np.dtype[Any], r: int, bits: Bits) -> Any:
    return bits.words(n).astype(dtype)


def _complex(rule: Any, n: int, dtype: np.dtype[Any], r: int, bits: Bits) -> Any:
    part = np.dtype(np.float32 if dtype.name == "complex64" else np.float64)
    values = np.empty(n, dtype)
    values.real, values.imag = rule(n, part, r, bits), rule(n, part, r, bits)
    return values


_RULES = {
    "ones": _ones,
    "ramp": _ramp,
    "integers": _integers,
    "reals": _reals,
    "special": _special,
    "wrap": _wrap,
}


@dataclass
class Filled:
    """The operands of a case, and the stream that goes on to fill the gradient of its result."""

    operands: dict[str, Any]  # an ndarray for each `Operand`, every other value as it is
    case: Case
    range: int
    bits: Bits

    def grad_output(self, shape: tuple[int, ...]) -> Any:
        """The gradient to propagate back, in the input's dtype and layout."""
        x = self.case.operands["input"]
        return fill(replace(x, shape=shape), self.case, self.range, self.bits)


def arrays(case: Case) -> Filled:
    """Fill the operands of `case`, in their order."""
    r = widest(case)
    bits = Bits(int(case.data.partition(":")[2] or 0))
    return Filled({k: fill(v, case, r, bits) for k, v in case.operands.items()}, case, r, bits)


def fill(value: Any, case: Case, r: int, bits: Bits) -> Any:
    if not isinstance(value, Operand):
        return value
    dtype = np.dtype(value.dtype)
    flat = _RULES[_applicable(case, dtype)](prod(value.shape), dtype, r, bits)
    return laid_out(flat.reshape(value.shape), value.layout)


def _applicable(case: Case, dtype: np.dtype[Any]) -> str:
    """The case's rule, or for an operand of a dtype that it cannot fill, `ones`."""
    rule = case.rule
    kinds = {"reals": "fc", "special": "f", "wrap": "iu"}
    return rule if dtype.kind in kinds.get(rule, "iufc") else "ones"
