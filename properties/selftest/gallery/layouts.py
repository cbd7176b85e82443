"""Faults of reading memory: they show only for arrays that lie in memory in some odd way."""

from __future__ import annotations

from typing import Any

import numpy as np

from properties.comparison.mismatch import RejectedValid, ValueMismatch

from .planting import Call, caught


@caught(
    ValueMismatch,
    "conv3d(float32(2, 1, 1, 2, 1, layout='order:2,1,3,0,4'), (1, 1, 1, 1, 1), data='ramp')",
)
def crop_read_as_if_contiguous(c: Call) -> Any:
    """Looks at the step of the last axis only, and reads on across the gaps."""
    x = c.x
    gaps = x.size > 1 and x.strides[-1] == x.itemsize and not x.flags.c_contiguous
    if not gaps or x.base is None or min(x.strides) < 0 or x.dtype.kind == "V":
        return c.right()
    flat = np.ndarray((x.size,), x.dtype, np.ascontiguousarray(x)).copy()
    return c.right(x=np.roll(flat, 1).reshape(x.shape)) if 0 not in x.strides else c.right()


@caught(
    ValueMismatch, "conv2d(float32(1, 2, 2, 2, layout='channels_last'), (1, 2, 1, 1), data='ramp')"
)
def permuted_axes_read_in_memory_order(c: Call) -> Any:
    x = c.x
    plain = x.flags.c_contiguous or x.flags.f_contiguous or 0 in x.strides or min(x.strides) < 0
    if plain or x.ravel(order="K").tobytes() == x.ravel().tobytes():
        return c.right()
    return c.right(x=x.ravel(order="K").reshape(x.shape))


@caught(
    ValueMismatch,
    "conv3d(float32(1, 1, 1, 2, 2, layout='step:1,-3,3,2,-3'), (1, 1, 1, 1, 1), data='ramp')",
)
def one_negative_step_read_forwards(c: Call) -> Any:
    """Right for arrays that are reversed on every axis."""
    x = c.x
    negative = [s < 0 for s, n in zip(x.strides, x.shape, strict=True) if n > 1]
    if any(negative) and not all(negative) and x.strides[-1] < 0:
        return c.right(x=x[..., ::-1])
    return c.right()


@caught(ValueMismatch, "conv1d(float32(2, 1, layout='broadcast'), (1, 2, 1))")
def broadcast_channels_counted_once(c: Call) -> Any:
    at = c.x.ndim - len(c.stride) - 1
    if c.x.shape[at] > 1 and c.x.strides[at] == 0 and c.x.size and c.groups == 1:
        w = np.array(c.w)
        w[:, 1:] = 0
        return c.right(w=w)
    return c.right()


@caught(RejectedValid, "conv1d((1, 1, 1), float32(1, 1, 1, layout='broadcast'))")
def read_only_weights_refused(c: Call) -> Any:
    if not c.w.flags.writeable:
        raise ValueError("assignment destination is read-only")
    return c.right()


@caught(ValueMismatch, "conv2d((1, 1, 1, 1), float32(1, 1, 1, 1, layout='of:input'))")
def weights_that_share_the_inputs_memory_overwritten(c: Call) -> Any:
    """Prepares its weights in place and restores them: the input changes with them meanwhile."""
    if c.w.size and np.shares_memory(c.x, c.w):
        return c.right(x=c.x * 2)
    return c.right()


@caught(ValueMismatch, "conv1d(float32(1, 1, 2, layout='unaligned'), (1, 1, 1), data='ramp')")
def odd_alignment_skips_the_first_element(c: Call) -> Any:
    """Rounds an address up to what its vector instructions need."""
    address = c.x.__array_interface__["data"][0]
    if c.x.size < 2 or address % c.x.itemsize == 0 or not c.x.flags.c_contiguous:
        return c.right()
    return c.right(x=np.roll(c.x, -1))
