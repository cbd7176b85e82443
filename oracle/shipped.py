"""torch as it ships, with oneDNN and NNPACK: an engine like any other, to be judged.

`pytest -n auto --engine=oracle.shipped` judges it on contiguous tensors,
`--engine=oracle.shipped:channels_last` on tensors whose channels are last in memory, in a process
that xdist replaces if it dies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from . import FUNCTIONS, Layer, native_kernels, on_arrays, tensor
from . import gradients as gradients_on

LAYERS = Layer.__subclasses__()

# torch sums float16 gradients and transposed convolutions in float16, where oneDNN has no kernel.
accumulator = {"float16": "float16"}

deviations = Path(__file__).with_suffix(".txt")  # what is known of its faults

Tensor = Callable[[Any], Any]
as_shipped = native_kernels(native=False)  # a decorator, too


def _channels_last(value: Any) -> Any:
    """A tensor with channels last in memory, where torch has a format for that."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    made = tensor(value)
    if not isinstance(value, np.ndarray) or value.ndim not in formats:
        return made
    return made.contiguous(memory_format=formats[value.ndim])


def _namespace(tensor: Tensor) -> SimpleNamespace:
    """The oracle's functions and layers on tensors that `tensor` makes."""

    @as_shipped
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
        **functions,
        **layers,
        gradients=gradients,
        accumulator=accumulator,
        deviations=deviations,
    )


def prepared(
    function: str,
    operands: Mapping[str, Any],
    given: Mapping[str, Any],
    arguments: Mapping[str, Any],
    grad_output: Any,
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """What computes the output, and all gradients, of tensors that are made beforehand.

    `given` are the arguments of the call, `arguments` all of them with one integer per axis. The
    gradients come from the kernel that autograd calls. For measuring time; switches nothing.
    """
    x, w, gy = map(tensor, (operands["input"], operands["weight"], grad_output))
    b = tensor(operands.get("bias"))
    sizes = None if b is None else [*b.shape]
    steps = [[*arguments[name]] for name in ("stride", "padding", "dilation")]
    extra = [*arguments.get("output_padding", [0] * len(steps[0]))]
    options = (*steps, "output_padding" in arguments, extra, arguments["groups"])
    mask = [True, True, b is not None]

    def output() -> Any:
        return getattr(F, function)(x, w, b, **given)

    def gradients() -> Any:
        found = torch.ops.aten.convolution_backward(gy, x, w, sizes, *options, mask)
        return [g for g in found if g is not None]

    return output, gradients


def version() -> str:
    return torch.__version__


def threads() -> int:
    return torch.get_num_threads()


def _layer(kind: type[Layer], tensor: Tensor) -> type[Layer]:
    body = {
        "tensor": staticmethod(tensor),
        "__call__": as_shipped(kind.__call__),
        "backward": as_shipped(kind.backward),
        "__doc__": kind.__doc__,
    }
    return type(kind.__name__, (kind,), body)


channels_last = _namespace(_channels_last)
globals().update(vars(_namespace(tensor)))
