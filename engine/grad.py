"""Gradients of convolutions, with the signatures of torch.nn.grad, and of what else has one.

Functions whose name begins with an underscore do the work for any number of axes. Their docstrings
complete those of the public functions (see `documentation`).
"""

from __future__ import annotations

from collections.abc import Sequence

from . import compute
from .arguments import (
    ConvOptions,
    TransposedOptions,
    WindowOptions,
    for_bias,
    for_fold_input,
    for_input,
    for_unfold_input,
    for_weight,
)
from .compute import DEFAULT, Algorithm
from .documentation import documented
from .folding import folded, unfolded
from .geometry import Array, Ints


def _conv_input(
    axes: int,
    input_size: Sequence[int],
    weight: Array,
    grad_output: Array,
    options: ConvOptions,
    algorithm: Algorithm = DEFAULT,
) -> Array:
    """The gradient with respect to the input, over any number of axes.

    For complex dtypes it is the gradient of torch.autograd, with the conjugate of the weight.
    torch.nn.grad takes neither unbatched calls nor padding 'same' and 'valid'; they are taken here.

    Parameters
    ----------
    input_size : tuple or list of ints, the shape (N, C, {X}) or (C, {X})
        Shape of the input of the call, and so of the result.
    weight : ndarray, shape (O, C/groups, {K})
        Weight of the call, of any dtype that `conv{n}d` takes.
    grad_output : ndarray, shape (N, O, {Y}) or (O, {Y})
        Gradient of the result of the call, in the dtype of the weight.
    stride, padding, dilation, groups :
        As in the call of `conv{n}d`.

    Returns
    -------
    ndarray, shape (N, C, {X}) or (C, {X})
        C-contiguous, in the dtype of the weight and the native byte order.

    Raises
    ------
    ArgumentError
        `conv{n}d` rejects the call, or `grad_output` has not the shape of its result. It is a
        RuntimeError and a ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.
    """
    name = f"conv{axes}d_input"
    g, w, gy = for_input(name, axes, input_size, weight, grad_output, options)
    gx = compute.input_gradient(g, w.conj(), gy, algorithm=algorithm)
    return gx if len(input_size) == axes + 2 else gx[0]


def _conv_weight(
    axes: int,
    input: Array,
    weight_size: Sequence[int],
    grad_output: Array,
    options: ConvOptions,
    algorithm: Algorithm = DEFAULT,
) -> Array:
    """The gradient with respect to the weight, over any number of axes.

    For complex dtypes it is the gradient of torch.autograd, with the conjugate of the input.
    torch.nn.grad takes neither unbatched calls nor padding 'same' and 'valid'; they are taken here.

    Parameters
    ----------
    input : ndarray, shape (N, C, {X}) or (C, {X})
        Input of the call, of any dtype that `conv{n}d` takes.
    weight_size : tuple or list of ints, the shape (O, C/groups, {K})
        Shape of the weight of the call, and so of the result.
    grad_output : ndarray, shape (N, O, {Y}) or (O, {Y})
        Gradient of the result of the call, in the dtype of the input.
    stride, padding, dilation, groups :
        As in the call of `conv{n}d`.

    Returns
    -------
    ndarray, shape (O, C/groups, {K})
        C-contiguous, in the dtype of the input and the native byte order.

    Raises
    ------
    ArgumentError
        `conv{n}d` rejects the call, or `grad_output` has not the shape of its result. It is a
        RuntimeError and a ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.
    """
    name = f"conv{axes}d_weight"
    g, x, gy = for_weight(name, axes, input, weight_size, grad_output, options)
    return compute.weight_gradient(g, x.conj(), gy, algorithm)


def _conv_transpose_input(
    axes: int,
    input_size: Sequence[int],
    weight: Array,
    grad_output: Array,
    options: TransposedOptions,
    algorithm: Algorithm = DEFAULT,
) -> Array:
    """The gradient with respect to the input, over any number of axes.

    For complex dtypes it is the gradient of torch.autograd, with the conjugate of the weight.

    Parameters
    ----------
    input_size : tuple or list of ints, the shape (N, C, {X}) or (C, {X})
        Shape of the input of the call, and so of the result.
    weight : ndarray, shape (C, O/groups, {K})
        Weight of the call, of any dtype that `conv_transpose{n}d` takes.
    grad_output : ndarray, shape (N, O, {Y}) or (O, {Y})
        Gradient of the result of the call, in the dtype of the weight.
    stride, padding, output_padding, groups, dilation :
        As in the call of `conv_transpose{n}d`.

    Returns
    -------
    ndarray, shape (N, C, {X}) or (C, {X})
        C-contiguous, in the dtype of the weight and the native byte order.

    Raises
    ------
    ArgumentError
        `conv_transpose{n}d` rejects the call, or `grad_output` has not the shape of its result.
        It is a RuntimeError and a ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.
    """
    name = f"conv_transpose{axes}d_input"
    g, w, gy = for_input(name, axes, input_size, weight, grad_output, options)
    gx = compute.forward(g, gy, w.conj(), algorithm=algorithm)
    return gx if len(input_size) == axes + 2 else gx[0]


def _conv_transpose_weight(
    axes: int,
    input: Array,
    weight_size: Sequence[int],
    grad_output: Array,
    options: TransposedOptions,
    algorithm: Algorithm = DEFAULT,
) -> Array:
    """The gradient with respect to the weight, over any number of axes.

    For complex dtypes it is the gradient of torch.autograd, with the conjugate of the input.

    Parameters
    ----------
    input : ndarray, shape (N, C, {X}) or (C, {X})
        Input of the call, of any dtype that `conv_transpose{n}d` takes.
    weight_size : tuple or list of ints, the shape (C, O/groups, {K})
        Shape of the weight of the call, and so of the result.
    grad_output : ndarray, shape (N, O, {Y}) or (O, {Y})
        Gradient of the result of the call, in the dtype of the input.
    stride, padding, output_padding, groups, dilation :
        As in the call of `conv_transpose{n}d`.

    Returns
    -------
    ndarray, shape (C, O/groups, {K})
        C-contiguous, in the dtype of the input and the native byte order.

    Raises
    ------
    ArgumentError
        `conv_transpose{n}d` rejects the call, or `grad_output` has not the shape of its result.
        It is a RuntimeError and a ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.
    """
    name = f"conv_transpose{axes}d_weight"
    g, x, gy = for_weight(name, axes, input, weight_size, grad_output, options)
    return compute.weight_gradient(g, gy, x.conj(), algorithm)


def _conv_bias(axes: int, grad_output: Array) -> Array:
    """The gradient with respect to the bias, over any number of axes.

    It is the sum of `grad_output` over all axes but that of the channels, and so the same for
    `conv{n}d` and `conv_transpose{n}d`.

    Parameters
    ----------
    grad_output : ndarray, shape (N, O, {Y}) or (O, {Y})
        Gradient of the result of the call, of any dtype that `conv{n}d` takes.

    Returns
    -------
    ndarray, shape (O,)
        In the dtype of `grad_output` and the native byte order.

    Raises
    ------
    ArgumentError
        `grad_output` has too few or too many axes. It is a RuntimeError and a ValueError.
    ArgumentTypeError
        `grad_output` has a wrong type. It is a TypeError.
    """
    return compute.bias_gradient(for_bias(f"conv{axes}d_bias", axes, grad_output))


@documented(_conv_input, axes=1)
def conv1d_input(
    input_size: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv1d` with respect to its input, as ``torch.nn.grad.conv1d_input``.

    Examples
    --------
    >>> kernel, grad_output = np.array([[[10.0, 1.0]]]), np.array([[[1.0, 2.0, 3.0]]])
    >>> engine.grad.conv1d_input((1, 1, 4), kernel, grad_output)
    array([[[10., 21., 32.,  3.]]])
    """
    options = ConvOptions(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return _conv_input(1, input_size, weight, grad_output, options)


@documented(_conv_input, axes=2)
def conv2d_input(
    input_size: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv2d` with respect to its input, as ``torch.nn.grad.conv2d_input``.

    Examples
    --------
    >>> kernel, grad_output = np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2))
    >>> engine.grad.conv2d_input((1, 1, 3, 3), kernel, grad_output)
    array([[[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]]])
    """
    options = ConvOptions(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return _conv_input(2, input_size, weight, grad_output, options)


@documented(_conv_input, axes=3)
def conv3d_input(
    input_size: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv3d` with respect to its input, as ``torch.nn.grad.conv3d_input``.

    Examples
    --------
    >>> kernel, grad_output = np.ones((1, 1, 1, 1, 2)), np.ones((1, 1, 1, 2))
    >>> engine.grad.conv3d_input((1, 1, 1, 3), kernel, grad_output)
    array([[[[1., 2., 1.]]]])
    """
    options = ConvOptions(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return _conv_input(3, input_size, weight, grad_output, options)


@documented(_conv_weight, axes=1)
def conv1d_weight(
    input: Array,
    weight_size: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv1d` with respect to its weight, as ``torch.nn.grad.conv1d_weight``.

    Examples
    --------
    >>> signal, grad_output = np.array([[[1.0, 2.0, 3.0]]]), np.array([[[1.0, 10.0]]])
    >>> engine.grad.conv1d_weight(signal, (1, 1, 2), grad_output)
    array([[[21., 32.]]])
    """
    options = ConvOptions(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return _conv_weight(1, input, weight_size, grad_output, options)


@documented(_conv_weight, axes=2)
def conv2d_weight(
    input: Array,
    weight_size: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv2d` with respect to its weight, as ``torch.nn.grad.conv2d_weight``.

    Examples
    --------
    >>> image, grad_output = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> engine.grad.conv2d_weight(image, (1, 1, 2, 2), grad_output)
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    options = ConvOptions(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return _conv_weight(2, input, weight_size, grad_output, options)


@documented(_conv_weight, axes=3)
def conv3d_weight(
    input: Array,
    weight_size: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv3d` with respect to its weight, as ``torch.nn.grad.conv3d_weight``.

    Examples
    --------
    >>> volume, grad_output = np.arange(3.0).reshape(1, 1, 1, 3), np.ones((1, 1, 1, 2))
    >>> engine.grad.conv3d_weight(volume, (1, 1, 1, 1, 2), grad_output)
    array([[[[[1., 3.]]]]])
    """
    options = ConvOptions(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return _conv_weight(3, input, weight_size, grad_output, options)


@documented(_conv_transpose_input, axes=1)
def conv_transpose1d_input(
    input_size: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Gradient of `conv_transpose1d` with respect to its input.

    torch.nn.grad has no such function; torch.autograd computes the same.

    Examples
    --------
    >>> kernel, grad_output = np.array([[[10.0, 1.0]]]), np.array([[[1.0, 2.0, 3.0]]])
    >>> engine.grad.conv_transpose1d_input((1, 1, 2), kernel, grad_output)
    array([[[12., 23.]]])
    """
    options = TransposedOptions(
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
    )
    return _conv_transpose_input(1, input_size, weight, grad_output, options)


@documented(_conv_transpose_input, axes=2)
def conv_transpose2d_input(
    input_size: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Gradient of `conv_transpose2d` with respect to its input.

    torch.nn.grad has no such function; torch.autograd computes the same.

    Examples
    --------
    >>> kernel, grad_output = np.ones((1, 1, 2, 2)), np.arange(9.0).reshape(1, 1, 3, 3)
    >>> engine.grad.conv_transpose2d_input((1, 1, 2, 2), kernel, grad_output)
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    options = TransposedOptions(
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
    )
    return _conv_transpose_input(2, input_size, weight, grad_output, options)


@documented(_conv_transpose_input, axes=3)
def conv_transpose3d_input(
    input_size: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Gradient of `conv_transpose3d` with respect to its input.

    torch.nn.grad has no such function; torch.autograd computes the same.

    Examples
    --------
    >>> kernel, grad_output = np.ones((1, 1, 1, 1, 2)), np.arange(3.0).reshape(1, 1, 1, 3)
    >>> engine.grad.conv_transpose3d_input((1, 1, 1, 2), kernel, grad_output)
    array([[[[1., 3.]]]])
    """
    options = TransposedOptions(
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
    )
    return _conv_transpose_input(3, input_size, weight, grad_output, options)


@documented(_conv_transpose_weight, axes=1)
def conv_transpose1d_weight(
    input: Array,
    weight_size: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Gradient of `conv_transpose1d` with respect to its weight.

    torch.nn.grad has no such function; torch.autograd computes the same.

    Examples
    --------
    >>> signal, grad_output = np.array([[[1.0, 10.0]]]), np.array([[[1.0, 2.0, 3.0]]])
    >>> engine.grad.conv_transpose1d_weight(signal, (1, 1, 2), grad_output)
    array([[[21., 32.]]])
    """
    options = TransposedOptions(
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
    )
    return _conv_transpose_weight(1, input, weight_size, grad_output, options)


@documented(_conv_transpose_weight, axes=2)
def conv_transpose2d_weight(
    input: Array,
    weight_size: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Gradient of `conv_transpose2d` with respect to its weight.

    torch.nn.grad has no such function; torch.autograd computes the same.

    Examples
    --------
    >>> image, grad_output = np.ones((1, 1, 2, 2)), np.arange(9.0).reshape(1, 1, 3, 3)
    >>> engine.grad.conv_transpose2d_weight(image, (1, 1, 2, 2), grad_output)
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    options = TransposedOptions(
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
    )
    return _conv_transpose_weight(2, input, weight_size, grad_output, options)


@documented(_conv_transpose_weight, axes=3)
def conv_transpose3d_weight(
    input: Array,
    weight_size: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Gradient of `conv_transpose3d` with respect to its weight.

    torch.nn.grad has no such function; torch.autograd computes the same.

    Examples
    --------
    >>> volume, grad_output = np.ones((1, 1, 1, 2)), np.arange(3.0).reshape(1, 1, 1, 3)
    >>> engine.grad.conv_transpose3d_weight(volume, (1, 1, 1, 1, 2), grad_output)
    array([[[[[1., 3.]]]]])
    """
    options = TransposedOptions(
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
    )
    return _conv_transpose_weight(3, input, weight_size, grad_output, options)


@documented(_conv_bias, axes=1)
def conv1d_bias(grad_output: Array) -> Array:
    """Gradient of `conv1d` and `conv_transpose1d` with respect to the bias.

    torch.nn.grad has no such function; torch.autograd computes the same.

    Examples
    --------
    >>> engine.grad.conv1d_bias(np.ones((2, 3, 4)))
    array([8., 8., 8.])
    """
    return _conv_bias(1, grad_output)


@documented(_conv_bias, axes=2)
def conv2d_bias(grad_output: Array) -> Array:
    """Gradient of `conv2d` and `conv_transpose2d` with respect to the bias.

    torch.nn.grad has no such function; torch.autograd computes the same.

    Examples
    --------
    >>> engine.grad.conv2d_bias(np.ones((3, 4, 5)))
    array([20., 20., 20.])
    """
    return _conv_bias(2, grad_output)


@documented(_conv_bias, axes=3)
def conv3d_bias(grad_output: Array) -> Array:
    """Gradient of `conv3d` and `conv_transpose3d` with respect to the bias.

    torch.nn.grad has no such function; torch.autograd computes the same.

    Examples
    --------
    >>> engine.grad.conv3d_bias(np.ones((1, 2, 2, 2, 2)))
    array([8., 8.])
    """
    return _conv_bias(3, grad_output)


def unfold_input(
    input_size: Sequence[int],
    grad_output: Array,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """Gradient of `unfold` with respect to its input: `fold`, which adds up what was copied.

    torch.nn.grad has no such function; torch.autograd computes the same.

    Parameters
    ----------
    input_size : tuple or list of ints, the shape (N, C, H, W) or (C, H, W)
        Shape of the input of the call, and so of the result.
    grad_output : ndarray, shape (N, C·kH·kW, L) or (C·kH·kW, L)
        Gradient of the result of the call, of any dtype that `conv2d` takes.
    kernel_size, dilation, padding, stride :
        As in the call of `unfold`.

    Returns
    -------
    ndarray, shape (N, C, H, W) or (C, H, W)
        C-contiguous, in the dtype of `grad_output` and the native byte order.

    Raises
    ------
    ArgumentError
        `unfold` rejects the call, or `grad_output` has not the shape of its result. It is a
        RuntimeError and a ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.

    Examples
    --------
    >>> engine.grad.unfold_input((1, 2, 3), np.ones((4, 2)), kernel_size=2)
    array([[[1., 2., 1.],
            [1., 2., 1.]]])
    """
    options = WindowOptions(
        kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride
    )
    gx = folded(*for_unfold_input(input_size, grad_output, options))
    return gx if len(input_size) == 4 else gx[0]


def fold_input(
    input_size: Sequence[int],
    grad_output: Array,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """Gradient of `fold` with respect to its input: `unfold`, which copies to all that was added.

    torch.nn.grad has no such function; torch.autograd computes the same.

    Parameters
    ----------
    input_size : tuple or list of ints, the shape (N, C·kH·kW, L) or (C·kH·kW, L)
        Shape of the input of the call, and so of the result.
    grad_output : ndarray, shape (N, C, H, W) or (C, H, W)
        Gradient of the result of the call, of any dtype that `conv2d` takes.
    output_size, kernel_size, dilation, padding, stride :
        As in the call of `fold`.

    Returns
    -------
    ndarray, shape (N, C·kH·kW, L) or (C·kH·kW, L)
        C-contiguous, in the dtype of `grad_output` and the native byte order.

    Raises
    ------
    ArgumentError
        `fold` rejects the call, or `grad_output` has not the shape of its result. It is a
        RuntimeError and a ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.

    Examples
    --------
    >>> grad_output = np.arange(6.0).reshape(1, 2, 3)
    >>> engine.grad.fold_input((4, 2), grad_output, output_size=(2, 3), kernel_size=2)
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """
    options = WindowOptions(
        kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride
    )
    gx = unfolded(*for_fold_input(input_size, grad_output, output_size, options))
    return gx if len(input_size) == 3 else gx[0]
