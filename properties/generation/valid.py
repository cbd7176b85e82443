"""The space of cases: one generator, valid by construction, for Hypothesis and plain sampling.

Everything is built on one primitive, ``choose(n)``, an integer in 0 … n - 1 of which 0 is the
simplest. Menus are therefore ordered from simple to odd, and repeat an entry to weigh it.

Sizes have a heavy tail. In three cases of five every quantity is small; in the others one to
three are drawn over all octaves that the budget of a case has room for, on one axis or on all.
One case in four has all its axes alike, and of those with something tall, one in two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from math import isqrt
from typing import Any

import numpy as np

from ..cases.case import DTYPES, Case, Operand
from ..cases.operation import OPS, PADDING_MODES, Op, output_shape, terms
from .appearance import draw_form, draw_layout, draw_rule
from .budget import ELEMENTS, Budget, Choose, Quantities, pick, tall
from .geometry import Axis, Geometry, rests, same_border, widest_padding

# What counts as small, by number of axes.
TAPS = {1: 7, 2: 5, 3: 3}
PLACES = {1: 6, 2: 4, 3: 3}
CHANNELS = {1: (1, 2, 3, 11), 2: (1, 2, 3, 5), 3: (1, 2, 3)}
BATCH: tuple[int | None, ...] = (1, 2, 3, 1, 2, 0, None)  # None: unbatched
GROUPS, FILTERS, STEP, PADDING = (1, 1, 2, 3, 4), 3, 3, 4

# How many quantities of a case are tall, and which: padding needs places to lie on.
HOW_MANY = (0, 0, 0, 0, 0, 0, 1, 1, 2, 3)
TALL: tuple[tuple[str, ...], ...] = (
    *(("batch",), ("groups",), ("channels",), ("filters",)),
    *(("taps",), ("places",), ("stride",), ("dilation",)),
    *(("padding", "places"),) * 2,
)
WEIGHTS = {"float32": 6, "float64": 3, "float16": 2, "complex64": 1, "complex128": 1, "int64": 1}


def tall_quantities(geometry: Geometry) -> list[str]:
    """The quantities of `geometry` that are beyond what counts as small, on any axis."""
    n = geometry.op.axes
    small = {"batch": 3, "groups": GROUPS[-1], "channels": CHANNELS[n][-1], "filters": FILTERS}
    steps = {"taps": TAPS[n], "places": PLACES[n], "stride": STEP, "dilation": STEP}
    if not geometry.word:
        steps["padding"] = PADDING
    return [
        *(name for name, most in small.items() if (getattr(geometry, name) or 0) > most),
        *(name for name, most in steps.items() if max(geometry.each(name)) > most),
    ]


def weighted(dtypes: Sequence[str]) -> tuple[str, ...]:
    """A menu of `dtypes` in which the floats that are used most stand most often."""
    return tuple(d for d in DTYPES if d in dtypes for _ in range(WEIGHTS.get(d, 1)))


@cache
def drawable(op: Op, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `dtypes` that `op` takes."""
    return tuple(d for d in dtypes if np.dtype(d).kind in op.kinds)


def takers(ops: Sequence[str], dtypes: Sequence[str]) -> tuple[str, ...]:
    """Those of `ops` that take some of `dtypes`."""
    return tuple(op for op in ops if drawable(OPS[op], tuple(dtypes)))


def build(choose: Choose, ops: Sequence[str], dtypes: Sequence[str]) -> Case:
    """A valid case of one of `ops` over one of `dtypes` (a menu as `weighted` makes it)."""
    op = OPS[pick(choose, ops)]
    dtype = pick(choose, drawable(op, tuple(dtypes)))
    return dressed(choose, _FAMILIES[op.family](choose, op), dtype)


def _quantities(choose: Choose, budget: Budget) -> Quantities:
    names = [name for _ in range(pick(choose, HOW_MANY)) for name in pick(choose, TALL)]
    return Quantities(choose, frozenset(names), budget)


def _conv(choose: Choose, op: Op) -> Geometry:
    q = _quantities(choose, Budget.of())
    counts = _counts(q, op, "wide", "narrow")
    word = pick(choose, ("", "", "", "", "same", "valid"))
    mode = pick(choose, PADDING_MODES) if op.is_layer else "zeros"
    bias = choose(2) == 1
    return Geometry(op, _axes(q, op, word, mode), **counts, bias=bias, word=word, mode=mode)


def _transpose(choose: Choose, op: Op) -> Geometry:
    q = _quantities(choose, Budget.of())
    counts = _counts(q, op, "narrow", "wide")
    bias, sized = choose(2) == 1, choose(3) == 2 and op.is_layer
    axes = _axes(q, op)
    fits = all(axis.rest < axis.stride for axis in axes)
    return Geometry(op, axes, **counts, bias=bias, sized=sized and fits)


def _windows(choose: Choose, op: Op) -> Geometry:
    """Of fold and unfold, which multiply nothing: their work is the elements of all windows."""
    q = _quantities(choose, Budget.of(work=ELEMENTS))
    channels = _channels(q, op, "wide", "work")
    batch = _batch(q)
    return Geometry(op, _axes(q, op), batch, channels=channels)


_FAMILIES: dict[str, Callable[[Choose, Op], Geometry]] = {
    "conv": _conv,
    "Conv": _conv,
    "unfold": _windows,
    "fold": _windows,
    "conv_transpose": _transpose,
    "ConvTranspose": _transpose,
}


def _counts(q: Quantities, op: Op, inner: str, outer: str) -> dict[str, Any]:
    """Groups, channels and filters of a group, batch: what is tall comes first to its share.

    Channels are on the array `inner`, filters on `outer`.
    """
    draw: dict[str, Callable[[], int | None]] = {
        "groups": lambda: _groups(q),
        "channels": lambda: _channels(q, op, inner, "work", "weight"),
        "filters": lambda: _filters(q, outer),
        "batch": lambda: _batch(q),
    }
    return {name: draw[name]() for name in sorted(draw, key=lambda name: name not in q.tall)}


def _spent(q: Quantities, value: int, *accounts: str) -> int:
    q.budget.spend(value, *accounts)
    return value


def _counted(q: Quantities, name: str, menu: Sequence[int], *accounts: str) -> int:
    """One of `menu` as far as there is room, or a tall value."""
    most = q.budget.room(*accounts)
    value = tall(q.choose, 1, most) if name in q.tall else min(pick(q.choose, menu), most)
    return _spent(q, value, *accounts)


def _groups(q: Quantities) -> int:
    return _counted(q, "groups", GROUPS, "calls", "work", "wide", "narrow", "weight")


def _channels(q: Quantities, op: Op, *accounts: str) -> int:
    return _counted(q, "channels", CHANNELS[op.axes], *accounts)


def _filters(q: Quantities, outer: str) -> int:
    return _counted(q, "filters", (1, 2, 3), "work", "weight", outer)


def _batch(q: Quantities) -> int | None:
    accounts = ("calls", "work", "wide", "narrow")
    if "batch" in q.tall:
        return _spent(q, tall(q.choose, 1, q.budget.room(*accounts)), *accounts)
    value = pick(q.choose, BATCH)
    return value and _spent(q, min(value, q.budget.room(*accounts)), *accounts)


def _axes(q: Quantities, op: Op, word: str = "", mode: str = "zeros") -> tuple[Axis, ...]:
    """All axes alike, or each drawn for itself; what is tall is so on all or on one."""
    n = op.axes
    if n > 1 and q.choose(4) > (1 if q.tall else 2):
        return (_axis(q.over(q.budget.root(n)), op, word, mode),) * n
    at = q.choose(n + 1)
    drawn = [
        _axis(q if at in (0, axis + 1) else q.without_tall(), op, word, mode) for axis in range(n)
    ]
    return tuple(drawn)


def _axis(q: Quantities, op: Op, word: str, mode: str) -> Axis:
    """Each quantity is bounded by what those before it leave of the elements that it reaches."""
    budget, n, copied = q.budget, op.axes, word == "same" and mode != "zeros"
    wide = budget.room("wide")
    if word == "same":  # one half for the border
        wide = max(1, wide // 2)
    work = budget.room("work", "weight")  # a border that is a copy needs places to copy
    most = min(isqrt(work), budget.room("narrow")) if copied else work
    taps = q.draw("taps", TAPS[n], min(wide, most))
    budget.spend(taps, "work", "weight")
    narrow = budget.room("work", "narrow")
    most = min(wide, narrow) if copied else wide
    axis = Axis(taps, 1, q.draw("dilation", STEP, max(1, (most - 1) // max(1, taps - 1))))
    places = q.draw("places", PLACES[n], max(1, min(wide - axis.span, narrow)))
    axis = replace(axis, places=places)
    axis = same_border(axis, mode) if word == "same" else _stepped(q, op, axis, wide)
    if not word:
        axis = replace(axis, border=2 * _padding(q, widest_padding(axis, mode)))
    budget.spend(axis.reach, "wide")
    budget.spend(axis.places, "work", "narrow")
    return axis


def _stepped(q: Quantities, op: Op, axis: Axis, wide: int) -> Axis:
    """`axis` with a stride and a rest: exact fit, the most that there can be, or any."""
    room = (wide - axis.span - 1) // max(1, axis.places - 1)
    axis = replace(axis, stride=q.draw("stride", STEP, max(1, room)))
    limit = min(rests(op, axis), wide - axis.reach + 1)
    if limit > PADDING:
        limit = pick(q.choose, (limit, limit, 1, -limit))
    return replace(axis, rest=-limit - 1 if limit < 0 else q.choose(limit))


def _padding(q: Quantities, most: int) -> int:
    if "padding" in q.tall and most:
        return tall(q.choose, 1, most)
    return q.choose(min(most, PADDING) + 1)


# ---- How a call looks: its operands' layouts and data, and the form of its arguments ----


def dressed(choose: Choose, geometry: Geometry, dtype: str) -> Case:
    """A case of `geometry`, laid out, filled and said in some way."""
    op, shapes = geometry.op, geometry.shapes
    arguments, positional, sizes = draw_form(choose, op, geometry.arguments)
    given = {k: v for k, v in arguments.items() if not _is_default(v, op.arguments[k])}
    operands = {k: Operand(v, dtype) for k, v in shapes.items()}
    grad_output = "contiguous"
    if choose(3) == 2:
        before: list[str] = []
        for name, shape in shapes.items():
            operands[name] = Operand(shape, dtype, draw_layout(choose, shape, before))
            before.append(name)
        grad_output = draw_layout(choose, output_shape(op, shapes, given), before)
    rule = draw_rule(choose, op, dtype, terms(op, shapes, given))
    return Case(op.name, operands, given, rule, None, grad_output, sizes, positional)


def _is_default(value: Any, default: Any) -> bool:
    """Whether an argument is torch's default in its own type, and is left out."""
    return type(value) is type(default) and bool(value == default)
