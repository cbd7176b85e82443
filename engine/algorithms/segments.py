"""Convolution of single rows as one product over their segments, for few filters.

BLAS starves on the one or two filters of a group, and a kernel of one row leaves no rows for a band
to share. So a row is cut into segments: T outputs of it meet V = (T - 1)·stride + (k - 1)·dilation
+ 1 elements, which are multiplied with a Toeplitz matrix:

    T = 3, k = 2:    row: 1 2 3 4 5 6 7    segments: 1 2 3 4    w: a . .
                                                     4 5 6 7       b a .    y = segments @ w
                                                                   . b a
                                                                   . . b

The zeros of such a matrix must not meet NaN or inf: the caller sees to it.

Costs 2·O·C·V·Y flops, V / k times those of the sums, and copies V / T elements for each channel and
output. Memory: one block of `limits.BUFFER` bytes.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..geometry import Array, Geometry, Sizes
from .blocks import cut, pieces, read, with_rows
from .plan import for_segments, met_by
from .threads import each


def forward(g: Geometry, x: Array, w: Array, y: Array) -> None:
    """(N, G·C, *X), (G·O, C, *K), of one row -> y (N, G·O, *Y)."""
    g = with_rows(g)
    most = for_segments(g, x.itemsize)
    x = x.reshape(g.batch, g.groups, g.channels, *g.input_size)
    w = w.reshape(g.groups, g.filters, g.channels, g.kernel_size[-1])
    y = y.reshape(g.batch, g.groups, g.filters, *g.output_size)  # splits axes only: a view
    for groups in cut(g.groups, most.groups):
        some = g._replace(groups=groups.stop - groups.start)
        kernels = toeplitz(some, w[groups], most.tile)
        parts = pieces(some, most, x[:, groups], y[:, groups])
        each(partial(block, some, kernels, most.tile), ((s, at, r) for _, at, s, r in parts))


def toeplitz(g: Geometry, w: Array, t: int) -> Array:
    """The weights of T outputs, each further down by a stride: (G, O, C, k) -> (G, C·V, O·T)."""
    v, step, distance = met_by(g, t), g.stride[-1], g.dilation[-1]
    result = np.zeros((g.groups, g.channels, v, g.filters, t), w.dtype)
    group, channel, line, row, column = result.strides
    strides = (group, channel, distance * line, row, step * line + column)
    shape = (g.groups, g.channels, g.kernel_size[-1], g.filters, t)
    bands = np.ndarray(shape, w.dtype, result, 0, strides)  # what is not 0
    bands[...] = w.transpose(0, 2, 3, 1)[..., None]
    return result.reshape(g.groups, g.channels * v, g.filters * t)


def block(g: Geometry, w: Array, t: int, x: Array, place: Sizes, y: Array) -> None:
    """(G, C·V, O·T), (G, C, *X) -> y (G, O, r, columns)."""
    groups, filters, rows, columns = y.shape
    count = -(-columns // t)
    source = read(g, x, place, rows, count * t, g.stride[-2])  # (G, C, 1, …, r, span)
    group, channel, *_, row, column = source.strides
    shape = (groups, rows, count, g.channels, met_by(g, t))
    strides = (group, row, t * g.stride[-1] * column, channel, column)
    segments = np.ndarray(shape, x.dtype, source, 0, strides)
    products = segments.reshape(groups, rows * count, -1) @ w  # (G, r·S, O·T)
    by_filter = products.reshape(groups, rows * count, filters, t).swapaxes(1, 2)  # (G, O, r·S, T)
    y[...] = by_filter.reshape(groups, filters, rows, count * t)[..., :columns]
