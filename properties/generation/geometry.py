"""The sizes of one valid call, so written down that every value of every field gives a valid call.

The window's places and the rest beyond them stand here in place of the input's size, which
follows. So nothing is drawn in vain, and the formula that an engine uses is not repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

from ..cases.case import Case, Operand
from ..cases.edit import plain
from ..cases.operation import OPS, Op, Sizes, border, per_axis, positions, rank

Arguments = dict[str, Any]  # of one value per axis where the op has one per axis


@dataclass(frozen=True)
class Axis:
    """One axis, made from what the window visits: `places` positions and a `rest` beyond."""

    taps: int = 1
    stride: int = 1
    dilation: int = 1
    places: int = 1
    rest: int = 0
    border: int = 0  # the elements that padding adds, both sides together

    @property
    def span(self) -> int:
        """The distance from the first tap to the last."""
        return (self.taps - 1) * self.dilation

    @property
    def reach(self) -> int:
        """What the windows visit, with the border and the rest."""
        return (self.places - 1) * self.stride + self.span + 1 + self.rest

    @property
    def size(self) -> int:
        return self.reach - self.border

    @property
    def padding(self) -> int:
        return self.border // 2


@dataclass(frozen=True)
class Geometry:
    """All sizes of a call of `op`; channels and filters are those of one group."""

    op: Op
    axes: tuple[Axis, ...]
    batch: int | None = 1  # None: unbatched
    groups: int = 1
    channels: int = 1
    filters: int = 1
    bias: bool = False
    word: str = ""  # 'same' or 'valid', in place of a padding
    mode: str = "zeros"
    sized: bool = False  # an output size in place of an output padding

    def each(self, name: str) -> Sizes:
        """A field of the axes, one value each."""
        return tuple(getattr(axis, name) for axis in self.axes)

    @cached_property
    def _volumes(self) -> tuple[int, int, int]:
        """The taps of one kernel, its places, and the elements that it visits."""
        return prod(self.each("taps")), prod(self.each("places")), prod(self.each("reach"))

    @property
    def work(self) -> int:
        """The multiply-adds of the output."""
        taps, places, _ = self._volumes
        return (self.batch or 1) * self.groups * self.channels * self.filters * taps * places

    @property
    def elements(self) -> int:
        """The elements of the largest array, borders included."""
        taps, places, reach = self._volumes
        samples = (self.batch or 1) * self.groups
        wide, narrow = self.channels, self.filters
        if self.op.is_transposed:
            wide, narrow = narrow, wide
        kernels = self.groups * wide * narrow * taps
        return max(samples * wide * reach, samples * narrow * places, kernels)

    @property
    def shapes(self) -> dict[str, Sizes]:
        """The shape of every operand."""
        batch = () if self.batch is None else (self.batch,)
        inner, outer = self.groups * self.channels, self.groups * self.filters
        taps = self.each("taps")
        if self.op.family == "fold":
            return {"input": (*batch, inner * prod(taps), prod(self.each("places")))}
        size = self.each("places" if self.op.is_transposed else "size")
        weight = (inner, self.filters) if self.op.is_transposed else (outer, self.channels)
        shapes = {"input": (*batch, inner, *size), "weight": (*weight, *taps)}
        if self.bias:
            shapes["bias"] = (outer,)
        return {name: shapes[name] for name in self.op.operands if name in shapes}

    @property
    def arguments(self) -> Arguments:
        """Every argument, one value per axis; an output size or an output padding."""
        names = ("stride", "padding", "dilation")
        every: Arguments = {name: self.each(name) for name in names}
        if self.word:
            every["padding"] = self.word
        every |= {"groups": self.groups, "padding_mode": self.mode}
        every |= {"kernel_size": self.each("taps"), "output_padding": self.each("rest")}
        if self.sized:
            del every["output_padding"]
        if self.sized or self.op.family == "fold":
            every["output_size"] = self.each("size")
        return {name: every[name] for name in self.op.arguments if name in every}


def rests(op: Op, axis: Axis) -> int:
    """How many rests there are, 0 the first: the exact fit.

    An output padding may reach up to the larger of stride and dilation.
    """
    return max(axis.stride, axis.dilation) if op.is_transposed else axis.stride


def widest_padding(axis: Axis, mode: str = "zeros") -> int:
    """The padding that leaves least of the axis, which has no border yet."""
    copied = {"reflect": (axis.reach - 1) // 3, "circular": axis.reach // 3}
    return copied.get(mode, (axis.reach - 1) // 2)


def same_border(axis: Axis, mode: str) -> Axis:
    """`axis` as padding='same' has it: of any size at stride 1, but no border a copy of less."""
    least = 1 if mode == "zeros" else 1 + axis.span - axis.span // 2
    return replace(axis, stride=1, rest=0, places=max(axis.places, least), border=axis.span)


def read(case: Case) -> Geometry | None:
    """The geometry of `case`, or None where it is no valid, regular call of at least one place."""
    operands = [*case.operands.values()]
    if not all(isinstance(v, Operand) for v in operands) or not case.output_shape:
        return None
    if 0 in (*case.output_shape[-OPS[case.op].axes :], *case.shapes.get("weight", ())):
        return None
    op, given, x = OPS[case.op], plain(case), case.shapes["input"]
    weight = case.shapes.get("weight", (1, 1))
    taps = weight[2:] or given["kernel_size"]
    groups = given.get("groups", 1)
    inner = x[-1 - op.axes] if op.family != "fold" else x[-2] // prod(taps)
    word = given["padding"] if isinstance(given["padding"], str) else ""
    return Geometry(
        op,
        _axes(op, x, taps, given),
        x[0] if len(x) == rank(op, "input") else None,
        groups,
        inner // groups,
        weight[1] if op.is_transposed else weight[0] // groups,
        "bias" in case.operands,
        word,
        given.get("padding_mode", "zeros"),
        op.is_transposed and bool(case.arguments.get("output_size")),
    )


def _axes(op: Op, x: Sizes, taps: Sizes, given: Arguments) -> tuple[Axis, ...]:
    before, after = border(op, taps, given)
    both = [lo + hi for lo, hi in zip(before, after, strict=True)]
    steps = (taps, given["stride"], given["dilation"])
    size = per_axis(given["output_size"], op.axes) if op.family == "fold" else x[-op.axes :]
    if op.is_transposed:
        rows = zip(*steps, size, given["output_padding"], both, strict=True)
        return tuple(Axis(*row) for row in rows)
    places = positions(op, size, taps, given)
    rows = zip(*steps, places, [0] * op.axes, both, strict=True)
    bare = [Axis(*row) for row in rows]
    return tuple(replace(a, rest=n - a.size) for a, n in zip(bare, size, strict=True))
