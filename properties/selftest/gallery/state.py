"""Faults of memory from call to call: each single call of a fresh engine is right."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

import engine
from properties.comparison.mismatch import (
    GlobalStateChanged,
    GradientMismatch,
    ShapeMismatch,
    ValueMismatch,
)

from .planting import GALLERY, Call, Fault, Wrong, caught


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


def _plan_without_the_dilation() -> Fault:
    plans: dict[Any, Any] = {}

    def plan_forgets_the_dilation(c: Call) -> Any:
        key = (c.x.shape, c.w.shape, str(c.padding), c.stride, c.groups)
        return c.right(dilation=plans.setdefault(key, c.dilation))

    return plan_forgets_the_dilation


caught(ShapeMismatch, "conv1d((1, 1, 3), (1, 1, 2)); conv1d((1, 1, 3), (1, 1, 2), dilation=2)")(
    _plan_without_the_dilation()
)


def _plan_without_the_steps_in_memory() -> Fault:
    plans: dict[Any, Any] = {}

    def plan_forgets_how_its_input_lay(c: Call) -> Any:
        """Reads the elements in the order in which the first input of this shape lay."""
        x = c.x
        order = tuple(np.argsort([-abs(step) for step in x.strides], kind="stable"))
        kept = plans.setdefault((x.shape, x.dtype), order)
        if kept == order or not x.size or 0 in x.strides:
            return c.right()
        moved = np.ascontiguousarray(x.transpose(order))
        return c.right(
            x=moved.reshape([x.shape[axis] for axis in kept]).transpose(np.argsort(kept))
        )

    return plan_forgets_how_its_input_lay


caught(
    ValueMismatch,
    "conv1d((1, 2, 2), (1, 2, 1), data='ramp'); "
    "conv1d(float32(1, 2, 2, layout='fortran'), (1, 2, 1), data='ramp')",
)(_plan_without_the_steps_in_memory())


def _plan_without_the_dtype() -> Fault:
    plans: dict[Any, Any] = {}

    def plan_forgets_the_dtype(c: Call) -> Any:
        """Sums in the dtype of the first call of these shapes."""
        kept = plans.setdefault((c.x.shape, c.w.shape, c.stride), c.x.dtype.newbyteorder("="))
        if kept == c.x.dtype or "f" not in kept.kind + c.x.dtype.kind or c.x.dtype.kind == "c":
            return c.right()
        operands = {k: None if v is None else v.astype(kept) for k, v in c.operands.items()}
        with np.errstate(all="ignore"):
            return c.right(**operands).astype(c.x.dtype.newbyteorder("="))

    return plan_forgets_the_dtype


caught(
    ValueMismatch,
    "conv1d((1, 1, 1), (1, 1, 1)); conv1d(float64(1, 1, 1), float64(1, 1, 1), data='integers:0')",
)(_plan_without_the_dtype())


def _bias_of_the_first_call() -> Fault:
    kept: dict[Any, Any] = {}

    def plan_forgets_whether_there_is_a_bias(c: Call) -> Any:
        key = (c.x.shape, c.w.shape, c.stride, str(c.padding), c.dilation)
        biased = kept.setdefault(key, c.b is not None)
        return c.right() if biased else c.right(b=None)

    return plan_forgets_whether_there_is_a_bias


caught(
    ValueMismatch,
    "conv1d((1, 1, 1), (1, 1, 1)); conv1d((1, 1, 1), (1, 1, 1), bias=(1,))",
)(_bias_of_the_first_call())


def _left_by_a_rejected_call() -> Any:
    pending: list[Any] = []

    def conv1d(input: Any, weight: Any, bias: Any = None, *rest: Any, **given: Any) -> Any:
        """Notes that a call begins, and forgets to strike that out where it rejects it."""
        interrupted = bool(pending)
        pending.append(1)
        y = engine.conv1d(input, weight, bias, *rest, **given)
        pending.clear()
        return y + 1 if interrupted and y.dtype.kind == "f" else y

    return conv1d


GALLERY.append(
    Wrong(
        "rejected_call_spoils_the_next",
        SimpleNamespace(conv1d=_left_by_a_rejected_call()),
        ValueMismatch,
        "conv1d((1, 1, 1), (1, 1, 1), stride=0, blame='stride'); conv1d((1, 1, 1), (1, 1, 1))",
    )
)


class PackedOnce(engine.Conv1d):
    """A layer that prepares its weight at the first call, and not again when it is loaded."""

    def __call__(self, input: Any) -> Any:
        if not hasattr(self, "packed"):
            self.packed = self.state_dict()
        self.load_state_dict(self.packed)
        return super().__call__(input)


GALLERY.append(
    Wrong(
        "weights_packed_once",
        SimpleNamespace(Conv1d=PackedOnce),
        ValueMismatch,
        "Conv1d((1, 1, 1), (1, 1, 1)); Conv1d((1, 1, 1), (1, 1, 1), data='integers:0')",
    )
)


class LastInput(engine.Conv1d):
    """A layer whose `backward` is that of the last `forward`."""

    def __call__(self, input: Any) -> Any:
        self.seen = np.array(input)
        return super().__call__(input)

    def backward(self, input: Any, grad_output: Any) -> Any:
        return super().backward(self.seen if self.seen.shape == input.shape else input, grad_output)


GALLERY.append(
    Wrong(
        "backward_of_the_last_forward",
        SimpleNamespace(Conv1d=LastInput),
        GradientMismatch,
        "Conv1d((1, 1, 1), (1, 1, 1)); Conv1d((1, 1, 1), (1, 1, 1), data='integers:0')",
    )
)


@caught(GlobalStateChanged, "conv1d((1, 1, 1), (1, 1, 1))")
def error_state_left_changed(c: Call) -> Any:
    np.seterr(all="ignore")
    return c.right()


@caught(GlobalStateChanged, "conv1d((1, 1, 1), (1, 1, 1))")
def random_state_used(c: Call) -> Any:
    np.random.random()
    return c.right()
