"""The gradient of the input as columns, one for each window, added back to where the window was.

What one output gives to the input is a window of products, so all of them are one matrix product:

    gy: p q   w: a b c      columns: a·p a·q      gx: a·p  b·p + a·q  c·p + b·q  c·q
                                     b·p b·q
                                     c·p c·q

No zero border is multiplied, so that a NaN or inf in `w` reaches only what it covers.

Costs 2·O·C·K·Y flops, and C·K·Y elements of memory for as many samples and channels as are formed
at once.
"""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from ..geometry import Array, Geometry
from .blocks import cut
from .plan import for_col2im


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
