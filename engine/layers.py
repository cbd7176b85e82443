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
from .arguments import convolution, convolved, for_weight, transposed, transposed_convolution
from .checks import Checker
from .errors import ArgumentError, UnsupportedPaddingError
from .geometry import Array, Ints, Sizes
from .padding import MODES, pad, sources, unpad
from .parameters import IncompatibleKeys, drawn, loaded


class Gradients(NamedTuple):
    """What `backward` returns; `bias` is None for a layer without one."""

    input: Array
    weight: Array
    bias: Array | None


class Layer:
    """Options and state, common to convolutions and transposed convolutions."""

    axes: ClassVar[int]
    transposed: ClassVar[bool]

    padding: str | Sizes
    output_padding: Sizes
    padding_mode: str
    weight: Array
    bias: Array | None

    def _options(
        self,
        in_channels: object,
        out_channels: object,
        kernel_size: object,
        stride: object,
        dilation: object,
        groups: object,
        device: object,
    ) -> Checker:
        check = self._check()
        self.groups = check.groups(groups)
        self.in_channels = self._channels(check, "in_channels", in_channels)
        self.out_channels = self._channels(check, "out_channels", out_channels)
        self.kernel_size = check.pair("kernel_size", kernel_size, least=1)
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
        """Copies of the parameters, by torch's names."""
        return {name: value.copy() for name, value in self._parameters().items()}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Copy the parameters from `state_dict`, torch's or another layer's, cast to this dtype.

        Nothing changes if anything is wrong: a value of another shape or, if `strict`, a missing
        or an unexpected name.
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
    """A convolution layer; `Conv1d`, `Conv2d` and `Conv3d` give it its number of axes.

    Parameters
    ----------
    in_channels, out_channels : int
        Multiples of `groups`.
    kernel_size, stride, dilation : int, or tuple or list of ints, each at least 1
    padding : int, or tuple or list of ints, each at least 0; 'same' or 'valid'
    groups : int
    bias : bool
        Whether the layer has a bias.
    padding_mode : 'zeros', 'reflect', 'replicate' or 'circular'
        'reflect' takes padding up to the input's size - 1, 'circular' up to its size.
    device : None or 'cpu'
    dtype : a floating or complex dtype, float32 by default
    rng : numpy.random.Generator, optional
        Draws the weight, then the bias, from U(±1/sqrt(in_channels/groups · taps)).

    Attributes
    ----------
    weight : ndarray, shape (out_channels, in_channels/groups, *kernel_size)
    bias : ndarray, shape (out_channels,), or None

    Raises
    ------
    ArgumentError, ArgumentTypeError
        An argument with which no call could succeed.
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
        check = self._options(
            in_channels, out_channels, kernel_size, stride, dilation, groups, device
        )
        if not isinstance(padding_mode, str) or padding_mode not in {"zeros", *MODES}:
            modes = ", ".join(["'zeros'", *map(repr, MODES)])
            check.reject("padding_mode", f"expected one of {modes}, got {padding_mode!r}")
        self.padding_mode = padding_mode
        self.padding = self._padding(check, padding)
        self.output_padding = (0,) * self.axes
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        ends = (self.out_channels,) if bias else None
        self.weight, self.bias = drawn(check, shape, ends, dtype, rng)

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

    def _steps(self) -> tuple[object, ...]:
        padding = self.padding if self.padding_mode == "zeros" else 0
        return self.stride, padding, self.dilation, self.groups

    def forward(self, input: Array) -> Array:
        """The convolution of `input`, (N, C, *X) or (C, *X)."""
        x = self._input(input)
        x = pad(x, self._sources(x))
        stride, padding, dilation, groups = self._steps()
        name, weight, bias = type(self).__name__, self.weight, self.bias
        g, x, w, b = convolution(
            name, self.axes, x, weight, bias, stride, padding, dilation, groups
        )
        y = compute.forward(g, x, w, b)
        return y if input.ndim == self.axes + 2 else y[0]

    __call__ = forward

    def backward(self, input: Array, grad_output: Array) -> Gradients:
        """Gradients of `forward(input)` with respect to input, weight and bias.

        `grad_output` is that of the result, in its shape. Complex: torch.autograd's convention.
        """
        x = self._input(input)
        places = self._sources(x)
        name, size = type(self).__name__, self.weight.shape
        g, padded, gy = for_weight(
            name, self.axes, convolved, pad(x, places), size, grad_output, *self._steps()
        )
        wide = compute.accumulator(x.dtype)  # so that float16 is rounded once, after `unpad`
        gx = compute.input_gradient(g, self.weight.conj().astype(wide), gy)
        gx = unpad(gx, places, x.shape).reshape(x.shape)
        return Gradients(
            input=compute.rounded(gx, x.dtype),
            weight=compute.weight_gradient(g, padded.conj(), gy),
            bias=self._bias_gradient(gy),
        )


class ConvTranspose(Layer):
    """A transposed convolution layer; `ConvTranspose1d` to `3d` give it its number of axes.

    Parameters and attributes are those of `Conv`, but for `output_padding` (ints less than stride
    or dilation), `padding` (integers only), `padding_mode` ('zeros' only) and the shape of
    `weight`, (in_channels, out_channels/groups, *kernel_size).
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
        check = self._options(
            in_channels, out_channels, kernel_size, stride, dilation, groups, device
        )
        if padding_mode != "zeros":
            check.reject("padding_mode", f"expected 'zeros', got {padding_mode!r}")
        self.padding_mode = padding_mode
        check.extents(self.kernel_size, self.dilation)
        self.padding = check.integers("padding", padding, least=0)
        self.output_padding = check.integers("output_padding", output_padding, least=0)
        check.smaller(self.output_padding, self.stride, self.dilation)
        shape = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        ends = (self.out_channels,) if bias else None
        self.weight, self.bias = drawn(check, shape, ends, dtype, rng)

    def forward(self, input: Array, output_size: Sequence[int] | None = None) -> Array:
        """The transposed convolution of `input`, (N, C, *X) or (C, *X).

        `output_size`, of which only the spatial sizes count, replaces `output_padding`.
        """
        x = self._input(input)
        extra = self._extra(x, output_size)
        g, x, w, b = transposed_convolution(
            type(self).__name__,
            self.axes,
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            extra,
            self.groups,
            self.dilation,
        )
        y = compute.input_gradient(g, w, x, b)
        return y if input.ndim == self.axes + 2 else y[0]

    __call__ = forward

    def backward(
        self, input: Array, grad_output: Array, output_size: Sequence[int] | None = None
    ) -> Gradients:
        """Gradients of `forward(input, output_size)` with respect to input, weight and bias."""
        x = self._input(input)
        steps = (self.stride, self.padding, self._extra(x, output_size), self.groups, self.dilation)
        name, size = type(self).__name__, self.weight.shape
        g, batched, gy = for_weight(name, self.axes, transposed, x, size, grad_output, *steps)
        return Gradients(
            input=compute.forward(g, gy, self.weight.conj()).reshape(x.shape),
            weight=compute.weight_gradient(g, gy, batched.conj()),
            bias=self._bias_gradient(gy),
        )

    def _extra(self, x: Array, output_size: object) -> Sizes:
        """The output padding that gives `output_size`."""
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


class Conv1d(Conv):
    __doc__ = Conv.__doc__
    axes = 1


class Conv2d(Conv):
    __doc__ = Conv.__doc__
    axes = 2


class Conv3d(Conv):
    __doc__ = Conv.__doc__
    axes = 3


class ConvTranspose1d(ConvTranspose):
    __doc__ = ConvTranspose.__doc__
    axes = 1


class ConvTranspose2d(ConvTranspose):
    __doc__ = ConvTranspose.__doc__
    axes = 2


class ConvTranspose3d(ConvTranspose):
    __doc__ = ConvTranspose.__doc__
    axes = 3


class DepthwiseConv2d(Conv2d):
    """A `Conv2d` in which each input channel has `depth_multiplier` kernels of its own."""

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
        steps = (kernel_size, stride, padding, dilation, channels)
        rest = (bias, padding_mode, device, dtype)
        super().__init__(channels, channels * multiplier, *steps, *rest, rng=rng)
        self.depth_multiplier = multiplier
