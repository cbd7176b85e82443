"""Convolution as small matrix products over bands of rows that stay in the cache.

A buffer holds, for each row of the (padded) input, what every column tap of the kernel meets. The
patches of output row y are then rows y … y + kr of the buffer, one slab, and no row is copied
again for another row tap:

    buffer[0]  ┐             J = C · (leading taps) · kc rows of one output row's width
    buffer[1]  │ y = 0  ┐
    buffer[2]  ┘        │ y = 1      y[row] = w (O × kr·J) @ slab (kr·J × width)
    buffer[3]           ┘

A slab is multiplied in parts of few rows, so that each stays in the first cache for all filters.
A dilation of rows d makes d independent problems without one, of every d-th output row.

Costs 2·O·C·K·Y flops, and copies K / kr times the input. Memory: one block of `limits.BUFFER`
bytes.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Array, Geometry, Sizes
from .blocks import cut, pieces, read, taps, with_rows
from .plan import Block, for_band, for_panel, part, whole
from .threads import each


def forward(g: Geometry, x: Array, w: Array, y: Array) -> None:
    """(N, G·C, *X), (G·O, C, *K) -> y (N, G·O, *Y)."""
    g = with_rows(g)
    most = for_band(g, x.itemsize)
    w = w.reshape(g.groups, g.filters, g.channels, *g.kernel_size)
    for channels in cut(g.channels, most.channels):
        kernels, add = by_row(w[:, :, channels]), channels.start > 0  # (G, O, kr·J)
        parts = pieces(g, most, x, y)
        each(block, ((g, most, kernels[n], s[:, channels], at, t, add) for n, at, s, t in parts))


def block(g: Geometry, most: Block, w: Array, x: Array, place: Sizes, y: Array, add: bool) -> None:
    """(G, O, kr·J), (G, C, *X) -> y (G, O, r, columns)."""
    multiply(w, slabbed(g, most, x, place, y), y, add)


def by_row(w: Array) -> Array:
    """The weights in the order of a slab: (G, O, C, *K) -> (G, O, kr·J)."""
    ordered = np.moveaxis(np.moveaxis(w, -2, 2), 3, -1)  # (G, O, kr, …, kc, C)
    return ordered.reshape(*w.shape[:2], -1)


def slabbed(g: Geometry, most: Block, x: Array, place: Sizes, target: Array) -> Array:
    """The patches of each row, as a view: (G, C, *X) -> (G, r, tiles, kr·J, tile)."""
    rows, columns = target.shape[2:]
    kr = g.kernel_size[-2]
    height, width = (rows - 1) * most.stride + kr, whole(columns, most.tile)
    source = read(g, x, place, height, width, g.dilation[-2])  # (G, C, …, h, span)
    buffer = patches(taps(g, source, width), most.tile)  # (G, tiles, h, J, tile)
    groups, tiles, _, j, tile = buffer.shape
    group, each, row, line, element = buffer.strides
    return np.ndarray(
        (groups, rows, tiles, kr * j, tile),
        buffer.dtype,
        buffer,
        strides=(group, most.stride * row, each, line, element),
    )


def patches(met: Array, tile: int) -> Array:
    """The buffer of each tile: (G, C, …, kc, h, width) -> (G, tiles, h, J, tile)."""
    tiles = met.reshape(*met.shape[:-1], -1, tile)  # splits an axis only: a view
    ordered = np.moveaxis(tiles, (-2, -3, 1), (1, 2, -2))  # (G, tiles, h, …, kc, C, tile)
    return np.ascontiguousarray(ordered).reshape(*ordered.shape[:3], -1, tile)


def multiply(weights: Array, slabs: Array, target: Array, add: bool) -> None:
    """(G, O, kr·J), (G, r, tiles, kr·J, tile) -> target (G, O, r, columns)."""
    groups, rows, tiles, k, tile = slabs.shape
    filters, columns = target.shape[1], target.shape[3]
    most = for_panel(k, tile * target.itemsize)
    first, *further = cut(k, most)
    in_rows = target.strides[-1] == target.itemsize and tiles * tile == columns
    if in_rows and not further and not add:  # BLAS can write there
        by_tile = target.reshape(groups, filters, rows, tiles, tile)  # splits an axis only: a view
        multiply_part(weights, slabs, first, by_tile.transpose(0, 2, 3, 1, 4))
        return
    total = np.empty((groups, rows, tiles, filters, tile), target.dtype)
    multiply_part(weights, slabs, first, total)
    term = np.empty(total.shape if further else 0, target.dtype)
    for piece in further:
        multiply_part(weights, slabs, piece, term)
        total += term
    put(total.transpose(0, 3, 1, 2, 4), target, add)


def put(by_tile: Array, target: Array, add: bool) -> None:
    """Whole tiles, then the rest: (G, O, r, tiles, tile) -> target (G, O, r, columns)."""
    tile = by_tile.shape[-1]
    tiles, rest = divmod(target.shape[-1], tile)
    body = target[..., : tiles * tile].reshape(*target.shape[:-1], tiles, tile)  # a view
    pairs = [(body, by_tile[..., :tiles, :])]
    if rest:
        pairs.append((target[..., tiles * tile :], by_tile[..., tiles, :rest]))
    for goal, found in pairs:
        np.add(goal, found, out=goal) if add else np.copyto(goal, found)


def multiply_part(weights: Array, slabs: Array, piece: slice, result: Array) -> None:
    """The products of some rows of the slabs: result (G, r, tiles, O, tile)."""
    left, right = weights[..., piece], slabs[..., piece, :]
    groups, rows, tiles, k, tile = right.shape
    m = part(left.shape[1], k * tile)
    np.matmul(
        left.reshape(groups, 1, 1, -1, m, k),
        right[:, :, :, None],
        out=result.reshape(groups, rows, tiles, -1, m, tile),  # splits an axis only: a view
    )
