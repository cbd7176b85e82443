"""Every place of a window over the input, as a view: nothing is copied but for a border.

What `layout` says depends on sizes alone, so calls of the same sizes compute it once.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from ..geometry import Array, Geometry, Sizes
from .blocks import box
from .plan import is_one_block


class Layout(NamedTuple):
    """What one block looks like in memory: shapes, and steps in bytes, of a contiguous input."""

    windows: Sizes  # (n, G, C, *K, *Y)
    strides: Sizes
    kernels: Sizes  # (G, O, C·K)
    columns: Sizes  # (n, G, C·K, Y)
    results: Sizes  # (n, G, O, Y)
    is_one_block: bool
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
        kernels=(g.groups, g.filters, g.channels * taps),
        columns=(g.batch, g.groups, g.channels * taps, places),
        results=(g.batch, g.groups, g.filters, places),
        is_one_block=is_one_block(g),
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
