"""Arguments in torch's forms, checked and turned into one `Geometry`.

The only module that rejects. Every message names the function and the argument, then says what
was expected, what came and, where there is one, the remedy; the argument to blame is also the
error's `argument` attribute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Ints: TypeAlias = int | Sequence[int]
Sizes: TypeAlias = tuple[int, ...]
Pairs: TypeAlias = tuple[tuple[int, int], ...]

INT64_MAX = 2**63 - 1
# Sizes are kept where neither NumPy's strides nor their products with an item's size can overflow.
LARGEST = 2**47

DTYPES = "float16, float32, float64, complex64, complex128 or an integer type"


class ArgumentError(RuntimeError, ValueError):
    """An argument of the right type whose value or shape cannot be used.

    A `RuntimeError`, as torch raises from its functions, and a `ValueError`, as torch raises
    from its constructors.
    """

    def __init__(self, function: str, argument: str, message: str) -> None:
        super().__init__(f"{function}() {argument}: {message}")
        self.argument = argument


class ArgumentTypeError(TypeError):
    """An argument of a type that the function does not take."""

    def __init__(self, function: str, argument: str, message: str) -> None:
        super().__init__(f"{function}() {argument}: {message}")
        self.argument = argument


class ArgumentOverflowError(ArgumentError, ArgumentTypeError):
    """An integer beyond 64 bits: torch raises ValueError for a bare one, TypeError in a tuple."""


class UnsupportedDtypeError(ArgumentTypeError, NotImplementedError):
    """A dtype for which there is no convolution, here or in torch (bool, longdouble, object)."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sizes of one convolution, in the letters that the shape comments use.

    A window of `kernel_size` taps, `dilation` apart, visits the padded input every `stride`
    elements. The same geometry serves the convolution and its two adjoints.
    """

    batch: int  # N
    groups: int  # G
    channels: int  # C, input channels of one group
    filters: int  # O, output channels of one group
    input_size: Sizes  # X
    kernel_size: Sizes  # K
    stride: Sizes
    padding: Pairs  # zeros before and after, per axis
    dilation: Sizes
    output_size: Sizes  # Y

    @property
    def padded_size(self) -> Sizes:
        return tuple(x + lo + hi for x, (lo, hi) in zip(self.input_size, self.padding, strict=True))


class Checker:
    """Checks the arguments of one call to `function`, a name with its number of spatial axes."""

    def __init__(self, function: str, axes: int) -> None:
        self.function = function
        self.axes = axes

    def reject(self, argument: str, message: str) -> NoReturn:
        raise ArgumentError(self.function, argument, message)

    def array(self, argument: str, value: object) -> Array:
        """`value` as a plain ndarray of a dtype that can be convolved."""
        if type(value) is not np.ndarray:
            if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
                raise ArgumentTypeError(
                    self.function,
                    argument,
                    f"expected a numpy.ndarray, got {type(value).__name__}; "
                    "convert it with numpy.asarray",
                )
            value = value.view(np.ndarray)
        if not is_supported(value.dtype):
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
        if not -INT64_MAX - 1 <= value <= INT64_MAX:
            raise ArgumentOverflowError(
                self.function, argument, f"expected a 64-bit integer, got {value}"
            )
        return value

    def integers(self, argument: str, value: object, least: int) -> Sizes:
        """One integer per axis, from an integer, or a tuple or list of one or of n integers."""
        if isinstance(value, (tuple, list)):
            sizes = tuple([self.integer(argument, v) for v in value])
            if len(sizes) == 1:
                sizes *= self.axes
            elif len(sizes) != self.axes:
                self.reject(argument, f"expected {self._forms()}, got {value!r}")
        elif isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            sizes = (self.integer(argument, value),) * self.axes
        else:
            raise ArgumentTypeError(
                self.function, argument, f"expected {self._forms()}, got {value!r}"
            )
        for v in sizes:
            if v < least:
                self.reject(argument, f"expected integers of at least {least}, got {value!r}")
        return sizes

    def _forms(self) -> str:
        if self.axes == 1:
            return "an integer, or a tuple or list of 1 integer"
        return f"an integer, or a tuple or list of 1 or {self.axes} integers"

    def groups(self, value: object) -> int:
        groups = self.integer("groups", value)
        if groups < 1:
            self.reject("groups", f"expected an integer of at least 1, got {groups}")
        return groups

    def batched(self, argument: str, value: Array) -> Array:
        """`value` with its batch axis; an unbatched array gets one of size 1."""
        n = self.axes
        if value.ndim == n + 2:
            return value
        if value.ndim != n + 1:
            self.reject(
                argument,
                f"expected {n + 1} axes (unbatched) or {n + 2} axes (batched), "
                f"got {value.ndim}: shape {value.shape}",
            )
        return value[None]

    def weight(self, value: object, dtype: np.dtype[Any], groups: int) -> Array:
        """The kernels: one axis more than a sample, of the input's dtype, none of them empty."""
        weight = self.array("weight", value)
        if weight.ndim != self.axes + 2:
            self.reject(
                "weight",
                f"expected {self.axes + 2} axes, got {weight.ndim}: shape {weight.shape}",
            )
        self.same_dtype("weight", weight, dtype)
        if 0 in weight.shape[2:]:
            self.reject(
                "weight", f"expected a kernel of at least 1 tap per axis, got {weight.shape}"
            )
        if weight.shape[0] == 0:
            self.reject("weight", f"expected at least 1 channel on axis 0, got {weight.shape}")
        if weight.shape[0] % groups:
            self.reject(
                "groups", f"expected a divisor of weight.shape[0] = {weight.shape[0]}, got {groups}"
            )
        return weight

    def bias(self, value: object, dtype: np.dtype[Any], channels: int) -> Array | None:
        if value is None:
            return None
        bias = self.array("bias", value)
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
        self, geometry_input: Sizes, padding: Pairs, extents: Sizes, stride: Sizes
    ) -> Sizes:
        """The number of places of the window per axis: the output size of a convolution."""
        padded = tuple([x + lo + hi for x, (lo, hi) in zip(geometry_input, padding, strict=True)])
        if max(padded) > LARGEST:
            self.reject(
                "padding",
                f"expected a padded input of at most {LARGEST} elements per axis, got {padded}",
            )
        for room, extent in zip(padded, extents, strict=True):
            if extent > room:
                self.reject(
                    "weight",
                    f"expected a kernel that fits into the padded input {padded}, got one that "
                    f"covers {extents}; add padding, or use a smaller kernel or dilation",
                )
        return tuple([(p - e) // s + 1 for p, e, s in zip(padded, extents, stride, strict=True)])

    def not_empty(self, argument: str, shape: Sizes) -> None:
        """Only the batch and the channels may be empty."""
        if 0 in shape[2:] and 0 not in shape[:2]:
            self.reject(
                argument,
                f"expected spatial axes of at least 1 element (only the batch may be empty), "
                f"got shape {shape}",
            )


def is_supported(dtype: np.dtype[Any]) -> bool:
    """Whether arrays of `dtype`, in either byte order, can be convolved."""
    return dtype.kind in "iu" or (dtype.kind in "fc" and dtype.type in _INEXACT)


_INEXACT = frozenset({np.float16, np.float32, np.float64, np.complex64, np.complex128})


def convolution(
    function: str,
    axes: int,
    input: object,
    weight: object,
    bias: object,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
) -> tuple[Geometry, Array, Array, Array | None]:
    """Check one call of a convolution; return its geometry and its batched operands."""
    check = Checker(function, axes)
    x = check.batched("input", check.array("input", input))
    g = check.groups(groups)
    w = check.weight(weight, x.dtype, g)
    s = check.integers("stride", stride, least=1)
    d = check.integers("dilation", dilation, least=1)
    extents = check.extents(w.shape[2:], d)
    p = check.padding(padding, s, extents)
    if x.shape[1] != w.shape[1] * g:
        check.reject(
            "input",
            f"expected {w.shape[1] * g} channels (weight.shape[1] · groups), got {x.shape[1]}: "
            f"input {x.shape}, weight {w.shape}, groups {g}",
        )
    b = check.bias(bias, x.dtype, w.shape[0])
    y = check.positions(x.shape[2:], p, extents, s)
    check.not_empty("input", x.shape)
    geometry = Geometry(
        batch=x.shape[0],
        groups=g,
        channels=w.shape[1],
        filters=w.shape[0] // g,
        input_size=x.shape[2:],
        kernel_size=w.shape[2:],
        stride=s,
        padding=p,
        dilation=d,
        output_size=y,
    )
    return geometry, x, w, b
