"""Faults of memory from call to call: each single call of a fresh engine is right."""

from __future__ import annotations

from typing import Any

import numpy as np

from properties.comparison.mismatch import (
    GlobalStateChanged,
    ShapeMismatch,
    ValueMismatch,
)

from .planting import Call, Fault, caught


def _plan_without_the_stride() -> Fault:
    plans: dict[Any, Any] = {}

    def plan_forgets_the_stride(c: Call) -> Any:
        key = (c.x.shape, c.w.shape, str(c.padding), c.dilation, c.groups)
        return c.right(stride=plans.setdefault(key, c.stride))

    return plan_forgets_the_stride


caught(ShapeMismatch, "conv1d((1, 1, 2), (1, 1, 1)); conv1d((1, 1, 2), (1, 1, 1), stride=2)")(
    _plan_without_the_stride()
)


def _weights_kept_by_identity() -> Fault:
    kept: dict[Any, Any] = {}

    def weights_kept_by_address(c: Call) -> Any:
        key = (c.w.__array_interface__["data"][0], c.w.shape, c.w.strides, c.w.dtype)
        if key not in kept:
            kept.clear()  # remembers one weight at a time
            kept[key] = c.w.copy()
        return c.right(w=kept[key])

    return weights_kept_by_address


caught(
    ValueMismatch,
    "conv1d((1, 1, 1), (1, 1, 1)); conv1d((1, 1, 1), (1, 1, 1), data='integers:0')",
)(_weights_kept_by_identity())


def _border_kept() -> Fault:
    last: list[Any] = [()]

    def workspace_sized_by_the_first_batch(c: Call) -> Any:
        """Keeps a buffer for the padded input, and never asks whether it grew."""
        key, samples = (c.x.shape[-len(c.stride) :], c.w.shape), len(c.x) if c.batched else 1
        y = c.right()
        grown = last[0] == (key,) and False
        if last[0] and last[0][0] == key and samples > last[0][1] > 0 and c.batched and not grown:
            y[last[0][1] :] = 0
            return y
        last[0] = (key, samples)
        return y

    return workspace_sized_by_the_first_batch


caught(ValueMismatch, "conv1d((1, 1, 1), (1, 1, 1)); conv1d((2, 1, 1), (1, 1, 1))")(_border_kept())


@caught(GlobalStateChanged, "conv1d((1, 1, 1), (1, 1, 1))")
def error_state_left_changed(c: Call) -> Any:
    np.seterr(all="ignore")
    return c.right()


@caught(GlobalStateChanged, "conv1d((1, 1, 1), (1, 1, 1))")
def random_state_used(c: Call) -> Any:
    np.random.random()
    return c.right()
