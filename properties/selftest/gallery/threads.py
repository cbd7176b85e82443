"""Faults that show only when two calls run at once: one after another, they are right."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

import engine
from properties.comparison.mismatch import ShapeMismatch, ValueMismatch

from .planting import GALLERY, Call, Fault, Wrong, caught


def _scratch() -> Fault:
    buffers: dict[Any, Any] = {}

    def scratch_buffer_of_all_threads(c: Call) -> Any:
        y = c.right()
        buffer = buffers.setdefault((y.shape, y.dtype), np.empty_like(y))
        buffer[...] = y
        return buffer.copy()

    return scratch_buffer_of_all_threads


caught(
    ValueMismatch, "conv1d((1, 1, 1), (1, 1, 1)) || conv1d((1, 1, 1), (1, 1, 1), data='integers:0')"
)(_scratch())


def _current() -> Fault:
    current: dict[str, Any] = {}

    def steps_of_the_call_that_came_last(c: Call) -> Any:
        current["stride"] = c.stride
        c.right(b=None)  # takes its time
        return c.right(stride=current["stride"])

    return steps_of_the_call_that_came_last


caught(ShapeMismatch, "conv1d((1, 1, 2), (1, 1, 1)) || conv1d((1, 1, 2), (1, 1, 1), stride=2)")(
    _current()
)


class KeepsItsInput(engine.Conv1d):
    """A layer that keeps what it was called with in itself, and computes from that."""

    def __call__(self, input: Any) -> Any:
        self.kept = np.array(input)
        super().__call__(input)  # takes its time
        return super().__call__(self.kept)


GALLERY.append(
    Wrong(
        "layer_keeps_its_input_in_itself",
        SimpleNamespace(Conv1d=KeepsItsInput),
        ValueMismatch,
        "Conv1d((1, 1, 2), (1, 1, 1)) || Conv1d((1, 1, 2), (1, 1, 1), data='ramp')",
    )
)
