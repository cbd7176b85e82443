"""How far a result may be from the reference: not at all, or by a derived bound.

Integer data in range make every partial sum exact, so any order of summation gives the same value.
For real data the error of any order is at most (Jeannerod and Rump, SIAM J. Matrix Anal. 34, 2013)

    n·(u + u_ref)·S + [out ≠ acc]·u_out·|y| + (K·(η + η_ref) + η_out)/2,     n = K + 1

with u the unit roundoff and η the least subnormal of the accumulator, S = conv(|x|, |w|) + |b|;
for complex, in moduli, with 4·(K + 4) in place of n, and 4·K in place of K beside η: a complex
product is two real ones, or three, in each part, and each may underflow by η/2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cases.case import Case
from ..cases.data import BITS, SIGNIFICAND, widest
from ..cases.rules import RULES

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


def bound(k: int, dtype: str, accumulator: str, y: Any, scale: Any) -> Any:
    """The allowed |result - y| per element: `y` the reference, `scale` S, `k` the terms."""
    u, u_ref = unit_roundoff(accumulator), unit_roundoff("float64")
    is_complex = dtype.startswith("complex")
    n, products = (4 * (k + 4), 4 * k) if is_complex else (k + 1, k)
    allowed = n * (u + u_ref) * scale
    if dtype != accumulator:
        allowed = allowed + unit_roundoff(dtype) * np.abs(y)
    tiny = least_subnormal(accumulator) + least_subnormal("float64")
    return allowed + (products * tiny + least_subnormal(dtype)) / 2


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
