"""Convolution as one matrix product per sample and group, over the unfolded input.

Every window becomes a column of C·K elements, so that BLAS does the arithmetic:

    x: 1 2 3 4   K = 3      columns: 1 2
                                     2 3      y = w @ columns
                                     3 4

Costs 2·O·C·K·Y flops, and C·K·Y elements of memory for as many samples as are unfolded at once. A
kernel of one tap needs no columns: the input is its own.

The gradient of the input yields a column for each window, added back to where the window was
(col2im). No zero border is multiplied, so that a NaN or inf in `w` reaches only what it covers.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np

from ..geometry import Array, Geometry, Sizes
from .blocks import box, cut
from .plan import for_col2im, for_im2col, for_weight, is_one_block
from .threads import each


class Layout(NamedTuple):
    """What one block looks like in memory: shapes, and steps in bytes, of a contiguous input."""

    windows: Sizes  # (n, G, C, *K, *Y)
    strides: Sizes
    columns: Sizes  # (n, G, C·K, Y)
    results: Sizes  # (n, G, O, Y)
    bordered: bool
    starts: Sizes  # of the padded input
    steps: Sizes
    padded_size: Sizes


@lru_cache
def layout(g: Geometry, itemsize: int) -> Layout:
    """The layout, which is computed once for calls of the same sizes."""
    shape = (g.batch, g.groups, g.channels, *g.padded_size)
    sample, group, channel, *steps = [itemsize * prod(shape[i:]) for i in range(1, len(shape) + 1)]
    taps, places = prod(g.kernel_size), prod(g.output_size)
    return Layout(
        windows=(*shape[:3], *g.kernel_size, *g.output_size),
        strides=(
            *(sample, group, channel),
            *[step * d for step, d in zip(steps, g.dilation, strict=True)],
            *[step * s for step, s in zip(steps, g.stride, strict=True)],
        ),
        columns=(g.batch, g.groups, g.channels * taps, places),
        results=(g.batch, g.groups, g.filters, places),
        bordered=any(map(any, g.padding)),
        starts=tuple([-lo for lo, _ in g.padding]),
        steps=(1,) * len(g.padding),
        padded_size=g.padded_size,
    )


def windows(g: Geometry, x: Array) -> Array:
    """Every place of the window as a view: (N, G·C, *X) -> (N, G, C, *K, *Y)."""
    return view(layout(g, x.itemsize), x)


def view(known: Layout, x: Array) -> Array:
    """The windows; unlike as_strided, ndarray refuses a view that would leave the buffer."""
    if known.bordered:
        p = box(x, known.starts, known.steps, known.padded_size)
    else:
        p = x if x.flags.c_contiguous else np.ascontiguousarray(x)
    return np.ndarray(known.windows, p.dtype, p, 0, known.strides)


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
    if is_one_block(g):
        multiply(g, x, w, y)
    else:
        parts = blocks(g)
        each(multiply, ((h, x[n], w, y[n, :, rows]) for n, rows, h in parts))


def multiply(g: Geometry, x: Array, w: Array, y: Array) -> None:
    """One block, whose columns are free for the next: (n, G·C, *X), w -> y (n, G·O, *Y)."""
    known = layout(g, x.itemsize)
    columns = view(known, x).reshape(known.columns)
    kernels = w.reshape(g.groups, g.filters, known.columns[2])
    if y.flags.c_contiguous:
        np.matmul(kernels, columns, out=y.reshape(known.results))
    else:
        y[...] = np.matmul(kernels, columns).reshape(y.shape)


def weight_gradient(g: Geometry, x: Array, gy: Array, gw: Array) -> None:
    """(N, G·C, *X), (N, G·O, *Y) -> gw (G, O, C, *K), C-contiguous."""
    taps = prod(g.kernel_size)
    total = gw.reshape(g.groups, g.filters, g.channels * taps)
    if is_one_block(g):
        np.matmul(*correlated(g, x, gy), out=total)
        return
    total[...] = 0
    x = x.reshape(g.batch, g.groups, g.channels, *g.input_size)
    for channels in cut(g.channels, for_weight(g)):
        few = g._replace(channels=channels.stop - channels.start)
        target = total[:, :, channels.start * taps : channels.stop * taps]  # (G, O, c·K)
        for samples, rows, h in blocks(few):
            target += np.matmul(*correlated(h, x[samples, :, channels], gy[samples, :, rows]))


def correlated(g: Geometry, x: Array, gy: Array) -> tuple[Array, Array]:
    """One block of the output, (G, O, n·Y), and what it meets, (G, n·Y, C·K)."""
    places = g.batch * prod(g.output_size)
    met = np.moveaxis(windows(g, x), 0, 2 + len(g.kernel_size))  # (G, C, *K, n, *Y)
    columns = met.reshape(g.groups, g.channels * prod(g.kernel_size), places).swapaxes(1, 2)
    return gy.swapaxes(0, 1).reshape(g.groups, g.filters, places), columns


def input_gradient(g: Geometry, w: Array, gy: Array, gx: Array) -> None:
    """(G, O, C, *K), (N, G·O, *Y) -> gx (N, G·C, *X), C-contiguous."""
    outputs = gy.reshape(g.batch, g.groups, g.filters, prod(g.output_size))
    target = gx.reshape(g.batch, g.groups, g.channels, *g.input_size)
    n, c = for_col2im(g)
    for samples, channels in product(cut(g.batch, n), cut(g.channels, c)):
        part = target[samples, :, channels]  # (n, G, c, *X)
        part[...] = scattered(g, w[:, :, channels], outputs[samples]).reshape(part.shape)


def scattered(g: Geometry, w: Array, gy: Array) -> Array:
    """(G, O, c, *K), (n, G, O, Y) -> (n·G·c, *X)."""
    kernels = w.reshape(g.groups, g.filters, w.shape[2] * prod(g.kernel_size))
    columns = kernels.swapaxes(1, 2) @ gy  # (G, c·K, O) @ (n, G, O, Y)
    return col2im(g, columns.reshape(-1, *g.kernel_size, *g.output_size))


def col2im(g: Geometry, columns: Array) -> Array:
    """Each column added back to its window: (N·C, *K, *Y) -> (N·C, *X), not always contiguous.

    On each axis either all places of one tap are added at once or all taps of one place, so that
    the loop is over the fewer of both.
    """
    total = np.zeros((columns.shape[0], *g.padded_size), columns.dtype)
    axes = len(g.kernel_size)
    taps = zip(g.kernel_size, g.dilation, range(1, 1 + axes), strict=True)  # count, step, axis
    places = zip(g.output_size, g.stride, range(1 + axes, 1 + 2 * axes), strict=True)
    few, many = zip(*map(sorted, zip(taps, places, strict=True)), strict=True)
    ordered = columns.transpose(0, *[axis for *_, axis in (*few, *many)])  # (N·C, *few, *many)
    for index in np.ndindex(*[count for count, *_ in few]):
        starts = [i * step for i, (_, step, _) in zip(index, few, strict=True)]
        ends = [i + n * step for i, (n, step, _) in zip(starts, many, strict=True)]
        reads = map(slice, starts, ends, [step for _, step, _ in many])
        total[:, *reads] += ordered[:, *index]  # (N·C, *many)
    inner = [slice(lo, lo + x) for x, (lo, _) in zip(g.input_size, g.padding, strict=True)]
    return total[:, *inner]
