"""The space of cases: one generator, valid by construction, for Hypothesis and plain sampling.

Everything is built on one primitive, ``choose(n)``, an integer in 0 … n - 1 of which 0 is the
simplest. Menus are therefore ordered from simple to odd, and repeat an entry to weigh it.

The sizes of the window's places are chosen first and the input's size follows, so that nothing
is drawn in vain, and the formula that an engine uses is not repeated here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .case import DTYPES, LAYOUTS, Case, Operand
from .data import BITS, widest_range
from .ops import OPS, Op, terms

Choose = Callable[[int], int]
T = TypeVar("T")

# The most taps, places and channels per group, by number of axes: small, but K passes 64.
TAPS = {1: 7, 2: 5, 3: 3}
PLACES = {1: 6, 2: 4, 3: 3}
CHANNELS = {1: (1, 2, 3, 11), 2: (1, 2, 3, 5), 3: (1, 2, 3)}
BATCH: tuple[int | None, ...] = (1, 2, 3, 1, 2, 0, None)  # None: unbatched
WEIGHTS = {"float32": 6, "float64": 3, "float16": 2, "complex64": 1, "complex128": 1, "int64": 1}


def pick(choose: Choose, menu: Sequence[T]) -> T:
    return menu[choose(len(menu))]


def weighted(dtypes: Sequence[str]) -> tuple[str, ...]:
    """A menu of `dtypes` in which the floats that are used most stand most often."""
    return tuple(d for d in DTYPES if d in dtypes for _ in range(WEIGHTS.get(d, 1)))


def build(choose: Choose, ops: Sequence[str], dtypes: Sequence[str]) -> Case:
    """A valid case of one of `ops` over one of `dtypes` (a menu as `weighted` makes it)."""
    op = OPS[pick(choose, ops)]
    dtype = pick(choose, dtypes)
    shapes, arguments = _conv(choose, op)
    operands = _operands(choose, op, shapes, dtype)
    return Case(op.name, operands, arguments, _data(choose, op, shapes, arguments, dtype))


def _conv(choose: Choose, op: Op) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
    """The operands' shapes, and the arguments that are not torch's default."""
    n = op.axes
    groups = pick(choose, (1, 1, 2, 3, 4))
    channels = pick(choose, CHANNELS[n])
    filters = pick(choose, (1, 2, 3))
    batch = pick(choose, BATCH)
    mode = pick(choose, ("", "", "", "", "same", "valid"))
    axes = [_same_axis(choose, n) if mode == "same" else _axis(choose, n, mode) for _ in range(n)]
    size, kernel, stride, padding, dilation = zip(*axes, strict=True)
    shapes = {
        "input": (*(() if batch is None else (batch,)), groups * channels, *size),
        "weight": (groups * filters, channels, *kernel),
    }
    if choose(2):
        shapes["bias"] = (groups * filters,)
    form = pick(choose, FORMS)
    given = {"stride": form(stride), "padding": mode or form(padding), "dilation": form(dilation)}
    if groups > 1:
        given["groups"] = np.int64(groups) if form is numpy_integers else groups
    return shapes, {k: v for k, v in given.items() if v != op.arguments[k] or type(v) is not int}


def _axis(choose: Choose, axes: int, mode: str) -> tuple[int, int, int, int, int]:
    """(size, taps, stride, padding, dilation) of one axis, from what the window visits."""
    taps = 1 + choose(TAPS[axes])
    stride = 1 + choose(3)
    dilation = 1 + choose(3)
    places = 1 + choose(PLACES[axes])
    rest = choose(stride)  # elements beyond the last window: 0 is the exact fit
    room = (places - 1) * stride + (taps - 1) * dilation + 1 + rest
    padding = 0 if mode else choose(min((room - 1) // 2, 4) + 1)
    return room - 2 * padding, taps, stride, padding, dilation


def _same_axis(choose: Choose, axes: int) -> tuple[int, int, int, int, int]:
    """As many choices as `_axis` makes at the least, lest 'same' look simpler to a shrinker."""
    taps, dilation = 1 + choose(TAPS[axes]), 1 + choose(3)
    return 1 + choose(PLACES[axes]) + choose(3), taps, 1, 0, dilation


def natural(values: tuple[int, ...]) -> Any:
    """One integer where it says all."""
    return values[0] if len(set(values)) == 1 else values


def numpy_integers(values: tuple[int, ...]) -> Any:
    return np.int64(values[0]) if len(set(values)) == 1 else tuple(map(np.int64, values))


def single(values: tuple[int, ...]) -> Any:
    return values[:1] if len(set(values)) == 1 else values


FORMS = (natural, natural, natural, natural, tuple, list, single, numpy_integers)


def _operands(
    choose: Choose, op: Op, shapes: dict[str, tuple[int, ...]], dtype: str
) -> dict[str, Any]:
    layouts: Sequence[str] = LAYOUTS if choose(3) == 2 else LAYOUTS[:1]
    return {
        name: Operand(
            shapes[name], dtype, layouts[choose(len(layouts))] if layouts[1:] else layouts[0]
        )
        for name in op.operands
        if name in shapes
    }


SEEDED = {
    "f": ("integers", "integers", "integers", "reals", "reals", "special"),
    "c": ("integers", "reals"),
    "iu": ("integers", "wrap"),
}


def _data(
    choose: Choose,
    op: Op,
    shapes: dict[str, tuple[int, ...]],
    arguments: dict[str, Any],
    dtype: str,
) -> str:
    menu = next(v for k, v in SEEDED.items() if np.dtype(dtype).kind in k)
    rule = pick(choose, ("ones", "ramp", *menu * 2))
    if rule == "integers" and widest_range(terms(op, shapes, arguments), dtype) < 1:
        rule = menu[-1]
    return rule if rule in ("ones", "ramp") else f"{rule}:{choose(1000)}"


assert set(BITS) == set(DTYPES)
