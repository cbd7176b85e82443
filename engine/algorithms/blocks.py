"""What the blocked algorithms share: the input, cut into boxes with their share of the border."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..geometry import Array, Geometry, Sizes


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


def box(x: Array, starts: Sequence[int], steps: Sequence[int], counts: Sequence[int]) -> Array:
    """A copied grid of elements, zero where it lies outside `x`: (…, *X) -> (…, *counts)."""
    inside: list[Any] = [...]
    source: list[Any] = [...]
    leading = x.ndim - len(counts)
    for size, start, step, count in zip(x.shape[leading:], starts, steps, counts, strict=True):
        first = min(count, max(0, -(start // step)))
        end = min(count, max(first, -((start - size) // step)))
        inside.append(slice(first, end))
        source.append(slice(start + first * step, start + end * step, step))
    result = np.zeros((*x.shape[:leading], *counts), x.dtype)
    result[tuple(inside)] = x[tuple(source)]
    return result


def read(
    g: Geometry, x: Array, place: Sizes, height: int, columns: int, step: int, phase: int = 0
) -> Array:
    """What the output at `place` reads in every `step`-th row: (…, *X) -> (…, *kl, h, span)."""
    starts = [p * s - lo for p, s, (lo, _) in zip(place, g.stride, g.padding, strict=True)]
    starts[-2] += phase
    span = (columns - 1) * g.stride[-1] + (g.kernel_size[-1] - 1) * g.dilation[-1] + 1
    return box(x, starts, (*g.dilation[:-2], step, 1), (*g.kernel_size[:-2], height, span))


def taps(g: Geometry, source: Array, columns: int) -> Array:
    """What each tap of a row meets, as a view: (…, h, span) -> (…, kc, h, columns)."""
    *leading, row, column = source.strides
    return np.ndarray(
        (*source.shape[:-2], g.kernel_size[-1], source.shape[-2], columns),
        source.dtype,
        source,
        strides=(*leading, g.dilation[-1] * column, row, g.stride[-1] * column),
    )


def finite(x: Array) -> bool:
    """Whether 0·x is 0 throughout; may deny it where squares overflow, never the reverse."""
    flat = x.reshape(-1)
    return bool(np.isfinite(flat @ flat))
