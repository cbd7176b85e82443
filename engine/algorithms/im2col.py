"""Convolution as one matrix product per sample and group, over the unfolded input.

Every window becomes a column of C·K elements, so that BLAS does the arithmetic:

    x: 1 2 3 4   K = 3      columns: 1 2
                                     2 3      y = w @ columns
                                     3 4

Costs 2·O·C·K·Y flops, and C·K·Y elements of memory for as many samples as are unfolded at once. A
kernel of one tap and stride 1 needs no columns: the input is its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np

from ..geometry import Array, Geometry
from .blocks import cut
from .products import product_over
from .threads import each
from .unfolded import for_im2col, for_weight
from .windows import Layout, columns, layout, windows


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
    """(N, G·C, *X), (G·O, C, *K) -> y (N, G·O, *Y)."""
    known = layout(g, x.itemsize)
    if known.is_one_block:
        multiply(known, x, w, y)
    else:
        parts = ((layout(h, x.itemsize), n, rows) for n, rows, h in blocks(g))
        each(multiply, ((known, x[n], w, y[n, :, rows]) for known, n, rows in parts))


def multiply(known: Layout, x: Array, w: Array, y: Array) -> None:
    """One block, whose columns are free for the next: (n, G·C, *X), w -> y (n, G·O, *Y)."""
    kernels = np.ascontiguousarray(w).reshape(known.kernels)  # BLAS takes no taps in reverse
    met = columns(known, x)
    if y.flags.c_contiguous:
        known.product(kernels, met, y.reshape(known.results))
    else:
        y[...] = known.product(kernels, met).reshape(y.shape)


def weight_gradient(g: Geometry, x: Array, gy: Array, gw: Array) -> None:
    """(N, G·C, *X), (N, G·O, *Y) -> gw (G, O, C, *K), C-contiguous."""
    taps = prod(g.kernel_size)
    total = gw.reshape(g.groups, g.filters, g.channels * taps)
    if layout(g, x.itemsize).is_one_block:
        correlated(g, x, gy, total)
        return
    total[...] = 0
    x = x.reshape(g.batch, g.groups, g.channels, *g.input_size)
    for channels in cut(g.channels, for_weight(g)):
        few = g._replace(channels=channels.stop - channels.start)
        target = total[:, :, channels.start * taps : channels.stop * taps]  # (G, O, c·K)
        for samples, rows, h in blocks(few):
            target += correlated(h, x[samples, :, channels], gy[samples, :, rows])


def correlated(g: Geometry, x: Array, gy: Array, out: Array | None = None) -> Array:
    """What one block of the output, with what it meets, gives to the gradient: (G, O, C·K)."""
    places = g.batch * prod(g.output_size)
    met, taps = windows(g, x), range(3, 3 + len(g.kernel_size))
    met = met.transpose(1, 2, *taps, 0, *range(taps.stop, met.ndim))  # (G, C, *K, n, *Y)
    unfolded = met.reshape(g.groups, g.channels * prod(g.kernel_size), places)  # (G, C·K, n·Y)
    outputs = gy.swapaxes(0, 1).reshape(g.groups, g.filters, places)  # (G, O, n·Y)
    return product_over(places)(outputs, unfolded.swapaxes(1, 2), out)
