"""The space of cases: one generator, valid by construction, for Hypothesis and plain sampling.

Everything is built on one primitive, ``choose(n)``, an integer in 0 … n - 1 of which 0 is the
simplest. Menus are therefore ordered from simple to odd, and repeat an entry to weigh it.

The sizes of the window's places are chosen first and the input's size follows, so that nothing
is drawn in vain, and the formula that an engine uses is not repeated here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import Any, TypeVar

import numpy as np

from ..cases.case import DTYPES, LAYOUTS, Case, Operand
from ..cases.data import widest_range
from ..cases.edit import natural
from ..cases.operation import OPS, PADDING_MODES, Op, terms

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
    dtype = pick(choose, drawable(op, tuple(dtypes)))
    shapes, arguments = _BUILDERS[op.family](choose, op)
    given = {k: v for k, v in arguments.items() if v != op.arguments[k] or type(v) is np.int64}
    operands = _operands(choose, op, shapes, dtype)
    return Case(op.name, operands, given, _data(choose, op, shapes, given, dtype))


@cache
def drawable(op: Op, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `dtypes` that `op` takes."""
    return tuple(d for d in dtypes if np.dtype(d).kind in op.kinds)


Built = tuple[dict[str, tuple[int, ...]], dict[str, Any]]  # the operands' shapes, the arguments


@dataclass(frozen=True)
class Axis:
    """One axis, made from what the window visits: `places` positions and a `rest` beyond."""

    taps: int
    stride: int
    dilation: int
    places: int
    rest: int
    padding: int

    @property
    def size(self) -> int:
        """What the window visits, less the padding."""
        reach = (self.places - 1) * self.stride + (self.taps - 1) * self.dilation + 1
        return reach + self.rest - 2 * self.padding


def _axis(choose: Choose, op: Op, padding: bool = True, mode: str = "zeros") -> Axis:
    taps = 1 + choose(TAPS[op.axes])
    stride = 1 + choose(3)
    dilation = 1 + choose(3)
    places = 1 + choose(PLACES[op.axes])
    # 0 is the exact fit; an output padding may reach up to the larger of stride and dilation
    rest = choose(max(stride, dilation) if op.is_transposed else stride)
    bare = Axis(taps, stride, dilation, places, rest, 0)
    most = {"reflect": (bare.size - 1) // 3, "circular": bare.size // 3}
    limit = min(most.get(mode, 4), (bare.size - 1) // 2, 4) if padding else 0
    return replace(bare, padding=choose(limit + 1))


def _same_axis(choose: Choose, op: Op, padding: bool = True, mode: str = "zeros") -> Axis:
    """An axis of any size at stride 1.

    As many choices as `_axis` makes at the least, lest 'same' look simpler to a shrinker.
    """
    taps, dilation = 1 + choose(TAPS[op.axes]), 1 + choose(3)
    size = 1 + choose(PLACES[op.axes]) + choose(3)
    if mode != "zeros":  # the border is a copy of the input: it must not be wider
        size += (taps - 1) * dilation - (taps - 1) * dilation // 2
    return Axis(taps, 1, dilation, size - (taps - 1) * dilation, 0, 0)


def _spread(axes: Sequence[Axis], form: Any, *names: str) -> dict[str, Any]:
    """Arguments of one value per axis, in one of torch's forms."""
    return {name: form(tuple(getattr(axis, name) for axis in axes)) for name in names}


def _counts(choose: Choose, op: Op) -> tuple[tuple[int, ...], int, int, int]:
    """The batch axis if there is one, groups, and channels and filters of one group."""
    groups = pick(choose, (1, 1, 2, 3, 4))
    channels, filters = pick(choose, CHANNELS[op.axes]), pick(choose, (1, 2, 3))
    batch = pick(choose, BATCH)
    return (() if batch is None else (batch,)), groups, channels, filters


def _with_bias(
    choose: Choose, shapes: dict[str, tuple[int, ...]], size: int
) -> dict[str, tuple[int, ...]]:
    return {**shapes, "bias": (size,)} if choose(2) else shapes


def _conv(choose: Choose, op: Op) -> Built:
    batch, groups, channels, filters = _counts(choose, op)
    padding = pick(choose, ("", "", "", "", "same", "valid"))
    mode = pick(choose, PADDING_MODES) if op.is_layer else "zeros"
    kind = _same_axis if padding == "same" else _axis
    axes = [kind(choose, op, not padding, mode) for _ in range(op.axes)]
    shapes = {
        "input": (*batch, groups * channels, *[axis.size for axis in axes]),
        "weight": (groups * filters, channels, *[axis.taps for axis in axes]),
    }
    shapes = _with_bias(choose, shapes, groups * filters)
    form = pick(choose, FORMS if mode == "zeros" else FORMS[:-2])
    arguments = _spread(axes, form, "stride", "padding", "dilation")
    if padding:
        arguments["padding"] = padding
    arguments["groups"] = np.int64(groups) if form is numpy_integers else groups
    return shapes, {**arguments, "padding_mode": mode} if op.is_layer else arguments


def _transpose(choose: Choose, op: Op) -> Built:
    batch, groups, channels, filters = _counts(choose, op)
    axes = [_axis(choose, op) for _ in range(op.axes)]
    shapes = {
        "input": (*batch, groups * channels, *[axis.places for axis in axes]),
        "weight": (groups * channels, filters, *[axis.taps for axis in axes]),
    }
    shapes = _with_bias(choose, shapes, groups * filters)
    form, arguments = pick(choose, FORMS), {}
    if op.is_layer and all(axis.rest < axis.stride for axis in axes) and choose(3) == 2:
        form = tuple  # torch indexes the stride then
        arguments["output_size"] = tuple(axis.size for axis in axes)
    else:
        arguments["output_padding"] = form(tuple(axis.rest for axis in axes))
    arguments |= _spread(axes, form, "stride", "padding", "dilation")
    return shapes, {**arguments, "groups": groups}


def _unfold(choose: Choose, op: Op) -> Built:
    batch, _, channels, _ = _counts(choose, op)
    axes = [_axis(choose, op) for _ in range(op.axes)]
    form = pick(choose, FORMS[:-2])
    arguments = _spread(axes, form, "dilation", "padding", "stride")
    arguments["kernel_size"] = form(tuple(axis.taps for axis in axes))
    return {"input": (*batch, channels, *[axis.size for axis in axes])}, arguments


def _fold(choose: Choose, op: Op) -> Built:
    batch, _, channels, _ = _counts(choose, op)
    axes = [_axis(choose, op) for _ in range(op.axes)]
    form = pick(choose, FORMS[:-2])
    arguments = _spread(axes, form, "dilation", "padding", "stride")
    arguments["kernel_size"] = form(tuple(axis.taps for axis in axes))
    arguments["output_size"] = form(tuple(axis.size for axis in axes))
    taps, places = prod(axis.taps for axis in axes), prod(axis.places for axis in axes)
    return {"input": (*batch, channels * taps, places)}, arguments


_BUILDERS = {
    "conv": _conv,
    "Conv": _conv,
    "unfold": _unfold,
    "fold": _fold,
    "conv_transpose": _transpose,
    "ConvTranspose": _transpose,
}


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
