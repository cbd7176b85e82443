"""Faults of shortcuts for special values, and of sums in narrow dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from properties.comparison.mismatch import ValueMismatch

from .planting import Call, caught


@caught(ValueMismatch, "conv1d(int8(1, 1, 18), int8(1, 1, 1), bias=int8(1), data='integers:0')")
def empty_filter_gives_no_bias(c: Call) -> Any:
    """Skips filters that are all zero, and their bias with them."""
    y = c.right()
    if c.b is not None and c.w.size:
        skipped = ~c.w.reshape(len(c.w), -1).any(1)
        y[(..., skipped, *[slice(None)] * len(c.stride))] = 0
    return y


@caught(ValueMismatch, "conv1d((1, 1, 4), (1, 1, 1), padding=1)")
def constant_input_taken_out_of_the_sum(c: Call) -> Any:
    """Computes x·Σw for a constant input, border or not."""
    n = len(c.stride)
    if c.x.size == 0 or c.x.dtype.kind != "f" or not (c.x == c.x.flat[0]).all() or c.x.size < 4:
        return c.right()
    return (
        c.right(x=np.ones_like(c.x), padding=(0,) * n) if c.padding == (0,) * n else c.right() + 1
    )


@caught(ValueMismatch, "conv1d(int8(1, 1, 16), int8(1, 1, 3), data='ramp')")
def symmetric_kernel_computed_by_halves(c: Call) -> Any:
    """Folds a kernel that equals its mirror image, and counts its middle twice."""
    k = c.w.shape[-1]
    mirrored = k % 2 and k > 1 and (c.w == c.w[..., ::-1]).all() and np.ptp(c.w.real) > 0
    if not mirrored:
        return c.right()
    w = np.array(c.w)
    w[..., k // 2] *= 2
    return c.right(w=w)


@caught(ValueMismatch, "conv1d(uint8(1, 1, 3), uint8(1, 1, 2), data='integers:0')")
def kernel_of_one_weight_gathers_the_wrong_place(c: Call) -> Any:
    """Copies the input where one weight alone is not zero, a place too far."""
    single = np.count_nonzero(c.w) == 1 < c.w[0].size and (c.w != 0).any()
    y = c.right()
    return np.roll(y, 1, -1) if single and y.shape[-1] > 1 else y


@caught(ValueMismatch, "conv1d((1, 1, 2), (1, 1, 1), data='special:0')")
def large_values_saturate(c: Call) -> Any:
    y = c.right()
    return np.clip(y, -1e30, 1e30).astype(y.dtype) if y.dtype.type is np.float32 else y


@caught(ValueMismatch, "conv1d(float16(1, 1, 4), float16(1, 1, 1), data='extreme:0')")
def float16_results_saturate(c: Call) -> Any:
    """Cuts finite sums off at the largest float16, where they must become inf."""
    y = c.right()
    if y.dtype.type is not np.float16 or not all(np.isfinite(v).all() for v in (c.x, c.w)):
        return y
    return np.clip(y, -65504, 65504)


@caught(ValueMismatch, "conv1d((1, 1, 1), (1, 1, 1), data='special:0')")
def small_values_flushed(c: Call) -> Any:
    y = c.right()
    if y.dtype.type is np.float32:
        y[np.abs(y) < 1e-30] = 0
    return y


@caught(ValueMismatch, "conv1d((1, 1, 200), (1, 1, 200), data='integers:0')")
def sums_large_layers_in_bfloat16(c: Call) -> Any:
    """Rounds its operands to 8 bits where a sum has many terms."""
    if c.x.dtype.type is not np.float32 or c.w[0].size < 200:
        return c.right()
    return c.right(x=_bfloat16(c.x), w=_bfloat16(c.w))


def _bfloat16(array: Any) -> Any:
    return _cut(array, 0xFFFF0000)


def _cut(array: Any, mask: int) -> Any:
    """float32 with some of its bits."""
    bits = np.ascontiguousarray(array, "=f4").view(np.uint32)
    return (bits & np.uint32(mask)).view(np.float32).reshape(array.shape)


def _sums_over(terms: int, c: Call) -> bool:
    return c.x.dtype.type is np.float32 and c.w[0].size >= terms


@caught(ValueMismatch, "conv1d((1, 2304, 1), (1, 2304, 1), data='lopsided:0')")
def tensor_float_32_in_deep_layers(c: Call) -> Any:
    """Multiplies in 11 bits from 2,304 terms on, which no bound on real data excludes."""
    if not _sums_over(2304, c):
        return c.right()
    return c.right(x=_cut(c.x, 0xFFFFE000), w=_cut(c.w, 0xFFFFE000))


@caught(ValueMismatch, "conv1d((1, 4608, 1), (1, 4608, 1), data='lopsided:0')")
def bfloat16_in_very_deep_layers(c: Call) -> Any:
    return c.right(x=_bfloat16(c.x), w=_bfloat16(c.w)) if _sums_over(4608, c) else c.right()


@caught(ValueMismatch, "conv1d(float16(1, 1, 1), float16(1, 1, 1), data='integers:25')")
def float16_rounded_twice(c: Call) -> Any:
    """Rounds the float32 sum to 12 bits before it rounds to float16's 11."""
    y = c.right()
    if y.dtype.type is not np.float16 or y.dtype != c.x.dtype:
        return y
    wide = {k: None if v is None else v.astype(np.float32) for k, v in c.operands.items()}
    exact = c.right(**wide)
    bits = np.ascontiguousarray(exact).view(np.uint32) + np.uint32(0x800)
    twice = (bits & np.uint32(0xFFFFF000)).view(np.float32)
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(exact), twice, exact).astype(np.float16)


@caught(ValueMismatch, "conv1d(int8(1, 5, 1), int8(1, 5, 1), data='integers:0')")
def zero_channel_skipped_with_its_neighbours_kernel(c: Call) -> Any:
    """Leaves out input channels that are all zero, but not their kernels."""
    at = c.x.ndim - len(c.stride) - 1
    if c.groups > 1 or c.x.size == 0 or c.x.shape[at] < 2:
        return c.right()
    axes = tuple(i for i in range(c.x.ndim) if i != at)
    kept = np.flatnonzero((c.x != 0).any(axes))
    if len(kept) in (0, c.x.shape[at]):
        return c.right()
    return c.right(x=np.take(c.x, kept, at), w=np.ascontiguousarray(c.w[:, : len(kept)]))


@caught(ValueMismatch, "conv1d((1, 1, 4), (1, 1, 1), data='reals:607')")
def positive_data_clipped_at_zero(c: Call) -> Any:
    """Believes that an input without negative elements has an output without them."""
    y = c.right()
    if y.dtype.kind != "f" or c.x.size == 0 or not (c.x >= 0).all() or np.ptp(c.x) == 0:
        return y
    return np.maximum(y, 0)


@caught(
    ValueMismatch, "conv1d((1, 1, 2), float32(2, 1, 2, layout='broadcast'), bias=(2,), data='ramp')"
)
def equal_filters_share_the_first_ones_bias(c: Call) -> Any:
    """Computes equal filters once, and forgets that their biases differ."""
    if c.b is None or len(c.w) < 2 or c.w[0].size < 2 or not (c.w[0] == c.w[-1]).all():
        return c.right()
    b = np.array(c.b)
    b[-1] = b[0]
    return c.right(b=b)


@caught(
    ValueMismatch,
    "conv1d(float64(1, 4, 2), float64(2, 2, 2), bias=float64(2), groups=2, data='constant:0')",
)
def cancelling_sum_returned_as_zero(c: Call) -> Any:
    """Takes what is small beside its terms for rounding."""
    y = c.right()
    if y.dtype.kind != "f" or not (np.isfinite(c.x).all() and np.isfinite(c.w).all()):
        return y
    size = c.right(x=abs(c.x), w=abs(c.w), b=None if c.b is None else abs(c.b))
    y[abs(y) < 1e-6 * size] = 0
    return y
