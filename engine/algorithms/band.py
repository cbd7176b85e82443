"""Convolution as small matrix products over bands of rows that stay in the cache.

A buffer holds, for each row of the (padded) input, what every column tap of the kernel meets. The
patches of output row y are then rows y … y + kr of the buffer, one slab, and no row is copied
again for another row tap:

    buffer[0]  ┐             J = C · (leading taps) · kc rows of one output row's width
    buffer[1]  │ y = 0  ┐
    buffer[2]  ┘        │ y = 1      y[row] = w (O × kr·J) @ slab (kr·J × width)
    buffer[3]           ┘

Filters too few to fill a product (depthwise) take several output rows at once: their weights are
repeated along a band, t rows of zeros and weights over a slab of kr + t - 1 rows.

    t = 3, kr = 2:   w0 w1 .  .
                     .  w0 w1 .
                     .  .  w0 w1

The zeros of the band must not meet NaN or inf, so that blocks with any take one row at a time.
A dilation of rows d makes d independent problems without one, of every d-th output row.

Costs 2·O·C·K·Y flops (few filters: (kr + t - 1) / kr times that), and copies K / kr times the
input. Memory: one block of `limits.BUFFER` bytes.
"""

from __future__ import annotations

from itertools import product
from math import gcd

import numpy as np

from ..geometry import Array, Geometry, Sizes
from .blocks import cut, finite, read, taps, with_rows
from .plan import Block, for_band, part


def forward(g: Geometry, x: Array, w: Array, y: Array) -> None:
    """(N, G·C, *X), (G, O, C, *K) -> y (N, G·O, *Y)."""
    g = with_rows(g)
    step, stride = undilated(g.dilation[-2], g.stride[-2])
    most = for_band(g, x.itemsize, step=step, stride=stride)
    blocks = [
        *product(
            cut(g.groups, most.groups),
            row_blocks(g.output_size[-2], step, most.rows, most.together),
            cut(g.output_size[-1], most.columns),
        )
    ]
    x = x.reshape(g.batch, g.groups, g.channels, *g.input_size)
    w = w.reshape(g.groups, g.filters, g.channels, *g.kernel_size)
    y = y.reshape(g.batch, g.groups, g.filters, *g.output_size)  # splits axes only: a view
    for channels in cut(g.channels, most.channels):
        kernels = banded(w[:, :, channels], most.together, stride)  # (G, t·O, V·J)
        for n, *lead in np.ndindex(g.batch, *g.output_size[:-2]):
            for groups, rows, columns in blocks:
                place = (*lead, rows.start, columns.start)
                target = y[n, groups, :, *lead, rows.start : rows.stop : rows.step, columns]
                add = channels.start > 0
                source = x[n, groups, channels]
                block(g, most, stride, kernels[groups], source, place, target, add)


def block(
    g: Geometry,
    most: Block,
    stride: int,
    kernels: Array,
    x: Array,
    place: Sizes,
    target: Array,
    add: bool,
) -> None:
    """The block of the output that begins at `place`; its buffer is free for the next one."""
    rows, columns = target.shape[2:]
    height = (rows - 1) * stride + g.kernel_size[-2]
    width = -(-columns // most.tile) * most.tile  # whole tiles: what is too much is dropped
    source = read(g, x, place, height, width, g.dilation[-2])  # (G, C, …, h, span)
    buffer = patches(taps(g, source, width), most.tile)
    t = min(most.together, rows)
    t = t if t == 1 or finite(source) else 1
    slabs = slabbed(buffer, t, stride, g.kernel_size[-2])
    weights = kernels[:, : t * g.filters, : slabs.shape[-2]]
    multiply(weights, slabs, target, add)


def row_blocks(length: int, step: int, most: int, together: int) -> list[range]:
    """Output rows `step` apart, in blocks of a multiple of t rows, and one of what is left."""
    size = max(1, most // together) * together
    found = []
    for first in range(min(step, length)):
        rows = range(first, length, step)
        whole = len(rows) // together * together
        pieces = [*cut(whole, size), slice(whole, len(rows))]
        found += [rows[piece] for piece in pieces if rows[piece]]
    return found


def undilated(dilation: int, stride: int) -> tuple[int, int]:
    """Output rows that read every `dilation`-th row: how far apart they are, and their stride.

    They are a problem of their own, without dilation.
    """
    return dilation // gcd(dilation, stride), stride // gcd(dilation, stride)


def banded(w: Array, together: int, stride: int) -> Array:
    """Weights for t output rows over one slab: (G, O, C, *K) -> (G, t·O, V·J)."""
    by_row = np.moveaxis(np.moveaxis(w, -2, 2), 3, -1)  # (G, O, kr, …, kc, C)
    groups, filters, kr, *_ = by_row.shape
    height = (together - 1) * stride + kr  # V
    result = np.zeros((groups, together, filters, height, *by_row.shape[3:]), w.dtype)
    for t in range(together):
        result[:, t, :, t * stride : t * stride + kr] = by_row
    return result.reshape(groups, together * filters, -1)


def patches(met: Array, tile: int) -> Array:
    """The buffer of each tile: (G, C, …, kc, h, width) -> (G, tiles, h, J, tile)."""
    tiles = met.reshape(*met.shape[:-1], -1, tile)  # splits an axis only: a view
    by_row = np.moveaxis(tiles, (-2, -3, 1), (1, 2, -2))  # (G, tiles, h, …, kc, C, tile)
    return np.ascontiguousarray(by_row).reshape(*by_row.shape[:3], -1, tile)


def slabbed(buffer: Array, t: int, stride: int, kr: int) -> Array:
    """The patches of t rows, a view: (G, tiles, h, J, tile) -> (G, r/t, tiles, V·J, tile)."""
    groups, tiles, height, j, tile = buffer.shape
    group, each, row, line, element = buffer.strides
    rows = (t - 1) * stride + kr  # V
    return np.ndarray(
        (groups, (height - rows) // (t * stride) + 1, tiles, rows * j, tile),
        buffer.dtype,
        buffer,
        strides=(group, t * stride * row, each, line, element),
    )


def multiply(weights: Array, slabs: Array, target: Array, add: bool) -> None:
    """(G, t·O, V·J), (G, r/t, tiles, V·J, tile) -> target (G, O, r, columns)."""
    groups, filters, rows, columns = target.shape
    _, count, tiles, k, tile = slabs.shape
    t, width = rows // count, tiles * tile
    in_rows = target.strides[-1] == target.itemsize and width == columns  # BLAS can write there
    direct = in_rows and t == 1 and not add
    result = target if direct else np.empty((groups, t * filters, count, width), target.dtype)
    m = part(t * filters, k * tile)
    parts = result.reshape(groups, -1, m, count, tiles, tile)  # splits axes only: a view
    left, right = weights.reshape(groups, 1, 1, -1, m, k), slabs[:, :, :, None]
    np.matmul(left, right, out=parts.transpose(0, 3, 4, 1, 2, 5))  # (G, r/t, tiles, t·O/m, m, tile)
    if not direct:
        by_row = result[..., :columns].reshape(groups, t, filters, count, columns)
        goal = target.reshape(groups, filters, count, t, columns).transpose(0, 3, 1, 2, 4)
        np.add(goal, by_row, out=goal) if add else np.copyto(goal, by_row)
