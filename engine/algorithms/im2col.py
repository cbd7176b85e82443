"""Convolution as one matrix product per sample and group, over the unfolded input.

Every window becomes a column of C·K elements, so that BLAS does the arithmetic:

    x: 1 2 3 4   K = 3      columns: 1 2
                                     2 3      y = w @ columns
                                     3 4

Costs 2·O·C·K·Y flops, and C·K·Y elements of memory for as many samples as are unfolded at once. A
kernel of one tap needs no columns: the input is its own.

The gradient of the input yields a column for each window, added back to where the window was
(col2im). No zero border is multiplied, so that a NaN or inf in `w` reaches only what it covers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

import numpy as np

from ..geometry import Array, Geometry
from . import limits
from .blocks import box


def padded(g: Geometry, x: Array) -> Array:
    """`x` inside its zero border, C-contiguous: (N, G·C, *X) -> (N, G·C, *P)."""
    if any(map(any, g.padding)):
        starts = [-lo for lo, _ in g.padding]
        return box(x, starts, [1] * len(starts), g.padded_size)
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


def samples(g: Geometry) -> Iterator[tuple[slice, Geometry]]:
    """As many samples at a time as have few columns in all, but at least one."""
    each = g.groups * g.channels * prod(g.kernel_size) * prod(g.output_size)
    count = max(1, limits.FEW_ELEMENTS // max(1, each))
    for first in range(0, g.batch, count):
        yield slice(first, first + count), replace(g, batch=min(count, g.batch - first))


def forward(g: Geometry, x: Array, w: Array, y: Array) -> None:
    """(N, G·C, *X), (G, O, C, *K) -> y (N, G·O, *Y)."""
    rows, places = g.channels * prod(g.kernel_size), prod(g.output_size)
    kernels = w.reshape(g.groups, g.filters, rows)  # (G, O, C·K)
    for part, h in samples(g):
        columns = windows(h, x[part]).reshape(h.batch, h.groups, rows, places)  # (n, G, C·K, Y)
        y[part] = (kernels @ columns).reshape(h.output_shape)  # (n, G, O, Y) -> (n, G·O, *Y)


def input_gradient(g: Geometry, w: Array, gy: Array, gx: Array) -> None:
    """(G, O, C, *K), (N, G·O, *Y) -> gx (N, G·C, *X)."""
    rows, places = g.channels * prod(g.kernel_size), prod(g.output_size)
    kernels = w.reshape(g.groups, g.filters, rows).swapaxes(1, 2)  # (G, C·K, O)
    for part, h in samples(g):
        outputs = gy[part].reshape(h.batch, h.groups, h.filters, places)
        columns = kernels @ outputs  # (n, G, C·K, Y)
        shape = (*h.input_shape[:2], *h.kernel_size, *h.output_size)
        gx[part] = col2im(h, columns.reshape(shape))


def col2im(g: Geometry, columns: Array) -> Array:
    """Each column added back to its window: (N, G·C, *K, *Y) -> (N, G·C, *X)."""
    total = np.zeros((*columns.shape[:2], *g.padded_size), columns.dtype)
    for tap in np.ndindex(*g.kernel_size):
        steps = zip(tap, g.dilation, g.output_size, g.stride, strict=True)
        reads = [slice(k * d, k * d + y * s, s) for k, d, y, s in steps]
        total[:, :, *reads] += columns[:, :, *tap]  # (N, G·C, *Y)
    inner = [slice(lo, lo + x) for x, (lo, _) in zip(g.input_size, g.padding, strict=True)]
    return total[:, :, *inner]


def weight_gradient(g: Geometry, x: Array, gy: Array, gw: Array) -> None:
    """(N, G·C, *X), (N, G·O, *Y) -> gw (G·O, C, *K)."""
    rows, axes = g.channels * prod(g.kernel_size), len(g.kernel_size)
    gw[...] = 0
    for part, h in samples(g):
        places = h.batch * prod(g.output_size)
        view = np.moveaxis(windows(h, x[part]), 0, 2 + axes)  # (G, C, *K, n, *Y)
        columns = view.reshape(g.groups, rows, places)  # (G, C·K, n·Y)
        outputs = gy[part].swapaxes(0, 1).reshape(g.groups, g.filters, places)  # (G, O, n·Y)
        gw += (outputs @ columns.swapaxes(1, 2)).reshape(g.weight_shape)  # (G, O, C·K)
