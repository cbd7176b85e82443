"""The memory layouts of an array: equal values, other strides."""

from __future__ import annotations

from typing import Any

import numpy as np


def laid_out(array: Any, layout: str) -> Any:
    """An array equal to `array` in another memory layout; broadcast repeats its first row."""
    return _LAYOUTS[layout](array)


def _channels_last(a: Any) -> Any:
    if a.ndim < 3:
        return a
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1)


def _reversed(a: Any) -> Any:
    flip: tuple[Any, ...] = (..., *[slice(None, None, -1)] * a.ndim)
    return a[flip].copy()[flip]


def _strided(a: Any) -> Any:
    room = np.full([2 * n + 1 for n in a.shape], 77, a.dtype)
    inner: tuple[Any, ...] = (..., *[slice(1, 2 * n, 2) for n in a.shape])
    view = room[inner]
    view[...] = a
    return view


def _broadcast(a: Any) -> Any:
    return np.broadcast_to(a[:1], a.shape) if a.ndim and a.shape[0] else a


def _readonly(a: Any) -> Any:
    a.flags.writeable = False
    return a


def _unaligned(a: Any) -> Any:
    raw = np.zeros(a.nbytes + 1, np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


_LAYOUTS = {
    "contiguous": lambda a: a,
    "fortran": lambda a: np.array(a, order="F"),
    "channels_last": _channels_last,
    "reversed": _reversed,
    "strided": _strided,
    "broadcast": _broadcast,
    "readonly": _readonly,
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "unaligned": _unaligned,
}
