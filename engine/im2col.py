"""Convolution as one matrix product per sample and group, over the unfolded input.

Every window becomes a column of C·K elements, so that BLAS does the arithmetic. The columns cost
K times the input's memory.

The gradients are the same product transposed. That of the input yields a column for each window,
added back to where the window was (col2im); no zeros are stuffed between, so that a NaN or inf
reaches only what it is multiplied with in the convolution.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .geometry import Array, Geometry


def padded(g: Geometry, x: Array) -> Array:
    """`x` inside its zero border, C-contiguous: (N, G·C, *X) -> (N, G·C, *P)."""
    if any(map(any, g.padding)):
        border = np.zeros((*x.shape[:2], *g.padded_size), x.dtype)
        sizes = zip(g.input_size, g.padding, strict=True)
        inner: tuple[Any, ...] = (..., *[slice(lo, lo + n) for n, (lo, _) in sizes])
        border[inner] = x
        return border
    return np.ascontiguousarray(x)


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


def input_gradient(g: Geometry, w: Array, gy: Array) -> Array:
    """(G·O, C, *K), (N, G·O, *Y) -> (N, G·C, *X)."""
    rows, places = g.channels * prod(g.kernel_size), prod(g.output_size)
    kernels = w.reshape(g.groups, g.filters, rows).swapaxes(1, 2)  # (G, C·K, O)
    columns = kernels @ gy.reshape(g.batch, g.groups, g.filters, places)  # (N, G, C·K, Y)
    shape = (*g.input_shape[:2], *g.kernel_size, *g.output_size)
    return col2im(g, columns.reshape(shape))


def col2im(g: Geometry, columns: Array) -> Array:
    """Each column added back to its window: (N, G·C, *K, *Y) -> (N, G·C, *X)."""
    total = np.zeros((*columns.shape[:2], *g.padded_size), columns.dtype)
    for tap in np.ndindex(*g.kernel_size):
        steps = zip(tap, g.dilation, g.output_size, g.stride, strict=True)
        reads = [slice(k * d, k * d + y * s, s) for k, d, y, s in steps]
        total[:, :, *reads] += columns[:, :, *tap]  # (N, G·C, *Y)
    inner = [slice(lo, lo + x) for x, (lo, _) in zip(g.input_size, g.padding, strict=True)]
    return np.ascontiguousarray(total[:, :, *inner])


def weight_gradient(g: Geometry, x: Array, gy: Array) -> Array:
    """(N, G·C, *X), (N, G·O, *Y) -> (G·O, C, *K)."""
    rows, places = g.channels * prod(g.kernel_size), g.batch * prod(g.output_size)
    view = np.moveaxis(windows(g, x), 0, 2 + len(g.kernel_size))  # (G, C, *K, N, *Y)
    columns = view.reshape(g.groups, rows, places)  # (G, C·K, N·Y)
    outputs = gy.swapaxes(0, 1).reshape(g.groups, g.filters, places)  # (G, O, N·Y)
    gw: Array = outputs @ columns.swapaxes(1, 2)  # (G, O, C·K)
    return gw.reshape(g.weight_shape)
