"""Arrays made from arrays, element by element: what a relation gives to the other call.

"The last axes" are as many as there are sizes in the argument, so that batch and channels stay.
Functions that only index take a `Ball` as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

# torch's padding modes in NumPy's words.
PAD_MODES: dict[str, Any] = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def apart(array: Any) -> tuple[Any, Any]:
    """Two arrays of no larger elements, whose difference is exactly `array`.

    Halves are rounded towards 0, so that integers stay integers; which of the two gets the larger
    half alternates.
    """
    wide = np.array(array, array.dtype.newbyteorder("="), order="C")
    parts = wide.view(wide.real.dtype).ravel()
    half = (parts // 2 if parts.dtype.kind in "iu" else np.trunc(parts / 2)).astype(parts.dtype)
    left = np.where(np.arange(parts.size) % 2, parts - half, half)
    first, second = (part.view(wide.dtype).reshape(wide.shape) for part in (left, left - parts))
    return first, second


def backwards(array: Any) -> Any:
    """All elements in reverse."""
    return array.ravel()[::-1].reshape(array.shape)


def flipped(array: Any, axes: int) -> Any:
    """The last axes in reverse."""
    return np.flip(array, tuple(range(-axes, 0)))


def shuffled(array: Any, axis: int, groups: int) -> Any:
    """The members of each group along `axis` in reverse."""
    order = np.arange(array.shape[axis]).reshape(groups, -1)[:, ::-1]  # (G, members)
    return np.take(array, order.ravel(), axis)


def every(array: Any, steps: Sequence[int]) -> Any:
    """Every so many elements along the last axes, from the first on."""
    return array[(..., *[slice(None, None, step) for step in steps])]


def without_first(array: Any, counts: Sequence[int]) -> Any:
    """All but so many elements at the start of the last axes."""
    return array[(..., *[slice(count, None) for count in counts])]


def cropped(array: Any, counts: Sequence[int]) -> Any:
    """All but so many elements at both ends of the last axes."""
    sizes = array.shape[-len(counts) :]
    return array[(..., *[slice(c, n - c) for c, n in zip(counts, sizes, strict=True)])]


def widened(
    array: Any, before: Sequence[int], after: Sequence[int] | None = None, mode: str = "zeros"
) -> Any:
    """`array` with so many elements more before and after its last axes."""
    after = after or [0] * len(before)
    kept = [(0, 0)] * (array.ndim - len(before))
    return np.pad(array, [*kept, *zip(before, after, strict=True)], PAD_MODES[mode])


def spread(array: Any, steps: Sequence[int], after: Sequence[int] | None = None) -> Any:
    """`array` with zeros between its elements, so many steps apart, and so many more at the end."""
    sizes = array.shape[-len(steps) :]
    after = after or [0] * len(steps)
    room = [s * (n - 1) + 1 + e for n, s, e in zip(sizes, steps, after, strict=True)]
    result = np.zeros((*array.shape[: -len(steps)], *room), array.dtype)
    places: list[Any] = [slice(0, s * (n - 1) + 1, s) for n, s in zip(sizes, steps, strict=True)]
    result[(..., *places)] = array
    return result


def delta(weight: Any, groups: int) -> Any:
    """A weight of that shape that takes from each channel its last tap; filters = channels."""
    taken = np.zeros(weight.shape, weight.dtype)
    n, taps = weight.shape[1], prod(weight.shape[2:])
    channel = np.arange(n)
    taken.reshape(groups, n, n, taps)[:, channel, channel, -1] = 1  # (G, O, C, K)
    return taken


def mixed(channels: Any, weight: Any, groups: int, axes: int) -> Any:
    """weight @ channels at each place and in each group; `axes` are behind the channels."""
    batch, size = channels.shape[: -axes - 1], channels.shape[-axes:]
    x = channels.reshape(*batch, groups, weight.shape[1], prod(size))  # (N, G, C, X)
    w = weight.reshape(groups, -1, weight.shape[1])  # (G, O, C)
    with np.errstate(all="ignore"):
        y = np.einsum("goc,...gcx->...gox", w, x)
    return y.reshape(*batch, weight.shape[0], *size)


def visits(size: int, kernel: int, stride: int, dilation: int, padding: int) -> Any:
    """How many taps of a window meet each element of one axis, over all of its places."""
    starts = np.arange(0, size + 2 * padding - dilation * (kernel - 1), stride)
    at = (starts[:, None] + dilation * np.arange(kernel)).ravel() - padding
    return np.bincount(at[(at >= 0) & (at < size)], minlength=size)
