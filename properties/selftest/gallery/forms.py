"""Faults of taking arguments: a call may say the same thing in many ways."""

from __future__ import annotations

from typing import Any

import numpy as np

from properties.comparison.mismatch import RejectedValid, ShapeMismatch, ValueMismatch

from .planting import caught_around


@caught_around(
    "conv2d", ShapeMismatch, "conv2d((1, 1, 1, 2), (1, 1, 1, 1), stride=[1, 2])", as_it_came=True
)
def list_read_as_its_first_element(
    conv: Any, input: Any, weight: Any, bias: Any = None, stride: Any = 1, *rest: Any, **given: Any
) -> Any:
    stride = stride[0] if isinstance(stride, list) and len(stride) > 1 else stride
    return conv(input, weight, bias, stride, *rest, **given)


@caught_around(
    "conv2d",
    RejectedValid,
    "conv2d((1, 1, 1, 1), (1, 1, 1, 1), dilation=[int8(1)])",
    as_it_came=True,
)
def small_integers_of_numpy_refused(
    conv: Any, input: Any, weight: Any, bias: Any = None, **given: Any
) -> Any:
    values = [e for v in given.values() for e in (v if isinstance(v, (tuple, list)) else (v,))]
    if any(isinstance(v, (np.int8, np.uint8, np.int16)) for v in values):
        raise TypeError("stride must be an integer")
    return conv(input, weight, bias, **given)


@caught_around(
    "conv1d", RejectedValid, "conv1d((1, 1, 1), (1, 1, 1), None, 1, 0, 1)", as_it_came=True
)
def everything_by_name_or_nothing(conv: Any, input: Any, weight: Any, **given: Any) -> Any:
    """Takes a bias, and all that follows it, by name only."""
    return conv(input, weight, **given)


@caught_around(
    "conv2d",
    ValueMismatch,
    "conv2d((1, 1, 1, 2), (1, 1, 1, 1), None, (1, 3), (1, 2), 1)",
    as_it_came=True,
)
def dilation_before_padding(
    conv: Any,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    dilation: Any = 1,
    padding: Any = 0,
    groups: Any = 1,
) -> Any:
    """Right for arguments that are given by name."""
    return conv(input, weight, bias, stride, padding, dilation, groups)


@caught_around(
    "conv1d", RejectedValid, "conv1d((1, 1, 1), (1, 1, 1), stride=Int(1))", as_it_came=True
)
def subclasses_of_int_refused(
    conv: Any, input: Any, weight: Any, bias: Any = None, stride: Any = 1, *rest: Any, **given: Any
) -> Any:
    if isinstance(stride, int) and type(stride) is not int:
        raise TypeError("stride must be int")
    return conv(input, weight, bias, stride, *rest, **given)


@caught_around(
    "grad.conv2d_input",
    RejectedValid,
    "conv2d(input=(1, 1, 1, 1), weight=(1, 1, 1, 1))",
    as_it_came=True,
)
def input_size_must_be_a_tuple(grad: Any, size: Any, *rest: Any, **given: Any) -> Any:
    if not isinstance(size, tuple):
        raise TypeError("input_size must be a tuple")
    return grad(size, *rest, **given)
