"""Layers with the constructors, attributes and state of torch.nn's, on NumPy arrays.

A layer is its options and two arrays, `weight` and `bias`. Calling it changes neither; `backward`
takes the input again and returns the gradients. Nothing is cast: the input has the weight's dtype.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from . import compute
from .arguments import ConvOptions, TransposedOptions, for_output, for_weight
from .checks import Checker
from .compute import DEFAULT, Algorithm
from .documentation import documented
from .errors import ArgumentError, UnsupportedPaddingError
from .geometry import Array, Ints, Sizes
from .padding import MODES, pad, sources, unpad
from .parameters import IncompatibleKeys, drawn, loaded


class Gradients(NamedTuple):
    """What `backward` returns, each in the shape of its operand; None for a bias that is not."""

    input: Array
    weight: Array
    bias: Array | None


class Layer:
    """Options and state that convolutions and transposed convolutions have in common."""

    axes: ClassVar[int]
    transposed: ClassVar[bool]
    algorithm: ClassVar[Algorithm] = DEFAULT

    padding: str | Sizes
    output_padding: Sizes
    padding_mode: str
    weight: Array
    bias: Array | None

    def _keep(
        self,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints,
        dilation: Ints,
        groups: int,
        device: str | None,
    ) -> Checker:
        check = self._check()
        self.groups = check.groups(groups)
        self.in_channels = self._channels(check, "in_channels", in_channels)
        self.out_channels = self._channels(check, "out_channels", out_channels)
        self.kernel_size = check.integers("kernel_size", kernel_size, least=1, single=False)
        self.stride = check.integers("stride", stride, least=1)
        self.dilation = check.integers("dilation", dilation, least=1)
        if device is not None and device != "cpu":
            check.reject("device", f"expected None or 'cpu', got {device!r}")
        return check

    def _check(self) -> Checker:
        return Checker(type(self).__name__, self.axes)

    def _channels(self, check: Checker, argument: str, value: object) -> int:
        channels = check.integer(argument, value)
        if channels < 0:
            check.reject(argument, f"expected an integer of at least 0, got {channels}")
        if channels % self.groups:
            check.reject(argument, f"expected a multiple of groups = {self.groups}, got {channels}")
        return channels

    def _draw(self, check: Checker, bias: object, dtype: object, rng: object) -> None:
        """Give the parameters their first values."""
        ends = (self.out_channels,) if bias else None
        self.weight, self.bias = drawn(check, self._weight_shape(), ends, dtype, rng)

    def _weight_shape(self) -> Sizes:
        outer, inner = self.out_channels, self.in_channels
        if self.transposed:
            outer, inner = inner, outer
        return (outer, inner // self.groups, *self.kernel_size)

    def _input(self, value: object) -> Array:
        """`value`, in the weight's dtype and with or without its batch axis."""
        check = self._check()
        x = check.array("input", value)
        if x.dtype.type is not self.weight.dtype.type:
            check.reject(
                "input",
                f"expected {self.weight.dtype}, the dtype of the weight, got {x.dtype}; "
                "convert it with astype",
            )
        error = ArgumentError if self.padding_mode == "zeros" else UnsupportedPaddingError
        check.batched("input", x, error=error)
        return x

    def state_dict(self) -> dict[str, Array]:
        """The parameters by torch's names, as ``torch.nn.Module.state_dict`` gives them.

        Returns
        -------
        dict of str to ndarray
            Copies of `weight` and, if the layer has one, `bias`, each in its own shape.
        """
        return {name: value.copy() for name, value in self._parameters().items()}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Copy the parameters, as ``torch.nn.Module.load_state_dict`` does.

        Parameters
        ----------
        state_dict : mapping of str to array
            The `state_dict()` of a layer, here or in torch. A value is whatever numpy.asarray
            takes, in the shape of the parameter; it is cast to the dtype of the layer.
        strict : bool
            Whether a name that is missing or not expected is an error.

        Returns
        -------
        named tuple of missing_keys and unexpected_keys
            Two lists of names.

        Raises
        ------
        ArgumentError
            A value has another shape or is no array of numbers or, if `strict`, the names differ.
            The layer is then left as it was.
        ArgumentTypeError
            `state_dict` is not a mapping.
        """
        name = f"{type(self).__name__}.load_state_dict"
        values, keys = loaded(name, self._parameters(), state_dict, strict)
        vars(self).update(values)
        return keys

    def _parameters(self) -> dict[str, Array]:
        bias = {} if self.bias is None else {"bias": self.bias}
        return {"weight": self.weight, **bias}

    def _bias_gradient(self, gy: Array) -> Array | None:
        return None if self.bias is None else compute.bias_gradient(gy)

    def __repr__(self) -> str:
        n = self.axes
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}, stride={self.stride}",
            f"padding={self.padding}" * (self.padding != (0,) * n),
            f"dilation={self.dilation}" * (self.dilation != (1,) * n),
            f"output_padding={self.output_padding}" * (self.output_padding != (0,) * n),
            f"groups={self.groups}" * (self.groups != 1),
            "bias=False" * (self.bias is None),
            f"padding_mode={self.padding_mode}" * (self.padding_mode != "zeros"),
        ]
        return f"{type(self).__name__}({', '.join(filter(None, parts))})"


class Conv(Layer):
    """A convolution layer of any number of axes.

    The layer is called on an array of shape (N, in_channels, {X}) or (in_channels, {X}), in the
    dtype of the weight, and returns one of shape (N, out_channels, {Y}) or (out_channels, {Y});
    `conv{n}d` describes the sizes. `backward` returns the gradients. Neither changes the layer.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels of the input and of the result, multiples of `groups`.
    kernel_size : int, or tuple or list of one int per axis, each at least 1
        Number of taps of a kernel.
    stride, dilation : int, or tuple or list of one int or one per axis, each at least 1
        Step of the window, and step between the taps of a kernel, in elements.
    padding : int, or tuple or list of one int or one per axis, each at least 0; 'same' or 'valid'
        Number of elements that are added on both sides of each axis. 'same' keeps the size of the
        input (with stride 1 only), 'valid' is 0.
    groups : int
        Number of groups into which the channels are split.
    bias : bool
        Whether the layer has a bias.
    padding_mode : 'zeros', 'reflect', 'replicate' or 'circular'
        What is added. 'reflect' needs a padding less than the size of the input, 'circular' one
        that is not larger.
    device : None or 'cpu'
        There is no other device.
    dtype : data-type, float32 by default
        A floating or complex dtype, for parameters, inputs and results.
    rng : numpy.random.Generator, optional
        Draws the weight and then the bias, uniformly between ±1/sqrt(in_channels/groups · taps).

    Attributes
    ----------
    weight : ndarray, shape (out_channels, in_channels/groups, {K})
    bias : ndarray, shape (out_channels,), or None

    Raises
    ------
    ArgumentError
        The value of an argument cannot be used: no call could succeed. It is a RuntimeError and a
        ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.
    """

    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints | str = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: npt.DTypeLike | None = None,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        check = self._keep(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            dilation=dilation,
            groups=groups,
            device=device,
        )
        if not isinstance(padding_mode, str) or padding_mode not in {"zeros", *MODES}:
            modes = ", ".join(["'zeros'", *map(repr, MODES)])
            check.reject("padding_mode", f"expected one of {modes}, got {padding_mode!r}")
        self.padding_mode = padding_mode
        self.padding = self._padding(check, padding)
        self.output_padding = (0,) * self.axes
        self._draw(check, bias, dtype, rng)

    def _padding(self, check: Checker, value: object) -> str | Sizes:
        if self.padding_mode != "zeros" and self.axes > 1 and _is_single(value):
            raise UnsupportedPaddingError(
                check.function,
                "padding",
                f"expected an integer or {self.axes} integers with "
                f"padding_mode={self.padding_mode!r}, got {value!r}",
            )
        extents = check.extents(self.kernel_size, self.dilation)
        pairs = check.padding(value, self.stride, extents)
        return value if isinstance(value, str) else tuple([lo for lo, _ in pairs])

    def _sources(self, x: Array) -> list[Array]:
        """What the padding repeats; nothing for zeros, which the convolution itself pads."""
        if self.padding_mode == "zeros":
            return []
        check = self._check()
        extents = check.extents(self.kernel_size, self.dilation)
        pairs = check.padding(self.padding, self.stride, extents)
        return sources(check, self.padding_mode, x.shape, pairs)

    def _options(self) -> ConvOptions:
        return ConvOptions(
            stride=self.stride,
            padding=self.padding if self.padding_mode == "zeros" else 0,
            dilation=self.dilation,
            groups=self.groups,
        )

    def forward(self, input: Array) -> Array:
        """Convolve `input`; the same as to call the layer.

        Parameters
        ----------
        input : ndarray, shape (N, in_channels, *X) or (in_channels, *X)
            In the dtype of the weight.

        Returns
        -------
        ndarray, shape (N, out_channels, *Y) or (out_channels, *Y)

        Raises
        ------
        ArgumentError, ArgumentTypeError
            `input` has a shape, a dtype or a type that the layer does not take.
        """
        x = self._input(input)
        x = pad(x, self._sources(x))
        name, weight, bias = type(self).__name__, self.weight, self.bias
        g, x, w, b = for_output(name, self.axes, x, weight, bias, self._options())
        y = compute.forward(g, x, w, b, self.algorithm)
        return y if input.ndim == self.axes + 2 else y[0]

    __call__ = forward

    def backward(self, input: Array, grad_output: Array) -> Gradients:
        """The gradients of `forward(input)`, as torch.autograd computes them.

        Parameters
        ----------
        input : ndarray, shape (N, in_channels, *X) or (in_channels, *X)
            Input of the call.
        grad_output : ndarray, shape (N, out_channels, *Y) or (out_channels, *Y)
            Gradient of the result of the call.

        Returns
        -------
        named tuple of input, weight and bias
            Three gradients, each in the shape of its operand; the last is None without a bias.

        Raises
        ------
        ArgumentError, ArgumentTypeError
            `forward` rejects the input, or `grad_output` has not the shape of its result.
        """
        x = self._input(input)
        places = self._sources(x)
        name, size = type(self).__name__, self.weight.shape
        g, padded, gy = for_weight(
            name, self.axes, pad(x, places), size, grad_output, self._options()
        )
        wide = compute.accumulator(x.dtype)  # so that float16 is rounded once, after `unpad`
        weight = self.weight.conj().astype(wide)
        gx = compute.input_gradient(g, weight, gy, algorithm=self.algorithm)
        gx = unpad(gx, places, x.shape).reshape(x.shape)
        with np.errstate(over="ignore"):  # beyond float16 it is inf, as in the other gradients
            rounded = compute.rounded(gx, x.dtype)
        return Gradients(
            input=rounded,
            weight=compute.weight_gradient(g, padded.conj(), gy, self.algorithm),
            bias=self._bias_gradient(gy),
        )


class ConvTranspose(Layer):
    """A transposed convolution layer of any number of axes.

    The layer is called on an array of shape (N, in_channels, {X}) or (in_channels, {X}), in the
    dtype of the weight, and returns one of shape (N, out_channels, {Y}) or (out_channels, {Y});
    `conv_transpose{n}d` describes the sizes. `backward` returns the gradients. Neither changes
    the layer.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels of the input and of the result, multiples of `groups`.
    kernel_size : int, or tuple or list of one int per axis, each at least 1
        Number of taps of a kernel.
    stride, dilation : int, or tuple or list of one int or one per axis, each at least 1
        Step between the kernels in the result, and step between the taps of a kernel.
    padding : int, or tuple or list of one int or one per axis, each at least 0
        Number of elements that are cropped from both sides of the result.
    output_padding : int, or tuple or list of one int or one per axis, each at least 0
        Number of elements that are added to the end of the result; on each axis less than the
        stride or the dilation.
    groups : int
        Number of groups into which the channels are split.
    bias : bool
        Whether the layer has a bias.
    padding_mode : 'zeros'
        There is no other mode, as in torch.
    device : None or 'cpu'
        There is no other device.
    dtype : data-type, float32 by default
        A floating or complex dtype, for parameters, inputs and results.
    rng : numpy.random.Generator, optional
        Draws the weight and then the bias, uniformly between ±1/sqrt(out_channels/groups · taps).

    Attributes
    ----------
    weight : ndarray, shape (in_channels, out_channels/groups, {K})
    bias : ndarray, shape (out_channels,), or None

    Raises
    ------
    ArgumentError
        The value of an argument cannot be used: no call could succeed. It is a RuntimeError and a
        ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.
    """

    transposed = True
    padding: Sizes

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: npt.DTypeLike | None = None,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        check = self._keep(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            dilation=dilation,
            groups=groups,
            device=device,
        )
        if padding_mode != "zeros":
            check.reject("padding_mode", f"expected 'zeros', got {padding_mode!r}")
        self.padding_mode = padding_mode
        check.extents(self.kernel_size, self.dilation)
        self.padding = check.integers("padding", padding, least=0)
        self.output_padding = check.integers("output_padding", output_padding, least=0)
        check.smaller(self.output_padding, self.stride, self.dilation)
        self._draw(check, bias, dtype, rng)

    def forward(self, input: Array, output_size: Sequence[int] | None = None) -> Array:
        """Compute the transposed convolution of `input`; the same as to call the layer.

        Parameters
        ----------
        input : ndarray, shape (N, in_channels, *X) or (in_channels, *X)
            In the dtype of the weight.
        output_size : tuple or list of ints, optional
            Sizes *Y of the result, or its whole shape; they replace `output_padding`.

        Returns
        -------
        ndarray, shape (N, out_channels, *Y) or (out_channels, *Y)

        Raises
        ------
        ArgumentError, ArgumentTypeError
            `input` has a shape, a dtype or a type that the layer does not take, or no
            output_padding gives `output_size`.
        """
        x = self._input(input)
        name, weight, bias = type(self).__name__, self.weight, self.bias
        options = self._options(self._extra(x, output_size))
        g, x, w, b = for_output(name, self.axes, x, weight, bias, options)
        y = compute.input_gradient(g, w, x, b, self.algorithm)
        return y if input.ndim == self.axes + 2 else y[0]

    __call__ = forward

    def backward(
        self, input: Array, grad_output: Array, output_size: Sequence[int] | None = None
    ) -> Gradients:
        """The gradients of `forward(input, output_size)`, as torch.autograd computes them.

        Parameters
        ----------
        input : ndarray, shape (N, in_channels, *X) or (in_channels, *X)
            Input of the call.
        grad_output : ndarray, shape (N, out_channels, *Y) or (out_channels, *Y)
            Gradient of the result of the call.
        output_size : tuple or list of ints, optional
            As in the call.

        Returns
        -------
        named tuple of input, weight and bias
            Three gradients, each in the shape of its operand; the last is None without a bias.

        Raises
        ------
        ArgumentError, ArgumentTypeError
            `forward` rejects the call, or `grad_output` has not the shape of its result.
        """
        x = self._input(input)
        name, size = type(self).__name__, self.weight.shape
        options = self._options(self._extra(x, output_size))
        g, batched, gy = for_weight(name, self.axes, x, size, grad_output, options)
        gx = compute.forward(g, gy, self.weight.conj(), algorithm=self.algorithm)
        return Gradients(
            input=gx.reshape(x.shape),
            weight=compute.weight_gradient(g, gy, batched.conj(), self.algorithm),
            bias=self._bias_gradient(gy),
        )

    def _options(self, extra: Sizes) -> TransposedOptions:
        return TransposedOptions(
            stride=self.stride,
            padding=self.padding,
            output_padding=extra,
            groups=self.groups,
            dilation=self.dilation,
        )

    def _extra(self, x: Array, output_size: object) -> Sizes:
        """The output padding with which the result has `output_size`."""
        if output_size is None:
            return self.output_padding
        check = self._check()
        sizes = check.shape("output_size", output_size)
        if len(sizes) not in (self.axes, x.ndim):
            check.reject(
                "output_size", f"expected {self.axes} or {x.ndim} integers, got {output_size!r}"
            )
        least = self._least(x.shape[x.ndim - self.axes :])
        most = tuple([n + s - 1 for n, s in zip(least, self.stride, strict=True)])
        wanted = sizes[len(sizes) - self.axes :]
        if not all(a <= n <= b for a, n, b in zip(least, wanted, most, strict=True)):
            check.reject("output_size", f"expected sizes from {least} to {most}, got {wanted}")
        return tuple([n - a for n, a in zip(wanted, least, strict=True)])

    def _least(self, sizes: Sizes) -> Sizes:
        """The size of the result without output padding."""
        extents = self._check().extents(self.kernel_size, self.dilation)
        axes = zip(sizes, self.stride, extents, self.padding, strict=True)
        return tuple([(x - 1) * s + e - 2 * p for x, s, e, p in axes])


def _is_single(value: object) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 1


@documented(Conv, axes=1)
class Conv1d(Conv):
    """A convolution layer for signals, as ``torch.nn.Conv1d``.

    This is the layer; the function is `conv1d`.

    Examples
    --------
    >>> layer = engine.Conv1d(1, 1, kernel_size=2, stride=2)
    >>> layer
    Conv1d(1, 1, kernel_size=(2,), stride=(2,))
    >>> layer.load_state_dict({"weight": [[[10, 1]]], "bias": [0.5]})
    IncompatibleKeys(missing_keys=[], unexpected_keys=[])
    >>> layer(np.array([[[1, 2, 3, 4]]], np.float32))
    array([[[12.5, 34.5]]], dtype=float32)
    """

    axes = 1


@documented(Conv, axes=2)
class Conv2d(Conv):
    """A convolution layer for images, as ``torch.nn.Conv2d``.

    This is the layer. `conv2d` is the function, and `Conv2D` is the class with which the project
    began.

    Examples
    --------
    >>> layer = engine.Conv2d(3, 8, kernel_size=3, padding="same", rng=np.random.default_rng(0))
    >>> images = np.ones((10, 3, 32, 32), np.float32)
    >>> result = layer(images)
    >>> result.shape
    (10, 8, 32, 32)
    >>> gradients = layer.backward(images, np.ones_like(result))
    >>> gradients.weight.shape
    (8, 3, 3, 3)
    """

    axes = 2


@documented(Conv, axes=3)
class Conv3d(Conv):
    """A convolution layer for volumes, as ``torch.nn.Conv3d``.

    This is the layer; the function is `conv3d`.

    Examples
    --------
    >>> layer = engine.Conv3d(1, 2, kernel_size=(1, 2, 3), bias=False, dtype=np.float64)
    >>> layer(np.ones((1, 1, 4, 4, 4))).shape
    (1, 2, 4, 3, 2)
    """

    axes = 3


@documented(ConvTranspose, axes=1)
class ConvTranspose1d(ConvTranspose):
    """A transposed convolution layer for signals, as ``torch.nn.ConvTranspose1d``.

    This is the layer; the function is `conv_transpose1d`.

    Examples
    --------
    >>> layer = engine.ConvTranspose1d(1, 1, kernel_size=2, stride=2, bias=False)
    >>> layer.load_state_dict({"weight": [[[10, 1]]]})
    IncompatibleKeys(missing_keys=[], unexpected_keys=[])
    >>> layer(np.array([[[1, 2]]], np.float32))
    array([[[10.,  1., 20.,  2.]]], dtype=float32)
    >>> layer(np.array([[[1, 2]]], np.float32), output_size=(5,))
    array([[[10.,  1., 20.,  2.,  0.]]], dtype=float32)
    """

    axes = 1


@documented(ConvTranspose, axes=2)
class ConvTranspose2d(ConvTranspose):
    """A transposed convolution layer for images, as ``torch.nn.ConvTranspose2d``.

    This is the layer; the function is `conv_transpose2d`.

    Examples
    --------
    >>> layer = engine.ConvTranspose2d(8, 3, kernel_size=4, stride=2, padding=1)
    >>> layer
    ConvTranspose2d(8, 3, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1))
    >>> layer(np.ones((10, 8, 16, 16), np.float32)).shape
    (10, 3, 32, 32)
    """

    axes = 2


@documented(ConvTranspose, axes=3)
class ConvTranspose3d(ConvTranspose):
    """A transposed convolution layer for volumes, as ``torch.nn.ConvTranspose3d``.

    This is the layer; the function is `conv_transpose3d`.

    Examples
    --------
    >>> layer = engine.ConvTranspose3d(2, 1, kernel_size=(1, 2, 3), dtype=np.float64)
    >>> layer(np.ones((2, 4, 4, 4))).shape
    (1, 4, 5, 6)
    """

    axes = 3


class DepthwiseConv2d(Conv2d):
    """A `Conv2d` in which each input channel has `depth_multiplier` kernels of its own.

    This is a layer, ``torch.nn.Conv2d(C, C · depth_multiplier, ..., groups=C)``;
    `DepthwiseConv2D` is a class with which the project began.

    Parameters
    ----------
    in_channels : int, at least 1
        Number C of channels of the input, of shape (N, C, H, W) or (C, H, W). The result has
        C · depth_multiplier channels.
    kernel_size, stride, padding, dilation, bias, padding_mode, device, dtype, rng :
        As in `Conv2d`.
    depth_multiplier : int, at least 1
        Number of kernels of each input channel.

    Attributes
    ----------
    weight : ndarray, shape (C · depth_multiplier, 1, kH, kW)
    bias : ndarray, shape (C · depth_multiplier,), or None

    Raises
    ------
    ArgumentError
        The value of an argument cannot be used: no call could succeed. It is a RuntimeError and a
        ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.

    Examples
    --------
    >>> layer = engine.DepthwiseConv2d(3, kernel_size=3, padding=1, depth_multiplier=2)
    >>> layer(np.ones((1, 3, 5, 5), np.float32)).shape
    (1, 6, 5, 5)
    """

    def __init__(
        self,
        in_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints | str = 0,
        dilation: Ints = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: npt.DTypeLike | None = None,
        depth_multiplier: int = 1,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        check = self._check()
        channels = check.integer("in_channels", in_channels)
        multiplier = check.integer("depth_multiplier", depth_multiplier)
        if channels < 1:
            check.reject("in_channels", f"expected an integer of at least 1, got {channels}")
        if multiplier < 1:
            check.reject("depth_multiplier", f"expected an integer of at least 1, got {multiplier}")
        super().__init__(
            in_channels=channels,
            out_channels=channels * multiplier,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=channels,
            bias=bias,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
            rng=rng,
        )
        self.depth_multiplier = multiplier
