"""The gradient of the input, which is the transposed convolution, without zeros between elements.

A phase is every stride-th element of gx: all of them meet the same taps of the kernel. Each phase
is a convolution of its own, of stride 1, of `gy` with these taps in reverse:

    stride 2, kernel a b c:    gx[0] = a·gy[0]                gx[1] = b·gy[0]
                               gx[2] = c·gy[0] + a·gy[1]      gx[3] = b·gy[1]

Costs 2·O·C·K·Y flops, and the memory of these convolutions. They surround `gy` with zeros, which
must not meet NaN or inf in the weight: the caller sees to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from math import gcd
from typing import NamedTuple, TypeAlias

import numpy as np

from ..geometry import Array, Geometry
from .blocks import Index

Forward: TypeAlias = Callable[[Geometry, Array, Array, Array], None]


class Phase(NamedTuple):
    """One axis of a phase: a convolution of stride 1."""

    places: slice  # of the phase in gx
    taps: slice  # of the kernel, met in reverse
    kernel_size: int
    dilation: int
    padding: tuple[int, int]  # of gy; a negative one crops
    output_size: int


def input_gradient(g: Geometry, w: Array, gy: Array, gx: Array, forward: Forward) -> None:
    """(G, O, C, *K), (N, G·O, *Y) -> gx (N, G·C, *X), which is zero where no tap is met."""
    swapped = np.ascontiguousarray(w.swapaxes(1, 2))  # (G, C, O, *K): the channels are filters now
    for places, taps, h in convolutions(g):
        forward(h, gy, swapped[taps], gx[places])


@lru_cache
def convolutions(g: Geometry) -> list[tuple[Index, Index, Geometry]]:
    """For each phase that meets a tap: its places in gx, the taps, in reverse, and its geometry."""
    found = []
    for axes in product(*[phases(g, a) for a in range(len(g.kernel_size))]):
        h = Geometry(
            batch=g.batch,
            groups=g.groups,
            channels=g.filters,
            filters=g.channels,
            input_size=g.output_size,
            kernel_size=tuple(p.kernel_size for p in axes),
            stride=(1,) * len(axes),
            padding=tuple(p.padding for p in axes),
            dilation=tuple(p.dilation for p in axes),
            output_size=tuple(p.output_size for p in axes),
        )
        found.append(((..., *[p.places for p in axes]), (..., *[p.taps for p in axes]), h))
    return found


def phases(g: Geometry, a: int) -> list[Phase]:
    """The phases of axis `a`: x[first + stride·m] meets every `every`-th tap from `tap` on."""
    size, s, d, (lo, _) = g.kernel_size[a], g.stride[a], g.dilation[a], g.padding[a]
    every = s // gcd(s, d)
    result = []
    for tap in range(min(every, size)):
        first = (tap * d - lo) % s
        places = len(range(first, g.input_size[a], s))
        if places == 0:
            continue
        count = len(range(tap, size, every))
        dilation = d * every // s
        last = tap + (count - 1) * every
        start = (first + lo - last * d) // s  # of gy, at the last tap
        end = start + (count - 1) * dilation + places
        taps = slice(last, None, -every)
        padding = (-start, end - g.output_size[a])
        result.append(Phase(slice(first, None, s), taps, count, dilation, padding, places))
    return result
