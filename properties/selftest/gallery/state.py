"""Faults of memory from call to call: each single call of a fresh engine is right."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

import engine
from properties.comparison.mismatch import (
    GlobalStateChanged,
    GradientMismatch,
    RejectedValid,
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


caught(ShapeMismatch, "")(_plan_without_the_stride())


def _weights_kept_by_identity() -> Fault:
    kept: dict[Any, Any] = {}

    def weights_kept_by_address(c: Call) -> Any:
        key = (c.w.__array_interface__["data"][0], c.w.shape, c.w.strides, c.w.dtype)
        if key not in kept:
            kept.clear()  # remembers one weight at a time
            kept[key] = c.w.copy()
        return c.right(w=kept[key])

    return weights_kept_by_address


caught(ValueMismatch, "")(_weights_kept_by_identity())


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


caught(ValueMismatch, "")(_border_kept())


def _flag_left_by_an_error() -> SimpleNamespace:
    failed: list[bool] = []

    def conv1d(input: Any, weight: Any, *rest: Any, **given: Any) -> Any:
        """Holds a lock that a rejected call does not give back."""
        if failed:
            raise RuntimeError("another call is running")
        failed.append(True)
        y = engine.conv1d(input, weight, *rest, **given)
        failed.clear()
        return y

    return SimpleNamespace(conv1d=conv1d)


GALLERY.append(
    Wrong(
        "lock_kept_by_a_rejected_call",
        _flag_left_by_an_error(),
        RejectedValid,
        "conv1d((1, 1, 1), (1, 1, 1)); conv1d((1, 1, 1), (1, 1, 1))",
    )
)


def wrong_layer(name: str, layer: str, kind: type[Any], expected: type[Any], line: str) -> None:
    """Hang an engine of one layer."""
    namespace = SimpleNamespace(**{layer: type(layer, (kind,), {})})
    GALLERY.append(Wrong(name, namespace, expected, line))


class _Prepared(engine.Conv2d):
    """Prepares its weights at the first call, and does not notice that others are loaded."""

    _kept: Any = None

    def forward(self, input: Any) -> Any:
        if self._kept is None:
            self._kept = self.weight.copy()
        loaded, self.weight = self.weight, self._kept
        try:
            return super().forward(input)
        finally:
            self.weight = loaded

    __call__ = forward


GALLERY.append(
    Wrong(
        "weights_prepared_once",
        SimpleNamespace(Conv2d=type("Conv2d", (_Prepared,), {})),
        ValueMismatch,
        "",
    )
)


class _Shared(engine.Conv1d):
    """Keeps its weights in the class, so that the layer that was loaded last has its way."""

    _weights: ClassVar[dict[Any, Any]] = {}

    def load_state_dict(self, state: Any, strict: bool = True) -> Any:
        keys = super().load_state_dict(state, strict)
        self._weights[self.weight.shape, self.weight.dtype] = self.weight
        return keys

    def forward(self, input: Any) -> Any:
        self.weight = self._weights.get((self.weight.shape, self.weight.dtype), self.weight)
        return super().forward(input)

    __call__ = forward


GALLERY.append(
    Wrong(
        "weights_of_the_layer_loaded_last",
        SimpleNamespace(Conv1d=type("Conv1d", (_Shared,), {})),
        ValueMismatch,
        "",
    )
)


class _Saved(engine.Conv1d):
    """`backward` works on the input of the last call, whatever it is given."""

    _last: Any = None

    def forward(self, input: Any) -> Any:
        self._last = input
        return super().forward(input)

    __call__ = forward

    def backward(self, input: Any, grad_output: Any) -> Any:
        same = self._last is not None and self._last.shape == input.shape
        return super().backward(self._last if same else input, grad_output)


GALLERY.append(
    Wrong(
        "backward_of_the_last_input",
        SimpleNamespace(Conv1d=type("Conv1d", (_Saved,), {})),
        GradientMismatch,
        "",
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
