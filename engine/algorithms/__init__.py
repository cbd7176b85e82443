"""Ways to compute a convolution and its gradients; the rule below chooses among them.

| algorithm | idea | for |
|---|---|---|
| `im2col` | one product over the unfolded input | little work, short rows, kernels of one tap |
| `band` | products over bands of rows in the cache; few filters take several rows at once | the rest |
| `phases` | the gradient of the input as convolutions of stride 1 | … by either of these |
| `correlate` | the gradient of the weight, over shifted views of one buffer | the rest |

All are n-dimensional and exact where no sum is rounded.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ..geometry import Array, Geometry
from . import band, correlate, im2col, limits, phases
from .blocks import finite, work


def joins_rows(g: Geometry) -> bool:
    """Whether im2col is the better choice: for little work, one tap, or short rows."""
    if work(g) <= limits.TINY or prod(g.kernel_size) == 1:
        return True
    return len(g.kernel_size) > 1 and g.output_size[-1] < limits.SHORT_ROW and g.filters > 2


def forward(g: Geometry, x: Array, w: Array) -> Array:
    """(N, G·C, *X), (G·O, C, *K) -> (N, G·O, *Y)."""
    y = np.empty(g.output_shape, x.dtype)
    into(g, x, grouped(g, w), y)
    return y


def grouped(g: Geometry, w: Array) -> Array:
    """(G·O, C, *K) -> (G, O, C, *K)."""
    return w.reshape(g.groups, g.filters, g.channels, *g.kernel_size)


def into(g: Geometry, x: Array, w: Array, y: Array) -> None:
    (im2col if joins_rows(g) else band).forward(g, x, w, y)


def input_gradient(g: Geometry, w: Array, gy: Array) -> Array:
    """(G·O, C, *K), (N, G·O, *Y) -> (N, G·C, *X)."""
    gx = np.empty(g.input_shape, gy.dtype)
    if joins_rows(g) or not finite(w):  # the zeros around gy must not meet NaN or inf
        im2col.input_gradient(g, grouped(g, w), gy, gx)
    else:
        phases.input_gradient(g, grouped(g, w), gy, gx, into)
    return gx


def weight_gradient(g: Geometry, x: Array, gy: Array) -> Array:
    """(N, G·C, *X), (N, G·O, *Y) -> (G·O, C, *K)."""
    gw = np.empty(g.weight_shape, x.dtype)
    (im2col if joins_rows(g) else correlate).weight_gradient(g, x, gy, grouped(g, gw))
    return gw
