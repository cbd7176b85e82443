"""Where a result differs, as a picture of characters: rows and columns, batch and channels merged.

A border, the phases of a stride, a group or a tile then show as a pattern.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np

from ..cases.operation import OPS

ROWS, COLUMNS = 12, 90
ALL, SOME, NONE = "#", "+", "."
GAP = "  "  # between the planes of a volume
Entries = list[tuple[str, Any]]  # of the axes that are merged: the name, and which are affected


def picture(op: str, result: str, wrong: Any) -> tuple[str, list[str]]:
    """A sentence, and the lines of the picture of an array of bools.

    Examples
    --------
    >>> picture("conv1d", "output", np.array([[[True, True, False]], [[False] * 3]]))
    ('2 of 6 elements, all in batch entry 0 of 2', ['##.'])
    """
    names, planes = _arranged(op, result, np.asarray(wrong))
    affected: Entries = []
    for at, name in enumerate(names):
        others = tuple(axis for axis in range(planes.ndim) if axis != at)
        affected.append((name, np.flatnonzero(planes.any(axis=others))))
    words = [_entries(name, found, planes.shape[at]) for at, (name, found) in enumerate(affected)]
    where = " and ".join(filter(None, words))
    sentence = f"{int(planes.sum())} of {planes.size} elements"
    sentence += f", all in {where}" if where else ""
    only = planes[np.ix_(*(found for _, found in affected))] if affected else planes
    share = only.reshape(-1, *planes.shape[-3:]).mean(axis=0)  # (D, rows, columns)
    return sentence, _lines(share)


def _arranged(op: str, result: str, wrong: Any) -> tuple[list[str], Any]:
    """The names of the axes that are merged, and the array with three axes after them."""
    axes = min(OPS[op].axes, max(0, wrong.ndim - 1))
    if op == "unfold":  # (N, C·K, L)
        axes = 2
    leading = wrong.shape[: wrong.ndim - axes]
    if not leading and not axes:
        return [], wrong.reshape(1, 1, 1)
    if not axes:  # a bias: its channels are what there is to see
        return [], wrong.reshape(1, 1, -1)
    named = ("filter", "channel") if result == "grad_weight" else ("batch entry", "channel")
    names = [*named[len(named) - len(leading) :]]
    shape = (*leading, *[1] * (3 - axes), *wrong.shape[wrong.ndim - axes :])
    return names, wrong.reshape(shape)


def _entries(name: str, found: Any, of: int) -> str:
    """Which entries of an axis are affected, if not all."""
    if len(found) == of:
        return ""
    several = {"batch entry": "batch entries"}.get(name, f"{name}s")
    return f"{name if len(found) == 1 else several} {_ranges(found)} of {of}"


def _ranges(numbers: Sequence[int]) -> str:
    """Integers as ranges with one step, where there are many.

    Examples
    --------
    >>> _ranges([1, 3, 5, 7, 9]), _ranges([0, 4, 5])
    ('1, 3, … 9', '0, 4, 5')
    """
    values = [*map(int, numbers)]
    if len(values) <= 3:
        return ", ".join(map(str, values))
    steps = {b - a for a, b in pairwise(values)}
    if len(steps) == 1:
        return f"{values[0]}, {values[1]}, … {values[-1]}"
    shown = ", ".join(map(str, values[:6]))
    return f"{shown}, …" if len(values) > 6 else shown


def _lines(share: Any) -> list[str]:
    """The planes of a volume side by side where there is room, else merged."""
    depth, _, columns = share.shape
    if depth * (columns + len(GAP)) > COLUMNS:
        share, depth = share.mean(axis=0, keepdims=True), 1
    width = max(1, (COLUMNS + len(GAP)) // depth - len(GAP))
    planes = [_cells(_reduced(plane, ROWS, width)) for plane in share]
    return [GAP.join(parts) for parts in zip(*planes, strict=True)]


def _reduced(plane: Any, rows: int, columns: int) -> Any:
    """Means over blocks, so that there are no more than so many rows and columns."""
    for axis, most in enumerate((rows, columns)):
        size = ceil(plane.shape[axis] / most) or 1
        starts = np.arange(0, plane.shape[axis], size)
        ends = np.minimum(starts + size, plane.shape[axis])
        shape = [-1 if a == axis else 1 for a in range(2)]
        sums = np.add.reduceat(plane, starts, axis) if starts.size else plane
        plane = sums / (ends - starts).reshape(shape)
    return plane


def _cells(plane: Any) -> Iterator[str]:
    for row in plane:
        yield "".join(ALL if v > 1 - 1e-9 else SOME if v > 1e-9 else NONE for v in row)
