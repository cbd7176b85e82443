"""From arguments to result: the dtype to accumulate in, the algorithm, the bias, one rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import im2col
from .arguments import Array, Geometry

# Tests put `definition` here, in a copy of the package of their own.
algorithm: Any = im2col


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The native dtype in which sums over `dtype` are formed; float16 is summed in float32."""
    return np.dtype(np.float32) if dtype.type is np.float16 else dtype.newbyteorder("=")


def forward(g: Geometry, x: Array, w: Array, b: Array | None) -> Array:
    """(N, G·C, *X), (G·O, C, *K), (G·O,) -> (N, G·O, *Y)."""
    wide = accumulator(x.dtype)
    with np.errstate(all="ignore"):  # IEEE's inf and nan are results here, as in torch
        y = algorithm.forward(g, x.astype(wide, copy=False), w.astype(wide, copy=False))
        if b is not None:
            y += b.astype(wide, copy=False).reshape(-1, *[1] * len(g.output_size))
        return rounded(y, x.dtype)


def rounded(result: Array, dtype: np.dtype[Any]) -> Array:
    """`result`, rounded once to the native form of `dtype`."""
    return result.astype(dtype.newbyteorder("="), copy=False)
