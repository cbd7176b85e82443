"""A right engine in loops of Python: thousands of times slower than one that NumPy computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np

import engine
from engine.geometry import Array, Geometry
from properties.cases.operation import OPS
from properties.comparison.loading import computed_by

Index = tuple[int, ...]
NAMES = ("conv1d", "conv2d", "conv3d", "conv_transpose2d")


def products(g: Geometry) -> Iterator[tuple[Index | None, Index, Index]]:
    """Where in x, w and y each product is; None in x for a zero of the border."""
    axes = [*zip(g.input_size, g.stride, g.dilation, (lo for lo, _ in g.padding), strict=True)]
    outputs = product(range(g.batch), range(g.groups * g.filters), *map(range, g.output_size))
    for n, o, *places in outputs:
        for c, *taps in product(range(g.channels), *map(range, g.kernel_size)):
            at = [
                y * s + k * d - lo for y, k, (_, s, d, lo) in zip(places, taps, axes, strict=True)
            ]
            inside = all(0 <= i < size for i, (size, *_) in zip(at, axes, strict=True))
            x = (n, o // g.filters * g.channels + c, *at) if inside else None
            yield x, (o, c, *taps), (n, o, *places)


class Loops:
    """An algorithm of the engine, one product after another."""

    @staticmethod
    def forward(g: Geometry, x: Array, w: Array) -> Array:
        y = np.zeros((g.batch, g.groups * g.filters, *g.output_size), x.dtype)
        for at_x, at_w, at_y in products(g):
            y[at_y] += (x[at_x] if at_x else x.dtype.type(0)) * w[at_w]
        return y

    @staticmethod
    def input_gradient(g: Geometry, w: Array, gy: Array) -> Array:
        gx = np.zeros(g.input_shape, gy.dtype)
        for at_x, at_w, at_y in products(g):
            if at_x:
                gx[at_x] += w[at_w] * gy[at_y]
        return gx

    @staticmethod
    def weight_gradient(g: Geometry, x: Array, gy: Array) -> Array:
        gw = np.zeros(g.weight_shape, x.dtype)
        for at_x, at_w, at_y in products(g):
            gw[at_w] += (x[at_x] if at_x else x.dtype.type(0)) * gy[at_y]
        return gw


def _with_positions(function: Callable[..., Any], op: str, arrays: int) -> Callable[..., Any]:
    """`function` with torch's arguments, by position or by name, after so many arrays."""

    def call(*given: Any, **named: Any) -> Any:
        options = dict(zip(OPS[op].arguments, given[arrays:], strict=False))
        return function(*given[:arrays], **options, **named)

    return call


def _functions(op: str) -> dict[str, Callable[..., Any]]:
    """The convolution, its gradients in the input and in the weight, by name."""
    found = computed_by(Loops, engine, OPS[op])  # type: ignore[arg-type]
    names = (op, f"{op}_input", f"{op}_weight")
    return {n: _with_positions(f, op, 3) for n, f in zip(names, found, strict=True)}


grad = SimpleNamespace(**{name: f for op in NAMES for name, f in _functions(op).items()})
conv1d, conv2d, conv3d = grad.conv1d, grad.conv2d, grad.conv3d
conv_transpose2d = grad.conv_transpose2d
