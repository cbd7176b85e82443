"""Convolution of few filters per group (depthwise): several output rows by one matrix product.

BLAS starves on matrices of one or two rows. Here each filter becomes a matrix of t rows, a Toeplitz
matrix, which makes t output rows at once from a slab of V = (t - 1)·stride + kr rows of the input:

    t = 3, kr = 2:   y[0]     w0 w1 .  .       x[0]
                     y[1]  =  .  w0 w1 .    @  x[1]
                     y[2]     .  .  w0 w1      x[2]
                                               x[3]

What the next column tap meets is the same slab, some elements further on: a view, whose products
are added. With a stride s of columns, columns q, q + s, q + 2·s … are the slab of the taps that
meet them.

The zeros of the matrix must not meet NaN or inf: the caller sees to it. Rows with a dilation are
taken as in `band`.

Costs 2·O·C·K·Y flops, V / kr times, and copies the input once. Memory: one block of `limits.BUFFER`
bytes.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Array, Geometry, Sizes
from .blocks import box, corner, cut, met_by_phase, pieces
from .plan import Block, for_toeplitz
from .threads import each


def forward(g: Geometry, x: Array, w: Array, y: Array) -> None:
    """(N, G·C, *X), (G·O, C, *K) -> y (N, G·O, *Y)."""
    most = for_toeplitz(g, x.itemsize)
    w = w.reshape(g.groups, g.filters, g.channels, *g.kernel_size)
    for channels in cut(g.channels, most.channels):
        kernels = repeated(w[:, :, channels], most)  # (kc, G, O, t, V·J)
        add, parts = channels.start > 0, pieces(g, most, x, y)
        each(block, ((g, most, kernels[:, n], s[:, channels], at, t, add) for n, at, s, t in parts))


def block(g: Geometry, most: Block, w: Array, x: Array, place: Sizes, y: Array, add: bool) -> None:
    """(kc, G, O, t, V·J), (G, C, *X) -> y (G, O, r, columns)."""
    found = products(g, most, w, x, place, y)
    np.add(y, found, out=y) if add else np.copyto(y, found)


def repeated(w: Array, most: Block) -> Array:
    """Each filter as Toeplitz matrices: (G, O, C, *K) -> (kc, G, O, t, V·J), with J lines."""
    ordered = np.moveaxis(w, (-1, -2, 2), (0, 3, -1))  # (kc, G, O, kr, …, C)
    kc, groups, filters, kr, *lines = ordered.shape
    height = (most.together - 1) * most.stride + kr  # V
    result = np.zeros((kc, groups, filters, most.together, height, *lines), w.dtype)
    for t in range(most.together):
        result[:, :, :, t, t * most.stride : t * most.stride + kr] = ordered
    return result.reshape(kc, groups, filters, most.together, -1)


def products(g: Geometry, most: Block, w: Array, x: Array, place: Sizes, target: Array) -> Array:
    """What is to stand in the target: (kc, G, O, t, V·J), (G, C, *X) -> (G, O, r, columns)."""
    groups, filters, rows, columns = target.shape
    t, k = w.shape[-2:]
    count = -(-rows // t)
    total, term = np.empty((2, groups, filters, count, t, most.tile), x.dtype)
    is_first = True
    for phase, met in met_by_phase(g, -1):
        source = lines(g, most, x, place, count, phase)  # (G, h, J, P)
        group, row, line, column = source.strides
        for tap, start in met:
            slabs = np.ndarray(
                (groups, count, k, most.tile),
                source.dtype,
                source,
                start * column,
                (group, t * most.stride * row, line, column),
            )
            np.matmul(w[tap, :, :, None], slabs[:, None], out=total if is_first else term)
            if not is_first:
                total += term
            is_first = False
    whole: Array = total.reshape(groups, filters, count * t, most.tile)
    return whole[:, :, :rows, :columns]


def lines(g: Geometry, most: Block, x: Array, place: Sizes, count: int, phase: int) -> Array:
    """What t·count rows meet, each stride-th column from `phase` on: (G, C, *X) -> (G, h, J, P)."""
    *leading, row, column = corner(g, place)
    height = (count * most.together - 1) * most.stride + g.kernel_size[-2]
    steps, counts = (*g.dilation[:-1], g.stride[-1]), (*g.kernel_size[:-2], height, most.width)
    source = box(x, (*leading, row, column + phase), steps, counts)  # (G, C, …, h, P)
    ordered = np.moveaxis(source, (-2, 1), (1, -2))  # (G, h, …, C, P)
    return np.ascontiguousarray(ordered).reshape(len(x), height, -1, most.width)
