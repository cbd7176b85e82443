"""What is known of each operation: one row per op, and all that differs between ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

Sizes = tuple[int, ...]
Shapes = Mapping[str, Sizes]
Terms = dict[str, int]

OUTPUT = "output"
GRADIENTS = ("grad_input", "grad_weight", "grad_bias")

# Arguments of one integer per axis, which stand for all axes if they are a single integer.
PER_AXIS = ("stride", "padding", "dilation", "output_padding", "kernel_size")
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")

# Whether negated operands (all but the weight) negate a result, exactly, in any order of summation.
ODD = {"output": True, "grad_input": True, "grad_weight": False, "grad_bias": True}


@dataclass(frozen=True, eq=False)
class Op:
    """One operation under torch's name."""

    name: str
    family: str
    axes: int
    operands: tuple[str, ...]
    required: int  # so many of the operands must be given, and stand first
    arguments: Mapping[str, Any]  # in torch's order, with torch's defaults; None: it has none
    letters: Mapping[str, tuple[str, ...]]  # each operand's sizes: G groups, X input, K kernel
    terms: Callable[[Op, Shapes, Mapping[str, Any]], Terms]  # K of each result of a valid call
    kinds: str = "fciu"  # of dtypes
    is_layer: bool = False

    @property
    def is_transposed(self) -> bool:
        return "output_padding" in self.arguments

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """All that a line has by position, in this order: operands, then arguments."""
        return (*self.operands, *self.arguments)

    @cached_property
    def constructor(self) -> tuple[str, ...]:
        """The arguments of a layer's constructor after the kernel size, in torch's order."""
        names = [name for name in self.arguments if name != "output_size"]
        after_groups = names.index("groups") + 1
        return (*names[:after_groups], "bias", *names[after_groups:])

    def may_be_left_out(self, name: str) -> bool:
        """Whether a call is complete without this parameter."""
        if name in self.operands:
            return name not in self.operands[: self.required]
        return self.is_layer or self.arguments[name] is not None


def per_axis(value: Any, axes: int) -> Sizes:
    """`value` in any of the forms that torch takes, as one integer per axis."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return tuple(int(v) for v in (values * axes if len(values) == 1 else values))


def normalized(op: Op, shapes: Shapes, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a valid call, defaults too: one integer per axis, and an output padding
    in place of an output size."""
    given = {**op.arguments, **arguments}
    for name in PER_AXIS:
        if name in given and not isinstance(given[name], str):
            given[name] = per_axis(given[name], op.axes)
    if "groups" in given:
        given["groups"] = int(given["groups"])
    if op.is_transposed and (wanted := given.pop("output_size", None)):
        found = transposed_size(op, shapes["input"][-op.axes :], shapes["weight"][2:], given)
        rest = [w - f for w, f in zip(wanted[-op.axes :], found, strict=True)]
        given["output_padding"] = tuple(rest)
    return given


def border(op: Op, kernel: Sizes, given: Mapping[str, Any]) -> tuple[Sizes, Sizes]:
    """The elements before and after each axis that padding adds."""
    padding = given["padding"]
    if padding == "same":
        dilation = per_axis(given["dilation"], op.axes)
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    both = per_axis(0 if padding == "valid" else padding, op.axes)
    return both, both


def positions(op: Op, size: Sizes, kernel: Sizes, given: Mapping[str, Any]) -> Sizes:
    """The places of the window per axis."""
    before, after = border(op, kernel, given)
    stride, dilation = (per_axis(given[k], op.axes) for k in ("stride", "dilation"))
    axes = zip(size, kernel, before, after, stride, dilation, strict=True)
    return tuple((x + lo + hi - d * (k - 1) - 1) // s + 1 for x, k, lo, hi, s, d in axes)


def whole_plane(op: Op, shapes: Shapes, given: Mapping[str, Any]) -> tuple[int, int]:
    """The elements of one plane of the whole linear convolution, at most, and how often a border
    that is a copy may repeat one of them."""
    x, kernel = shapes["input"][-op.axes :], shapes["weight"][2:]
    before, after = border(op, kernel, given)
    y = output_shape(op, shapes, given)[-op.axes :]
    steps = (per_axis(given["stride"], op.axes), per_axis(given["dilation"], op.axes))
    axes = zip(x, y, kernel, before, after, *steps, strict=True)
    sizes = [max(n + lo + hi, s * max(m, n)) + d * (k - 1) for n, m, k, lo, hi, s, d in axes]
    is_copied = given.get("padding_mode", "zeros") != "zeros"
    copies = prod(1 + lo + hi for lo, hi in zip(before, after, strict=True)) if is_copied else 1
    return max(2, prod(sizes)), copies


def _conv_terms(op: Op, shapes: Shapes, given: Mapping[str, Any]) -> Terms:
    x, w = shapes["input"], shapes["weight"]
    batch = x[0] if len(x) == op.axes + 2 else 1
    taps, size = prod(w[2:]), x[-op.axes :]
    places = batch * prod(positions(op, size, w[2:], given))
    filters = w[0] // int(given["groups"])
    copies = 1
    if given.get("padding_mode", "zeros") != "zeros":  # the border repeats what it copies
        before, after = border(op, w[2:], given)
        copies = prod(1 + lo + hi for lo, hi in zip(before, after, strict=True))
    return {
        "output": w[1] * taps,
        "grad_input": filters * taps * copies,
        "grad_weight": places,
        "grad_bias": places,
    }


def _transpose_terms(op: Op, shapes: Shapes, given: Mapping[str, Any]) -> Terms:
    x, w = shapes["input"], shapes["weight"]
    batch = x[0] if len(x) == op.axes + 2 else 1
    return {
        "output": w[0] // int(given["groups"]) * prod(w[2:]),
        "grad_input": w[1] * prod(w[2:]),
        "grad_weight": batch * prod(x[-op.axes :]),
        "grad_bias": batch * prod(transposed_size(op, x[-op.axes :], w[2:], given)),
    }


def transposed_size(op: Op, size: Sizes, kernel: Sizes, given: Mapping[str, Any]) -> Sizes:
    if given.get("output_size"):
        return tuple(given["output_size"][-op.axes :])
    names = ("stride", "padding", "output_padding", "dilation")
    steps = [per_axis(given[k], op.axes) for k in names]
    axes = zip(size, kernel, *steps, strict=True)
    return tuple((x - 1) * s - 2 * p + d * (k - 1) + e + 1 for x, k, s, p, e, d in axes)


def _fold_terms(op: Op, shapes: Shapes, given: Mapping[str, Any]) -> Terms:
    return {"output": prod(per_axis(given["kernel_size"], 2)), "grad_input": 0}


def _unfold_terms(op: Op, shapes: Shapes, given: Mapping[str, Any]) -> Terms:
    taps = prod(per_axis(given["kernel_size"], 2))
    return {"output": 0, "grad_input": taps}  # nothing is added but by the gradient


_CONV = {"input": ("N", "GC", "X"), "weight": ("GO", "C", "K"), "bias": ("GO",)}
_TRANSPOSED = {"input": ("N", "GC", "X"), "weight": ("GC", "O", "K"), "bias": ("GO",)}
_STEPS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
_BACK = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
_WINDOWS = {"kernel_size": None, "dilation": 1, "padding": 0, "stride": 1}
_OPERANDS = ("input", "weight", "bias")


def _rows(n: int) -> list[Op]:
    layer: dict[str, Any] = {"kinds": "fc", "is_layer": True}
    modes = {**_STEPS, "padding_mode": "zeros"}
    sized = {**_BACK, "output_size": None}
    back = f"conv_transpose{n}d"
    return [
        Op(f"conv{n}d", "conv", n, _OPERANDS, 2, _STEPS, _CONV, _conv_terms),
        Op(back, "conv_transpose", n, _OPERANDS, 2, _BACK, _TRANSPOSED, _transpose_terms),
        Op(f"Conv{n}d", "Conv", n, _OPERANDS, 2, modes, _CONV, _conv_terms, **layer),
        Op(
            f"ConvTranspose{n}d",
            *("ConvTranspose", n, _OPERANDS, 2, sized, _TRANSPOSED, _transpose_terms),
            **layer,
        ),
    ]


def _windows(name: str, arguments: Mapping[str, Any], terms: Any, *letters_of: str) -> Op:
    letters = {"input": letters_of}
    return Op(name, name, 2, ("input",), 1, arguments, letters, terms, "fc")


OPS = {
    op.name: op
    for op in [
        *sorted((row for n in (1, 2, 3) for row in _rows(n)), key=lambda op: op.is_layer),
        _windows("unfold", _WINDOWS, _unfold_terms, "N", "C", "X"),
        _windows("fold", {"output_size": None, **_WINDOWS}, _fold_terms, "N", "CK", "L"),
    ]
}


def rank(op: Op, operand: str) -> int:
    """The number of axes of a batched operand."""
    return sum(op.axes if letter in "XK" else 1 for letter in op.letters[operand])


def terms_by_result(op: Op, shapes: Shapes, arguments: Mapping[str, Any]) -> Terms:
    """K: the number of products summed into one element of each result of a valid call."""
    return op.terms(op, shapes, {**op.arguments, **arguments})


def terms(op: Op, shapes: Shapes, arguments: Mapping[str, Any]) -> int:
    """The largest K of the value and the gradients: it sets the range of the data.

    A case that is no valid call has none; it gets 1.
    """
    try:
        return max(1, *terms_by_result(op, shapes, arguments).values())
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
        return 1


def output_shape(op: Op, shapes: Shapes, arguments: Mapping[str, Any]) -> Sizes:
    """The shape of a valid call's output."""
    given, x = normalized(op, shapes, arguments), shapes["input"]
    if op.family == "fold":
        size = per_axis(given["output_size"], op.axes)
        return (*x[:-2], x[-2] // prod(given["kernel_size"]), *size)
    if op.family == "unfold":
        k = given["kernel_size"]
        return (*x[:-3], x[-3] * prod(k), prod(positions(op, x[-2:], k, given)))
    w, size = shapes["weight"], x[-op.axes :]
    if op.is_transposed:
        filters = w[1] * given["groups"]
        return (*x[: -op.axes - 1], filters, *transposed_size(op, size, w[2:], given))
    return (*x[: -op.axes - 1], w[0], *positions(op, size, w[2:], given))


def work(op: Op, operands: Mapping[str, Any]) -> int:
    """An upper bound on the multiply-adds of one call: every tap at every element."""
    return prod(prod(getattr(v, "shape", ())) for k, v in operands.items() if k != "bias")
