"""Faults of blocking and of fast paths: they show only where some size is large, or just so."""

from __future__ import annotations

from typing import Any

import numpy as np

from properties.cases.operation import per_axis
from properties.comparison.mismatch import GradientMismatch, ShapeMismatch, ValueMismatch

from .planting import Call, caught, caught_around


@caught(ValueMismatch, "conv1d((1, 1, 1), (9, 1, 1))")
def filters_beyond_whole_blocks_of_eight_dropped(c: Call) -> Any:
    w = np.array(c.w)
    if len(w) > 8:
        w[len(w) // 8 * 8 :] = 0
    return c.right(w=w)


@caught(ValueMismatch, "conv1d((1, 17, 1), (1, 17, 1))")
def channels_beyond_sixteen_not_summed(c: Call) -> Any:
    w = np.array(c.w)
    w[:, 16:] = 0
    return c.right(w=w)


@caught(ValueMismatch, "conv1d((5, 1, 1), (1, 1, 1), data='ramp')")
def fifth_sample_repeats_the_first(c: Call) -> Any:
    y = c.right()
    if c.batched and len(y) > 4:
        y[4] = y[0]
    return y


@caught(ValueMismatch, "conv1d((1, 1, 17), (1, 1, 1), bias=(1,))")
def bias_forgotten_in_a_remainder_of_sixteen_places(c: Call) -> Any:
    y = c.right()
    whole = y.shape[-1] // 16 * 16
    if c.b is not None and whole:
        y[..., whole:] = c.right(b=None)[..., whole:]
    return y


@caught(ValueMismatch, "conv1d((1, 1, 9), (1, 1, 9))")
def taps_beyond_eight_read_the_last(c: Call) -> Any:
    w = np.array(c.w)
    w[..., 8:] = 0
    return c.right(w=w)


@caught(ShapeMismatch, "conv1d((1, 1, 5), (1, 1, 1), stride=5)")
def stride_stops_at_four(c: Call) -> Any:
    return c.right(stride=tuple(min(s, 4) for s in c.stride))


@caught(ValueMismatch, "conv1d((1, 1, 129), (1, 1, 1), data='ramp')")
def places_counted_in_eight_bits(c: Call) -> Any:
    y = c.right()
    y[..., 128:] = y[..., : max(0, y.shape[-1] - 128)]
    return y


@caught(ValueMismatch, "conv1d((1, 1, 1), (1, 1, 1), padding=2)")
def border_wider_than_the_input_reflected(c: Call) -> Any:
    y = c.right()
    size = c.x.shape[-1]
    wide = isinstance(c.padding, tuple) and c.padding[-1] > size and y.size > 0
    return y + 1 if wide and y.dtype.kind in "fc" else y


@caught(ValueMismatch, "conv1d((1, 9, 1), (9, 1, 1), groups=9, data='ramp')")
def last_group_of_more_than_eight_repeats_the_first(c: Call) -> Any:
    w = np.array(c.w)
    if c.groups > 8:
        size = len(w) // c.groups
        w[-size:] = w[:size]
    return c.right(w=w)


@caught(ValueMismatch, "conv1d((1, 2, 1), (8, 1, 1), groups=2, data='ramp')")
def depthwise_multiplier_of_four_or_more_in_wrong_order(c: Call) -> Any:
    multiplier = len(c.w) // c.groups
    if c.groups == 1 or c.w.shape[1] > 1 or multiplier < 4:
        return c.right()
    w = np.array(c.w).reshape(c.groups, multiplier, *c.w.shape[1:])
    return c.right(w=w[:, ::-1].reshape(c.w.shape))


@caught(ValueMismatch, "conv1d((1, 1, 257), (1, 1, 257))")
def second_chunk_of_256_terms_added_twice(c: Call) -> Any:
    w = np.array(c.w)
    w.reshape(len(w), -1)[:, 256:] *= 2
    return c.right(w=w)


@caught(ValueMismatch, "conv1d((1, 1, 4), (1, 1, 4), bias=(1,))")
def kernel_as_large_as_its_input_ignores_the_bias(c: Call) -> Any:
    """A shortcut for global pooling: one product, and no bias."""
    n = len(c.stride)
    whole = c.x.shape[-n:] == c.w.shape[2:] and max(c.w.shape[2:]) > 3
    return c.right(b=None) if whole else c.right()


@caught(ValueMismatch, "conv2d((1, 1, 16, 16), (1, 1, 1, 1), data='ramp')")
def square_fast_path_transposes_from_eight_on(c: Call) -> Any:
    y = c.right()
    if y.ndim > 3 and y.shape[-1] == y.shape[-2] >= 8:
        return np.ascontiguousarray(y.swapaxes(-1, -2))
    return y


@caught(ShapeMismatch, "conv1d((1, 1, 7), (1, 1, 2), dilation=6)")
def dilation_stops_at_five(c: Call) -> Any:
    return c.right(dilation=tuple(min(d, 5) for d in c.dilation))


@caught(ValueMismatch, "conv1d((1, 1, 2), (5, 1, 1), data='ramp')")
def rows_and_columns_of_a_tile_swapped_for_many_filters_of_one_channel(c: Call) -> Any:
    y = c.right()
    few = c.w.shape[1] == 1 and len(c.w) >= 5 and c.groups == 1
    return y[..., ::-1].copy() if few and y.shape[-1] > 1 else y


@caught_around("grad.conv2d_weight", GradientMismatch, "conv2d((1, 1, 1, 101), (1, 1, 1, 1))")
def weight_gradient_of_the_first_hundred_places(
    grad: Any, input: Any, size: Any, gy: Any, *rest: Any, **given: Any
) -> Any:
    part = np.array(gy, order="C")
    if part.size:
        part.reshape(*part.shape[:-2], -1)[..., 100:] = 0
    return grad(input, size, part, *rest, **given)


@caught_around("grad.conv1d_input", GradientMismatch, "conv1d((1, 1, 2), (1, 1, 1), stride=5)")
def input_gradient_of_a_stride_of_five_or_more_shifted(
    grad: Any, size: Any, weight: Any, gy: Any, *rest: Any, **given: Any
) -> Any:
    gx = grad(size, weight, gy, *rest, **given)
    stride = per_axis(given.get("stride", 1), 1)[0]
    return np.roll(gx, 1, -1) if stride > 4 else gx
