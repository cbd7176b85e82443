"""Cases beside those that matter: a line of the corpus with one or two of its fields changed.

Real layers lend their combinations. They are cut to what the budget of a case has room for, and
written anew from their geometry, in which every value of every field gives a valid call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from ..cases.case import Case
from ..cases.files import CORPUS, read_cases
from ..cases.operation import OPS, PADDING_MODES
from .budget import CALLS, ELEMENTS, WORK, Choose, pick
from .geometry import Axis, Geometry, read, rests, same_border, widest_padding
from .invalid import spoil
from .valid import build, drawable, dressed

ONE_IN = 6  # so many valid cases is a neighbour


def valid_case(choose: Choose, ops: Sequence[str], dtypes: Sequence[str]) -> Case:
    """A case of all that can be drawn: of any sizes, or a neighbour of the corpus."""
    if choose(ONE_IN) < ONE_IN - 1:
        return build(choose, ops, dtypes)
    return neighbour(choose, ops, dtypes)


def invalid_case(choose: Choose, ops: Sequence[str], dtypes: Sequence[str]) -> Case:
    """Such a case with one fault in it."""
    return spoil(choose, valid_case(choose, ops, dtypes))


def neighbour(choose: Choose, ops: Sequence[str], dtypes: Sequence[str]) -> Case:
    """A valid case of one of `ops`, one or two fields away from a line of the corpus.

    Its dtype is the line's, where that is in `dtypes`, in one case of two.
    """
    op = OPS[pick(choose, ops)]
    menu = drawable(op, tuple(dtypes))
    lines = corpus().get(op.name)
    if lines is None:
        return build(choose, (op.name,), dtypes)
    geometry, dtype = pick(choose, lines)
    for _ in range(1 + choose(2)):
        geometry = pick(choose, CHANGES)(choose, geometry)
    kept = dtype in menu and choose(2) == 0
    return dressed(choose, cut(settled(geometry)), dtype if kept else pick(choose, menu))


@cache
def corpus() -> dict[str, tuple[tuple[Geometry, str], ...]]:
    """The geometries of the corpus' valid lines, cut to the budget, and their dtypes, by op."""
    found: dict[str, list[tuple[Geometry, str]]] = {}
    for case in read_cases(CORPUS):
        if geometry := read(case):
            found.setdefault(case.op, []).append((cut(geometry), case.dtype))
    return {op: tuple(lines) for op, lines in found.items()}


def is_within_budget(geometry: Geometry, times: int = 1) -> bool:
    """Whether it costs no more than what is drawn, or so many times as much."""
    calls = geometry.groups * (geometry.batch or 1)
    work = WORK if "weight" in geometry.op.operands else ELEMENTS
    costs = (geometry.work / work, geometry.elements / ELEMENTS, calls / CALLS)
    return max(costs) <= times


def cut(geometry: Geometry) -> Geometry:
    """`geometry` with its largest sizes halved, again and again, until the budget has room."""
    while not is_within_budget(geometry):
        smaller = _halved(geometry)
        # a border that is a copy may want the places back
        geometry = settled(replace(geometry, word="")) if smaller == geometry else smaller
    return geometry


def _halved(geometry: Geometry) -> Geometry:
    counts = {name: getattr(geometry, name) or 1 for name in COUNTS}
    steps = [(getattr(a, name), i, name) for i, a in enumerate(geometry.axes) for name in STEPS]
    value, at, name = max(steps)
    widest = max(counts, key=lambda count: counts[count])
    if counts[widest] > value:
        return _with_count(geometry, widest, counts[widest] // 2)
    return settled(_with_axis(geometry, at, **{name: value // 2}))


COUNTS = ("batch", "groups", "channels", "filters")
STEPS = ("taps", "places", "stride", "dilation")


def settled(geometry: Geometry) -> Geometry:
    """`geometry` with its rests and borders brought back to what its other sizes allow."""
    axes = tuple(_settled(geometry, axis) for axis in geometry.axes)
    sized = geometry.sized and all(axis.rest < axis.stride for axis in axes)
    return replace(geometry, axes=axes, sized=sized)


def _settled(geometry: Geometry, axis: Axis) -> Axis:
    if geometry.word == "same":
        return same_border(axis, geometry.mode)
    bare = replace(axis, rest=min(axis.rest, rests(geometry.op, axis) - 1), border=0)
    padding = 0 if geometry.word else min(axis.padding, widest_padding(bare, geometry.mode))
    return replace(bare, border=2 * padding)


# ---- The changes: each of one field, which `settled` makes valid again ----


def _with_count(geometry: Geometry, name: str, value: int) -> Geometry:
    changed: dict[str, Any] = {name: value}
    return replace(geometry, **changed)


def _with_axis(geometry: Geometry, at: int, **changed: int) -> Geometry:
    axes = [replace(a, **changed) if i == at else a for i, a in enumerate(geometry.axes)]
    return replace(geometry, axes=tuple(axes))


def _beside(choose: Choose, value: int) -> int:
    return max(1, value + pick(choose, (1, -1)))


def _count(name: str) -> Callable[[Choose, Geometry], Geometry]:
    """One more or fewer of `name`; an op that has one only keeps it."""

    def change(choose: Choose, geometry: Geometry) -> Geometry:
        return _with_count(geometry, name, _beside(choose, getattr(geometry, name)))

    def kept(choose: Choose, geometry: Geometry) -> Geometry:
        has_weight = "weight" in geometry.op.operands
        return change(choose, geometry) if has_weight or name == "channels" else geometry

    return kept


def _batch(choose: Choose, geometry: Geometry) -> Geometry:
    batches: tuple[int | None, ...] = (1, 2, 3, (geometry.batch or 1) + 1, 0, None)
    return replace(geometry, batch=pick(choose, batches))


def _step(name: str) -> Callable[[Choose, Geometry], Geometry]:
    """One more or fewer of `name` on one axis."""

    def change(choose: Choose, geometry: Geometry) -> Geometry:
        at = choose(len(geometry.axes))
        return _with_axis(geometry, at, **{name: _beside(choose, getattr(geometry.axes[at], name))})

    return change


def _rest(choose: Choose, geometry: Geometry) -> Geometry:
    at = choose(len(geometry.axes))
    return _with_axis(geometry, at, rest=choose(rests(geometry.op, geometry.axes[at])))


def _padding(choose: Choose, geometry: Geometry) -> Geometry:
    """One more or less padding on one axis, or on all of them in place of a word."""
    at = choose(len(geometry.axes))
    padding = max(0, geometry.axes[at].padding + pick(choose, (1, -1)))
    return _with_axis(replace(geometry, word=""), at, border=2 * padding)


def _word(choose: Choose, geometry: Geometry) -> Geometry:
    takes_words = geometry.op.family in ("conv", "Conv")
    return replace(geometry, word=pick(choose, ("same", "valid")) if takes_words else "")


def _mode(choose: Choose, geometry: Geometry) -> Geometry:
    has_modes = "padding_mode" in geometry.op.arguments
    return replace(geometry, mode=pick(choose, PADDING_MODES) if has_modes else "zeros")


def _bias(choose: Choose, geometry: Geometry) -> Geometry:
    return replace(geometry, bias=not geometry.bias)


CHANGES: tuple[Callable[[Choose, Geometry], Geometry], ...] = (
    *(_step("places"), _step("taps"), _step("stride"), _step("dilation"), _rest, _padding),
    *(_count("channels"), _count("filters"), _count("groups"), _batch, _bias, _word, _mode),
)
