"""Gradients of convolutions, with the signatures of torch.nn.grad and the same for transposed ones.

Each function takes what torch.nn.grad's takes, and also an unbatched call and, for convolutions,
padding 'same' and 'valid'. `grad_output` must have exactly the shape of the result. For complex
dtypes the gradient is torch.autograd's: that of the input meets conj(weight), that of the weight
conj(input).
"""

from __future__ import annotations

from collections.abc import Sequence

from . import compute
from .arguments import convolved, for_bias, for_input, for_weight, transposed
from .geometry import Array, Ints


def _conv_input(
    axes: int, input_size: Sequence[int], weight: Array, grad_output: Array, *options: object
) -> Array:
    name = f"conv{axes}d_input"
    g, w, gy = for_input(name, axes, convolved, input_size, weight, grad_output, *options)
    gx = compute.input_gradient(g, w.conj(), gy)
    return gx if len(input_size) == axes + 2 else gx[0]


def _conv_weight(
    axes: int, input: Array, weight_size: Sequence[int], grad_output: Array, *options: object
) -> Array:
    name = f"conv{axes}d_weight"
    g, x, gy = for_weight(name, axes, convolved, input, weight_size, grad_output, *options)
    return compute.weight_gradient(g, x.conj(), gy)


def _conv_transpose_input(
    axes: int, input_size: Sequence[int], weight: Array, grad_output: Array, *options: object
) -> Array:
    name = f"conv_transpose{axes}d_input"
    g, w, gy = for_input(name, axes, transposed, input_size, weight, grad_output, *options)
    gx = compute.forward(g, gy, w.conj())
    return gx if len(input_size) == axes + 2 else gx[0]


def _conv_transpose_weight(
    axes: int, input: Array, weight_size: Sequence[int], grad_output: Array, *options: object
) -> Array:
    name = f"conv_transpose{axes}d_weight"
    g, x, gy = for_weight(name, axes, transposed, input, weight_size, grad_output, *options)
    return compute.weight_gradient(g, gy, x.conj())


def _conv_bias(axes: int, grad_output: Array) -> Array:
    return compute.bias_gradient(for_bias(f"conv{axes}d_bias", axes, grad_output))


def conv1d_input(
    input_size: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv1d` with respect to its input; see `conv2d_input`."""
    options = (stride, padding, dilation, groups)
    return _conv_input(1, input_size, weight, grad_output, *options)


def conv2d_input(
    input_size: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv2d` with respect to its input.

    Parameters
    ----------
    input_size : tuple or list of 3 or 4 ints
        Shape of the input, and so of the result.
    weight : ndarray
        Kernels of the call.
    grad_output : ndarray
        Gradient of the call's result, in its shape and the weight's dtype.
    stride, padding, dilation, groups :
        As in the call of `conv2d`.

    Returns
    -------
    ndarray, shape `input_size`

    Raises
    ------
    ArgumentError, ArgumentTypeError
        What `conv2d` would reject, or a `grad_output` of another shape.
    """
    options = (stride, padding, dilation, groups)
    return _conv_input(2, input_size, weight, grad_output, *options)


def conv3d_input(
    input_size: Sequence[int],
    weight: Array,
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv3d` with respect to its input; see `conv2d_input`."""
    options = (stride, padding, dilation, groups)
    return _conv_input(3, input_size, weight, grad_output, *options)


def conv1d_weight(
    input: Array,
    weight_size: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv1d` with respect to its weight; see `conv2d_weight`."""
    options = (stride, padding, dilation, groups)
    return _conv_weight(1, input, weight_size, grad_output, *options)


def conv2d_weight(
    input: Array,
    weight_size: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv2d` with respect to its weight.

    Parameters
    ----------
    input : ndarray
        Input of the call.
    weight_size : tuple or list of 4 ints
        Shape of the weight, and so of the result.
    grad_output : ndarray
        Gradient of the call's result, in its shape and the input's dtype.
    stride, padding, dilation, groups :
        As in the call of `conv2d`.

    Returns
    -------
    ndarray, shape `weight_size`

    Raises
    ------
    ArgumentError, ArgumentTypeError
        What `conv2d` would reject, or a `grad_output` of another shape.
    """
    options = (stride, padding, dilation, groups)
    return _conv_weight(2, input, weight_size, grad_output, *options)


def conv3d_weight(
    input: Array,
    weight_size: Sequence[int],
    grad_output: Array,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Gradient of `conv3d` with respect to its weight; see `conv2d_weight`."""
    options = (stride, padding, dilation, groups)
    return _conv_weight(3, input, weight_size, grad_output, *options)


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
    """Gradient of `conv_transpose1d` with respect to its input; see `conv_transpose2d_input`."""
    options = (stride, padding, output_padding, groups, dilation)
    return _conv_transpose_input(1, input_size, weight, grad_output, *options)


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

    Parameters
    ----------
    input_size : tuple or list of 3 or 4 ints
        Shape of the input, and so of the result.
    weight : ndarray
        Kernels of the call.
    grad_output : ndarray
        Gradient of the call's result, in its shape and the weight's dtype.
    stride, padding, output_padding, groups, dilation :
        As in the call of `conv_transpose2d`.

    Returns
    -------
    ndarray, shape `input_size`

    Raises
    ------
    ArgumentError, ArgumentTypeError
        What `conv_transpose2d` would reject, or a `grad_output` of another shape.
    """
    options = (stride, padding, output_padding, groups, dilation)
    return _conv_transpose_input(2, input_size, weight, grad_output, *options)


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
    """Gradient of `conv_transpose3d` with respect to its input; see `conv_transpose2d_input`."""
    options = (stride, padding, output_padding, groups, dilation)
    return _conv_transpose_input(3, input_size, weight, grad_output, *options)


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
    """Gradient of `conv_transpose1d` with respect to its weight; see `conv_transpose2d_weight`."""
    options = (stride, padding, output_padding, groups, dilation)
    return _conv_transpose_weight(1, input, weight_size, grad_output, *options)


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

    Parameters
    ----------
    input : ndarray
        Input of the call.
    weight_size : tuple or list of 4 ints
        Shape of the weight, and so of the result.
    grad_output : ndarray
        Gradient of the call's result, in its shape and the input's dtype.
    stride, padding, output_padding, groups, dilation :
        As in the call of `conv_transpose2d`.

    Returns
    -------
    ndarray, shape `weight_size`

    Raises
    ------
    ArgumentError, ArgumentTypeError
        What `conv_transpose2d` would reject, or a `grad_output` of another shape.
    """
    options = (stride, padding, output_padding, groups, dilation)
    return _conv_transpose_weight(2, input, weight_size, grad_output, *options)


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
    """Gradient of `conv_transpose3d` with respect to its weight; see `conv_transpose2d_weight`."""
    options = (stride, padding, output_padding, groups, dilation)
    return _conv_transpose_weight(3, input, weight_size, grad_output, *options)


def conv1d_bias(grad_output: Array) -> Array:
    """Gradient of `conv1d` and `conv_transpose1d` with respect to the bias; see `conv2d_bias`."""
    return _conv_bias(1, grad_output)


def conv2d_bias(grad_output: Array) -> Array:
    """Gradient of a convolution, transposed or not, with respect to its bias.

    The sum of `grad_output`, of shape (N, O, H, W) or (O, H, W), over all but the channels.
    """
    return _conv_bias(2, grad_output)


def conv3d_bias(grad_output: Array) -> Array:
    """Gradient of `conv3d` and `conv_transpose3d` with respect to the bias; see `conv2d_bias`."""
    return _conv_bias(3, grad_output)
