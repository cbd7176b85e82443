"""unfold and fold, with the signatures of torch.nn.functional: im2col and col2im themselves."""

from __future__ import annotations

from math import prod

import numpy as np

from . import im2col
from .arguments import folded, unfolded
from .compute import accumulator, rounded
from .geometry import Array, Ints


def unfold(
    input: Array,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """Every window of an image as a column, as ``torch.nn.functional.unfold`` does.

    Parameters
    ----------
    input : ndarray, shape (N, C, H, W) or (C, H, W)
        Of a dtype that `conv2d` takes, or bool. Only N may be 0.
    kernel_size, dilation, padding, stride : int, or tuple or list of 2 ints
        As in `conv2d`.

    Returns
    -------
    ndarray, shape (N, C·kH·kW, L) or (C·kH·kW, L)
        With L the number of windows.
    """
    g, x = unfolded(input, kernel_size, dilation, padding, stride)
    rows, places = g.channels * prod(g.kernel_size), prod(g.output_size)
    columns = im2col.windows(g, x.astype(x.dtype.newbyteorder("="), copy=False))
    result = columns.reshape(g.batch, rows, places).copy()
    return result if input.ndim == 4 else result[0]


def fold(
    input: Array,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """Add columns back to the windows of an image, as ``torch.nn.functional.fold`` does.

    Parameters
    ----------
    input : ndarray, shape (N, C·kH·kW, L) or (C·kH·kW, L)
        Of a dtype that `conv2d` takes, or bool. Only N may be 0.
    output_size : int, or tuple or list of 2 ints
        H and W of the result.
    kernel_size, dilation, padding, stride : int, or tuple or list of 2 ints
        As in `unfold`.

    Returns
    -------
    ndarray, shape (N, C, H, W) or (C, H, W)
        Where windows overlap, their sum; it is rounded once (float16 is summed in float32).
    """
    g, x = folded(input, output_size, kernel_size, dilation, padding, stride)
    columns = x.reshape(g.batch, g.channels, *g.kernel_size, *g.output_size)
    with np.errstate(all="ignore"):
        total = im2col.col2im(g, columns.astype(accumulator(x.dtype), copy=False))
        result = rounded(total, x.dtype)
    return result if input.ndim == 3 else result[0]
