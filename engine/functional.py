"""Convolutions with the signatures of torch.nn.functional, on NumPy arrays."""

from __future__ import annotations

from . import compute
from .arguments import convolution, transposed_convolution
from .geometry import Array, Ints


def _conv(
    axes: int,
    input: Array,
    weight: Array,
    bias: Array | None,
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
) -> Array:
    g, x, w, b = convolution(
        f"conv{axes}d", axes, input, weight, bias, stride, padding, dilation, groups
    )
    y = compute.forward(g, x, w, b)
    return y if input.ndim == axes + 2 else y[0]


def _conv_transpose(
    axes: int,
    input: Array,
    weight: Array,
    bias: Array | None,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Array:
    options = (stride, padding, output_padding, groups, dilation)
    g, x, w, b = transposed_convolution(
        f"conv_transpose{axes}d", axes, input, weight, bias, *options
    )
    y = compute.input_gradient(g, w, x, b)
    return y if input.ndim == axes + 2 else y[0]


def conv1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Convolve (cross-correlate) signals of one spatial axis; see `conv2d`."""
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Convolve (cross-correlate) images, as ``torch.nn.functional.conv2d`` does.

    Parameters
    ----------
    input : ndarray, shape (N, C, H, W) or (C, H, W)
        float16 (accumulated in float32 and rounded once), float32, float64, complex64,
        complex128, or any integer type (which wraps around). Any memory layout.
    weight : ndarray, shape (O, C/groups, kH, kW)
        Kernels, of the input's dtype.
    bias : ndarray, shape (O,), optional
        Added to each output channel; of the input's dtype.
    stride, dilation : int, or tuple or list of 1 or 2 ints, each at least 1
        Step of the window, and step between its taps, in elements.
    padding : int, or tuple or list of 1 or 2 ints, each at least 0; 'same' or 'valid'
        Zeros on both sides of each axis. 'same' keeps the input's size (stride 1 only; an odd
        zero goes after), 'valid' is 0.
    groups : int
        Channels are split into this many groups that do not meet; divides C and O.

    Returns
    -------
    ndarray, shape (N, O, H', W') or (O, H', W')
        C-contiguous, in the input's dtype and native byte order, with
        ``H' = (H + 2·padding - dilation·(kH - 1) - 1) // stride + 1``.

    Raises
    ------
    ArgumentError
        A RuntimeError and ValueError: an argument's value or shape cannot be used.
    ArgumentTypeError
        A TypeError: an argument is of a wrong type.

    Notes
    -----
    Costs N·O·H'·W'·(C/groups)·kH·kW multiply-adds, and memory for the unfolded input.

    Examples
    --------
    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), stride=(1, 2))
    array([[[[4.],
             [4.]]]])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Convolve (cross-correlate) volumes of three spatial axes; see `conv2d`."""
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Transposed convolution of signals of one spatial axis; see `conv_transpose2d`."""
    return _conv_transpose(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Transposed convolution of images, as ``torch.nn.functional.conv_transpose2d`` does.

    It is the gradient of `conv2d` with respect to its input, plus a bias, and computed as such:
    each input element adds its multiple of the kernel to the result.

    Parameters
    ----------
    input : ndarray, shape (N, C, H, W) or (C, H, W)
        Of a dtype that `conv2d` takes; any memory layout.
    weight : ndarray, shape (C, O/groups, kH, kW)
        Kernels, of the input's dtype.
    bias : ndarray, shape (O,), optional
        Added to each output channel; of the input's dtype.
    stride, dilation : int, or tuple or list of 1 or 2 ints, each at least 1
        Step between the kernels in the result, and between the taps of a kernel.
    padding : int, or tuple or list of 1 or 2 ints, each at least 0
        Elements cropped from both sides of the result.
    output_padding : int, or tuple or list of 1 or 2 ints, each at least 0
        Elements added to the end of the result; less than stride or dilation, per axis.
    groups : int
        Channels are split into this many groups that do not meet; divides C and O.

    Returns
    -------
    ndarray, shape (N, O, H', W') or (O, H', W')
        C-contiguous, in the input's dtype and native byte order, with
        ``H' = (H - 1)·stride - 2·padding + dilation·(kH - 1) + output_padding + 1``.

    Raises
    ------
    ArgumentError
        A RuntimeError and ValueError: an argument's value or shape cannot be used.
    ArgumentTypeError
        A TypeError: an argument is of a wrong type.

    Notes
    -----
    Costs N·C·H·W·(O/groups)·kH·kW multiply-adds, and memory for kH·kW times the result at
    stride 1. NaN and inf reach those elements only that their kernel or input covers.

    Examples
    --------
    >>> conv_transpose2d(np.ones((1, 1, 1, 2)), np.ones((1, 1, 1, 3)), stride=2)
    array([[[[1., 1., 2., 1., 1.]]]])
    """
    return _conv_transpose(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Transposed convolution of volumes of three spatial axes; see `conv_transpose2d`."""
    return _conv_transpose(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )
