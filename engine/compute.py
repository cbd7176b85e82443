"""From arguments to result: the dtype to accumulate in, the algorithm, the bias, one rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from . import algorithms
from .algorithms import limits
from .geometry import Array, Geometry


class Algorithm(Protocol):
    """What computes a convolution and its two gradients: a module with these functions, or a class.

    The operands have one native dtype, in which sums are formed, and any memory layout. A result
    has the same dtype and shares no memory with the operands.
    """

    def forward(self, g: Geometry, x: Array, w: Array) -> Array:
        """(N, G·C, *X), (G·O, C, *K) -> (N, G·O, *Y)."""

    def input_gradient(self, g: Geometry, w: Array, gy: Array) -> Array:
        """(G·O, C, *K), (N, G·O, *Y) -> (N, G·C, *X)."""

    def weight_gradient(self, g: Geometry, x: Array, gy: Array) -> Array:
        """(N, G·C, *X), (N, G·O, *Y) -> (G·O, C, *K)."""


DEFAULT: Algorithm = algorithms


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The native dtype in which sums over `dtype` are formed; float16 is summed in float32."""
    return np.dtype(np.float32) if dtype.type is np.float16 else native(dtype)


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def forward(
    g: Geometry, x: Array, w: Array, b: Array | None = None, algorithm: Algorithm = DEFAULT
) -> Array:
    """(N, G·C, *X), (G·O, C, *K), (G·O,) -> (N, G·O, *Y)."""
    return _accumulated(algorithm.forward, g, x, w, b)


def input_gradient(
    g: Geometry, w: Array, gy: Array, b: Array | None = None, algorithm: Algorithm = DEFAULT
) -> Array:
    """(G·O, C, *K), (N, G·O, *Y), (G·C,) -> (N, G·C, *X): with a bias, a transposed convolution."""
    return _accumulated(algorithm.input_gradient, g, w, gy, b)


def weight_gradient(g: Geometry, x: Array, gy: Array, algorithm: Algorithm = DEFAULT) -> Array:
    """(N, G·C, *X), (N, G·O, *Y) -> (G·O, C, *K)."""
    return _accumulated(algorithm.weight_gradient, g, x, gy)


def bias_gradient(gy: Array) -> Array:
    """(N, O, *Y) -> (O,)."""
    with np.errstate(all="ignore"):
        total: Array = gy.sum(axis=(0, *range(2, gy.ndim)), dtype=accumulator(gy.dtype))
        return rounded(total, gy.dtype)


@np.errstate(all="ignore")  # IEEE's inf and nan are results here, as in torch
def _accumulated(
    function: Callable[[Geometry, Array, Array], Array],
    g: Geometry,
    left: Array,
    right: Array,
    b: Array | None = None,
) -> Array:
    wide = accumulator(left.dtype)
    result = function(g, in_dtype(left, wide), in_dtype(right, wide))
    if b is not None:
        if result.size > limits.LARGE:
            np.setbufsize(16)  # errstate restores it
        result += in_dtype(b, wide).reshape(-1, *[1] * len(g.kernel_size))
    return rounded(result, left.dtype)


def rounded(result: Array, dtype: np.dtype[Any]) -> Array:
    """`result`, rounded once to the native form of `dtype`."""
    return in_dtype(result, native(dtype))


def in_dtype(x: Array, dtype: np.dtype[Any]) -> Array:
    """`x`, as a copy if it has another dtype or byte order."""
    return x if x.dtype is dtype else x.astype(dtype, copy=False)
