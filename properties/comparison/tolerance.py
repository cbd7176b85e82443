"""How far a result may be from the true one: not at all, or by a derived bound.

This package and `cases.data`, which keeps the ranges of the data, are the only places with
numbers that bound an error.

Integer data in range make every partial sum exact, so any order of summation gives the same value.
For real data the error of any order is at most (Jeannerod and Rump, SIAM J. Matrix Anal. 34, 2013)

    n·(u + u_ref)·S + [out ≠ acc]·u_out·|y| + (K·(η + η_ref) + η_out)/2,     n = K + 1

with u the unit roundoff and η the least subnormal of the accumulator, S = conv(|x|, |w|) + |b|;
for complex, in moduli, with 4·(K + 4) in place of n, and 4·K in place of K beside η: a complex
product is two real ones, or three, in each part, and each may underflow by η/2.

Algorithms that sum in another basis (FFT, Winograd) have no bound per element, and are not exact
on integers: an error spreads over a whole plane. An engine that has such an algorithm declares it,
``accuracy = {'float32': ('normwise', 8)}``, and is then held on all data of that dtype to

    factor · n · (u + u_ref) · M + [out ≠ acc]·u_out·|y| + n·P·(η + η_ref) + η_out/2

with M = Σ ‖x_c‖₂·‖w_c‖₂ + |b| over the planes that are summed, n = planes + log₂ P, and P the
elements of a plane of the whole linear convolution. The factor multiplies what the algorithm loses
in one transform of a doubling and in one sum. For an FFT of length P Percival (Math. Comp. 72,
2003) proves about 3·(1 + √5 + β/u)·log₂(P)·u·‖x‖·‖w‖, β being the error of the roots; measured
errors are a tenth of that. For Winograd's algorithm the bound has this form as well, with norms
of its three matrices in the factor (Barabasz et al., ACM Trans. Math. Softw. 46, 2020). A norm
below the least normal number counts as that, because a transform rounds there by η.

Nothing is known of a value where M is not finite (an inf or nan spreads over its plane), or where
a transform may overflow: there only shape, dtype and conduct are judged.

Between an engine and its reference, `bound` and `excess` say how far apart the two may be.
Between results of one engine, `radius` and `radius_if_exact` say how far each may be from the
true value: the radius of a `Ball`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import log2, sqrt
from typing import Any

import numpy as np

from ..cases.case import Case
from ..cases.data import BITS, SIGNIFICAND, widest, widest_range
from ..cases.operation import OPS
from ..cases.rules import RULES
from .outcome import widen

# dtype of the sums -> the real dtype whose rounding counts
_PART = {"complex64": "float32", "complex128": "float64"}


def unit_roundoff(dtype: str) -> float:
    return 2.0 ** -SIGNIFICAND[dtype]


def least_subnormal(dtype: str) -> float:
    return float(np.finfo(_PART.get(dtype, dtype)).smallest_subnormal)


def largest(dtype: str) -> float:
    return float(np.finfo(_PART.get(dtype, dtype)).max)


def is_exact(case: Case, k: int, accumulator: str) -> bool:
    """Whether a sum of `k` terms in `accumulator` has one value on `case`, in any order."""
    dtype = case.dtype
    if np.dtype(dtype).kind in "iu" or k == 0:
        return True
    if not RULES[case.rule].exact:
        return False
    return widest(case) >= 1 and SIGNIFICAND[accumulator] >= BITS[dtype]


def is_in_exact_range(case: Case, k: int, arrays: Iterable[Any]) -> bool:
    """Whether integers in `arrays` are so small that every sum of `k` terms of them is exact.

    The data rule keeps the operands of a case in that range; this is for arrays derived from
    them. A sum of products and a bias is exact as `cases.data.widest_range` derives; a sum of `k`
    elements of magnitude M, as in fold, while k·M is below 2**p, p being the significand bits of
    the accumulator, and does not overflow. Sums of an integer dtype are exact modulo 2**bits.
    """
    dtype, terms = case.dtype, max(1, k)
    if k == 0 or np.dtype(dtype).kind in "iu":
        return True
    if "weight" in OPS[case.op].operands:
        most = widest_range(terms, dtype)
    else:
        most = int(min(largest(dtype), 2.0 ** BITS[dtype] - 1)) // terms
    wide = [widen(array) for array in arrays]
    return all(np.abs(part).max(initial=0) <= most for a in wide for part in (a.real, a.imag))


def roundings(k: int, dtype: str) -> int:
    """n: so many times u·S bounds the error of a sum of `k` products."""
    return 4 * (k + 4) if dtype.startswith("complex") else k + 1


def bound(k: int, dtype: str, accumulator: str, y: Any, scale: Any) -> Any:
    """The allowed |result - y| per element: `y` the reference, `scale` S, `k` the terms."""
    u, u_ref = unit_roundoff(accumulator), unit_roundoff("float64")
    products = 4 * k if dtype.startswith("complex") else k
    allowed = roundings(k, dtype) * (u + u_ref) * scale
    if dtype != accumulator:
        allowed = allowed + unit_roundoff(dtype) * np.abs(y)
    tiny = least_subnormal(accumulator) + least_subnormal("float64")
    return allowed + (products * tiny + least_subnormal(dtype)) / 2


def statistical_bound(dtype: str, accumulator: str, y: Any, scale: Any) -> Any:
    """What the error of data with mean zero hardly passes, however many terms there are.

    16·u·S, for complex 64·u·S, and what rounding to `dtype` and underflow add, as in `bound`. The
    errors of such sums have a mean of zero themselves and grow like u·√K, while S grows like K
    (Higham and Mary, SIAM J. Sci. Comput. 42, 2020). So from some tens of terms on it is far below
    the proven bound. It proves nothing: what passes it is reported, not failed.
    """
    return bound(12 if dtype.startswith("complex") else 15, dtype, accumulator, y, scale)


def radius(k: int, dtype: str, accumulator: str, y: Any, scale: Any) -> Any:
    """How far each element of an engine's own result `y` may be from the true value.

    It is `bound` with the result in place of the reference: rounding to nearest moves a number
    by at most u_out times what it becomes, as well as u_out times what it was. The share of u_ref
    covers what a relation computes in float64 itself: S, and sums and differences of results.

    The radius is infinite where S, with its error, reaches the largest finite number of the
    accumulator or the result, because the result may be inf or nan there. Where S itself is not
    finite, an operand is inf or nan and the radius is 0: the result must be inf or nan too, or
    not be touched by that operand.
    """
    with np.errstate(all="ignore"):
        allowed = bound(k, dtype, accumulator, np.where(np.isfinite(y), y, 0), scale)
        ceiling = min(largest(dtype), largest(accumulator))
        allowed = np.where(scale + allowed >= ceiling, np.inf, allowed)
        return np.where(np.isfinite(scale), allowed, 0.0)


def radius_if_exact(k: int, dtype: str, accumulator: str, y: Any) -> Any:
    """How far an engine's own result `y` may be from the true value if its sums are exact.

    Only the rounding from the accumulator to `dtype` is left. Integers up to 2**p = 1/u_out are
    not rounded, p being the significand bits of `dtype`; nor is a result that sums nothing.
    """
    magnitude = np.abs(y)
    if k == 0 or dtype == accumulator or np.dtype(dtype).kind in "iu":
        return np.zeros(magnitude.shape)
    u = unit_roundoff(dtype)
    is_rounded = np.isfinite(magnitude) & (magnitude >= 1 / u)
    return np.where(is_rounded, u * np.where(is_rounded, magnitude, 0), 0.0)


def dot_error(a: Any, b: Any) -> float:
    """The bound on the error of Σ a·b, summed in float64 or complex128 in any order."""
    n = roundings(a.size, a.dtype.name)
    return float(n * unit_roundoff("float64") * (np.abs(a) * np.abs(b)).sum())


@dataclass(frozen=True)
class Transform:
    """What a normwise bound of one result depends on besides the dtypes."""

    factor: float
    planes: int  # that are summed
    size: int  # P
    norms: Any  # M, of the result's shape

    def bound(self, dtype: str, accumulator: str, y: Any) -> Any:
        """The allowed |result - y| per element, infinite where nothing is known."""
        u = unit_roundoff(accumulator) + unit_roundoff("float64")
        n = self.planes + log2(self.size)
        tiny = n * self.size * (least_subnormal(accumulator) + least_subnormal("float64"))
        with np.errstate(all="ignore"):
            allowed = self.factor * n * u * self.norms + tiny + least_subnormal(dtype) / 2
            if dtype != accumulator:
                allowed = allowed + unit_roundoff(dtype) * np.abs(np.where(np.isfinite(y), y, 0))
            known = self.norms * self.size**2 < min(largest(accumulator), largest("float64"))
            return np.where(known, allowed, np.inf)


def plane_norms(array: Any, axes: int, size: int, accumulator: str) -> Any:
    """‖·‖₂ of every plane of `array`, its last `axes`, as planes of one element.

    It is infinite where a transform of `size` elements may overflow.
    """
    least = float(np.finfo(_PART.get(accumulator, accumulator)).smallest_normal) * sqrt(size)
    with np.errstate(all="ignore"):
        over = tuple(range(array.ndim - axes, array.ndim))
        largest_part = np.abs(array).max(over, initial=0.0, keepdims=True)
        scaled = np.abs(array) / np.where(largest_part > 0, largest_part, 1.0)
        norms = largest_part * np.sqrt((scaled**2).sum(over, keepdims=True))
        norms = np.where(norms > 0, np.maximum(norms, least), norms)
        return np.where(norms * size < largest(accumulator), norms, np.inf)


def excess(got: Any, y: Any, allowed: Any, scale: Any, dtype: str, accumulator: str) -> Any:
    """error ÷ allowed per element; above 1 is a failure. inf and nan must be where they belong.

    Where S reaches the accumulator's largest finite number an intermediate sum may overflow, and
    from 65520 on float16 rounds to inf: there a result that is not finite is right as well.
    """
    with np.errstate(all="ignore"):
        ratio = np.abs(got - y) / allowed
    alike = (got == y) | (np.isnan(got) & np.isnan(y))
    may_overflow = np.isfinite(scale) & (scale >= largest(accumulator))
    if dtype == "float16":
        rounding = unit_roundoff(dtype) * np.abs(y) if dtype != accumulator else 0.0
        with np.errstate(invalid="ignore"):  # only the sum's own error may carry it there
            reaches = np.abs(y) + (allowed - rounding) >= 65520
        may_overflow |= reaches & (np.sign(got) == np.sign(y))
    alike |= may_overflow & ~np.isfinite(got)
    return np.where(alike, 0.0, np.where(np.isnan(ratio), np.inf, ratio))
