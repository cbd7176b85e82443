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
from itertools import product
from math import prod

import numpy as np

from ..geometry import Array, Geometry
from . import limits
from .blocks import box, cut


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


def blocks(g: Geometry) -> Iterator[tuple[slice, slice, Geometry]]:
    """Samples and rows whose columns are few, at least one row, as convolutions of their own."""
    row = g.groups * g.channels * prod(g.kernel_size) * prod(g.output_size[1:])
    rows = max(1, limits.FEW_ELEMENTS // max(1, row))
    samples = max(1, rows // g.output_size[0])
    for part, piece in product(cut(g.batch, samples), cut(g.output_size[0], rows)):
        yield part, piece, rows_of(replace(g, batch=part.stop - part.start), piece)


def rows_of(g: Geometry, rows: slice) -> Geometry:
    """The convolution that makes these rows alone: less padding, or even a crop."""
    if rows == slice(0, g.output_size[0]):
        return g
    start = rows.start * g.stride[0] - g.padding[0][0]
    last = (rows.stop - 1) * g.stride[0] - g.padding[0][0]
    end = last + (g.kernel_size[0] - 1) * g.dilation[0] + 1
    return replace(
        g,
        padding=((-start, end - g.input_size[0]), *g.padding[1:]),
        output_size=(rows.stop - rows.start, *g.output_size[1:]),
    )


def forward(g: Geometry, x: Array, w: Array, y: Array) -> None:
    """(N, G·C, *X), (G, O, C, *K) -> y (N, G·O, *Y)."""
    length = g.channels * prod(g.kernel_size)
    kernels = w.reshape(g.groups, g.filters, length)  # (G, O, C·K)
    for samples, rows, h in blocks(g):
        places = prod(h.output_size)
        columns = windows(h, x[samples]).reshape(h.batch, h.groups, length, places)
        result = kernels @ columns  # (n, G, O, C·K) @ (n, G, C·K, Y) -> (n, G, O, Y)
        y[samples, :, rows] = result.reshape(h.output_shape)


def weight_gradient(g: Geometry, x: Array, gy: Array, gw: Array) -> None:
    """(N, G·C, *X), (N, G·O, *Y) -> gw (G, O, C, *K), C-contiguous."""
    length, axes = g.channels * prod(g.kernel_size), len(g.kernel_size)
    total = gw.reshape(g.groups, g.filters, length)
    total[...] = 0
    for samples, rows, h in blocks(g):
        places = h.batch * prod(h.output_size)
        view = np.moveaxis(windows(h, x[samples]), 0, 2 + axes)  # (G, C, *K, n, *Y)
        columns = view.reshape(g.groups, length, places)  # (G, C·K, n·Y)
        outputs = gy[samples, :, rows].swapaxes(0, 1).reshape(g.groups, g.filters, places)
        if h.output_shape == g.output_shape:
            np.matmul(outputs, columns.swapaxes(1, 2), out=total)  # (G, O, C·K)
        else:
            total += outputs @ columns.swapaxes(1, 2)


def input_gradient(g: Geometry, w: Array, gy: Array, gx: Array) -> None:
    """(G, O, C, *K), (N, G·O, *Y) -> gx (N, G·C, *X)."""
    length, places = g.channels * prod(g.kernel_size), prod(g.output_size)
    kernels = w.reshape(g.groups, g.filters, length).swapaxes(1, 2)  # (G, C·K, O)
    for n in range(g.batch):
        columns = kernels @ gy[n].reshape(g.groups, g.filters, places)  # (G, C·K, Y)
        gx[n] = col2im(g, columns.reshape(-1, *g.kernel_size, *g.output_size))


def col2im(g: Geometry, columns: Array) -> Array:
    """Each column added back to its window: (G·C, *K, *Y) -> (G·C, *X), not always contiguous."""
    total = np.zeros((columns.shape[0], *g.padded_size), columns.dtype)
    for tap in np.ndindex(*g.kernel_size):
        steps = zip(tap, g.dilation, g.output_size, g.stride, strict=True)
        reads = [slice(k * d, k * d + y * s, s) for k, d, y, s in steps]
        total[:, *reads] += columns[:, *tap]  # (G·C, *Y)
    inner = [slice(lo, lo + x) for x, (lo, _) in zip(g.input_size, g.padding, strict=True)]
    return total[:, *inner]
