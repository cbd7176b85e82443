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
from math import prod

import numpy as np

from ..geometry import Array, Geometry, Sizes
from . import limits
from .blocks import box, finite, taps, with_rows
from .plan import Plan, planned, widened


def forward(g: Geometry, x: Array, w: Array, y: Array) -> None:
    """(N, G·C, *X), (G·O, C, *K) -> y (N, G·O, *Y)."""
    g = with_rows(g)
    plan = planned(g, x.itemsize)
    x = x.reshape(g.batch, g.groups, g.channels, *g.input_size)
    w = w.reshape(g.groups, g.filters, g.channels, *g.kernel_size)
    y = y.reshape(g.batch, g.groups, g.filters, *g.output_size)  # splits axes only: a view
    for groups, channels in product(plan.groups, plan.channels):
        kernels = banded(w[groups, :, channels], plan)  # (G, t·O, V·J)
        for n, *lead in np.ndindex(g.batch, *g.output_size[:-2]):
            for rows, columns in plan.blocks():
                source = read(g, plan, x[n, groups, channels], (*lead, rows.start, columns.start), len(rows), columns.stop - columns.start)
                target = y[n, groups, :, *lead, rows.start : rows.stop : rows.step, columns]
                together = plan.together if plan.together == 1 or finite(source) else 1
                buffer = patches(g, source, target.shape[-1])
                multiply(kernels, buffer, target, together, plan.stride, channels.start > 0)


def banded(w: Array, plan: Plan) -> Array:
    """Weights for t output rows over one slab: (G, O, C, *K) -> (G, t·O, V·J)."""
    by_row = np.moveaxis(w, -2, 2)  # (G, O, kr, C, …, kc)
    groups, filters, kr, *_ = by_row.shape
    slab = (plan.together - 1) * plan.stride + kr  # V
    result = np.zeros((groups, plan.together, filters, slab, *by_row.shape[3:]), w.dtype)
    for t in range(plan.together):
        result[:, t, :, t * plan.stride : t * plan.stride + kr] = by_row
    return result.reshape(groups, plan.together * filters, -1)


def read(g: Geometry, plan: Plan, x: Array, place: Sizes, rows: int, columns: int) -> Array:
    """What a block of output rows reads: (G, C, *X) -> (G, C, …, h, span)."""
    starts = [p * s - lo for p, s, (lo, _) in zip(place, g.stride, g.padding, strict=True)]
    height = (rows - 1) * plan.stride + g.kernel_size[-2]
    span = (columns - 1) * g.stride[-1] + (g.kernel_size[-1] - 1) * g.dilation[-1] + 1
    return box(x, starts, (*g.dilation[:-1], 1), (*g.kernel_size[:-2], height, span))


def patches(g: Geometry, source: Array, columns: int) -> Array:
    """The buffer: (G, C, …, h, span) -> (G, h, J, width)."""
    met = np.moveaxis(taps(source, g, columns), -2, 1)  # (G, h, C, …, kc, columns)
    width, _ = widened(columns)
    result = (np.zeros if width > columns else np.empty)((*met.shape[:-1], width), source.dtype)
    result[..., :columns] = met
    return result.reshape(*met.shape[:2], -1, width)


def multiply(
    kernels: Array, patches: Array, target: Array, together: int, stride: int, add: bool
) -> None:
    """Every slab times the weights: (G, t·O, V·J), (G, h, J, width) -> target (G, O, r, columns)."""
    groups, filters, rows, columns = target.shape
    _, _, j, width = patches.shape
    kr = patches.shape[1] - (rows - 1) * stride
    _, tile = widened(columns)
    full = rows // together
    for first, count, t in ((0, full, together), (full * together, 1, rows % together)):
        if count * t == 0:
            continue
        k = ((t - 1) * stride + kr) * j
        step = patches.strides
        slabs = np.ndarray(
            (groups, count, width // tile, 1, k, tile),
            patches.dtype,
            patches,
            first * stride * step[1],
            (step[0], t * stride * step[1], tile * step[3], 0, step[2], step[3]),
        )
        m = split(t * filters, k * tile)
        left = kernels[:, : t * filters, :k].reshape(groups, 1, 1, -1, m, k)
        result = np.empty((groups, count, t * filters, width), patches.dtype)
        parts = result.reshape(groups, count, -1, m, width // tile, tile)
        np.matmul(left, slabs, out=parts.transpose(0, 1, 4, 2, 3, 5))
        result = result.reshape(groups, count, t, filters, width)[..., :columns].transpose(0, 3, 1, 2, 4)
        goal = target[:, :, first : first + count * t].reshape(result.shape)  # splits: a view
        if add:
            goal += result
        else:
            goal[...] = result


def split(rows: int, size: int) -> int:
    """Rows of a product, halved while that brings it down to where BLAS is fastest."""
    m = rows
    while m % 2 == 0 and m > 8 and m * size > limits.SMALL_PRODUCT:
        m //= 2
    return m if m * size <= limits.SMALL_PRODUCT else rows
