"""The gradient of the weight, by products of the input's taps with the gradient of the output.

A buffer holds what every tap of the kernel but its row meets, in rows: (J, h·width). What row tap i
meets lies i rows further on, as a view, so that one buffer serves all of them:

    buffer: row 0 | row 1 | row 2 | row 3        gw[i] (J × O) += view i (J × places) @ gy (places × O)
    view 0: └─────────────┘
    view 1:         └─────────────┘

With a row stride s, rows r, r + s, r + 2·s … make a buffer for the row taps that meet them.

Costs 2·O·C·K·Y flops, and copies K / kr times the input. Memory: one block of `limits.BUFFER` bytes.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ..geometry import Array, Geometry
from . import limits
from .blocks import box, cut, part, with_rows


def weight_gradient(g: Geometry, x: Array, gy: Array, gw: Array) -> None:
    """(N, G·C, *X), (N, G·O, *Y) -> gw (G, O, C, *K)."""
    g = with_rows(g)
    x = x.reshape(g.batch, g.groups, g.channels, *g.input_size)
    gy = gy.reshape(g.batch, g.groups, g.filters, *g.output_size)
    kr, j = g.kernel_size[-2], g.channels * prod(g.kernel_size) // g.kernel_size[-2]
    total = np.zeros((kr, g.groups, j, g.filters), x.dtype)
    for groups, rows, columns in blocks(g, x.itemsize):
        for n, *lead in np.ndindex(g.batch, *g.output_size[:-2]):
            outputs = gy[n, groups, :, *lead, rows, columns]  # (G, O, r, c)
            add(g, x[n, groups], outputs, (*lead, rows.start, columns.start), total[:, groups])
    by_tap = total.reshape(kr, g.groups, g.channels, *g.kernel_size[:-2], g.kernel_size[-1], -1)
    last = by_tap.ndim - 1
    order = (1, last, 2, *range(3, last - 1), 0, last - 1)  # (G, O, C, …, kr, kc)
    gw[...] = by_tap.transpose(order).reshape(gw.shape)


def blocks(g: Geometry, itemsize: int) -> list[tuple[slice, slice, slice]]:
    """Groups, rows and columns of output whose patches fit the buffer."""
    j = g.channels * prod(g.kernel_size) // g.kernel_size[-2]
    capacity = limits.BUFFER // itemsize
    reach = (g.kernel_size[-2] - 1) * g.dilation[-2] // g.stride[-2]  # rows beyond the first
    columns = cut(g.output_size[-1], min(limits.PLACES, max(limits.WIDTHS[0], capacity // ((reach + 1) * (j + g.filters)))))
    width = columns[0].stop
    fitting = (capacity // width - reach * j) // (j + g.filters)
    rows = cut(g.output_size[-2], max(1, min(fitting, limits.PLACES // width)))
    each = (rows[0].stop * (j + g.filters) + reach * j) * width
    groups = cut(g.groups, max(1, capacity // each))
    return [(m, r, c) for m in groups for r in rows for c in columns]


def add(g: Geometry, x: Array, gy: Array, place: tuple[int, ...], total: Array) -> None:
    """(G, C, *X), (G, O, r, c) -> added to total (kr, G, J, O)."""
    groups, filters, rows, columns = gy.shape
    places = rows * columns
    outputs = np.ascontiguousarray(gy.reshape(groups, filters, places).swapaxes(1, 2))  # (G, r·c, O)
    starts = [p * s - lo for p, s, (lo, _) in zip(place, g.stride, g.padding, strict=True)]
    kr, stride, dilation = g.kernel_size[-2], g.stride[-2], g.dilation[-2]
    span = (columns - 1) * g.stride[-1] + (g.kernel_size[-1] - 1) * g.dilation[-1] + 1
    for phase in sorted({i * dilation % stride for i in range(kr)}):
        met = [i for i in range(kr) if i * dilation % stride == phase]
        height = rows + met[-1] * dilation // stride
        starts_here = (*starts[:-2], starts[-2] + phase, starts[-1])
        source = box(x, starts_here, (*g.dilation[:-2], stride, 1), (*g.kernel_size[:-2], height, span))
        buffer = taps(source, g, columns).reshape(groups, -1, height * columns)  # (G, J, h·c)
        m = part(buffer.shape[1], places * filters)
        lines = buffer.reshape(groups, -1, m, height * columns)
        for i in met:
            first = i * dilation // stride * columns
            view = lines[..., first : first + places]  # (G, J/m, m, r·c)
            total[i] += (view @ outputs[:, None]).reshape(groups, -1, filters)  # (G, J, O)


def taps(rows: Array, g: Geometry, width: int) -> Array:
    """What each tap of a kernel's last axis meets, as a view: (…, h, span) -> (…, k, h, width)."""
    *leading, row, column = rows.strides
    return np.ndarray(
        (*rows.shape[:-2], g.kernel_size[-1], rows.shape[-2], width),
        rows.dtype,
        rows,
        strides=(*leading, g.dilation[-1] * column, row, g.stride[-1] * column),
    )
