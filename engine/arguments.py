"""Whole calls: arguments in torch's forms, checked and turned into one `Geometry` and its arrays.

This module and `checks` are where calls are rejected; nothing after them looks at an argument.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple, TypeAlias

from .checks import Checker, Operand
from .geometry import Array, Geometry, Ints, Pairs, Sizes
from .remembered import remembered


# Options are named wherever they are made: a stride and a padding, in each other's place, have the
# same type.
class ConvOptions(NamedTuple):
    """The options of a convolution as they were given, with torch's defaults."""

    stride: Ints = 1
    padding: Ints | str = 0
    dilation: Ints = 1
    groups: int = 1

    def geometry(self, check: Checker, x: Operand, w: Operand) -> tuple[Geometry, Sizes]:
        """The geometry of a convolution of `x` with `w`, and the shape of its result."""
        g = check.groups(self.groups)
        check.kernel_shape(w, g)
        s = check.integers("stride", self.stride, least=1)
        d = check.integers("dilation", self.dilation, least=1)
        extents = check.extents(w.shape[2:], d)
        p = check.padding(self.padding, s, extents)
        if x.shape[1] != w.shape[1] * g:
            check.reject(
                x.name,
                f"expected {w.shape[1] * g} channels ({w.name}.shape[1] · groups), "
                f"got {x.shape[1]}: {x.name} {x.shape}, {w.name} {w.shape}, groups {g}",
            )
        y = check.positions(w.name, x.shape[2:], p, extents, s)
        check.not_empty(x)
        geometry = _geometry(
            batch=x.shape[0],
            groups=g,
            weight=w.shape,
            input_size=x.shape[2:],
            stride=s,
            padding=p,
            dilation=d,
            output_size=y,
        )
        return geometry, geometry.output_shape


class TransposedOptions(NamedTuple):
    """The options of a transposed convolution as they were given, with torch's defaults."""

    stride: Ints = 1
    padding: Ints = 0
    output_padding: Ints = 0
    groups: int = 1
    dilation: Ints = 1

    def geometry(self, check: Checker, x: Operand, w: Operand) -> tuple[Geometry, Sizes]:
        """The geometry of the convolution whose output is `x`, and the shape of its input."""
        g = check.groups(self.groups)
        check.kernel_shape(w, g)
        if w.shape[1] == 0:
            check.reject(w.name, f"expected at least 1 channel on axis 1, got {w.shape}")
        s = check.integers("stride", self.stride, least=1)
        p = check.integers("padding", self.padding, least=0)
        op = check.integers("output_padding", self.output_padding, least=0)
        d = check.integers("dilation", self.dilation, least=1)
        if x.shape[1] != w.shape[0]:
            check.reject(
                x.name,
                f"expected {w.shape[0]} channels ({w.name}.shape[0]), got {x.shape[1]}: "
                f"{x.name} {x.shape}, {w.name} {w.shape}",
            )
        check.smaller(op, s, d)
        check.not_empty(x)
        size = _reached(check, x, check.extents(w.shape[2:], d), stride=s, padding=p, extra=op)
        geometry = _geometry(
            batch=x.shape[0],
            groups=g,
            weight=w.shape,
            input_size=size,
            stride=s,
            padding=tuple([(n, n) for n in p]),
            dilation=d,
            output_size=x.shape[2:],
        )
        return geometry, geometry.input_shape


Options: TypeAlias = ConvOptions | TransposedOptions


class WindowOptions(NamedTuple):
    """The options of unfold and fold as they were given, with torch's defaults."""

    kernel_size: Ints
    dilation: Ints = 1
    padding: Ints = 0
    stride: Ints = 1

    def geometry(
        self, check: Checker, *, batch: int, channels: int, size: Sizes, blame: str
    ) -> Geometry:
        """The geometry of the windows, without filters; `blame` gives the size."""
        k = check.integers("kernel_size", self.kernel_size, least=1, single=False)
        d = check.integers("dilation", self.dilation, least=1, single=False)
        s = check.integers("stride", self.stride, least=1, single=False)
        p = tuple([(n, n) for n in check.integers("padding", self.padding, least=0, single=False)])
        return _geometry(
            batch=batch,
            groups=1,
            weight=(0, channels, *k),
            input_size=size,
            stride=s,
            padding=p,
            dilation=d,
            output_size=check.positions(blame, size, p, check.extents(k, d), s),
        )


def _geometry(
    *,
    batch: int,
    groups: int,
    weight: Sizes,
    input_size: Sizes,
    stride: Sizes,
    padding: Pairs,
    dilation: Sizes,
    output_size: Sizes,
) -> Geometry:
    """The geometry; but steps beyond the padded input, never taken, would overflow in memory."""
    ends = [max(x + lo + hi, 1) for x, (lo, hi) in zip(input_size, padding, strict=True)]
    return Geometry(
        batch=batch,
        groups=groups,
        channels=weight[1],
        filters=weight[0] // groups,
        input_size=input_size,
        kernel_size=weight[2:],
        stride=tuple(map(min, stride, ends)),
        padding=padding,
        dilation=tuple(map(min, dilation, ends)),
        output_size=output_size,
    )


def _reached(
    check: Checker, x: Operand, extents: Sizes, *, stride: Sizes, padding: Sizes, extra: Sizes
) -> Sizes:
    """The size of a transposed convolution's result: what the windows cover, cropped."""
    axes = zip(x.shape[2:], extents, stride, extra, strict=True)
    covered = tuple([(y - 1) * s + e + op for y, e, s, op in axes])
    check.addressable("stride", covered, "result")
    size = tuple([c - 2 * p for c, p in zip(covered, padding, strict=True)])
    least = min(x.shape[0], 1)  # as of an input, only an empty batch may have empty axes
    if min(size) < least:
        check.reject(
            "padding",
            f"expected a result of at least {least} elements per axis, got {size} from {x.name} "
            f"{x.shape}; use less padding or a larger input",
        )
    return size


@remembered
def for_output(
    function: str, axes: int, input: object, weight: object, bias: object, options: Options
) -> tuple[Geometry, Array, Array, Array | None]:
    """Check a call for its result; return its geometry and its operands, input batched."""
    check = Checker(function, axes)
    x = check.batched("input", check.array("input", input))
    w = check.kernels(weight, x.dtype)
    g, result = options.geometry(check, Operand("input", x.shape), Operand("weight", w.shape))
    return g, x, w, check.bias(bias, x.dtype, result[1])


@remembered
def for_input(
    function: str,
    axes: int,
    input_size: object,
    weight: object,
    grad_output: object,
    options: Options,
) -> tuple[Geometry, Array, Array]:
    """Check a call for the gradient of the input; return geometry, weight and grad_output."""
    check = Checker(function, axes)
    w = check.kernels(weight)
    size, ndim = _batched_size(check, input_size, axes)
    g, result = options.geometry(check, Operand("input_size", size), Operand("weight", w.shape))
    return g, w, check.gradient(grad_output, w.dtype, result, ndim)


def _batched_size(check: Checker, value: object, axes: int) -> tuple[Sizes, int]:
    """The shape of an input, with its batch axis, and the number of axes that it was given with."""
    size = check.shape("input_size", value)
    if not axes + 1 <= len(size) <= axes + 2:
        check.reject("input_size", f"expected {axes + 1} or {axes + 2} integers, got {size}")
    return (1,) * (axes + 2 - len(size)) + size, len(size)


@remembered
def for_weight(
    function: str,
    axes: int,
    input: object,
    weight_size: object,
    grad_output: object,
    options: Options,
) -> tuple[Geometry, Array, Array]:
    """Check a call for the gradient of the weight; return geometry, input and grad_output."""
    check = Checker(function, axes)
    array = check.array("input", input)
    x = check.batched("input", array)
    size = check.shape("weight_size", weight_size)
    check.kernel_axes("weight_size", size)
    g, result = options.geometry(check, Operand("input", x.shape), Operand("weight_size", size))
    return g, x, check.gradient(grad_output, x.dtype, result, array.ndim)


def for_bias(function: str, axes: int, grad_output: object) -> Array:
    """Check a call for the gradient of the bias; return grad_output with its batch axis."""
    check = Checker(function, axes)
    return check.batched("grad_output", check.array("grad_output", grad_output))


def for_unfold(input: object, options: WindowOptions) -> tuple[Geometry, Array]:
    """Check a call of unfold; return its geometry and its batched input."""
    check = Checker("unfold", 2)
    x = check.batched("input", check.array("input", input, boolean=True))
    return _unfolding(check, Operand("input", x.shape), options), x


def for_fold(input: object, output_size: object, options: WindowOptions) -> tuple[Geometry, Array]:
    """Check a call of fold; return its geometry and its batched input."""
    check = Checker("fold", 2)
    x = check.batched("input", check.array("input", input, boolean=True), axes=1)
    return _folding(check, Operand("input", x.shape), output_size, options), x


def for_unfold_input(
    input_size: object, grad_output: object, options: WindowOptions
) -> tuple[Geometry, Array]:
    """Check a call for the gradient of unfold; return its geometry and batched grad_output."""
    check = Checker("unfold_input", 2)
    size, ndim = _batched_size(check, input_size, axes=2)
    g = _unfolding(check, Operand("input_size", size), options)
    gy = check.array("grad_output", grad_output)
    return g, check.gradient(gy, gy.dtype, _columns(g), ndim - 1)


def for_fold_input(
    input_size: object, grad_output: object, output_size: object, options: WindowOptions
) -> tuple[Geometry, Array]:
    """Check a call for the gradient of fold; return its geometry and batched grad_output."""
    check = Checker("fold_input", 2)
    size, ndim = _batched_size(check, input_size, axes=1)
    g = _folding(check, Operand("input_size", size), output_size, options)
    gy = check.array("grad_output", grad_output)
    return g, check.gradient(gy, gy.dtype, g.input_shape, ndim + 1)


def _columns(g: Geometry) -> Sizes:
    """The shape of the unfolded image."""
    return (g.batch, g.channels * prod(g.kernel_size), prod(g.output_size))


def _unfolding(check: Checker, x: Operand, options: WindowOptions) -> Geometry:
    """The geometry of the windows of an image of the shape of `x`."""
    _filled(check, x)
    batch, channels, *size = x.shape
    return options.geometry(
        check, batch=batch, channels=channels, size=tuple(size), blame="kernel_size"
    )


def _folding(check: Checker, x: Operand, output_size: object, options: WindowOptions) -> Geometry:
    """The geometry of the windows whose columns have the shape of `x`."""
    _filled(check, x)
    batch, rows, columns = x.shape
    size = check.integers("output_size", output_size, least=1, single=False)
    taps = prod(check.integers("kernel_size", options.kernel_size, least=1, single=False))
    if rows % taps:
        check.reject(x.name, f"expected a multiple of {taps} taps on axis -2, got {rows}")
    channels = rows // taps
    g = options.geometry(check, batch=batch, channels=channels, size=size, blame="output_size")
    if columns != prod(g.output_size):
        check.reject(
            x.name,
            f"expected {prod(g.output_size)} columns on axis -1, one for each of {g.output_size} "
            f"windows, got {columns}",
        )
    return g


def _filled(check: Checker, x: Operand) -> None:
    if 0 in x.shape[1:]:
        check.reject(x.name, f"expected no axis of size 0 but the batch, got shape {x.shape}")
