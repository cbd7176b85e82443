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

import numpy as np

from ..geometry import Array, Geometry, Sizes
from .blocks import box, finite, part, with_rows
from .plan import Plan, planned


def forward(g: Geometry, x: Array, w: Array, y: Array) -> None:
    """(N, G·C, *X), (G, O, C, *K) -> y (N, G·O, *Y)."""
    g = with_rows(g)
    plan = planned(g, x.itemsize)
    x = x.reshape(g.batch, g.groups, g.channels, *g.input_size)
    w = w.reshape(g.groups, g.filters, g.channels, *g.kernel_size)
    y = y.reshape(g.batch, g.groups, g.filters, *g.output_size)  # splits axes only: a view
    for channels in plan.channels:
        kernels = banded(w[:, :, channels], plan)  # (G, t·O, V·J)
        for n, *lead in np.ndindex(g.batch, *g.output_size[:-2]):
            for groups, rows, columns in plan.blocks():
                place = (*lead, rows.start, columns.start)
                target = y[n, groups, :, *lead, rows.start : rows.stop : rows.step, columns]
                add = channels.start > 0
                block(g, plan, kernels[groups], x[n, groups, channels], place, target, add)


def block(
    g: Geometry, plan: Plan, kernels: Array, x: Array, place: Sizes, target: Array, add: bool
) -> None:
    """The block of the output that begins at `place`; its buffer is free for the next one."""
    source = read(g, plan, x, place, target.shape[2:])
    t = plan.together if plan.together == 1 or finite(source) else 1
    multiply(plan, t, kernels, patches(g, plan, source), target, add)


def banded(w: Array, plan: Plan) -> Array:
    """Weights for t output rows over one slab: (G, O, C, *K) -> (G, t·O, V·J)."""
    by_row = np.moveaxis(np.moveaxis(w, -2, 2), 3, -1)  # (G, O, kr, …, kc, C)
    groups, filters, kr, *_ = by_row.shape
    height = (plan.together - 1) * plan.stride + kr  # V
    result = np.zeros((groups, plan.together, filters, height, *by_row.shape[3:]), w.dtype)
    for t in range(plan.together):
        result[:, t, :, t * plan.stride : t * plan.stride + kr] = by_row
    return result.reshape(groups, plan.together * filters, -1)


def read(g: Geometry, plan: Plan, x: Array, place: Sizes, shape: Sizes) -> Array:
    """What `shape` rows and columns of output at `place` read: (G, C, *X) -> (G, C, …, h, span)."""
    starts = [p * s - lo for p, s, (lo, _) in zip(place, g.stride, g.padding, strict=True)]
    height = (shape[0] - 1) * plan.stride + g.kernel_size[-2]
    width = -(-shape[1] // plan.tile) * plan.tile  # whole tiles: what is too much is dropped
    span = (width - 1) * g.stride[-1] + (g.kernel_size[-1] - 1) * g.dilation[-1] + 1
    return box(x, starts, (*g.dilation[:-1], 1), (*g.kernel_size[:-2], height, span))


def patches(g: Geometry, plan: Plan, source: Array) -> Array:
    """The buffer of each tile: (G, C, …, h, span) -> (G, tiles, h, J, tile)."""
    groups, channels, *lead, height, span = source.shape
    kc, dilation, stride, tile = g.kernel_size[-1], g.dilation[-1], g.stride[-1], plan.tile
    tiles = (span - (kc - 1) * dilation - 1) // stride // tile + 1
    group, channel, *leading, row, column = source.strides
    met = np.ndarray(
        (groups, tiles, height, *lead, kc, channels, tile),
        source.dtype,
        source,
        strides=(
            *(group, tile * stride * column, row, *leading),
            *(dilation * column, channel, stride * column),
        ),
    )
    return np.ascontiguousarray(met).reshape(groups, tiles, height, -1, tile)


def multiply(plan: Plan, t: int, kernels: Array, buffer: Array, target: Array, add: bool) -> None:
    """(G, t·O, V·J), (G, tiles, h, J, tile) -> target (G, O, r, columns), t rows at a time."""
    filters, rows = target.shape[1:3]
    full = rows - rows % t
    for first, end, t in ((0, full, t), (full, rows, rows % t)):
        if first < end:
            slabs = slabbed(plan, buffer, rows, first, end, t)  # (G, r/t, tiles, V·J, tile)
            weights = kernels[:, : t * filters, : slabs.shape[-2]]
            write(weights, slabs, target[:, :, first:end], add)


def slabbed(plan: Plan, buffer: Array, rows: int, first: int, end: int, t: int) -> Array:
    """The patches of t output rows at a time, as a view: -> (G, r/t, tiles, V·J, tile)."""
    groups, tiles, height, j, tile = buffer.shape
    group, each, row, line, element = buffer.strides
    kr = height - (rows - 1) * plan.stride
    return np.ndarray(
        (groups, (end - first) // t, tiles, ((t - 1) * plan.stride + kr) * j, tile),
        buffer.dtype,
        buffer,
        first * plan.stride * row,
        (group, t * plan.stride * row, each, line, element),
    )


def write(weights: Array, slabs: Array, target: Array, add: bool) -> None:
    """(G, t·O, V·J), (G, r/t, tiles, V·J, tile) -> target (G, O, r, columns)."""
    groups, filters, rows, columns = target.shape
    _, count, tiles, k, tile = slabs.shape
    t = rows // count
    direct = (
        t == 1 and tiles * tile == columns and target.strides[-1] == target.itemsize and not add
    )
    result = (
        target if direct else np.empty((groups, filters * t, count, tiles * tile), target.dtype)
    )
    m = part(t * filters, k * tile)
    left = weights.reshape(groups, 1, 1, -1, m, k)
    parts = result.reshape(groups, -1, m, count, tiles, tile).transpose(0, 3, 4, 1, 2, 5)
    np.matmul(left, slabs[:, :, :, None], out=parts)
    if direct:
        return
    result = result[..., :columns].reshape(groups, t, filters, count, columns)
    goal = target.reshape(groups, filters, count, t, columns).transpose(0, 3, 1, 2, 4)
    if add:
        goal += result
    else:
        goal[...] = result
