"""Ways to compute a convolution and its gradients; the rules in `rules` choose.

| file | idea | for |
|---|---|---|
| `im2col` | one product over the unfolded input | few columns, kernels of one row, integers |
| `segments` | one product over segments of rows | kernels of one row, few filters |
| `band` | products over bands of rows in the cache | all other convolutions |
| `col2im` | a product's columns, added back | gradients of inputs: many filters |
| `phases` | an input's gradient as convolutions of stride 1 | all other gradients of inputs |
| `correlate` | products over shifted views of one buffer | all other gradients of weights |
| `exact` | integers as floats, where that is exact | integers, before the choice |
| `threads` | blocks at the same time | where more than one thread is set |

All are n-dimensional, and exact where no sum is rounded. Beyond operands and result they take a
copy of the weight or two and about 2 MiB for float32, or what one row of one sample's output needs.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Array, Geometry
from . import band, col2im, correlate, exact, im2col, phases, segments
from .blocks import finite
from .rules import adds_columns, joins_places, output_by, together


def forward(g: Geometry, x: Array, w: Array) -> Array:
    """(N, G·C, *X), (G·O, C, *K) -> (N, G·O, *Y)."""
    left, right = exact.carried((g.channels, *g.kernel_size), x, w)
    y = np.empty(g.output_shape, left.dtype)
    into(g, left, right, y)
    return exact.cast(y, x.dtype)


def into(g: Geometry, x: Array, w: Array, y: Array) -> None:
    """(N, G·C, *X), (G·O, C, *K) or (G, O, C, *K) -> y (N, G·O, *Y), which may be any view."""
    way = output_by(g, x.dtype)
    if way == "band":
        t = together(g)
        if t > 1 and not finite(x):  # 0·inf is nan, and a Toeplitz matrix has zeros
            t = 1
        band.forward(g, x, w, y, t)
    elif way == "segments" and finite(x):
        segments.forward(g, x, w, y)
    else:
        im2col.forward(g, x, w, y)


def input_gradient(g: Geometry, w: Array, gy: Array) -> Array:
    """(G·O, C, *K), (N, G·O, *Y) -> (N, G·C, *X)."""
    left, right = exact.carried((g.filters, *g.kernel_size), w, gy)
    kernels, gx = grouped(g, left), np.zeros(g.input_shape, left.dtype)
    if adds_columns(g) or not finite(kernels):  # phases surround gy with zeros
        col2im.input_gradient(g, kernels, right, gx)
    else:
        phases.input_gradient(g, kernels, right, gx, into)
    return exact.cast(gx, gy.dtype)


def weight_gradient(g: Geometry, x: Array, gy: Array) -> Array:
    """(N, G·C, *X), (N, G·O, *Y) -> (G·O, C, *K)."""
    left, right = exact.carried((g.batch, *g.output_size), x, gy)
    gw = np.empty(g.weight_shape, left.dtype)
    chosen = im2col if joins_places(g, gw.dtype) else correlate
    chosen.weight_gradient(g, left, right, grouped(g, gw))
    return exact.cast(gw, x.dtype)


def grouped(g: Geometry, w: Array) -> Array:
    """(G·O, C, *K) -> (G, O, C, *K)."""
    return w.reshape(g.groups, g.filters, g.channels, *g.kernel_size)
