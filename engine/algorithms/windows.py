"""Every place of a window over the input: as a view, which copies nothing but for a border and to
make the input contiguous, or as columns.

What `layout` says depends on sizes alone, so calls of the same sizes compute it once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from ..geometry import Array, Geometry, Sizes
from .blocks import box
from .products import product_over
from .rules import has_table
from .unfolded import is_one_block


class Layout(NamedTuple):
    """What one block looks like in memory: shapes, and steps in bytes, of a contiguous input."""

    windows: Sizes  # (n, G, C, *K, *Y)
    strides: Sizes
    kernels: Sizes  # (G, O, C·K), or (O, C·K) where the product is of two matrices
    columns: Sizes  # (n, G, C·K, Y)
    results: Sizes  # (n, G, O, Y)
    product: Callable[..., Array]
    table: Array | None  # where in the padded input the columns' elements lie
    is_one_block: bool
    bordered: bool
    starts: Sizes  # of the padded input
    steps: Sizes
    padded_size: Sizes


@lru_cache
def layout(g: Geometry, itemsize: int) -> Layout:
    """The layout, which is computed once for calls of the same sizes."""
    shape = (g.batch, g.groups, g.channels, *g.padded_size)
    sample, group, channel, *steps = [prod(shape[i:]) for i in range(1, len(shape) + 1)]
    spans = [step * d for step, d in zip(steps, g.dilation, strict=True)]
    moves = [step * s for step, s in zip(steps, g.stride, strict=True)]
    strides = (sample, group, channel, *spans, *moves)  # in elements
    met = (*shape[:3], *g.kernel_size, *g.output_size)
    lines, places = g.channels * prod(g.kernel_size), prod(g.output_size)
    # A call of dot takes 0.2 instead of 0.8 µs. But it takes 0·nan for 0 where a matrix is 1 x 1.
    are_two = g.batch * g.groups == 1 and lines > 1
    several = () if are_two else (g.batch, g.groups)
    unfolded = (*several, lines, places)
    return Layout(
        windows=met,
        strides=tuple([itemsize * stride for stride in strides]),
        kernels=(*several[1:], g.filters, lines),
        columns=unfolded,
        results=(*several, g.filters, places),
        product=np.ndarray.dot if are_two else product_over(lines),
        table=table(prod(shape), met, strides).reshape(unfolded) if has_table(g) else None,
        is_one_block=is_one_block(g),
        bordered=any(map(any, g.padding)),
        starts=tuple([-lo for lo, _ in g.padding]),
        steps=(1,) * len(g.padding),
        padded_size=g.padded_size,
    )


def table(size: int, shape: Sizes, strides: Sizes) -> Array:
    """Where each element of a view of `size` elements lies, all counted in elements."""
    places = np.arange(size)
    steps = [places.itemsize * stride for stride in strides]
    return np.ndarray(shape, places.dtype, places, 0, steps)


def windows(g: Geometry, x: Array) -> Array:
    """Every place of the window as a view: (N, G·C, *X) -> (N, G, C, *K, *Y)."""
    known = layout(g, x.itemsize)
    return view(known, padded(known, x))


def columns(known: Layout, x: Array) -> Array:
    """Every place of the window as a column: (N, G·C, *X) -> (N, G, C·K, Y)."""
    p = padded(known, x)
    if known.table is None:
        return view(known, p).reshape(known.columns)
    return p.take(known.table)


def padded(known: Layout, x: Array) -> Array:
    """The input with its border."""
    return box(x, known.starts, known.steps, known.padded_size) if known.bordered else x


def view(known: Layout, p: Array) -> Array:
    """The windows; unlike as_strided, ndarray refuses a view that would leave the buffer."""
    p = np.ascontiguousarray(p)
    return np.ndarray(known.windows, p.dtype, p, 0, known.strides)
