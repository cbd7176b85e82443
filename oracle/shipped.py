"""torch as it ships: oneDNN and NNPACK on. An engine like any other, to be judged.

`pytest -n auto --engine=oracle.shipped` judges it on contiguous tensors,
`--engine=oracle.shipped:channels_last` on tensors whose channels are last in memory, in a process
that xdist replaces if it dies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from . import FUNCTIONS, Layer, on_arrays, tensor
from . import gradients as gradients_on

LAYERS = Layer.__subclasses__()

# torch sums float16 gradients and transposed convolutions in float16, where oneDNN has no kernel.
accumulator = {"float16": "float16"}

Tensor = Callable[[Any], Any]


def as_shipped(function: Any) -> Any:
    """`function`, run with the libraries that torch uses unless told otherwise."""

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        _libraries(on=True)
        try:
            return function(*arguments, **named)
        finally:
            _libraries(on=False)

    return call


def _libraries(*, on: bool) -> None:
    torch._C._set_mkldnn_enabled(on)
    torch.backends.nnpack.set_flags(on)


def _channels_last(value: Any) -> Any:
    """A tensor with channels last in memory, where torch has a format for that."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    made = tensor(value)
    if not isinstance(value, np.ndarray) or value.ndim not in formats:
        return made
    return made.contiguous(memory_format=formats[value.ndim])


def _namespace(tensor: Tensor) -> SimpleNamespace:
    """The oracle's functions and layers on tensors that `tensor` makes."""

    def gradients(
        function: str,
        operands: Mapping[str, Any],
        arguments: Mapping[str, Any],
        grad_output: Any,
    ) -> Any:
        return gradients_on(function, operands, arguments, grad_output, tensor)

    functions = {name: as_shipped(on_arrays(name, tensor)) for name in FUNCTIONS}
    layers = {kind.__name__: _layer(kind, tensor) for kind in LAYERS}
    return SimpleNamespace(
        **functions, **layers, gradients=as_shipped(gradients), accumulator=accumulator
    )


def _layer(kind: type[Layer], tensor: Tensor) -> type[Layer]:
    body = {
        "tensor": staticmethod(tensor),
        "__call__": as_shipped(kind.__call__),
        "backward": as_shipped(kind.backward),
    }
    return type(kind.__name__, (kind,), body)


channels_last = _namespace(_channels_last)
globals().update(vars(_namespace(tensor)))
