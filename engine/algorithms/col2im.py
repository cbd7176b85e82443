"""The gradient of the input as columns, one for each window, added back to where the window was.

What one output gives to the input is a window of products, so all of them are one matrix product:

    gy: p q   w: a b c      columns: a·p a·q      gx: a·p  b·p + a·q  c·p + b·q  c·q
                                     b·p b·q
                                     c·p c·q

No zero border is multiplied, so that a NaN or inf in `w` reaches only what it covers.

Costs 2·O·C·K·Y flops, and C·K·Y elements of memory for as many samples, channels and rows as are
formed at once.
"""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from ..geometry import Array, Geometry
from .blocks import cut
from .products import product_over
from .unfolded import for_col2im


def input_gradient(g: Geometry, w: Array, gy: Array, gx: Array) -> None:
    """(G, O, C, *K), (N, G·O, *Y) -> gx (N, G·C, *X), C-contiguous."""
    target = gx.reshape(g.batch, g.groups, g.channels, *g.input_size)
    n, c, most = for_col2im(g)
    for samples, channels in product(cut(g.batch, n), cut(g.channels, c)):
        part = target[samples, :, channels]  # (n, G, c, *X)
        total = np.zeros((prod(part.shape[:3]), *g.padded_size), gx.dtype)
        for rows in cut(g.output_size[0], most):
            columns = products(w[:, :, channels], gy[samples, :, rows])
            add(g, columns, total[:, rows.start * g.stride[0] :])
        part[...] = inner(g, total).reshape(part.shape)


def products(w: Array, gy: Array) -> Array:
    """(G, O, c, *K), (n, G·O, *Y) -> (n·G·c, *K, *Y)."""
    groups, filters, channels, *k = w.shape
    n, _, *y = gy.shape
    kernels = w.reshape(groups, filters, channels * prod(k)).swapaxes(1, 2)  # (G, c·K, O)
    columns = product_over(filters)(kernels, gy.reshape(n, groups, filters, prod(y)))
    return columns.reshape(n * groups * channels, *k, *y)


def col2im(g: Geometry, columns: Array) -> Array:
    """Each column added back to its window: (N·C, *K, *Y) -> (N·C, *X), not always contiguous."""
    total = np.zeros((columns.shape[0], *g.padded_size), columns.dtype)
    add(g, columns, total)
    return inner(g, total)


def add(g: Geometry, columns: Array, total: Array) -> None:
    """(N·C, *K, *Y) -> added to total, the padded input, of which the first window is the first.

    On each axis either all places of one tap are added at once or all taps of one place, so that
    the loop is over the fewer of both.
    """
    axes = len(g.kernel_size)
    taps = zip(g.kernel_size, g.dilation, range(1, 1 + axes), strict=True)  # count, step, axis
    sizes = columns.shape[1 + axes :]
    places = zip(sizes, g.stride, range(1 + axes, 1 + 2 * axes), strict=True)
    few, many = zip(*map(sorted, zip(taps, places, strict=True)), strict=True)  # of each axis
    ordered = columns.transpose(0, *[axis for *_, axis in (*few, *many)])  # (N·C, *few, *many)
    for index in np.ndindex(*[count for count, *_ in few]):
        starts = [i * step for i, (_, step, _) in zip(index, few, strict=True)]
        ends = [i + n * step for i, (n, step, _) in zip(starts, many, strict=True)]
        reads = map(slice, starts, ends, [step for _, step, _ in many])
        total[:, *reads] += ordered[:, *index]  # (N·C, *many)


def inner(g: Geometry, padded: Array) -> Array:
    """What lies between the borders: (…, *padded) -> (…, *X)."""
    inside = [slice(lo, lo + x) for x, (lo, _) in zip(g.input_size, g.padding, strict=True)]
    return padded[:, *inside]
