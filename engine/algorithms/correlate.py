"""The gradient of the weight, by products of what its taps meet with the gradient of the output.

A buffer holds, for each row of the input, what the taps of the kernel's other axes meet, in lines:
(J, h·columns). What the i-th tap of a column meets lies i rows further on, as a view, so that one
buffer serves them all:

    line of the buffer:  row 0 | row 1 | row 2 | row 3
    i = 0                └───────────────────┘           gw[i] (J × O) += view (J × places)
    i = 1                        └───────────────────┘                    @ gy (places × O)

With a stride s of rows, rows q, q + s, q + 2·s … are a buffer for the taps i that meet them.

Costs 2·O·C·K·Y flops, and copies K / kr times the input. Memory: `limits.BUFFER` bytes.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np

from ..geometry import Array, Geometry, Sizes
from .blocks import cut, met_by_phase, read, taps, with_rows
from .plan import Block, for_correlate
from .products import part
from .threads import each


def weight_gradient(g: Geometry, x: Array, gy: Array, gw: Array) -> None:
    """(N, G·C, *X), (N, G·O, *Y) -> gw (G, O, C, *K)."""
    g = with_rows(g)
    x = x.reshape(g.batch, g.groups, g.channels, *g.input_size)
    gy = gy.reshape(g.batch, g.groups, g.filters, *g.output_size)
    *leading, kr, kc = g.kernel_size
    total = np.zeros((kr, g.groups, g.channels, *leading, kc, g.filters), x.dtype)
    most = for_correlate(g, x.itemsize)
    parts = product(cut(g.groups, most.groups), cut(g.channels, most.channels))
    each(partial(correlate, g, most, x, gy, total), parts)
    by_filter = np.moveaxis(np.moveaxis(total, -1, 2), 0, -2)  # (G, O, C, …, kr, kc)
    gw[...] = by_filter.reshape(gw.shape)


def correlate(
    g: Geometry, most: Block, x: Array, gy: Array, total: Array, groups: slice, channels: slice
) -> None:
    """Some groups and channels: (N, G, C, *X), (N, G, O, *Y) -> total (kr, G, C, …, kc, O)."""
    cuts = product(cut(g.output_size[-2], most.rows), cut(g.output_size[-1], most.columns))
    for rows, columns in cuts:
        for n, *lead in np.ndindex(g.batch, *g.output_size[:-2]):
            outputs = gy[n, groups, :, *lead, rows, columns]  # (G, O, r, c)
            place = (*lead, rows.start, columns.start)
            add(g, x[n, groups, channels], outputs, place, total[:, groups, channels])


def add(g: Geometry, x: Array, gy: Array, place: Sizes, total: Array) -> None:
    """(G, C, *X), (G, O, r, c) -> added to total (kr, G, C, …, kc, O)."""
    groups, filters, rows, columns = gy.shape
    places = rows * columns
    outputs = gy.reshape(groups, filters, places).swapaxes(1, 2)  # (G, r·c, O)
    outputs = np.ascontiguousarray(outputs)[:, None]  # (G, 1, r·c, O)
    for phase, met in met_by_phase(g, -2):
        height = rows + met[-1][1]
        source = read(g, x, place, height, columns, g.stride[-2], phase)
        m = part(total[0, 0, ..., 0].size, places * filters)
        buffer = taps(g, source, columns).reshape(groups, -1, m, height * columns)  # J = J/m · m
        buffer = np.ascontiguousarray(buffer)
        for tap, row in met:
            first = row * columns
            products = buffer[..., first : first + places] @ outputs  # (G, J/m, m, O)
            total[tap] += products.reshape(total[tap].shape)
