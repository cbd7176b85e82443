"""The sizes of a case as plain numbers, from which its shapes and arguments follow.

    conv2d((1, 6, 9, 5), (4, 3, 3, 1), stride=(2, 1), groups=2)
    Sizes(batch=1, groups=2, channels=3, filters=2, axes=(Axis(9, 3, stride=2), Axis(5, 1)))

`read` takes them from a case and `write` puts others in: the channels of the input and of the
weight, or the columns of `fold` and its output size, then change together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import prod
from typing import Any

import numpy as np

from .case import Case, Operand
from .edit import natural
from .operation import OPS, Op, per_axis, transposed_size

# What reading a call that is not valid may raise.
UNREADABLE = (AttributeError, KeyError, IndexError, TypeError, ValueError, ZeroDivisionError)


@dataclass(frozen=True)
class Axis:
    """One axis of a regular case: what the window visits, and how."""

    size: int  # of a transposed convolution, the window's places
    taps: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    extra: int = 0  # elements beyond the least output of a transposed convolution

    @property
    def extent(self) -> int:
        return (self.taps - 1) * self.dilation + 1

    @property
    def places(self) -> int:
        return (self.size + 2 * self.padding - self.extent) // self.stride + 1


@dataclass(frozen=True)
class Sizes:
    """A regular case in numbers: each stands once, and shapes and arguments follow from it."""

    batch: int | None  # None: unbatched
    groups: int
    channels: int  # of one group
    filters: int  # of one group
    axes: tuple[Axis, ...]


STEPS = {
    "stride": "stride",
    "padding": "padding",
    "dilation": "dilation",
    "output_padding": "extra",
}


def read(case: Case) -> Sizes | None:
    """The sizes of `case`, or None where its shapes do not follow from any."""
    try:
        sizes = _read(case)
        return sizes if str(write(case, sizes, sizes)) == str(case) else None
    except UNREADABLE:
        return None


def _read(case: Case) -> Sizes:
    op = OPS[case.op]
    given = {**op.arguments, **{k: v for k, v in case.arguments.items() if k != case.blame}}
    x = case.operands["input"].shape
    w = case.operands["weight"].shape if "weight" in op.operands else ()
    taps = w[2:] if w else per_axis(given["kernel_size"], op.axes)
    is_fold = op.family == "fold"
    size = per_axis(given["output_size"], op.axes) if is_fold else x[-op.axes :]
    lead = x[:-1] if is_fold else x[: -op.axes]
    groups = int(given.get("groups", 1))
    rows = {field: _per_axis(op, given, name) for name, field in STEPS.items() if name in given}
    if op.is_transposed and given.get("output_size"):
        least = transposed_size(op, size, taps, {**given, "output_size": None})
        reached = given["output_size"]
        rows["extra"] = tuple(r - n for r, n in zip(reached, least, strict=True))
    steps = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
    axes = zip(size, taps, steps, strict=True)
    return Sizes(
        lead[0] if len(lead) == 2 else None,
        groups,
        lead[-1] // (prod(taps) if is_fold else groups),
        1 if not w else w[1] if op.is_transposed else w[0] // groups,
        tuple(Axis(n, k, **row) for n, k, row in axes),
    )


def _per_axis(op: Op, given: dict[str, Any], name: str) -> tuple[int, ...]:
    value = given[name]
    return per_axis(0 if isinstance(value, str) else value, op.axes)


def write(case: Case, sizes: Sizes, before: Sizes | None = None) -> Case:
    """`case` with other sizes; an argument that says the same as `before` stays as it is."""
    op = OPS[case.op]
    operands = {
        k: resized(v, _shape(op.letters[k], sizes)) if isinstance(v, Operand) else v
        for k, v in case.operands.items()
    }
    wanted = _numbers(case, sizes)
    old = _numbers(case, before) if before else {}
    arguments = {}
    for name, default in op.arguments.items():
        value = case.arguments.get(name, default)
        free = name in wanted and name != case.blame and not isinstance(value, str)
        if free and wanted[name] != old.get(name):
            value = formed(value, wanted[name], keep=default is None and op.is_layer)
            if repr(value) != repr(default):
                arguments[name] = value
        elif name in case.arguments:
            arguments[name] = value
    return replace(case, operands=operands, arguments=arguments)


def _shape(letters: tuple[str, ...], sizes: Sizes) -> tuple[int, ...]:
    taps = [a.taps for a in sizes.axes]
    places = prod(a.places for a in sizes.axes)
    counts = {"G": sizes.groups, "C": sizes.channels, "O": sizes.filters}
    counts |= {"K": prod(taps), "L": places}
    shape: list[int] = []
    for letter in letters:
        if letter == "N":
            shape += [] if sizes.batch is None else [sizes.batch]
        elif letter == "X":
            shape += [a.size for a in sizes.axes]
        elif letter == "K":
            shape += taps
        else:
            shape.append(prod(counts[factor] for factor in letter))
    return tuple(shape)


def _numbers(case: Case, sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """The arguments that `sizes` determine, one value per axis."""
    op = OPS[case.op]
    found = {k: tuple(getattr(a, field) for a in sizes.axes) for k, field in STEPS.items()}
    found |= {"groups": (sizes.groups,), "kernel_size": tuple(a.taps for a in sizes.axes)}
    if op.family == "fold":
        found["output_size"] = tuple(a.size for a in sizes.axes)
    elif "output_size" in case.arguments:
        found["output_size"] = tuple(
            (a.size - 1) * a.stride - 2 * a.padding + a.extent + a.extra for a in sizes.axes
        )
        del found["output_padding"]
    return found


def formed(like: Any, values: tuple[int, ...], *, keep: bool = False) -> Any:
    """`values` in the form of `like`: its kind of integer and, if odd or to `keep`, of sequence.

    Values that do not fit its kind of integer are plain ones.
    """
    is_sequence = isinstance(like, (tuple, list)) and len(like) > 0
    first = like[0] if is_sequence else like
    values = tuple(map(_kind(first, values), values))
    if not is_sequence or (isinstance(like, tuple) and len({*like}) > 1 and not keep):
        return natural(values)
    short = len(like) == 1 and len({*values}) == 1
    return type(like)(values[:1] if short else values)


def _kind(like: Any, values: tuple[int, ...]) -> Any:
    """The type of integer of `like`, if it holds all the values."""
    if not isinstance(like, np.integer):
        return int
    info = np.iinfo(like)
    return type(like) if info.min <= min(values) and max(values) <= info.max else int


def resized(operand: Operand, shape: tuple[int, ...]) -> Operand:
    """With another shape; a layout that has parameters stands for one rank only."""
    if ":" in operand.layout and len(shape) != len(operand.shape):
        return Operand(shape, operand.dtype)
    return replace(operand, shape=shape)


Key = tuple[int, str]  # one number of `Sizes`: a field of the axis at that place, or of the whole
WHOLE = -1


def keys(sizes: Sizes) -> list[Key]:
    """Every number of `sizes`."""
    whole = [(WHOLE, f.name) for f in fields(Sizes) if f.name != "axes"]
    return [*whole, *((at, f.name) for at in range(len(sizes.axes)) for f in fields(Axis))]


def value_of(sizes: Sizes, key: Key) -> int:
    """One number; what is unbatched counts as a batch of none."""
    at, name = key
    return getattr(sizes if at == WHOLE else sizes.axes[at], name) or 0


def changed(sizes: Sizes, key: Key, value: int) -> Sizes:
    at, name = key
    if at == WHOLE:
        return replace(sizes, **{name: value})  # type: ignore[arg-type]
    axis = replace(sizes.axes[at], **{name: value})
    return replace(sizes, axes=(*sizes.axes[:at], axis, *sizes.axes[at + 1 :]))


def following(case: Case, sizes: Sizes, key: Key, value: int) -> Sizes:
    """As `changed`, and the window visits as many places as before, with as much beyond them."""
    new, (at, name) = changed(sizes, key, value), key
    if at == WHOLE or name == "size":
        return new
    old, axis = sizes.axes[at], new.axes[at]
    if OPS[case.op].is_transposed:
        least = axis.stride if "output_size" in case.arguments else max(axis.stride, axis.dilation)
        return changed(new, (at, "extra"), min(axis.extra, least - 1))
    if isinstance(case.arguments.get("padding"), str) or old.places < 1:
        return new
    rest = old.size + 2 * old.padding - old.extent - (old.places - 1) * old.stride
    reach = (old.places - 1) * axis.stride + axis.extent - 2 * axis.padding
    return changed(new, (at, "size"), max(1, reach + min(rest, axis.stride - 1)))


def grown(sizes: Sizes, more: Sequence[Key]) -> Sizes:
    """Each of these numbers one larger, as often as it stands there."""
    for key in more:
        sizes = changed(sizes, key, value_of(sizes, key) + 1)
    return sizes
