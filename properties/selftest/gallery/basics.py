"""Faults that any implementation may have: sizes, groups, borders, dtypes, conduct."""

from __future__ import annotations

from typing import Any

import numpy as np

from properties.cases.operation import per_axis
from properties.comparison.mismatch import (
    AcceptedInvalid,
    ArgumentModified,
    DtypeMismatch,
    EngineCrash,
    EngineHang,
    GradientMismatch,
    MarginalValueMismatch,
    MemoryShared,
    NotRepeatable,
    RejectedValid,
    ShapeMismatch,
    ValueMismatch,
    WrongError,
)

from .planting import Call, Fault, caught, caught_around


@caught(ShapeMismatch, "conv2d((1, 1, 1, 2), (1, 1, 1, 1), stride=(1, 2))")
def swapped_stride(c: Call) -> Any:
    return c.right(stride=c.stride[::-1])


@caught(ShapeMismatch, "conv2d((1, 1, 1, 1), (1, 1, 1, 1), padding=(0, 1))")
def swapped_padding(c: Call) -> Any:
    return c.right(padding=c.padding if isinstance(c.padding, str) else c.padding[::-1])


@caught(RejectedValid, "conv1d((1, 1, 1), (1, 1, 1))")
def off_by_one_in_the_exact_fit(c: Call) -> Any:
    room = [x + 2 * p for x, p in zip(c.x.shape[-len(c.stride) :], c.border(), strict=True)]
    extent = [d * (k - 1) + 1 for k, d in zip(c.w.shape[2:], c.dilation, strict=True)]
    if any(e >= r for e, r in zip(extent, room, strict=True)) and c.padding != "same":
        raise ValueError("kernel too large")
    return c.right()


@caught(ShapeMismatch, "conv1d((1, 1, 4), (1, 1, 2), stride=2)")
def dilation_is_stride_when_strided(c: Call) -> Any:
    pairs = zip(c.stride, c.dilation, strict=True)
    dilation = tuple(s if s > 1 else d for s, d in pairs)
    try:
        return c.right(dilation=dilation)
    except RuntimeError:
        return c.right()


@caught(ValueMismatch, "conv1d((1, 1, 2), (1, 1, 2), data='ramp')")
def flipped_kernel(c: Call) -> Any:
    return c.right(w=c.w[..., ::-1])


@caught(ValueMismatch, "conv1d((1, 2, 1), (2, 1, 1), groups=2, data='ramp')")
def wrong_group_order(c: Call) -> Any:
    blocks = np.split(np.asarray(c.w), c.groups)
    return c.right(w=np.concatenate(blocks[::-1]))


@caught(ValueMismatch, "conv1d((1, 2, 1), (2, 1, 1), bias=(2,), groups=2, data='ramp')")
def bias_of_another_group(c: Call) -> Any:
    return c.right(b=None if c.b is None else np.roll(c.b, len(c.b) // c.groups))


@caught(ValueMismatch, "conv1d((1, 1, 4), (1, 1, 4))")
def last_tap_dropped_from_four_on(c: Call) -> Any:
    w = np.array(c.w)
    if w.shape[2] >= 4:
        w[:, :, -1] = 0
    return c.right(w=w)


@caught(ValueMismatch, "conv1d((1, 3, 1), (3, 1, 1), groups=3)")
def wrong_for_three_groups(c: Call) -> Any:
    return -c.right() if c.groups == 3 else c.right()


@caught(ValueMismatch, "conv1d((1, 1, 65), (1, 1, 65))")
def wrong_above_64_terms(c: Call) -> Any:
    w = np.array(c.w)
    flat = w.reshape(len(w), -1)
    flat[:, 64:] = 0
    return c.right(w=w)


@caught(ValueMismatch, "conv1d((3, 1, 1), (1, 1, 1), data='ramp')")
def wrong_third_sample(c: Call) -> Any:
    y = c.right()
    if c.batched and len(y) > 2:
        y[2] = y[0]
    return y


@caught(ValueMismatch, "conv1d(float16(1, 1, 19), float16(1, 1, 19), data='ramp')")
def float16_accumulation(c: Call) -> Any:
    """Rounds the sum over each tap to float16 before the next is added."""
    if c.x.dtype.type is not np.float16:
        return c.right()
    y = c.right(w=np.zeros_like(c.w))
    with np.errstate(all="ignore"):
        for tap in np.ndindex(*c.w.shape[2:]):
            w = np.zeros_like(c.w)
            w[:, :, *tap] = c.w[:, :, *tap]
            y = (y + c.right(w=w, b=None)).astype(np.float16)
    return y


@caught(ArgumentModified, "conv1d((1, 1, 1), (1, 1, 1))")
def argument_modified(c: Call) -> Any:
    y = c.right()
    if c.x.flags.writeable:
        c.x[...] = 0
    return y


@caught(MemoryShared, "conv1d((1, 1, 1), (1, 1, 1))")
def result_is_the_input(c: Call) -> Any:
    y = c.right()
    if c.x.shape == y.shape and c.x.flags.c_contiguous and c.x.dtype.isnative and (c.x == y).all():
        return c.x
    return y


def _state_kept() -> Fault:
    kept: dict[Any, Any] = {}

    def state_kept_between_calls(c: Call) -> Any:
        key = (c.x.shape, c.w.shape, c.x.dtype, c.stride, str(c.padding), c.dilation, c.b is None)
        return kept.setdefault((*key, c.groups), c.right()).copy()

    return state_kept_between_calls


caught(NotRepeatable, "conv1d((1, 1, 1), (1, 1, 1))")(_state_kept())


@caught(ValueMismatch, "conv1d(float64(1, 1, 1), float64(1, 1, 1), data='integers:0')")
def sums_float64_in_float32(c: Call) -> Any:
    if c.x.dtype.type is not np.float64:
        return c.right()
    with np.errstate(all="ignore"):
        narrow = {
            k: None if v is None else np.float32(v)
            for k, v in zip("xwb", (c.x, c.w, c.b), strict=True)
        }
        return c.right(**narrow).astype(np.float64)


@caught(MarginalValueMismatch, "conv1d((1, 1, 1), (1, 1, 1), data='reals:0')")
def twice_the_bound_in_one_channel(c: Call) -> Any:
    """Off by what rounding could only do twice over: n·u·S, on the last channel."""
    y = c.right()
    if c.x.dtype.type is np.float32 and np.isfinite(y).all() and (y != np.rint(y)).any():
        s = c.right(x=abs(c.x), w=abs(c.w), b=None if c.b is None else abs(c.b))
        last = (..., -1) + (slice(None),) * len(c.stride)
        y[last] += np.float32(2 * (c.w[0].size + 1) * 2.0**-24) * s[last]
    return y


@caught(ValueMismatch, "conv1d((1, 2, 1), (2, 1, 1), stride=2, dilation=2, groups=2)")
def wrong_for_stride_dilation_and_groups_together(c: Call) -> Any:
    y = c.right()
    return y + 1 if max(c.stride) > 1 and max(c.dilation) > 1 and c.groups > 1 else y


@caught(ValueMismatch, "conv2d((1, 1, 1, 1), (1, 1, 1, 1), stride=(1, 2), dilation=(1, 2))")
def wrong_where_two_axes_differ_twice(c: Call) -> Any:
    y = c.right()
    return y + 1 if len(set(c.stride)) > 1 and len(set(c.dilation)) > 1 else y


@caught(ValueMismatch, "conv1d((1, 1, 2), (1, 1, 2), data='special:0')")
def nan_replaced_by_zero(c: Call) -> Any:
    y = c.right()
    return np.nan_to_num(y, posinf=np.inf, neginf=-np.inf) if y.dtype.kind == "f" else y


@caught(ValueMismatch, "conv1d((1, 1, 1), (1, 1, 1), data='special:0')")
def subnormals_flushed(c: Call) -> Any:
    y = c.right()
    if y.dtype.kind == "f":
        y[abs(y) < np.finfo(y.dtype).tiny] = 0
    return y


@caught(ValueMismatch, "conv1d((1, 1, 5), (1, 1, 1), bias=(1,))")
def wrong_on_the_last_partial_tile(c: Call) -> Any:
    """Works in tiles of four along the last axis, and forgets the bias in a remainder."""
    y = c.right()
    whole = y.shape[-1] // 4 * 4
    if c.b is not None and whole:
        y[..., whole:] = c.right(b=None)[..., whole:]
    return y


@caught(ValueMismatch, "conv1d((1, 1, 3), (1, 1, 1))")
def one_row_uninitialised(c: Call) -> Any:
    y = c.right()
    if y.ndim > len(c.stride) + 1 and y.shape[-1] > 2:
        y[..., -1] = 77
    return y


@caught(ValueMismatch, "conv1d((2, 1, 1), (1, 1, 1))")
def depends_on_the_batch_size(c: Call) -> Any:
    y = c.right()
    return y / 2 if y.dtype.kind in "fc" and c.batched and len(y) == 2 else y


def _static_buffer() -> Fault:
    buffers: dict[Any, Any] = {}

    def earlier_result_overwritten(c: Call) -> Any:
        y = c.right()
        buffer = buffers.setdefault((y.shape, y.dtype), np.empty_like(y))
        buffer[...] = y
        return buffer

    return earlier_result_overwritten


caught(NotRepeatable, "conv1d((1, 1, 1), (1, 1, 1))")(_static_buffer())


@caught(ValueMismatch, "conv1d(float32(2, 1, 2, layout='fortran'), (1, 1, 1), data='ramp')")
def strided_input_read_in_memory_order(c: Call) -> Any:
    x = c.x
    if not x.flags.c_contiguous and x.flags.f_contiguous:
        x = x.ravel(order="K").reshape(x.shape)
    return c.right(x=x)


@caught(ValueMismatch, "conv1d(float32(1, 1, 1, layout='swapped'), (1, 1, 1))")
def byte_order_ignored(c: Call) -> Any:
    return c.right(x=c.x.view(c.x.dtype.newbyteorder("=")))


@caught(ValueMismatch, "conv1d(int16(1, 1, 1), int16(1, 1, 1), data='wrap:0')")
def integers_saturate(c: Call) -> Any:
    if c.x.dtype.kind not in "iu" or c.x.dtype.itemsize > 2:
        return c.right()
    info = np.iinfo(c.x.dtype)
    wide = [None if v is None else v.astype(np.int64) for v in (c.x, c.w, c.b)]
    return c.right(x=wide[0], w=wide[1], b=wide[2]).clip(info.min, info.max).astype(c.x.dtype)


@caught(ArgumentModified, "conv1d((1, 1, 1), (1, 1, 1), bias=(1,))")
def bias_added_in_place(c: Call) -> Any:
    y = c.right()
    if c.b is not None and c.b.flags.writeable:
        np.add(c.b, c.b, out=c.b)
    return y


@caught(EngineCrash, "conv1d((1, 1, 1), (3, 1, 1))")
def index_out_of_range(c: Call) -> Any:
    return c.right() if len(c.w) < 3 else c.right(w=c.w[[0, 1, len(c.w)]])


@caught(EngineHang, "conv1d((1, 3, 1), (3, 1, 1), groups=3)")
def endless_for_three_groups(c: Call) -> Any:
    while c.groups == 3:
        pass
    return c.right()


@caught(ShapeMismatch, "conv1d((1, 1, 3), (1, 1, 2), dilation=2)")
def size_of_the_undilated_kernel(c: Call) -> Any:
    """Pads the result to the size that a kernel without dilation would give."""
    y = c.right()
    if isinstance(c.padding, str) or max(c.dilation) == 1:
        return y
    sizes = [
        (x + 2 * p - k) // s + 1
        for x, p, k, s in zip(
            c.x.shape[-len(c.stride) :], c.padding, c.w.shape[2:], c.stride, strict=True
        )
    ]
    room = np.zeros((*y.shape[: -len(sizes)], *sizes), y.dtype)
    room[tuple(map(slice, y.shape))] = y
    return room


@caught(ShapeMismatch, "conv2d((1, 1, 1, 1), (1, 1, 1, 1), padding=(1, 0))")
def cropped_by_minus_zero(c: Call) -> Any:
    """x[p:-p] with p = 0, on the last axis of a padded result."""
    y = c.right()
    if isinstance(c.padding, tuple) and max(c.padding) > 0 and c.padding[-1] == 0:
        return y[..., 0 : -c.padding[-1]]
    return y


@caught(ValueMismatch, "conv2d((1, 1, 2, 3), (1, 1, 2, 3), data='ramp')")
def height_and_width_mixed_up(c: Call) -> Any:
    """Right for square kernels only."""
    if c.w.ndim != 4 or c.w.shape[2] == c.w.shape[3]:
        return c.right()
    return c.right(
        w=np.ascontiguousarray(c.w).reshape(*c.w.shape[:2], *c.w.shape[:1:-1]).swapaxes(2, 3)
    )


@caught(EngineCrash, "conv1d((0, 1, 1), (1, 1, 1))")
def empty_batch_reshaped_by_minus_one(c: Call) -> Any:
    if c.x.size == 0:
        raise ZeroDivisionError("cannot reshape array of size 0")
    return c.right()


@caught(DtypeMismatch, "conv1d((1, 1, 1), (1, 1, 1), bias=(1,))")
def promotes_to_float64(c: Call) -> Any:
    y = c.right()
    return y.astype(np.float64) if y.dtype == np.float32 and c.b is not None else y


@caught(ValueMismatch, "conv1d((1, 1, 2), (1, 1, 1), data='special:0')")
def border_skipped_instead_of_multiplied(c: Call) -> Any:
    """Leaves out the products of zeros, and with them 0·inf."""
    if c.x.dtype.kind != "f" or np.isfinite(c.w).all():
        return c.right()
    return c.right(w=np.where(np.isfinite(c.w), c.w, 0).astype(c.w.dtype))


@caught(ValueMismatch, "conv1d((1, 1, 1), (1, 1, 2), padding='same', data='ramp')")
def same_pads_before(c: Call) -> Any:
    """The odd zero of padding 'same' goes before."""
    if c.padding != "same":
        return c.right()
    flip = (..., *[slice(None, None, -1)] * len(c.stride))
    return c.right(x=c.x[flip], w=c.w[flip])[flip]


@caught(DtypeMismatch, "conv1d(complex64(1, 1, 1), complex64(1, 1, 1))")
def imaginary_part_lost(c: Call) -> Any:
    y = c.right()
    return y.real if y.dtype.kind == "c" else y


@caught_around("conv2d", RejectedValid, "conv2d((1, 1, 1, 1), (1, 1, 1, 1), groups=int64(1))")
def takes_no_numpy_integers(
    conv: Any, input: Any, weight: Any, bias: Any = None, **given: Any
) -> Any:
    if any(isinstance(v, np.integer) for v in given.values()):
        raise TypeError("integers only")
    return conv(input, weight, bias, **given)


@caught_around("conv2d", AcceptedInvalid, "conv2d((1, 2, 1, 1), (1, 1, 1, 1), blame='input')")
def channels_not_checked(conv: Any, input: Any, weight: Any, bias: Any = None, **given: Any) -> Any:
    try:
        return conv(input, weight, bias, **given)
    except RuntimeError as error:
        if "channels (weight" not in str(error):
            raise
        return conv(input[..., : weight.shape[1], :, :], weight, bias, **given)


@caught_around("conv1d", AcceptedInvalid, "conv1d((1, 1, 1), (1, 1, 2), blame='weight')")
def operands_swapped_for_a_large_kernel(
    conv: Any, input: Any, weight: Any, bias: Any = None, **given: Any
) -> Any:
    try:
        return conv(input, weight, bias, **given)
    except RuntimeError as error:
        if "fits into" not in str(error):
            raise
        return conv(weight, weight, None)


@caught_around("conv2d", WrongError, "conv2d(None, (1, 1, 1, 1), blame='input')", own=True)
def wrong_exception(conv: Any, input: Any, weight: Any, bias: Any = None, **given: Any) -> Any:
    try:
        return conv(input, weight, bias, **given)
    except TypeError as error:
        raise ValueError(str(error)) from None


@caught_around("conv2d", WrongError, "conv2d((1, 1, 1, 1), (1, 1, 1), blame='weight')", own=True)
def wrong_argument_blamed(
    conv: Any, input: Any, weight: Any, bias: Any = None, **given: Any
) -> Any:
    try:
        return conv(input, weight, bias, **given)
    except RuntimeError as error:
        raise type(error)("conv2d", "input", f"expected something else, got {error}") from None


@caught_around(
    "conv_transpose2d",
    RejectedValid,
    "conv_transpose2d((1, 1, 1, 1), (1, 1, 1, 1), output_padding=(0, 1), dilation=(1, 2))",
)
def output_padding_below_stride_only(
    conv: Any, input: Any, weight: Any, *rest: Any, **given: Any
) -> Any:
    stride, extra = (
        per_axis(given.get(k, d), 2) for k, d in (("stride", 1), ("output_padding", 0))
    )
    if any(e >= s > 0 for s, e in zip(stride, extra, strict=True)) and any(extra):
        raise ValueError("output_padding must be smaller than stride")
    return conv(input, weight, *rest, **given)


@caught_around(
    "conv_transpose1d",
    ValueMismatch,
    "conv_transpose1d((1, 1, 2), (1, 1, 1), stride=2, data='special:0')",
)
def zeros_stuffed_between(
    conv: Any, input: Any, weight: Any, bias: Any = None, **given: Any
) -> Any:
    """Meets inf and nan with the zeros that it puts between the input's elements."""
    y = conv(input, weight, bias, **given)
    if y.dtype.kind == "f" and per_axis(given.get("stride", 1), 1)[0] > 1:
        with np.errstate(invalid="ignore"):
            y += 0 * weight[~np.isfinite(weight)].sum() if input.size else 0
    return y


@caught_around(
    "grad.conv2d_input", GradientMismatch, "conv2d((1, 1, 1, 2), (1, 1, 1, 2), stride=(1, 2))"
)
def last_stride_phase_left_out(
    grad: Any, input_size: Any, weight: Any, gy: Any, **given: Any
) -> Any:
    gx = grad(input_size, weight, gy, **given)
    stride = per_axis(given.get("stride", 1), 2)[-1]
    if stride > 1:
        gx[..., stride - 1 :: stride] = 0
    return gx


@caught_around(
    "grad.conv1d_weight",
    GradientMismatch,
    "conv1d(complex64(1, 1, 1), complex64(1, 1, 1), data='ramp')",
)
def weight_gradient_not_conjugated(grad: Any, input: Any, size: Any, gy: Any, **given: Any) -> Any:
    return grad(input.conj(), size, gy, **given)


@caught_around("grad.conv1d_weight", GradientMismatch, "conv1d((2, 1, 1), (1, 1, 1))")
def weight_gradient_of_the_first_sample(
    grad: Any, input: Any, size: Any, gy: Any, **given: Any
) -> Any:
    if input.ndim == 3 and len(input) > 1:
        return grad(input[:1], size, gy[:1], **given)
    return grad(input, size, gy, **given)
