"""Memory layouts: how an array lies in memory, in words that go together.

    layout='order:2,0,1+step:1,-2,3+readonly'

Words are joined by ``+`` and apply in turn; each stands once. Numbers go along the array's axes
from the first; an axis without one stays as it is, and a number without an axis says nothing, so
that every layout fits an array of any rank.

==============  ==================================================================================
order:I,J,…     the axes in memory, that with the largest stride first
step:S,…        a step of S elements along each axis, backwards if S is negative
crop:N,…        N elements of a larger array before the first, one after the last
repeat:I,…      stride 0 along these axes: their first row, again and again
field           a field of packed records, after one byte
align:K         the first element K bytes beyond a multiple of 64
swapped         the other byte order
subclass        of a subclass of ndarray that changes nothing
readonly
fortran         the axes in memory in reverse order
channels_last   axis 1 last in memory, from 3 axes on
reversed        backwards along each axis
strided         every second element of a larger array
broadcast       stride 0 along the first axis
unaligned       one byte beyond a multiple of 64
of:NAME         alone: in the memory of another operand, from its first element on
contiguous      alone: none of all this
==============  ==================================================================================

What surrounds an array, and lies between its elements, is 77, so that its use shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

SURROUNDING = 77
LARGEST = 64  # step or crop: more would only cost memory


class LayoutError(ValueError):
    """A text that is no layout, with the place of the word at fault."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class Subclass(np.ndarray[Any, Any]):
    """An array of a type of its own that changes nothing."""


@dataclass
class Layout:
    """How arrays of one number of axes lie in memory."""

    order: list[int]
    step: list[int]
    crop: list[int]
    repeated: set[int] = field(default_factory=set)
    align: int | None = None
    is_field: bool = False
    is_swapped: bool = False
    is_subclass: bool = False
    is_readonly: bool = False

    @property
    def _stays(self) -> bool:
        """Whether C order, contiguous, wherever NumPy puts it, is right."""
        plain = self.order == sorted(self.order) and not any(self.crop)
        return plain and set(self.step) <= {1} and self.align is None and not self.is_field

    def of(self, array: Any) -> Any:
        """An array equal to `array`, but for what is repeated, that lies like this."""
        shape = array.shape
        once = [slice(0, 1) if axis in self.repeated else slice(None) for axis in range(array.ndim)]
        array = array[(..., *once)]
        if self.is_swapped:
            array = array.astype(array.dtype.newbyteorder())
        if not self._stays:
            array = self._moved(array)
        if self.repeated:
            array = np.broadcast_to(array, shape)
        if self.is_subclass:
            array = array.view(Subclass)
        if self.is_readonly:
            array.flags.writeable = False
        return array

    def _moved(self, array: Any) -> Any:
        steps = zip(self.crop, array.shape, self.step, strict=True)
        extents = [c + (n - 1) * abs(s) + 1 + (c > 0 or abs(s) > 1) for c, n, s in steps]
        in_memory = tuple([max(extents[axis], 0) for axis in self.order])
        dtype = array.dtype
        slot = np.dtype([("before", np.uint8), ("value", dtype)]) if self.is_field else dtype
        if self.align is None and not self.is_field:
            room = np.full(in_memory, SURROUNDING, dtype)
        else:
            room = self._placed(in_memory, slot, array.shape)
        view = self._view(room, array.shape)
        view[...] = array
        return view

    def _placed(self, in_memory: tuple[int, ...], slot: np.dtype[Any], shape: Any) -> Any:
        """A room in bytes of its own, so that the first element is where it should be."""
        size = int(np.prod(in_memory)) * slot.itemsize
        raw = np.empty(size + 128, np.uint8)
        offset = 0
        if self.align is not None:
            first = _address(self._view(np.ndarray(in_memory, slot, raw), shape))
            offset = (self.align - first) % 64
        room: Any = np.ndarray(in_memory, slot, raw, offset)
        if self.is_field:
            raw[:] = SURROUNDING
        else:
            room[...] = SURROUNDING
        return room

    def _view(self, room: Any, shape: tuple[int, ...]) -> Any:
        if self.is_field:
            room = room["value"]
        axes = zip(self.crop, shape, self.step, strict=True)
        inner = [slice(c, c + (n - 1) * abs(s) + 1 if n else c, abs(s)) for c, n, s in axes]
        turned = [slice(None, None, -1 if s < 0 else 1) for s in self.step]
        return room.transpose(np.argsort(self.order))[(..., *inner)][(..., *turned)]


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


Change = Callable[[Layout, tuple[int, ...]], None]


def _order(layout: Layout, numbers: tuple[int, ...]) -> None:
    given = [axis for axis in numbers if axis < len(layout.order)]
    layout.order = given + [axis for axis in layout.order if axis not in given]


def _step(layout: Layout, numbers: tuple[int, ...]) -> None:
    for axis, n in enumerate(numbers[: len(layout.step)]):
        layout.step[axis] *= n


def _crop(layout: Layout, numbers: tuple[int, ...]) -> None:
    for axis, n in enumerate(numbers[: len(layout.crop)]):
        layout.crop[axis] += n


def _repeat(layout: Layout, numbers: tuple[int, ...]) -> None:
    layout.repeated |= {axis for axis in numbers if axis < len(layout.step)}


def _fortran(layout: Layout, numbers: tuple[int, ...]) -> None:
    layout.order = layout.order[::-1]


def _channels_last(layout: Layout, numbers: tuple[int, ...]) -> None:
    if len(layout.order) > 2:
        layout.order = [axis for axis in layout.order if axis != 1] + [1]


def _reversed(layout: Layout, numbers: tuple[int, ...]) -> None:
    layout.step = [-s for s in layout.step]


def _strided(layout: Layout, numbers: tuple[int, ...]) -> None:
    layout.step = [2 * s for s in layout.step]
    layout.crop = [n + 1 for n in layout.crop]


def _align(layout: Layout, numbers: tuple[int, ...]) -> None:
    layout.align = numbers[0]


def _unaligned(layout: Layout, numbers: tuple[int, ...]) -> None:
    layout.align = 1


def _broadcast(layout: Layout, numbers: tuple[int, ...]) -> None:
    _repeat(layout, (0,))


def _flag(name: str) -> Change:
    return lambda layout, numbers: setattr(layout, name, True)


def _is_axis(n: int) -> bool:
    return 0 <= n < LARGEST


@dataclass(frozen=True)
class Word:
    """One word: what it changes, and which numbers it takes."""

    change: Change
    takes: str = ""  # for an error
    accepts: Callable[[int], bool] | None = None
    distinct: bool = False
    alone: bool = False  # one number, not several


WORDS = {
    "order": Word(_order, "different axes", _is_axis, distinct=True),
    "step": Word(_step, f"steps, not 0, to {LARGEST}", lambda n: 0 < abs(n) <= LARGEST),
    "crop": Word(_crop, f"numbers of elements, 0 to {LARGEST}", lambda n: 0 <= n <= LARGEST),
    "repeat": Word(_repeat, "different axes", _is_axis, distinct=True),
    "field": Word(_flag("is_field")),
    "align": Word(_align, "0 to 63 bytes", lambda n: 0 <= n < 64, alone=True),
    "swapped": Word(_flag("is_swapped")),
    "subclass": Word(_flag("is_subclass")),
    "readonly": Word(_flag("is_readonly")),
    "fortran": Word(_fortran),
    "channels_last": Word(_channels_last),
    "reversed": Word(_reversed),
    "strided": Word(_strided),
    "broadcast": Word(_broadcast),
    "unaligned": Word(_unaligned),
}


def words(layout: str) -> tuple[str, ...]:
    """The names of the words of a layout, for counting: none if it is contiguous."""
    if layout == "contiguous":
        return ()
    return tuple([word.partition(":")[0] for word in layout.split("+")])


def simpler(layout: str) -> Iterator[str]:
    """Layouts with a word less, from contiguous on: what a shrinker tries."""
    if layout == "contiguous":
        return
    yield "contiguous"
    parts = layout.split("+")
    if len(parts) > 1:
        for i in range(len(parts)):
            yield "+".join(parts[:i] + parts[i + 1 :])


def source(layout: str) -> str | None:
    """The operand in whose memory a layout lies, or None."""
    return layout[3:] if layout.startswith("of:") else None


def repeats(layout: str) -> bool:
    """Whether rows of an array are the same memory."""
    return layout != "contiguous" and not {"broadcast", "repeat"}.isdisjoint(words(layout))


def checked(text: str, operands: tuple[str, ...] = ()) -> str:
    """`text`, if it is a layout; it may lie in the memory of `operands`.

    Raises
    ------
    LayoutError
        It is none, and which word is wrong.
    """
    if text == "contiguous":
        return text
    if text.startswith("of:"):
        if text[3:] not in operands:
            given = ", ".join(operands) or "none"
            raise LayoutError(f"expected of:NAME with an operand before this, of {given}", 0)
        return text
    _parsed(text)
    return text


def laid_out(array: Any, layout: str) -> Any:
    """An array equal to `array` in another memory layout, but for rows that it repeats."""
    if layout == "contiguous":
        return array
    return _layout(layout, array.ndim).of(array)


@lru_cache(4096)
def _layout(text: str, axes: int) -> Layout:
    layout = Layout(list(range(axes)), [1] * axes, [0] * axes)
    for word, numbers in _parsed(text):
        word.change(layout, numbers)
    return layout


@lru_cache(4096)
def _parsed(text: str) -> tuple[tuple[Word, tuple[int, ...]], ...]:
    found: dict[str, tuple[Word, tuple[int, ...]]] = {}
    at = 0
    for part in text.split("+"):
        name, colon, rest = part.partition(":")
        if name not in WORDS:
            told = f"unknown layout {part!r}; expected contiguous, of:NAME, or words of "
            raise LayoutError(told + ", ".join(WORDS), at)
        if name in found:
            raise LayoutError(f"{name} is given twice", at)
        found[name] = WORDS[name], _numbers(name, colon + rest, at)
        at += len(part) + 1
    return tuple(found.values())


def _numbers(name: str, text: str, at: int) -> tuple[int, ...]:
    """What stands after a word, as integers in their only spelling."""
    word = WORDS[name]
    if word.accepts is None:
        if text:
            raise LayoutError(f"{name} takes no numbers, got {text!r}", at)
        return ()
    parts = text[1:].split(",")
    plain = all(part.removeprefix("-").isdecimal() and str(int(part)) == part for part in parts)
    numbers = tuple(map(int, parts)) if plain else ()
    wrong = not numbers or not all(map(word.accepts, numbers)) or (word.alone and numbers[1:])
    if wrong or (word.distinct and len(set(numbers)) < len(numbers)):
        raise LayoutError(f"expected {name}:N,… with {word.takes}, got {name + text!r}", at)
    return numbers
