"""What is known of each operation: one row per op, and all that differs between ops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Op:
    """One operation under torch's name."""

    name: str
    axes: int
    operands: tuple[str, ...]
    arguments: Mapping[str, Any]  # in torch's order, with torch's defaults
    letters: Mapping[str, tuple[str, ...]]  # each operand's sizes: G groups, X input, K kernel

    # Negating these negates the result exactly, whatever the order of summation.
    odd_in: tuple[str, ...] = ("input", "bias")


def conv(axes: int) -> Op:
    return Op(
        f"conv{axes}d",
        axes,
        ("input", "weight", "bias"),
        {"stride": 1, "padding": 0, "dilation": 1, "groups": 1},
        {"input": ("N", "GC", "X"), "weight": ("GO", "C", "K"), "bias": ("GO",)},
    )


OPS = {op.name: op for op in (conv(1), conv(2), conv(3))}


def per_axis(value: Any, axes: int) -> Sizes:
    """`value` in any of the forms that torch takes, as one integer per axis."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return tuple(int(v) for v in (values * axes if len(values) == 1 else values))


def terms(op: Op, shapes: Mapping[str, Sizes], arguments: Mapping[str, Any]) -> int:
    """K: the largest number of products summed into one element of the value or of a gradient.

    Only this sets the range of the data, so that one draw is exact for all of them. A case that
    is no valid call has no K; it gets 1.
    """
    try:
        return max(1, *terms_by_result(op, shapes, arguments).values())
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
        return 1


def terms_by_result(
    op: Op, shapes: Mapping[str, Sizes], arguments: Mapping[str, Any]
) -> dict[str, int]:
    """K of each result of a valid call."""
    given = {**op.arguments, **arguments}
    x, w = shapes["input"], shapes["weight"]
    batch = x[0] if len(x) == op.axes + 2 else 1
    filters = w[0] // int(given["groups"])
    taps = prod(w[2:])
    places = prod(output_size(op, shapes, arguments))
    return {
        "output": w[1] * taps,
        "grad_input": filters * taps,
        "grad_weight": batch * places,
        "grad_bias": batch * places,
    }


def output_size(op: Op, shapes: Mapping[str, Sizes], arguments: Mapping[str, Any]) -> Sizes:
    """The spatial size of a convolution's result."""
    given = {**op.arguments, **arguments}
    size, kernel = shapes["input"][-op.axes :], shapes["weight"][2:]
    stride = per_axis(given["stride"], op.axes)
    if given["padding"] == "same":
        return size
    padding = per_axis(0 if given["padding"] == "valid" else given["padding"], op.axes)
    dilation = per_axis(given["dilation"], op.axes)
    axes = zip(size, kernel, stride, padding, dilation, strict=True)
    return tuple((x + 2 * p - d * (k - 1) - 1) // s + 1 for x, k, s, p, d in axes)


def work(op: Op, operands: Mapping[str, Any]) -> int:
    """An upper bound on the multiply-adds of one call: every tap at every element."""
    sizes = [prod(getattr(v, "shape", ())) for v in operands.values()]
    return sizes[0] * sizes[1] if len(sizes) > 1 else sizes[0]
