"""The forms in which a call may say the same: subclasses of int and tuple, and forms of shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np


class Int(int):
    """An integer of a type of its own."""


class Size(tuple[Any, ...]):
    """A tuple of a type of its own, as torch.Size is one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Size({', '.join(map(repr, self))})"


def _of_numpy(shape: tuple[int, ...]) -> Any:
    return tuple(map(np.int64, shape))


# The forms of a shape that is passed as an argument: the input_size and weight_size of a gradient,
# the kernel_size of a layer.
SIZES: dict[str, Callable[[tuple[int, ...]], Any]] = {
    "tuple": tuple,
    "list": list,
    "numpy": _of_numpy,
    "Size": Size,
}

# The types of an integer and of a sequence that torch takes, from the plainest to the oddest.
INTEGERS: tuple[Callable[[Any], Any], ...] = (
    *(int, np.int64, Int, np.int32, np.int16, np.int8),
    *(np.uint64, np.uint32, np.uint16, np.uint8, bool, np.bool_),
)
SEQUENCES: tuple[Callable[[list[Any]], Any], ...] = (tuple, list, Size)


def oddness(value: Any) -> int:
    """How far the types of an argument, and of all that it contains, are from the plainest.

    Examples
    --------
    >>> oddness((1, 1)), oddness([1, 1]), oddness(np.int64(1))
    (0, 1, 1)
    """
    if isinstance(value, (tuple, list)):
        return SEQUENCES.index(type(value)) + sum(map(oddness, value))
    return INTEGERS.index(type(value)) if type(value) in INTEGERS else len(INTEGERS)


def written_otherwise(value: Any) -> Iterator[Any]:
    """The same integer, or the same sequence of integers, in every type that holds it.

    Examples
    --------
    >>> [type(v).__name__ for v in written_otherwise(300)][:4]
    ['int', 'int64', 'Int', 'int32']
    """
    is_sequence = isinstance(value, (tuple, list))
    if is_sequence:
        yield from (sequence(value) for sequence in SEQUENCES)
    for of in INTEGERS:
        with suppress(OverflowError):
            other = type(value)(map(of, value)) if is_sequence else of(value)
            if other == value:
                yield other
