"""The convolution as its definition reads: slow, and obviously right.

    y[n, g, o, Y] = Σ over c, K of  w[g, o, c, K] · x[n, g, c, Y·stride + K·dilation]

with x padded by zeros. Every faster algorithm computes this and is held against it.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .arguments import Array, Geometry


def windows(g: Geometry, x: Array) -> Array:
    """Every place of the window: (N, G·C, *X) -> (N, G, C, *Y, *K)."""
    axes = tuple(range(2, x.ndim))
    extent = [d * (k - 1) + 1 for k, d in zip(g.kernel_size, g.dilation, strict=True)]
    padded = np.pad(x, [(0, 0), (0, 0), *g.padding])
    view: Array = sliding_window_view(padded, extent, axis=axes)
    places = [slice(0, y * s, s) for y, s in zip(g.output_size, g.stride, strict=True)]
    taps = [slice(None, None, d) for d in g.dilation]
    index: tuple[Any, ...] = (..., *places, *taps)
    view = view[index]  # (N, G·C, *Y, *K)
    return view.reshape(g.batch, g.groups, g.channels, *g.output_size, *g.kernel_size)


def forward(g: Geometry, x: Array, w: Array) -> Array:
    """(N, G·C, *X), (G·O, C, *K) -> (N, G·O, *Y)."""
    places, taps = prod(g.output_size), prod(g.kernel_size)
    patches = windows(g, x).reshape(g.batch, g.groups, g.channels, places, taps)
    kernels = w.reshape(g.groups, g.filters, g.channels, taps)  # (G, O, C, K)
    y: Array = np.einsum("ngcyk,gock->ngoy", patches, kernels)  # (N, G, O, Y)
    return y.reshape(g.batch, g.groups * g.filters, *g.output_size)
