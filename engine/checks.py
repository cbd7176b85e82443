"""One argument at a time: checked, and turned into torch's meaning of it.

Every message names the function and the argument, then says what was expected, what came and,
where there is one, the remedy; the argument to blame is also the error's `argument` attribute.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .errors import (
    ArgumentError,
    ArgumentOverflowError,
    ArgumentTypeError,
    UnsupportedDtypeError,
)
from .geometry import Array, Pairs, Sizes

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
# Sizes are kept where neither NumPy's strides nor their products with an item's size can overflow.
LARGEST = 2**47

DTYPES = "float16, float32, float64, complex64, complex128 or an integer type"


class Operand(NamedTuple):
    """The shape of an array, batch axis included, and the name of the argument that gives it."""

    name: str
    shape: Sizes


class Checker:
    """Checks the arguments of one call to `function`, a name with its number of spatial axes."""

    def __init__(self, function: str, axes: int) -> None:
        self.function = function
        self.axes = axes

    def reject(self, argument: str, message: str) -> NoReturn:
        raise ArgumentError(self.function, argument, message)

    def array(self, argument: str, value: object, boolean: bool = False) -> Array:
        """`value` as a plain ndarray of a dtype that can be convolved, or of bool if it may be.

        It may for operands after the first: beside another dtype, bool is no missing kernel.
        """
        if type(value) is not np.ndarray:
            if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
                raise ArgumentTypeError(
                    self.function,
                    argument,
                    f"expected a numpy.ndarray, got {type(value).__name__}; "
                    "convert it with numpy.asarray",
                )
            value = value.view(np.ndarray)
        if not (is_supported(value.dtype) or (boolean and value.dtype.kind == "b")):
            raise UnsupportedDtypeError(
                self.function,
                argument,
                f"expected {DTYPES}, got {value.dtype}; convert it with astype",
            )
        return value

    def integer(self, argument: str, value: object) -> int:
        """`value` as an int; bool, float and everything else is a type error, as in torch."""
        if type(value) is not int:
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise ArgumentTypeError(
                    self.function, argument, f"expected an integer, got {value!r}"
                )
            value = int(value)
        if not INT64_MIN <= value <= INT64_MAX:
            raise ArgumentOverflowError(
                self.function, argument, f"expected a 64-bit integer, got {value}"
            )
        return value

    def integers(self, argument: str, value: object, least: int, single: bool = True) -> Sizes:
        """One integer per axis, from an integer, or a tuple or list of as many.

        If `single`, a tuple or list of one integer will do; kernel sizes, fold and unfold differ.
        """
        if isinstance(value, (tuple, list)):
            sizes = tuple([self.integer(argument, v) for v in value])
            if single and len(sizes) == 1:
                sizes *= self.axes
            elif len(sizes) != self.axes:
                self.reject(argument, f"expected {self._forms(single)}, got {value!r}")
        elif isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            sizes = (self.integer(argument, value),) * self.axes
        else:
            raise ArgumentTypeError(
                self.function, argument, f"expected {self._forms(single)}, got {value!r}"
            )
        for v in sizes:
            if v < least:
                self.reject(argument, f"expected integers of at least {least}, got {value!r}")
        return sizes

    def _forms(self, single: bool) -> str:
        if not single:
            return f"an integer, or a tuple or list of length {self.axes}"
        if self.axes == 1:
            return "an integer, or a tuple or list of 1 integer"
        return f"an integer, or a tuple or list of 1 or {self.axes} integers"

    def groups(self, value: object) -> int:
        groups = self.integer("groups", value)
        if groups < 1:
            self.reject("groups", f"expected an integer of at least 1, got {groups}")
        return groups

    def batched(
        self,
        argument: str,
        value: Array,
        axes: int | None = None,
        error: type[ArgumentError] = ArgumentError,
    ) -> Array:
        """`value` with its batch axis; an unbatched array gets one of size 1."""
        n = self.axes if axes is None else axes
        if value.ndim == n + 2:
            return value
        if value.ndim != n + 1:
            raise error(
                self.function,
                argument,
                f"expected {n + 1} axes (unbatched) or {n + 2} axes (batched), "
                f"got {value.ndim}: shape {value.shape}",
            )
        return value[None]

    def kernels(self, value: object, dtype: np.dtype[Any] | None = None) -> Array:
        """The weight: one axis more than a sample, and of the first array's dtype."""
        weight = self.array("weight", value, boolean=dtype is not None)
        self.kernel_axes("weight", weight.shape)
        if dtype is not None:
            self.same_dtype("weight", weight, dtype)
        return weight

    def kernel_axes(self, argument: str, shape: Sizes) -> None:
        if len(shape) != self.axes + 2:
            self.reject(argument, f"expected {self.axes + 2} axes, got {len(shape)}: shape {shape}")

    def kernel_shape(self, weight: Operand, groups: int) -> None:
        """Kernels with taps, as many in each group."""
        name, shape = weight
        if 0 in shape[2:]:
            self.reject(name, f"expected a kernel of at least 1 tap per axis, got {shape}")
        if shape[0] == 0:
            self.reject(name, f"expected at least 1 channel on axis 0, got {shape}")
        if shape[0] % groups:
            self.reject(
                "groups", f"expected a divisor of {name}.shape[0] = {shape[0]}, got {groups}"
            )

    def shape(self, argument: str, value: object) -> Sizes:
        """A whole shape, given as a tuple or list of integers."""
        if not isinstance(value, (tuple, list)):
            raise ArgumentTypeError(
                self.function, argument, f"expected a tuple or list of integers, got {value!r}"
            )
        sizes = tuple([self.integer(argument, v) for v in value])
        if any(n < 0 for n in sizes):
            self.reject(argument, f"expected integers of at least 0, got {value!r}")
        return sizes

    def gradient(self, value: object, dtype: np.dtype[Any], result: Sizes, ndim: int) -> Array:
        """The gradient of a result, of exactly its shape; returned with its batch axis."""
        gradient = self.array("grad_output", value, boolean=True)
        self.same_dtype("grad_output", gradient, dtype)
        expected = result[len(result) - ndim :]
        if gradient.shape != expected:
            self.reject(
                "grad_output",
                f"expected {expected}, the shape of the result, got {gradient.shape}",
            )
        return gradient if ndim == len(result) else gradient[None]

    def bias(self, value: object, dtype: np.dtype[Any], channels: int) -> Array | None:
        if value is None:
            return None
        bias = self.array("bias", value, boolean=True)
        self.same_dtype("bias", bias, dtype)
        if bias.shape != (channels,):
            self.reject(
                "bias",
                f"expected shape ({channels},), one element per output channel, got {bias.shape}",
            )
        return bias

    def same_dtype(self, argument: str, array: Array, dtype: np.dtype[Any]) -> None:
        if array.dtype.type is not dtype.type:
            self.reject(
                argument,
                f"expected {dtype.type.__name__}, the dtype of the first array, got "
                f"{array.dtype.type.__name__}; convert it with astype",
            )

    def padding(self, value: object, stride: Sizes, extents: Sizes) -> Pairs:
        """Zeros before and after each axis. 'same' puts an odd one out after, as torch does."""
        if not isinstance(value, str):
            return tuple([(p, p) for p in self.integers("padding", value, least=0)])
        if value == "valid":
            return ((0, 0),) * self.axes
        if value != "same":
            self.reject("padding", f"expected integers, 'same' or 'valid', got {value!r}")
        if set(stride) != {1}:
            self.reject("stride", f"expected 1 with padding='same', got {stride}")
        return tuple([((e - 1) // 2, e // 2) for e in extents])

    def extents(self, kernel_size: Sizes, dilation: Sizes) -> Sizes:
        """What the dilated kernel covers per axis, d·(k - 1) + 1."""
        extents = tuple([d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True)])
        if max(extents) > LARGEST:
            self.reject(
                "dilation",
                f"expected a dilated kernel of at most {LARGEST} elements per axis, "
                f"got {extents} from kernel {kernel_size} and dilation {dilation}",
            )
        return extents

    def positions(
        self, weight: str, sizes: Sizes, padding: Pairs, extents: Sizes, stride: Sizes
    ) -> Sizes:
        """The number of places of the window per axis: the output size of a convolution."""
        padded = tuple([x + lo + hi for x, (lo, hi) in zip(sizes, padding, strict=True)])
        self.addressable("padding", padded)
        for room, extent in zip(padded, extents, strict=True):
            if extent > room:
                self.reject(
                    weight,
                    f"expected a kernel that fits into the padded input {padded}, got one that "
                    f"covers {extents}; add padding, or use a smaller kernel or dilation",
                )
        return tuple([(p - e) // s + 1 for p, e, s in zip(padded, extents, stride, strict=True)])

    def addressable(self, argument: str, padded: Sizes, what: str = "input") -> None:
        if max(padded) > LARGEST or prod(padded) > LARGEST:
            self.reject(
                argument,
                f"expected a padded {what} of at most {LARGEST} elements, got {padded}",
            )

    def smaller(self, output_padding: Sizes, stride: Sizes, dilation: Sizes) -> None:
        """More would be output that no window can reach."""
        for op, s, d in zip(output_padding, stride, dilation, strict=True):
            if op >= max(s, d):
                self.reject(
                    "output_padding",
                    f"expected integers smaller than stride {stride} or dilation {dilation}, "
                    f"got {output_padding}",
                )

    def not_empty(self, operand: Operand) -> None:
        """Only the batch and the channels may be empty."""
        name, shape = operand
        if 0 in shape and 0 not in shape[:2]:
            self.reject(
                name,
                f"expected spatial axes of at least 1 element (only the batch may be empty), "
                f"got shape {shape}",
            )


def is_supported(dtype: np.dtype[Any]) -> bool:
    """Whether arrays of `dtype`, in either byte order, can be convolved."""
    return dtype.kind in "iu" or dtype.type in _INEXACT


_INEXACT = {np.float16, np.float32, np.float64, np.complex64, np.complex128}
