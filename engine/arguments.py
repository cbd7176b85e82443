"""Whole calls: arguments in torch's forms, checked and turned into one `Geometry` and its arrays.

This module and `checks` are where calls are rejected; nothing after them looks at an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TypeAlias

from .checks import Checker, Operand
from .geometry import Array, Geometry, Pairs, Sizes

# From the shapes of the input and the weight, and the options in torch's order, to the geometry
# and the shape of the result.
Kind: TypeAlias = Callable[..., tuple[Geometry, Sizes]]


def convolved(
    check: Checker,
    x: Operand,
    w: Operand,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
) -> tuple[Geometry, Sizes]:
    """The geometry of a convolution of `x` with `w`, and the shape of its result."""
    g = check.groups(groups)
    check.kernel_shape(w, g)
    s = check.integers("stride", stride, least=1)
    d = check.integers("dilation", dilation, least=1)
    extents = check.extents(w.shape[2:], d)
    p = check.padding(padding, s, extents)
    if x.shape[1] != w.shape[1] * g:
        check.reject(
            x.name,
            f"expected {w.shape[1] * g} channels ({w.name}.shape[1] · groups), got {x.shape[1]}: "
            f"{x.name} {x.shape}, {w.name} {w.shape}, groups {g}",
        )
    y = check.positions(w.name, x.shape[2:], p, extents, s)
    check.not_empty(x)
    geometry = _geometry(x.shape[0], g, w.shape, x.shape[2:], s, p, d, y)
    return geometry, geometry.output_shape


def transposed(
    check: Checker,
    x: Operand,
    w: Operand,
    stride: object,
    padding: object,
    output_padding: object,
    groups: object,
    dilation: object,
) -> tuple[Geometry, Sizes]:
    """The geometry of the convolution that has `x` as its output, and the shape of its input."""
    g = check.groups(groups)
    check.kernel_shape(w, g)
    if w.shape[1] == 0:
        check.reject(w.name, f"expected at least 1 channel on axis 1, got {w.shape}")
    s = check.integers("stride", stride, least=1)
    p = check.integers("padding", padding, least=0)
    op = check.integers("output_padding", output_padding, least=0)
    d = check.integers("dilation", dilation, least=1)
    if x.shape[1] != w.shape[0]:
        check.reject(
            x.name,
            f"expected {w.shape[0]} channels ({w.name}.shape[0]), got {x.shape[1]}: "
            f"{x.name} {x.shape}, {w.name} {w.shape}",
        )
    check.smaller(op, s, d)
    check.not_empty(x)
    size = _reached(check, x, check.extents(w.shape[2:], d), s, p, op)
    pairs = tuple([(n, n) for n in p])
    geometry = _geometry(x.shape[0], g, w.shape, size, s, pairs, d, x.shape[2:])
    return geometry, geometry.input_shape


def _geometry(
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
    check: Checker, x: Operand, extents: Sizes, stride: Sizes, padding: Sizes, extra: Sizes
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
    options = (stride, padding, dilation, groups)
    return _forward(Checker(function, axes), convolved, input, weight, bias, *options)


def transposed_convolution(
    function: str,
    axes: int,
    input: object,
    weight: object,
    bias: object,
    stride: object,
    padding: object,
    output_padding: object,
    groups: object,
    dilation: object,
) -> tuple[Geometry, Array, Array, Array | None]:
    """Check one call of a transposed convolution; return its geometry and its operands."""
    options = (stride, padding, output_padding, groups, dilation)
    return _forward(Checker(function, axes), transposed, input, weight, bias, *options)


def _forward(
    check: Checker, kind: Kind, input: object, weight: object, bias: object, *options: object
) -> tuple[Geometry, Array, Array, Array | None]:
    x = check.batched("input", check.array("input", input))
    w = check.kernels(weight, x.dtype)
    g, result = kind(check, Operand("input", x.shape), Operand("weight", w.shape), *options)
    return g, x, w, check.bias(bias, x.dtype, result[1])


def for_input(
    function: str,
    axes: int,
    kind: Kind,
    input_size: object,
    weight: object,
    grad_output: object,
    *options: object,
) -> tuple[Geometry, Array, Array]:
    """Check a call for the gradient of the input; return geometry, weight and grad_output."""
    check = Checker(function, axes)
    w = check.kernels(weight)
    size = check.shape("input_size", input_size)
    if not axes + 1 <= len(size) <= axes + 2:
        check.reject("input_size", f"expected {axes + 1} or {axes + 2} integers, got {size}")
    batched = (1,) * (axes + 2 - len(size)) + size
    operands = Operand("input_size", batched), Operand("weight", w.shape)
    g, result = kind(check, *operands, *options)
    return g, w, check.gradient(grad_output, w.dtype, result, len(size))


def for_weight(
    function: str,
    axes: int,
    kind: Kind,
    input: object,
    weight_size: object,
    grad_output: object,
    *options: object,
) -> tuple[Geometry, Array, Array]:
    """Check a call for the gradient of the weight; return geometry, input and grad_output."""
    check = Checker(function, axes)
    array = check.array("input", input)
    x = check.batched("input", array)
    w = Operand("weight_size", check.shape("weight_size", weight_size))
    check.kernel_axes(w)
    g, result = kind(check, Operand("input", x.shape), w, *options)
    return g, x, check.gradient(grad_output, x.dtype, result, array.ndim)


def for_bias(function: str, axes: int, grad_output: object) -> Array:
    """Check a call for the gradient of the bias; return grad_output with its batch axis."""
    check = Checker(function, axes)
    return check.batched("grad_output", check.array("grad_output", grad_output))


def unfolded(
    input: object, kernel_size: object, dilation: object, padding: object, stride: object
) -> tuple[Geometry, Array]:
    """Check one call of unfold; return its geometry (without filters) and its batched input."""
    check = Checker("unfold", 2)
    x = check.batched("input", check.array("input", input, boolean=True))
    _filled(check, x)
    options = (kernel_size, dilation, padding, stride)
    return _windows(check, x.shape[0], x.shape[1], x.shape[2:], "kernel_size", *options), x


def folded(
    input: object,
    output_size: object,
    kernel_size: object,
    dilation: object,
    padding: object,
    stride: object,
) -> tuple[Geometry, Array]:
    """Check one call of fold; return its geometry (without filters) and its batched input."""
    check = Checker("fold", 2)
    x = check.batched("input", check.array("input", input, boolean=True), axes=1)
    _filled(check, x)
    size = check.pair("output_size", output_size, least=1)
    taps = prod(check.pair("kernel_size", kernel_size, least=1))
    if x.shape[1] % taps:
        check.reject("input", f"expected a multiple of {taps} taps on axis -2, got {x.shape[1]}")
    options = (kernel_size, dilation, padding, stride)
    g = _windows(check, x.shape[0], x.shape[1] // taps, size, "output_size", *options)
    if x.shape[2] != prod(g.output_size):
        check.reject(
            "input",
            f"expected {prod(g.output_size)} columns on axis -1, one for each of {g.output_size} "
            f"windows, got {x.shape[2]}",
        )
    return g, x


def _filled(check: Checker, x: Array) -> None:
    if 0 in x.shape[1:]:
        check.reject("input", f"expected no axis of size 0 but the batch, got shape {x.shape}")


def _windows(
    check: Checker,
    batch: int,
    channels: int,
    size: Sizes,
    blame: str,
    kernel_size: object,
    dilation: object,
    padding: object,
    stride: object,
) -> Geometry:
    k = check.pair("kernel_size", kernel_size, least=1)
    d = check.pair("dilation", dilation, least=1)
    s = check.pair("stride", stride, least=1)
    p = tuple([(n, n) for n in check.pair("padding", padding, least=0)])
    places = check.positions(blame, size, p, check.extents(k, d), s)
    return _geometry(batch, 1, (0, channels, *k), size, s, p, d, places)
