"""The convolution as its definition reads: slow, and obviously right.

    y[n, g, o, Y] = Σ over c, K of  w[g, o, c, K] · x[n, g, c, Y·stride + K·dilation]

with x padded by zeros. The gradients are sums of the same products: each goes to the x or w that
it was made from. Every faster algorithm computes this and is held against it. Operands are made
contiguous because einsum takes a factor that is repeated in memory, and perhaps inf, out of a sum.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .geometry import Array, Geometry


def windows(g: Geometry, x: Array) -> Array:
    """Every place of the window: (N, G·C, *X) -> (N, G·C, *Y, *K)."""
    axes = tuple(range(2, x.ndim))
    extent = [d * (k - 1) + 1 for k, d in zip(g.kernel_size, g.dilation, strict=True)]
    # No place reads the zeros beyond the padding; they let a window slide that has no place at all.
    border = [(lo, hi + e) for (lo, hi), e in zip(g.padding, extent, strict=True)]
    padded = np.pad(x, [(0, 0), (0, 0), *border])
    places = [slice(0, y * s, s) for y, s in zip(g.output_size, g.stride, strict=True)]
    taps = [slice(None, None, d) for d in g.dilation]
    index: tuple[Any, ...] = (..., *places, *taps)
    view: Array = sliding_window_view(padded, extent, axis=axes)[index]
    return view


def forward(g: Geometry, x: Array, w: Array) -> Array:
    """(N, G·C, *X), (G·O, C, *K) -> (N, G·O, *Y)."""
    places, taps = prod(g.output_size), prod(g.kernel_size)
    patches = windows(g, x).reshape(g.batch, g.groups, g.channels, places, taps)
    kernels = np.ascontiguousarray(w).reshape(g.groups, g.filters, g.channels, taps)  # (G, O, C, K)
    y: Array = np.einsum("ngcyk,gock->ngoy", patches, kernels)  # (N, G, O, Y)
    return y.reshape(g.batch, g.groups * g.filters, *g.output_size)


def input_gradient(g: Geometry, w: Array, gy: Array) -> Array:
    """(G·O, C, *K), (N, G·O, *Y) -> (N, G·C, *X)."""
    places, taps = prod(g.output_size), prod(g.kernel_size)
    kernels = np.ascontiguousarray(w).reshape(g.groups, g.filters, g.channels, taps)
    outputs = np.ascontiguousarray(gy).reshape(g.batch, g.groups, g.filters, places)
    terms: Array = np.einsum("gock,ngoy->ykngc", kernels, outputs)
    padded = np.zeros((prod(g.padded_size), g.batch, g.groups, g.channels), gy.dtype)
    np.add.at(padded, origins(g), terms)  # (P, N, G, C)
    result = np.moveaxis(padded, 0, -1).reshape(*g.input_shape[:2], *g.padded_size)
    inner = [slice(lo, lo + x) for x, (lo, _) in zip(g.input_size, g.padding, strict=True)]
    return result[:, :, *inner].copy()


def origins(g: Geometry) -> Array:
    """Where in the flat padded input each element of each window lies: (Y, K)."""
    zeros = ((0, 0),) * len(g.padding)
    indices = np.arange(prod(g.padded_size)).reshape(1, 1, *g.padded_size)
    places, taps = prod(g.output_size), prod(g.kernel_size)
    return windows(g._replace(padding=zeros), indices).reshape(places, taps)


def weight_gradient(g: Geometry, x: Array, gy: Array) -> Array:
    """(N, G·C, *X), (N, G·O, *Y) -> (G·O, C, *K)."""
    places, taps = prod(g.output_size), prod(g.kernel_size)
    patches = windows(g, x).reshape(g.batch, g.groups, g.channels, places, taps)
    outputs = np.ascontiguousarray(gy).reshape(g.batch, g.groups, g.filters, places)
    gw: Array = np.einsum("ngcyk,ngoy->gock", patches, outputs)
    return gw.reshape(g.weight_shape)
