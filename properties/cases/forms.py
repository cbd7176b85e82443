"""The forms in which a call may say the same: subclasses of int and tuple, and forms of shapes."""

from __future__ import annotations

from collections.abc import Callable
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
