"""Convolution as one matrix product per sample and group, over the unfolded input.

Every window becomes a column of C·K elements, so that BLAS does the arithmetic. The columns cost
K times the input's memory.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .arguments import Array, Geometry


def padded(g: Geometry, x: Array) -> Array:
    """`x` inside its zero border, C-contiguous and aligned: (N, G·C, *X) -> (N, G·C, *P)."""
    if any(map(any, g.padding)):
        border = np.zeros((*x.shape[:2], *g.padded_size), x.dtype)
        sizes = zip(g.input_size, g.padding, strict=True)
        inner: tuple[Any, ...] = (..., *[slice(lo, lo + n) for n, (lo, _) in sizes])
        border[inner] = x
        return border
    return x if x.flags.c_contiguous and x.flags.aligned else np.array(x, order="C")


def windows(g: Geometry, x: Array) -> Array:
    """Every place of the window as a view: (N, G·C, *X) -> (N, G, C, *K, *Y)."""
    p = padded(g, x)
    sample, channel, *spatial = p.strides
    return np.ndarray(  # unlike as_strided, refuses a view that would leave the buffer
        (g.batch, g.groups, g.channels, *g.kernel_size, *g.output_size),
        p.dtype,
        p,
        strides=(
            sample,
            channel * g.channels,
            channel,
            *[step * d for step, d in zip(spatial, g.dilation, strict=True)],
            *[step * s for step, s in zip(spatial, g.stride, strict=True)],
        ),
    )


def forward(g: Geometry, x: Array, w: Array) -> Array:
    """(N, G·C, *X), (G·O, C, *K) -> (N, G·O, *Y)."""
    rows, places = g.channels * prod(g.kernel_size), prod(g.output_size)
    columns = windows(g, x).reshape(g.batch, g.groups, rows, places)  # (N, G, C·K, Y)
    kernels = w.reshape(g.groups, g.filters, rows)  # (G, O, C·K)
    y: Array = kernels @ columns  # (N, G, O, Y)
    return y.reshape(g.batch, g.groups * g.filters, *g.output_size)
