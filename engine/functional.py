"""Convolutions with the signatures of torch.nn.functional, on NumPy arrays.

`_conv` and `_conv_transpose` do the work for any number of axes. Their docstrings complete those
of the public functions (see `documentation`).
"""

from __future__ import annotations

from .arguments import ConvOptions, TransposedOptions, for_output
from .compute import DEFAULT, Algorithm, forward, input_gradient
from .documentation import documented
from .geometry import Array, Ints


def _conv(
    axes: int,
    input: Array,
    weight: Array,
    bias: Array | None,
    options: ConvOptions,
    algorithm: Algorithm = DEFAULT,
) -> Array:
    """The convolution over any number of axes.

    As in torch, the kernel is not mirrored: in mathematics, this is a cross-correlation.

    Parameters
    ----------
    input : ndarray, shape (N, C, {X}) or (C, {X})
        N samples, or one, of C channels. The dtype is float16 (whose sums are formed in float32
        and rounded once), float32, float64, complex64, complex128 or any integer type (which
        wraps around). Any memory layout is taken.
    weight : ndarray, shape (O, C/groups, {K})
        One kernel for each output channel, in the dtype of the input.
    bias : ndarray, shape (O,), optional
        Is added to each output channel; in the dtype of the input.
    stride, dilation : int, or tuple or list of one int or one per axis, each at least 1
        Step of the window, and step between the taps of a kernel, in elements.
    padding : int, or tuple or list of one int or one per axis, each at least 0; 'same' or 'valid'
        Number of zeros on both sides of each axis. 'same' keeps the size of the input: it needs
        stride 1, and puts an odd zero at the end. 'valid' is 0.
    groups : int
        Number of groups into which the channels are split: an output channel reads the input
        channels of its own group only. Divides C and O.

    Returns
    -------
    ndarray, shape (N, O, {Y}) or (O, {Y})
        C-contiguous, in the dtype of the input and the native byte order. On each axis
        ``{x}' = ({x} + 2·padding - dilation·(k{x} - 1) - 1) // stride + 1``.

    Raises
    ------
    ArgumentError
        The value or the shape of an argument cannot be used. It is a RuntimeError and a
        ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.

    Notes
    -----
    A call costs O·C/groups multiply-adds for each sample, tap of a kernel and place of the window.
    Beside the result it takes about 2 MiB of memory in float32 and a copy of the weight, whatever
    the batch: more only where one row of one sample needs more. A call whose operands and options
    have the types, shapes, dtypes and values of an earlier one is not checked in full again (see
    `remembered`).
    """
    g, x, w, b = for_output(f"conv{axes}d", axes, input, weight, bias, options)
    y = forward(g, x, w, b, algorithm)
    return y if input.ndim == axes + 2 else y[0]


def _conv_transpose(
    axes: int,
    input: Array,
    weight: Array,
    bias: Array | None,
    options: TransposedOptions,
    algorithm: Algorithm = DEFAULT,
) -> Array:
    """The transposed convolution over any number of axes.

    Each element of the input adds its multiple of the kernel to the result. Apart from the bias,
    this is the gradient of `conv{n}d` with respect to its input, and it is computed as such.

    Parameters
    ----------
    input : ndarray, shape (N, C, {X}) or (C, {X})
        N samples, or one, of C channels. The dtype is float16 (whose sums are formed in float32
        and rounded once), float32, float64, complex64, complex128 or any integer type (which
        wraps around). Any memory layout is taken.
    weight : ndarray, shape (C, O/groups, {K})
        The kernels of each input channel, in the dtype of the input.
    bias : ndarray, shape (O,), optional
        Is added to each output channel; in the dtype of the input.
    stride, dilation : int, or tuple or list of one int or one per axis, each at least 1
        Step between the kernels in the result, and step between the taps of a kernel.
    padding : int, or tuple or list of one int or one per axis, each at least 0
        Number of elements that are cropped from both sides of the result.
    output_padding : int, or tuple or list of one int or one per axis, each at least 0
        Number of elements that are added to the end of the result; on each axis less than the
        stride or the dilation.
    groups : int
        Number of groups into which the channels are split: an output channel reads the input
        channels of its own group only. Divides C and O.

    Returns
    -------
    ndarray, shape (N, O, {Y}) or (O, {Y})
        C-contiguous, in the dtype of the input and the native byte order. On each axis
        ``{x}' = ({x} - 1)·stride - 2·padding + dilation·(k{x} - 1) + output_padding + 1``.

    Raises
    ------
    ArgumentError
        The value or the shape of an argument cannot be used. It is a RuntimeError and a
        ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.

    Notes
    -----
    A call costs C·O/groups multiply-adds for each sample, tap of a kernel and place of the input,
    and memory as `conv{n}d` does. A NaN or inf reaches
    only those elements that a kernel writes to from where it stands.
    """
    name = f"conv_transpose{axes}d"
    g, x, w, b = for_output(name, axes, input, weight, bias, options)
    y = input_gradient(g, w, x, b, algorithm)
    return y if input.ndim == axes + 2 else y[0]


@documented(_conv, axes=1)
def conv1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Convolve signals, which have one spatial axis, as ``torch.nn.functional.conv1d`` does.

    This is the function; the layer that holds the weight is `Conv1d`.

    Examples
    --------
    >>> signal, kernel = np.array([[[1.0, 2.0, 3.0, 4.0]]]), np.array([[[10.0, 1.0]]])
    >>> engine.conv1d(signal, kernel)
    array([[[12., 23., 34.]]])
    >>> engine.conv1d(signal, kernel, stride=2, padding=1)
    array([[[ 1., 23., 40.]]])
    """
    options = ConvOptions(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return _conv(1, input, weight, bias, options)


@documented(_conv, axes=2)
def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Convolve images, which have two spatial axes, as ``torch.nn.functional.conv2d`` does.

    This is the function. `Conv2d` is the layer that holds the weight, and `Conv2D` is the class
    with which the project began.

    Examples
    --------
    >>> image, kernels = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    >>> engine.conv2d(image, kernels, stride=(1, 2))
    array([[[[4.],
             [4.]]]])
    >>> engine.conv2d(image, kernels, padding="same")
    array([[[[4., 4., 2.],
             [4., 4., 2.],
             [2., 2., 1.]]]])
    """
    options = ConvOptions(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return _conv(2, input, weight, bias, options)


@documented(_conv, axes=3)
def conv3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Convolve volumes, which have three spatial axes, as ``torch.nn.functional.conv3d`` does.

    This is the function; the layer that holds the weight is `Conv3d`.

    Examples
    --------
    >>> volume, kernels = np.ones((1, 3, 3, 3)), np.ones((1, 1, 2, 3, 3))
    >>> engine.conv3d(volume, kernels, bias=np.array([0.5]))
    array([[[[18.5]],
            [[18.5]]]])
    """
    options = ConvOptions(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return _conv(3, input, weight, bias, options)


@documented(_conv_transpose, axes=1)
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
    """Transposed convolution of signals, as ``torch.nn.functional.conv_transpose1d`` does.

    This is the function; the layer that holds the weight is `ConvTranspose1d`.

    Examples
    --------
    >>> signal, kernel = np.array([[[1.0, 2.0]]]), np.array([[[1.0, 1.0, 1.0]]])
    >>> engine.conv_transpose1d(signal, kernel, stride=2)
    array([[[1., 1., 3., 2., 2.]]])
    """
    options = TransposedOptions(
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
    )
    return _conv_transpose(1, input, weight, bias, options)


@documented(_conv_transpose, axes=2)
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

    This is the function; the layer that holds the weight is `ConvTranspose2d`.

    Examples
    --------
    >>> image, kernel = np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 2, 2))
    >>> engine.conv_transpose2d(image, kernel, stride=(1, 2))
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """
    options = TransposedOptions(
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
    )
    return _conv_transpose(2, input, weight, bias, options)


@documented(_conv_transpose, axes=3)
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
    """Transposed convolution of volumes, as ``torch.nn.functional.conv_transpose3d`` does.

    This is the function; the layer that holds the weight is `ConvTranspose3d`.

    Examples
    --------
    >>> volume, kernel = np.ones((1, 1, 1, 2)), np.ones((1, 1, 1, 1, 2))
    >>> engine.conv_transpose3d(volume, kernel, bias=np.array([0.5]))
    array([[[[1.5, 2.5, 1.5]]]])
    """
    options = TransposedOptions(
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
    )
    return _conv_transpose(3, input, weight, bias, options)
