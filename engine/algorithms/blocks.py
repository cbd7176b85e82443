"""What the blocked algorithms share: the input, cut into boxes with their share of the border."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from ..geometry import Array, Geometry, Sizes
from .plan import Block

Index: TypeAlias = tuple[Any, ...]


def with_rows(g: Geometry) -> Geometry:
    """The same convolution over at least two spatial axes: a 1-d input is one row."""
    if len(g.kernel_size) > 1:
        return g
    return g._replace(
        input_size=(1, *g.input_size),
        kernel_size=(1, *g.kernel_size),
        stride=(1, *g.stride),
        padding=((0, 0), *g.padding),
        dilation=(1, *g.dilation),
        output_size=(1, *g.output_size),
    )


def cut(length: int, size: int) -> list[slice]:
    """`length` places in pieces of `size`, but for the last."""
    return [slice(first, min(first + size, length)) for first in range(0, length, size)]


def box(x: Array, starts: Sizes, steps: Sizes, counts: Sizes) -> Array:
    """A copied grid of elements, zero where it lies outside `x`: (…, *X) -> (…, *counts)."""
    leading = x.ndim - len(counts)
    goal, source = overlap(x.shape[leading:], starts, steps, counts)
    result = np.zeros((*x.shape[:leading], *counts), x.dtype)
    result[goal] = x[source]
    return result


@lru_cache
def overlap(sizes: Sizes, starts: Sizes, steps: Sizes, counts: Sizes) -> tuple[Index, Index]:
    """Where a grid lies inside an array of these sizes: its own places, and the array's."""
    inside: list[Any] = [...]
    source: list[Any] = [...]
    for size, start, step, count in zip(sizes, starts, steps, counts, strict=True):
        first = min(count, max(0, -(start // step)))
        end = min(count, max(first, -((start - size) // step)))
        inside.append(slice(first, end))
        source.append(slice(start + first * step, start + end * step, step))
    return tuple(inside), tuple(source)


def corner(g: Geometry, place: Sizes) -> Sizes:
    """Where in the input the window of the output at `place` begins."""
    return tuple([p * s - lo for p, s, (lo, _) in zip(place, g.stride, g.padding, strict=True)])


def read(
    g: Geometry, x: Array, place: Sizes, height: int, columns: int, step: int, phase: int = 0
) -> Array:
    """What the output at `place` reads in every `step`-th row: (…, *X) -> (…, *kl, h, span)."""
    *leading, row, column = corner(g, place)
    span = (columns - 1) * g.stride[-1] + (g.kernel_size[-1] - 1) * g.dilation[-1] + 1
    steps, counts = (*g.dilation[:-2], step, 1), (*g.kernel_size[:-2], height, span)
    return box(x, (*leading, row + phase, column), steps, counts)


def taps(g: Geometry, source: Array, columns: int) -> Array:
    """What each tap of a row meets, as a view: (…, h, span) -> (…, kc, h, columns)."""
    *leading, row, column = source.strides
    return np.ndarray(
        (*source.shape[:-2], g.kernel_size[-1], source.shape[-2], columns),
        source.dtype,
        source,
        strides=(*leading, g.dilation[-1] * column, row, g.stride[-1] * column),
    )


def pieces(
    g: Geometry, most: Block, x: Array, y: Array
) -> Iterator[tuple[slice, Sizes, Array, Array]]:
    """Every block of the output: its groups, its place, what it reads, (G, C, *X), and itself."""
    x = x.reshape(g.batch, g.groups, g.channels, *g.input_size)
    y = y.reshape(g.batch, g.groups, g.filters, *g.output_size)  # splits an axis only: a view
    rows = row_blocks(g.output_size[-2], most.step, most.rows)
    cuts = [*product(cut(g.groups, most.groups), rows, cut(g.output_size[-1], most.columns))]
    for n, *lead in np.ndindex(g.batch, *g.output_size[:-2]):
        for groups, r, columns in cuts:
            target = y[n, groups, :, *lead, r.start : r.stop : r.step, columns]  # (G, O, r, c)
            yield groups, (*lead, r.start, columns.start), x[n, groups], target


def row_blocks(length: int, step: int, most: int) -> list[range]:
    """Rows `step` apart, in blocks: those of the first row, then those of the second."""
    problems = [range(first, length, step) for first in range(min(step, length))]
    return [rows[piece] for rows in problems for piece in cut(len(rows), most)]


def met_by_phase(g: Geometry, a: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """For each phase of an axis' stride the taps that meet it, with the first element of each."""
    reads = [k * g.dilation[a] for k in range(g.kernel_size[a])]
    phases: dict[int, list[tuple[int, int]]] = {read % g.stride[a]: [] for read in reads}
    for tap, read in enumerate(reads):
        phases[read % g.stride[a]].append((tap, read // g.stride[a]))
    return [*phases.items()]


def finite(x: Array) -> bool:
    """Whether 0·x is 0 throughout; may be False, too, where the sum overflows."""
    # vdot takes a third of the time, but copies what is not contiguous
    total = np.vdot(x, x) if x.flags.c_contiguous else x.sum()
    return bool(np.isfinite(total))
