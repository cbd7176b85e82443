"""Padding modes of the layers: where in the input each element of the padded input comes from."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from .checks import Checker
from .geometry import Array, Pairs, Sizes

Mode: TypeAlias = Literal["reflect", "edge", "wrap"]
MODES: dict[str, Mode] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def sources(check: Checker, mode: str, shape: Sizes, padding: Pairs) -> list[Array]:
    """For each spatial axis, the index of the element that each padded place repeats."""
    sizes = shape[len(shape) - len(padding) :]
    for size, (lo, hi) in zip(sizes, padding, strict=True):
        _check_limit(check, mode, size, max(lo, hi), shape)
    axes = zip(sizes, padding, strict=True)
    return [np.pad(np.arange(size), pair, mode=MODES[mode]) for size, pair in axes]


def _check_limit(check: Checker, mode: str, size: int, padding: int, shape: Sizes) -> None:
    """torch's limits: an element is mirrored once, or carried around once, but not twice."""
    if size == 0 and mode != "circular":
        check.reject("input", f"expected spatial axes of at least 1 element, got shape {shape}")
    limit = {"reflect": size - 1, "circular": size}.get(mode, padding)
    if padding > limit:
        check.reject(
            "padding",
            f"expected at most {limit} with padding_mode={mode!r} and an axis of {size} elements, "
            f"got {padding}",
        )


def pad(x: Array, places: list[Array]) -> Array:
    """(…, *X) -> (…, *P); without places, `x` itself."""
    for axis, place in enumerate(places, start=-len(places)):
        x = x.take(place, axis)
    return x


def unpad(gradient: Array, places: list[Array], shape: Sizes) -> Array:
    """The gradient of `pad`, each element added to its source: (…, *P) -> (…, *X)."""
    for axis, place in enumerate(places, start=-len(places)):
        sizes = list(gradient.shape)
        sizes[axis] = shape[axis]
        total = np.zeros(sizes, gradient.dtype)
        with np.errstate(all="ignore"):
            np.add.at(total.swapaxes(0, axis), place, gradient.swapaxes(0, axis))
        gradient = total
    return gradient
