"""A right engine by FFT, which declares its accuracy, and faults that are planted in it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import engine
from properties.cases.operation import per_axis

ACCURACY = dict.fromkeys(("float32", "float64", "complex64", "complex128"), ("normwise", 8))

Spectrum = Callable[[Any, Any], Any]  # of all channels: from input and conjugated weight
Crop = Callable[[Any], Any]  # of the whole planes of the result


def product(x: Any, w: Any) -> Any:
    return np.einsum("ngc...,goc...->ngo...", x, w)


def whole(y: Any) -> Any:
    return y


def functions(spectrum: Spectrum = product, crop: Crop = whole) -> dict[str, Any]:
    """conv1d to conv3d by FFT over whole planes."""
    return {f"conv{n}d": _function(n, spectrum, crop) for n in (1, 2, 3)}


def _function(axes: int, spectrum: Spectrum, crop: Crop) -> Callable[..., Any]:
    right = getattr(engine, f"conv{axes}d")

    def conv(
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: Any = 1,
    ) -> Any:
        shape = right(input, weight, bias, stride, padding, dilation, groups).shape  # checks all
        if input.dtype.name not in ACCURACY:
            raise NotImplementedError
        if 0 in shape or 0 in input.shape:
            return np.zeros(shape, input.dtype.newbyteorder("="))
        dilation, stride = per_axis(dilation, axes), per_axis(stride, axes)
        x = _padded(input, _borders(padding, weight.shape[2:], dilation), axes)
        w = _dilated(weight, dilation)
        y = _correlated(x, w, axes, int(groups), spectrum)
        sizes = zip(x.shape[-axes:], w.shape[-axes:], stride, strict=True)
        places = [slice(0, n - k + 1, s) for n, k, s in sizes]
        y = crop(y[(..., *places)]).reshape(shape)
        with np.errstate(all="ignore"):
            biased = y if bias is None else y + np.reshape(bias, (-1, *[1] * axes))
            return biased.astype(input.dtype.newbyteorder("="))

    return conv


def _borders(padding: Any, kernel: Any, dilation: Any) -> list[tuple[int, int]]:
    if padding == "same":
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(t // 2, t - t // 2) for t in total]
    sides = per_axis(0 if padding == "valid" else padding, len(kernel))
    return [(p, p) for p in sides]


def _padded(x: Any, borders: list[tuple[int, int]], axes: int) -> Any:
    batch = x if x.ndim == axes + 2 else x[None]
    return np.pad(batch, [(0, 0), (0, 0), *borders])


def _dilated(weight: Any, dilation: tuple[int, ...]) -> Any:
    sizes = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    w = np.zeros((*weight.shape[:2], *sizes), weight.dtype)
    taps: list[Any] = [slice(None, None, d) for d in dilation]
    w[(..., *taps)] = weight
    return w


def _correlated(x: Any, w: Any, axes: int, groups: int, spectrum: Spectrum) -> Any:
    """Every place of the whole planes, (N, G, O, *X); those that wrap around come last."""
    over, size = tuple(range(-axes, 0)), x.shape[-axes:]
    with np.errstate(all="ignore"):
        xs = np.fft.fftn(x.reshape(len(x), groups, -1, *size), axes=over)
        flipped = np.conj(np.fft.fftn(np.conj(w), size, axes=over))
        ws = flipped.reshape(groups, len(w) // groups, -1, *size)
        y: Any = np.fft.ifftn(spectrum(xs, ws), axes=over)
    y = y if x.dtype.kind == "c" else y.real
    return y.reshape(len(x), len(w), *size)


def fft_engine(**faults: Any) -> SimpleNamespace:
    return SimpleNamespace(**functions(**faults), accuracy=ACCURACY)


# ---- Faults: each of modest size, none of them beyond the bound by rounding ----


def wrong_group(x: Any, w: Any) -> Any:
    """The first two groups of filters exchanged."""
    order = [1, 0, *range(2, len(w))] if len(w) > 1 else [0]
    return product(x, w[order])


def lost_tap(x: Any, w: Any) -> Any:
    """The mean of the taps is lost in the first frequency."""
    w = w.copy()
    w[(..., *[0] * (w.ndim - 3))] *= 0.99
    return product(x, w)


def border_off_by_one(y: Any) -> Any:
    """The last place of the last axis is that before it."""
    if y.shape[-1] > 1:
        y = y.copy()
        y[..., -1] = y[..., -2]
    return y


def one_element_wrong(y: Any) -> Any:
    """The last element is wrong by a thousandth."""
    y = y.copy()
    y.flat[-1] *= 1.001
    return y


FAULTS: dict[str, dict[str, Any]] = {
    "wrong group": {"spectrum": wrong_group},
    "lost tap": {"spectrum": lost_tap},
    "border off by one": {"crop": border_off_by_one},
    "one element wrong": {"crop": one_element_wrong},
}
