"""Layers that take their number of input channels from the first input, as torch.nn's lazy ones.

A lazy layer is a layer of its plain class whose parameters have no shape yet. The first call, or
`load_state_dict`, gives them one; with the first call the layer becomes one of the plain class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

import numpy as np
import numpy.typing as npt

from .checks import Checker
from .documentation import documented
from .errors import UninitializedError
from .geometry import Array, Ints
from .layers import (
    Conv,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    Layer,
)
from .parameters import IncompatibleKeys, generator, loaded, named, parameter_dtype


class Uninitialized:
    """A parameter without a shape."""

    def __repr__(self) -> str:
        return "<Uninitialized>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # what copy, pickle and NumPy look for
            raise AttributeError(name)
        raise UninitializedError(
            f"the parameter has no {name} yet: call the layer on an input, or load a state, first"
        )

    def copy(self) -> Uninitialized:
        return self


class Lazy(Layer):
    """What lazy layers add to those of their plain class."""

    plain: ClassVar[type[Layer]]

    def _draw(self, check: Checker, bias: object, dtype: object, rng: object) -> None:
        """Keep what the parameters are drawn with, until their shape is known."""
        self._drawing = (bias, parameter_dtype(check, dtype), generator(check, rng))
        nothing: Any = Uninitialized()
        self.weight, self.bias = nothing, nothing if bias else None

    def __call__(self, input: Array, *args: Any, **options: Any) -> Array:
        """Take the number of channels from `input`, and call the plain layer that this becomes."""
        if isinstance(self.weight, Uninitialized):
            check = self._check()
            x = check.batched("input", check.array("input", input))
            vars(self).update(vars(self._initialized(check, "input", x.shape[1])))
        self.__class__ = self.plain  # type: ignore[assignment]
        del self._drawing
        call: Any = self
        result: Array = call(input, *args, **options)
        return result

    def _initialized(self, check: Checker, argument: str, channels: int) -> Layer:
        """The plain layer with so many input channels."""
        layer = object.__new__(self.plain)
        vars(layer).update(vars(self))
        layer.in_channels = self._channels(check, argument, channels)
        layer._draw(check, *self._drawing)
        return layer

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Copy the parameters; if this layer's have no shape, they take that of the weight.

        Parameters
        ----------
        state_dict : mapping of str to array
            As for the plain layer, with any number of input channels. From a lazy layer whose
            parameters have no shape, nothing is copied.
        strict : bool
            Whether a name that is missing or not expected is an error.

        Returns
        -------
        named tuple of missing_keys and unexpected_keys
            Two lists of names.

        Raises
        ------
        ArgumentError, ArgumentTypeError
            As from the plain layer. The layer is then left as it was.
        """
        if not isinstance(self.weight, Uninitialized):
            return super().load_state_dict(state_dict, strict)
        check = Checker(f"{type(self).__name__}.load_state_dict", self.axes)
        keys, faults = named(check, self._parameters(), state_dict, strict)
        if faults:
            names = ", ".join(map(repr, self._parameters()))
            check.reject("state_dict", f"expected {names}, got {'; '.join(faults)}")
        weight = state_dict.get("weight")
        if weight is None or isinstance(weight, Uninitialized):
            return keys
        shape = np.shape(weight) if np.ndim(weight) == self.axes + 2 else (0, 0)
        channels = shape[0] if self.transposed else shape[1] * self.groups
        layer = self._initialized(check, "state_dict", channels)
        values, keys = loaded(check.function, layer._parameters(), state_dict, strict)
        vars(self).update({**vars(layer), **values})
        return keys


class LazyConv(Lazy, Conv):
    """A convolution layer of any number of axes whose input channels are not known yet.

    The first call takes `in_channels` from an array of shape (N, in_channels, {X}) or
    (in_channels, {X}), draws the parameters unless they are loaded, and makes the layer a
    `Conv{n}d`. Until then they have no shape, and `in_channels` is 0.

    Parameters
    ----------
    out_channels : int
        Number of channels of the result, a multiple of `groups`.
    kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype, rng :
        As in `Conv{n}d`.

    Attributes
    ----------
    weight : ndarray, shape (out_channels, in_channels/groups, {K})
        From the first call on, or after `load_state_dict`.
    bias : ndarray, shape (out_channels,), or None

    Raises
    ------
    ArgumentError
        The value of an argument cannot be used: no call could succeed. It is a RuntimeError and a
        ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.
    """

    def __init__(
        self,
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
        super().__init__(
            in_channels=0,
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
            rng=rng,
        )


class LazyConvTranspose(Lazy, ConvTranspose):
    """A transposed convolution layer of any number of axes whose input channels are not known yet.

    The first call takes `in_channels` from an array of shape (N, in_channels, {X}) or
    (in_channels, {X}), draws the parameters unless they are loaded, and makes the layer a
    `ConvTranspose{n}d`. Until then they have no shape, and `in_channels` is 0.

    Parameters
    ----------
    out_channels : int
        Number of channels of the result, a multiple of `groups`.
    kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode, device :
        As in `ConvTranspose{n}d`.
    dtype, rng :
        As in `ConvTranspose{n}d`.

    Attributes
    ----------
    weight : ndarray, shape (in_channels, out_channels/groups, {K})
        From the first call on, or after `load_state_dict`.
    bias : ndarray, shape (out_channels,), or None

    Raises
    ------
    ArgumentError
        The value of an argument cannot be used: no call could succeed. It is a RuntimeError and a
        ValueError.
    ArgumentTypeError
        An argument has a wrong type. It is a TypeError.
    """

    def __init__(
        self,
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
        super().__init__(
            in_channels=0,
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            groups=groups,
            bias=bias,
            dilation=dilation,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
            rng=rng,
        )


@documented(LazyConv, axes=1)
class LazyConv1d(LazyConv, Conv1d):
    """A lazy convolution layer for signals, as ``torch.nn.LazyConv1d``.

    Examples
    --------
    >>> layer = engine.LazyConv1d(4, kernel_size=3)
    >>> layer
    LazyConv1d(0, 4, kernel_size=(3,), stride=(1,))
    >>> layer(np.ones((10, 2, 9), np.float32)).shape
    (10, 4, 7)
    >>> layer
    Conv1d(2, 4, kernel_size=(3,), stride=(1,))
    """

    plain = Conv1d


@documented(LazyConv, axes=2)
class LazyConv2d(LazyConv, Conv2d):
    """A lazy convolution layer for images, as ``torch.nn.LazyConv2d``.

    Examples
    --------
    >>> layer = engine.LazyConv2d(8, kernel_size=3, padding="same")
    >>> layer(np.ones((3, 32, 32), np.float32)).shape
    (8, 32, 32)
    >>> layer.weight.shape
    (8, 3, 3, 3)
    """

    plain = Conv2d


@documented(LazyConv, axes=3)
class LazyConv3d(LazyConv, Conv3d):
    """A lazy convolution layer for volumes, as ``torch.nn.LazyConv3d``.

    Examples
    --------
    >>> layer = engine.LazyConv3d(2, kernel_size=(1, 2, 3), bias=False)
    >>> layer.weight.shape
    Traceback (most recent call last):
        ...
    engine.errors.UninitializedError: the parameter has no shape yet: call the layer on an input, \
or load a state, first
    >>> layer.load_state_dict({"weight": np.ones((2, 5, 1, 2, 3))})
    IncompatibleKeys(missing_keys=[], unexpected_keys=[])
    >>> layer.weight.shape
    (2, 5, 1, 2, 3)
    """

    plain = Conv3d


@documented(LazyConvTranspose, axes=1)
class LazyConvTranspose1d(LazyConvTranspose, ConvTranspose1d):
    """A lazy transposed convolution layer for signals, as ``torch.nn.LazyConvTranspose1d``.

    Examples
    --------
    >>> layer = engine.LazyConvTranspose1d(5, kernel_size=2, stride=2)
    >>> layer(np.ones((3, 4), np.float32)).shape
    (5, 8)
    >>> layer.weight.shape
    (3, 5, 2)
    """

    plain = ConvTranspose1d


@documented(LazyConvTranspose, axes=2)
class LazyConvTranspose2d(LazyConvTranspose, ConvTranspose2d):
    """A lazy transposed convolution layer for images, as ``torch.nn.LazyConvTranspose2d``.

    Examples
    --------
    >>> layer = engine.LazyConvTranspose2d(5, kernel_size=2, stride=2)
    >>> layer(np.ones((3, 4, 4), np.float32)).shape
    (5, 8, 8)
    >>> layer.weight.shape
    (3, 5, 2, 2)
    """

    plain = ConvTranspose2d


@documented(LazyConvTranspose, axes=3)
class LazyConvTranspose3d(LazyConvTranspose, ConvTranspose3d):
    """A lazy transposed convolution layer for volumes, as ``torch.nn.LazyConvTranspose3d``.

    Examples
    --------
    >>> layer = engine.LazyConvTranspose3d(5, kernel_size=2, stride=2)
    >>> layer(np.ones((3, 4, 4, 4), np.float32)).shape
    (5, 8, 8, 8)
    >>> layer.weight.shape
    (3, 5, 2, 2, 2)
    """

    plain = ConvTranspose3d
