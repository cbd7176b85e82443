"""Convolution as small matrix products over bands of rows that stay in the cache.

A buffer holds, for each row of the (padded) input, what every column tap of the kernel meets. The
patches of output row y are then one slab of the buffer, rows y … y + kr, and not copied again:

    buffer[0]  ┐             J = C · (leading taps) · kc rows of one output row's width
    buffer[1]  │ y = 0  ┐
    buffer[2]  ┘        │ y = 1      y[row] = w (O × kr·J) @ slab (kr·J × width)
    buffer[3]           ┘

BLAS starves on the one or two filters of a group. Few filters become Toeplitz matrices, of t rows
each, which make t output rows at once from a slab of V = (t - 1)·stride + kr rows:

    t = 3, kr = 2:   y[0]     w0 w1 .  .       buffer[0]
                     y[1]  =  .  w0 w1 .    @  buffer[1]
                     y[2]     .  .  w0 w1      buffer[2]
                                               buffer[3]

The zeros of such a matrix must not meet NaN or inf: the caller sees to it. Rows with a dilation d
and a stride s are d / gcd(d, s) problems without dilation.

Costs 2·O·C·K·Y flops, for Toeplitz matrices V / kr times, and copies K / kr times the input.
Memory: one block of `limits.BUFFER` bytes.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Array, Geometry, Sizes
from .blocks import cut, pieces, read, taps
from .plan import Block, for_band
from .products import for_panel, part, whole
from .threads import each


def forward(g: Geometry, x: Array, w: Array, y: Array, together: int) -> None:
    """(N, G·C, *X), (G·O, C, *K) -> y (N, G·O, *Y), so many rows of it by one product."""
    most = for_band(g, x.itemsize, together)
    w = w.reshape(g.groups, g.filters, g.channels, *g.kernel_size)
    for channels in cut(g.channels, most.channels):
        kernels, add = by_row(w[:, :, channels], most), channels.start > 0  # (G, O, t, V·J)
        parts = pieces(g, most, x, y)
        each(block, ((g, most, kernels[n], s[:, channels], at, t, add) for n, at, s, t in parts))


def block(g: Geometry, most: Block, w: Array, x: Array, place: Sizes, y: Array, add: bool) -> None:
    """(G, O, t, V·J), (G, C, *X) -> y (G, O, r, columns)."""
    multiply(w, slabbed(g, most, x, place, y), y, add)


def by_row(w: Array, most: Block) -> Array:
    """The weights in the order of a slab, for each of t rows: (G, O, C, *K) -> (G, O, t, V·J)."""
    ordered = w.transpose(0, 1, -2, *range(3, w.ndim - 2), -1, 2)  # (G, O, kr, …, kc, C)
    groups, filters, kr, *lines = ordered.shape
    result = np.zeros((groups, filters, most.together, most.slab, *lines), w.dtype)
    for t in range(most.together):
        result[:, :, t, t * most.stride : t * most.stride + kr] = ordered
    return result.reshape(groups, filters, most.together, -1)


def slabbed(g: Geometry, most: Block, x: Array, place: Sizes, target: Array) -> Array:
    """What each t rows meet, as a view: (G, C, *X) -> (G, r/t, tiles, V·J, tile)."""
    rows, columns = target.shape[2:]
    count, down = -(-rows // most.together), most.together * most.stride  # rows to the next slab
    height, width = (count - 1) * down + most.slab, whole(columns, most.tile)
    source = read(g, x, place, height, width, g.dilation[-2])  # (G, C, …, h, span)
    buffer = patches(taps(g, source, width), most.tile)  # (G, tiles, h, J, tile)
    groups, tiles, _, j, tile = buffer.shape
    group, right, row, line, element = buffer.strides
    shape = (groups, count, tiles, most.slab * j, tile)
    return np.ndarray(shape, x.dtype, buffer, 0, (group, down * row, right, line, element))


def patches(met: Array, tile: int) -> Array:
    """The buffer of each tile: (G, C, …, kc, h, width) -> (G, tiles, h, J, tile)."""
    tiles = met.reshape(*met.shape[:-1], -1, tile)  # splits an axis only: a view
    ordered = tiles.transpose(0, -2, -3, *range(2, met.ndim - 2), 1, -1)
    return np.ascontiguousarray(ordered).reshape(*ordered.shape[:3], -1, tile)  # J: …, kc, C


def multiply(weights: Array, slabs: Array, target: Array, add: bool) -> None:
    """(G, O, t, V·J), (G, r/t, tiles, V·J, tile) -> target (G, O, r, columns)."""
    groups, count, tiles, k, tile = slabs.shape
    _, filters, t, _ = weights.shape
    most = for_panel(k, tile * target.itemsize)
    first, *further = cut(k, most)
    full = (groups, filters, count * t, tiles * tile)
    in_rows = target.shape == full and target.strides[-1] == target.itemsize
    if in_rows and 1 in (filters, t) and not further and not add:  # BLAS can write there
        by_tile = target.reshape(groups, filters, count, t, tiles, tile)  # splits axes only: a view
        multiply_part(weights, slabs, first, by_tile.transpose(0, 2, 4, 1, 3, 5))
        return
    total = np.empty((groups, count, tiles, filters, t, tile), target.dtype)
    multiply_part(weights, slabs, first, total)
    term = np.empty(total.shape if further else 0, target.dtype)
    for piece in further:
        multiply_part(weights, slabs, piece, term)
        total += term
    put(total, target, add)


def multiply_part(weights: Array, slabs: Array, piece: slice, result: Array) -> None:
    """The products of some rows of the slabs: result (G, r/t, tiles, O, t, tile)."""
    left, right = weights[..., piece], slabs[..., piece, :]
    groups, filters, t, k = left.shape
    tile = right.shape[-1]
    m = part(filters, k * tile, t)
    products = result.reshape(*right.shape[:3], -1, m, tile)  # a view
    np.matmul(left.reshape(groups, 1, 1, -1, m, k), right[:, :, :, None], out=products)


def put(found: Array, target: Array, add: bool) -> None:
    """Each tile in its place: (G, r/t, tiles, O, t, tile) -> target (G, O, r, columns)."""
    _, filters, rows, columns = target.shape
    for i, piece in enumerate(cut(columns, found.shape[-1])):
        goal, by_filter = target[..., piece], found[:, :, i].swapaxes(1, 2)  # (G, O, r/t, t, tile)
        tile = by_filter.reshape(len(found), filters, -1, found.shape[-1])
        source = tile[:, :, :rows, : goal.shape[-1]]
        np.add(goal, source, out=goal) if add else np.copyto(goal, source)
