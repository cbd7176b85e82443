"""Integers by way of floating point, where no sum can be rounded.

NumPy multiplies matrices of integers without BLAS, at 1 GFLOP/s or less. Floats hold every integer
up to 2^p, with p the bits of their significand. A sum of n products, in whatever order, has no
partial sum beyond n · max|x| · max|w|: where this is less than 2^p the float result is the exact
one, and wraps around as integers do when it is cast. Where it is not, integers are used.

Costs two passes over each operand, for its extremes.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..geometry import Array, Sizes

CARRIERS = (np.dtype(np.float32), np.dtype(np.float64))


def carrier(terms: int, left: Array, right: Array) -> np.dtype[Any]:
    """The dtype in which sums of so many products of two integers are formed."""
    bound = terms * magnitude(left) * magnitude(right)
    exact = (dtype for dtype in CARRIERS if bound < 2 ** (np.finfo(dtype).nmant + 1))
    return next(exact, left.dtype)


def carried(sizes: Sizes, left: Array, right: Array) -> tuple[Array, Array]:
    """Both operands in the dtype in which their products are summed, as many as `sizes` allow."""
    if left.dtype.kind not in "iu":
        return left, right
    wide = carrier(prod(sizes), left, right)
    return left.astype(wide, copy=False), right.astype(wide, copy=False)


def magnitude(x: Array) -> int:
    """The largest absolute value, as a Python integer: |-128| is no int8."""
    return max(int(x.max(initial=0)), -int(x.min(initial=0)))


def cast(result: Array, dtype: np.dtype[Any]) -> Array:
    """A carrier's result in the dtype of the operands, wrapped around."""
    return result if result.dtype == dtype else result.astype(np.int64).astype(dtype)
