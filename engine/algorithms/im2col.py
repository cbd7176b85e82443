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
from itertools import product
from math import prod

import numpy as np

from ..geometry import Array, Geometry
from .blocks import box, cut
from .plan import for_col2im, for_im2col, for_weight


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
    samples, rows = for_im2col(g)
    for part, piece in product(cut(g.batch, samples), cut(g.output_size[0], rows)):
        n = part.stop - part.start
        yield part, piece, rows_of(g if n == g.batch else g._replace(batch=n), piece)


def rows_of(g: Geometry, rows: slice) -> Geometry:
    """The convolution that makes these rows alone: less padding, or even a crop."""
    if rows == slice(0, g.output_size[0]):
        return g
    start = rows.start * g.stride[0] - g.padding[0][0]
    last = (rows.stop - 1) * g.stride[0] - g.padding[0][0]
    end = last + (g.kernel_size[0] - 1) * g.dilation[0] + 1
    return g._replace(
        padding=((-start, end - g.input_size[0]), *g.padding[1:]),
        output_size=(rows.stop - rows.start, *g.output_size[1:]),
    )


def forward(g: Geometry, x: Array, w: Array, y: Array) -> None:
    """(N, G·C, *X), (G, O, C, *K) -> y (N, G·O, *Y)."""
    kernels = w.reshape(g.groups, g.filters, g.channels * prod(g.kernel_size))  # (G, O, C·K)
    for samples, rows, h in blocks(g):
        y[samples, :, rows] = multiplied(h, x[samples], kernels)


def multiplied(g: Geometry, x: Array, kernels: Array) -> Array:
    """One block, whose columns are free for the next: (G, O, C·K) -> (n, G·O, *Y)."""
    places = prod(g.output_size)
    columns = windows(g, x).reshape(g.batch, g.groups, kernels.shape[2], places)
    result = kernels @ columns  # (n, G, O, C·K) @ (n, G, C·K, Y) -> (n, G, O, Y)
    return result.reshape(g.output_shape)


def weight_gradient(g: Geometry, x: Array, gy: Array, gw: Array) -> None:
    """(N, G·C, *X), (N, G·O, *Y) -> gw (G, O, C, *K), C-contiguous."""
    taps = prod(g.kernel_size)
    x = x.reshape(g.batch, g.groups, g.channels, *g.input_size)
    total = gw.reshape(g.groups, g.filters, g.channels * taps)
    total[...] = 0
    for channels in cut(g.channels, for_weight(g)):
        few = g._replace(channels=channels.stop - channels.start)
        target = total[:, :, channels.start * taps : channels.stop * taps]  # (G, O, c·K)
        for samples, rows, h in blocks(few):
            met = x[samples, :, channels].reshape(h.input_shape)
            add(h, met, gy[samples, :, rows], target, alone=h.output_shape == g.output_shape)


def add(g: Geometry, x: Array, gy: Array, target: Array, alone: bool) -> None:
    """One block, added to the target (G, O, C·K), which is zero for one that is alone."""
    places = g.batch * prod(g.output_size)
    view = np.moveaxis(windows(g, x), 0, 2 + len(g.kernel_size))  # (G, C, *K, n, *Y)
    columns = view.reshape(g.groups, target.shape[2], places).swapaxes(1, 2)  # (G, n·Y, C·K)
    outputs = gy.swapaxes(0, 1).reshape(g.groups, g.filters, places)  # (G, O, n·Y)
    if alone:
        np.matmul(outputs, columns, out=target)
    else:
        target += outputs @ columns


def input_gradient(g: Geometry, w: Array, gy: Array, gx: Array) -> None:
    """(G, O, C, *K), (N, G·O, *Y) -> gx (N, G·C, *X), C-contiguous."""
    outputs = gy.reshape(g.batch, g.groups, g.filters, prod(g.output_size))
    target = gx.reshape(g.batch, g.groups, g.channels, *g.input_size)
    for n, channels in product(range(g.batch), cut(g.channels, for_col2im(g))):
        part = target[n, :, channels]  # (G, c, *X)
        part[...] = scattered(g, w[:, :, channels], outputs[n]).reshape(part.shape)


def scattered(g: Geometry, w: Array, gy: Array) -> Array:
    """(G, O, c, *K), (G, O, Y) -> (G·c, *X)."""
    kernels = w.reshape(g.groups, g.filters, w.shape[2] * prod(g.kernel_size))
    columns = kernels.swapaxes(1, 2) @ gy  # (G, c·K, O) @ (G, O, Y)
    return col2im(g, columns.reshape(-1, *g.kernel_size, *g.output_size))


def col2im(g: Geometry, columns: Array) -> Array:
    """Each column added back to its window: (G·C, *K, *Y) -> (G·C, *X), not always contiguous."""
    total = np.zeros((columns.shape[0], *g.padded_size), columns.dtype)
    for tap in np.ndindex(*g.kernel_size):
        steps = zip(tap, g.dilation, g.output_size, g.stride, strict=True)
        reads = [slice(k * d, k * d + y * s, s) for k, d, y, s in steps]
        total[:, *reads] += columns[:, *tap]  # (G·C, *Y)
    inner = [slice(lo, lo + x) for x, (lo, _) in zip(g.input_size, g.padding, strict=True)]
    return total[:, *inner]
