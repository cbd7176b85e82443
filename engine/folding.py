"""unfold and fold, with the signatures of torch.nn.functional: im2col and col2im themselves."""

from __future__ import annotations

from math import prod

import numpy as np

from .algorithms.col2im import col2im
from .algorithms.windows import windows
from .arguments import WindowOptions, for_fold, for_unfold
from .compute import accumulator, rounded
from .geometry import Array, Geometry, Ints


def unfold(
    input: Array,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """Copy every window of an image into a column, as ``torch.nn.functional.unfold`` does.

    Parameters
    ----------
    input : ndarray, shape (N, C, H, W) or (C, H, W)
        Of bool or any dtype that `conv2d` takes. Only N may be 0.
    kernel_size : int, or tuple or list of 2 ints, each at least 1
        Height kH and width kW of a window, in taps.
    dilation, stride : int, or tuple or list of 2 ints, each at least 1
        Step between the taps of a window, and step between windows, in elements.
    padding : int, or tuple or list of 2 ints, each at least 0
        Number of zeros on both sides of each axis.

    Returns
    -------
    ndarray, shape (N, C·kH·kW, L) or (C·kH·kW, L)
        One column for each of L windows, counted row by row; C-contiguous, in the dtype of the
        input and the native byte order.

    Raises
    ------
    ArgumentError
        The value or the shape of an argument cannot be used. It is a RuntimeError and a
        ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.

    Examples
    --------
    >>> image = np.arange(6.0).reshape(1, 2, 3)
    >>> engine.unfold(image, kernel_size=2)
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """
    options = WindowOptions(
        kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride
    )
    result = unfolded(*for_unfold(input, options))
    return result if input.ndim == 4 else result[0]


def unfolded(g: Geometry, x: Array) -> Array:
    """(N, C, *X) -> (N, C·K, Y)."""
    rows, places = g.channels * prod(g.kernel_size), prod(g.output_size)
    columns = windows(g, x.astype(x.dtype.newbyteorder("="), copy=False))
    return columns.reshape(g.batch, rows, places).copy()


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
        One column for each of the L windows, as from `unfold`. Of bool or any dtype that
        `conv2d` takes. Only N may be 0.
    output_size : int, or tuple or list of 2 ints, each at least 1
        Height H and width W of the result.
    kernel_size : int, or tuple or list of 2 ints, each at least 1
        Height kH and width kW of a window, in taps.
    dilation, stride : int, or tuple or list of 2 ints, each at least 1
        Step between the taps of a window, and step between windows, in elements.
    padding : int, or tuple or list of 2 ints, each at least 0
        Number of elements on both sides of each axis that windows cover and the result lacks.

    Returns
    -------
    ndarray, shape (N, C, H, W) or (C, H, W)
        C-contiguous, in the dtype of the input and the native byte order. Where windows overlap,
        it has their sum, which is rounded once (float16 is summed in float32).

    Raises
    ------
    ArgumentError
        The value or the shape of an argument cannot be used. It is a RuntimeError and a
        ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.

    Examples
    --------
    >>> columns = np.ones((4, 2))
    >>> engine.fold(columns, output_size=(2, 3), kernel_size=2)
    array([[[1., 2., 1.],
            [1., 2., 1.]]])
    """
    options = WindowOptions(
        kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride
    )
    result = folded(*for_fold(input, output_size, options))
    return result if input.ndim == 3 else result[0]


def folded(g: Geometry, x: Array) -> Array:
    """(N, C·K, Y) -> (N, C, *X)."""
    columns = x.reshape(-1, *g.kernel_size, *g.output_size)  # (N·C, *K, *Y)
    with np.errstate(all="ignore"):
        total = col2im(g, columns.astype(accumulator(x.dtype), copy=False))
        return rounded(np.ascontiguousarray(total), x.dtype).reshape(g.input_shape)
