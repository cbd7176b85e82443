"""What a survey asks: for each op and feature a few cases that have it and are plain otherwise.

The cases of a feature are made from the plain ones of the op, smallest first, and only from those
that the engine computes: so an answer says something about that feature alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..cases.case import Case
from ..cases.edit import with_argument, with_operand
from ..cases.forms import Int, Size
from ..cases.operation import GRADIENTS, OPS, OUTPUT, Op
from ..cases.rules import RULES
from ..generation.appearance import draw_word
from ..generation.geometry import Axis, Geometry, same_border
from ..generation.invalid import SPOILERS, batched
from ..generation.plain import case_of
from ..generation.sampling import choosing
from ..generation.valid import drawable
from ..statistics.features import FEATURES, excluded

PLAIN = ("plain", "")
REJECTS, GRADIENT, CONDUCTS = "rejects a bad", "gradient", "conduct"
# What a call leaves alone, besides its results.
CONDUCT = ("arguments unwritten", "memory of its own", "repeatable", "process state kept")
# What is plain, and so has no cell of its own.
_PLAINEST = {("batch", "1"), ("groups", "one"), ("padding", "0"), ("data", "ones")}
# Of the features that are counted, those of one call, with the layouts of all operands together;
# beyond them, what differs from axis to axis.
_PER_AXIS = ("stride", "dilation", "padding")
_COUNTED = {of: which for of, which in FEATURES.items() if of not in ("op", "axes", "sequence")}
_ASKED: dict[str, tuple[str, ...]] = {
    **{of: which for of, which in _COUNTED.items() if not of.endswith("-layout")},
    **{of: (*FEATURES[of], "per axis") for of in _PER_AXIS},
    "layout": FEATURES["weight-layout"],
}
# In this order a survey is shown.
KINDS = (PLAIN[0], *_ASKED, REJECTS, GRADIENT, CONDUCTS)
FAR = 33  # a tall step
MANY = 65  # a tall count: one beyond a multiple of the usual blocks
SPOILT = 3  # cases of one way to spoil a call


@dataclass(frozen=True)
class Cell:
    """One question: whether `op`, asked for `which` of `of`, does in `aspect` as torch does."""

    op: str
    of: str
    which: str
    aspect: str
    cases: tuple[Case, ...]


def bases(op: Op) -> tuple[Geometry, ...]:
    """The geometries of plain calls: one element, two taps, and several channels and filters."""
    one = Geometry(op, (Axis(),) * op.axes)
    two = Geometry(op, (Axis(taps=2, places=2),) * op.axes)
    axes = (Axis(taps=3, places=3), Axis(taps=2, places=4), Axis(taps=1, places=2))
    return one, two, Geometry(op, axes[: op.axes], channels=2, filters=3)


def plainest(geometry: Geometry, dtype: str) -> Case:
    """The plainest call of `geometry`; the more taps it has, the less plain are its data."""
    taps = max(axis.taps for axis in geometry.axes)
    data = "ones" if taps == 1 else "ramp" if taps == 2 else "integers:1"
    return case_of(geometry, dtype, data)


def questions(op: Op, dtype: str, dtypes: Sequence[str], sound: Sequence[Geometry]) -> list[Cell]:
    """The cells of `op` that look at its output, from those plain calls that are `sound`."""
    names = {**_ASKED, "dtype": drawable(op, tuple(dtypes))}
    cells = []
    for of, which in [(of, which) for of, values in names.items() for which in values]:
        if (of, which) in _PLAINEST or excluded({"op": op.family, of: which}):
            continue
        if cases := tuple(dict.fromkeys(_cases(op, dtype, of, which, sound))):
            cells.append(Cell(op.name, of, which, OUTPUT, cases))
    return [*cells, *_rejections(op, dtype, sound)]


def _cases(op: Op, dtype: str, of: str, which: str, sound: Sequence[Geometry]) -> Iterator[Case]:
    if change := _GEOMETRIES.get((of, which)) or _GEOMETRIES.get((of, "")):
        if which == "per axis" and op.axes == 1:
            return
        for geometry in sound:
            changed = plainest(change(geometry, which), dtype)
            if changed.shapes != plainest(geometry, dtype).shapes or changed.arguments:
                yield changed
    else:
        for geometry in sound:
            yield from _LOOKS[of](plainest(geometry, dtype), which, geometry)


def derived(op: Op, agreed: Sequence[Cell]) -> list[Cell]:
    """The cells of `op` that look at gradients and conduct, on cases whose outputs agree."""
    shapely = [c for cell in agreed if (cell.of, cell.which) in _SHAPELY for c in cell.cases]
    shapely += [replace(c, sizes="list") for c in shapely[:1]]
    looks = [c for cell in agreed if (cell.of, cell.which) in _SEEN for c in cell.cases]
    cells = []
    for name in (n for n in GRADIENTS if n.removeprefix("grad_") in op.operands):
        cases = [c for c in shapely if np.dtype(c.dtype).kind in "fc"]
        given = [c for c in cases if name != "grad_bias" or "bias" in c.operands]
        cells.append(Cell(op.name, GRADIENT, name, name, tuple(given)))
    cells += [Cell(op.name, CONDUCTS, name, name, tuple(looks)) for name in CONDUCT]
    return [cell for cell in cells if cell.cases]


def _rejections(op: Op, dtype: str, sound: Sequence[Geometry]) -> Iterator[Cell]:
    """One cell for each argument that can be wrong, with every way to spoil it."""
    found: dict[str, list[Case]] = {}
    valid = batched(plainest(sound[-1], dtype))
    for seed in range(SPOILT):
        for spoiler in SPOILERS[op.family]:
            choose = choosing(seed) if seed else _simplest
            spoilt = replace(spoiler.plant(choose, valid), blame=spoiler.blame)
            found.setdefault(spoiler.blame, []).append(spoilt)
    for blame in [name for name in op.parameters if name in found]:
        yield Cell(op.name, REJECTS, blame, OUTPUT, tuple(dict.fromkeys(found[blame])))


def _simplest(n: int) -> int:
    return 0


# ---- Features of the sizes: each is a change of a plain geometry ----

Change = Callable[[Geometry, str], Geometry]


def _with(**changed: Any) -> Change:
    return lambda geometry, which: replace(geometry, **changed)


def _on_axes(change: Callable[[Axis, int], Axis], **whole: Any) -> Change:
    """`change` of each axis, which gets its number."""

    def changed(geometry: Geometry, which: str) -> Geometry:
        axes = tuple(change(axis, i) for i, axis in enumerate(geometry.axes))
        return replace(geometry, axes=axes, **whole)

    return changed


def _padded(axis: Axis, border: int) -> Axis:
    return replace(axis, places=axis.places + border, border=border)


def _strided(axis: Axis, stride: int, rest: int = 0) -> Axis:
    return replace(axis, places=max(2, axis.places), stride=stride, rest=rest)


def _dilated(axis: Axis, dilation: int) -> Axis:
    return replace(axis, taps=max(2, axis.taps), dilation=dilation)


def _grouped(geometry: Geometry, which: str) -> Geometry:
    channels = 1 if which == "depthwise" else max(2, geometry.channels)
    return replace(geometry, groups=2, channels=channels)


def _copied(geometry: Geometry, which: str) -> Geometry:
    axes = tuple(_padded(replace(axis, places=axis.places + 2), 2) for axis in geometry.axes)
    return replace(geometry, axes=axes, mode=which)


def _tall(geometry: Geometry, which: str) -> Geometry:
    """`which` far beyond the usual, on the first axis if it is one of an axis."""
    first, *others = geometry.axes
    if which in ("batch", "groups", "channels", "filters"):
        return replace(geometry, **{which: MANY})  # type: ignore[arg-type]
    changed = {
        "taps": replace(first, taps=MANY),
        "places": replace(first, places=4 * MANY - 3),
        "stride": _strided(first, FAR),
        "dilation": _dilated(first, FAR),
        "padding": _padded(first, 2 * FAR),
    }
    return replace(geometry, axes=(changed[which], *others))


_GEOMETRIES: dict[tuple[str, str], Change] = {
    ("batch", "many"): _with(batch=2),
    ("batch", "empty"): _with(batch=0),
    ("batch", "none"): _with(batch=None),
    ("groups", ""): _grouped,
    ("bias", "with"): _with(bias=True),
    ("stride", ">1"): _on_axes(lambda axis, i: _strided(axis, 2)),
    ("stride", "per axis"): _on_axes(lambda axis, i: _strided(axis, 1 + i)),
    ("dilation", ">1"): _on_axes(lambda axis, i: _dilated(axis, 2)),
    ("dilation", "per axis"): _on_axes(lambda axis, i: _dilated(axis, 1 + i)),
    ("padding", ">0"): _on_axes(lambda axis, i: _padded(axis, 2)),
    ("padding", "per axis"): _on_axes(lambda axis, i: _padded(axis, 2 * i)),
    ("padding", "same"): _on_axes(lambda axis, i: same_border(axis, "zeros"), word="same"),
    ("padding", "valid"): _with(word="valid"),
    ("kernel", "even"): _on_axes(lambda axis, i: replace(axis, taps=2 + 2 * i)),
    ("output", "padding"): _on_axes(lambda axis, i: _strided(axis, 2, 1)),
    ("output", "size"): _on_axes(lambda axis, i: _strided(axis, 2, 1), sized=True),
    ("mode", ""): _copied,
    ("tall", ""): _tall,
}
# On these a gradient is judged: the plain calls, and what changes what it sums.
_SHAPELY = {PLAIN, ("bias", "with"), ("call", "sizes"), *_GEOMETRIES, ("groups", "many")}
_SHAPELY |= {("groups", "depthwise"), *(("mode", mode) for mode in FEATURES["mode"])}
# On these conduct is judged: what tempts to write to an argument, or to return a part of it.
_SEEN = {PLAIN, ("bias", "with"), ("padding", ">0"), ("batch", "empty"), ("layout", "strided")}


# ---- Features of the looks: each is a change of a plain case ----

Look = Callable[[Case, str, Geometry], Iterator[Case]]


def _in_dtype(case: Case, which: str, geometry: Geometry) -> Iterator[Case]:
    yield plainest(geometry, which)


def _laid_out(case: Case, which: str, geometry: Geometry) -> Iterator[Case]:
    """The input laid out so, then the weight; one in the memory of the other."""
    for name, operand in case.operands.items():
        if which != "of":
            layout = draw_word(_simplest, len(operand.shape), (which,))
            yield with_operand(case, name, replace(operand, layout=layout))
        elif name == "weight":
            yield with_operand(case, name, replace(operand, layout="of:input"))


def _filled(case: Case, which: str, geometry: Geometry) -> Iterator[Case]:
    rule = RULES[which]
    fit = case if rule.fills(case.dtype) else plainest(geometry, "int64")
    for seed in range(1, 4) if rule.seeded else ():
        yield replace(fit, data=f"{which}:{seed}")
    if not rule.seeded:
        yield replace(fit, data=which)


def _said(case: Case, which: str, geometry: Geometry) -> Iterator[Case]:
    if which == "by name":
        yield replace(case, positional=0)
    elif which == "by position":
        yield replace(case, positional=len(OPS[case.op].parameters))
    elif OPS[case.op].is_layer:  # of a function, only its gradients are given shapes
        yield replace(case, sizes="list")


def _typed(case: Case, which: str, geometry: Geometry) -> Iterator[Case]:
    """A stride of this type, or in a container of it."""
    strided = plainest(_GEOMETRIES["stride", ">1"](geometry, ""), case.dtype)
    steps = [2] * len(geometry.axes)
    values = {"list": steps, "Size": Size(steps), "NumPy": np.int64(2), "Int": Int(2)}
    yield with_argument(strided, "stride", values[which])


_LOOKS: dict[str, Look] = {
    "dtype": _in_dtype,
    "layout": _laid_out,
    "data": _filled,
    "call": _said,
    "argument": _typed,
}


def plain_cell(op: Op, geometries: Sequence[Geometry], dtype: str) -> Cell:
    """The cell of the plain calls."""
    cases = tuple(plainest(geometry, dtype) for geometry in geometries)
    return Cell(op.name, *PLAIN, OUTPUT, cases)
