"""torch's convolutions as the trusted answer: its own names, arrays in, arrays out.

Importing this package guards torch: one thread, and neither oneDNN nor NNPACK. Then torch 2.13
computes with its native kernels, which are exact on integers in range, treat inf and nan by one
rule, and do not crash on valid arguments. With oneDNN some channels-last inputs crash it
(pytorch#195394), and NNPACK is not exact.

On operands in float64, complex128 or int64 a function gives the reference; on their absolute
values, S, the scale of the rounding errors; on operands as they are, torch's own result.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Result = np.ndarray[Any, Any]


@contextmanager
def native_kernels(native: bool = True) -> Iterator[None]:
    """Inside, torch computes with its native kernels, or else with oneDNN and NNPACK, as it ships.

    Afterwards both libraries are switched as they were. The switches are those of the process: one
    thread at a time.
    """
    with _SWITCHES:
        before = _switch(onednn=not native, nnpack=not native)
        try:
            yield
        finally:
            _switch(**before)


_SWITCHES = threading.RLock()


def _switch(*, onednn: bool, nnpack: bool) -> dict[str, bool]:
    """Switch the libraries on or off; return how they were switched before."""
    mkldnn: Any = torch.backends.mkldnn  # oneDNN by its old name; its `flags` would warn
    before = mkldnn.enabled
    mkldnn.enabled = onednn
    (previous,) = torch.backends.nnpack.set_flags(nnpack)  # type: ignore[no-untyped-call]
    return {"onednn": before, "nnpack": previous}


torch.set_num_threads(1)
_switch(onednn=False, nnpack=False)


def tensor(value: Any) -> Any:
    """A tensor of its own memory, in the shape and dtype of the array `value`.

    What is no array is returned as it is, for torch to reject.
    """
    if not isinstance(value, np.ndarray):
        return value
    return torch.from_numpy(np.array(value, value.dtype.newbyteorder("="), order="C"))


# The shapes of the operands and the result; N is optional in both.
FUNCTIONS = {
    "conv1d": "(N, C, L), (O, C/groups, kL), (O,) -> (N, O, L')",
    "conv2d": "(N, C, H, W), (O, C/groups, kH, kW), (O,) -> (N, O, H', W')",
    "conv3d": "(N, C, D, H, W), (O, C/groups, kD, kH, kW), (O,) -> (N, O, D', H', W')",
    "conv_transpose1d": "(N, C, L), (C, O/groups, kL), (O,) -> (N, O, L')",
    "conv_transpose2d": "(N, C, H, W), (C, O/groups, kH, kW), (O,) -> (N, O, H', W')",
    "conv_transpose3d": "(N, C, D, H, W), (C, O/groups, kD, kH, kW), (O,) -> (N, O, D', H', W')",
    "fold": "(N, C·kH·kW, L) -> (N, C, H, W)",
    "unfold": "(N, C, H, W) -> (N, C·kH·kW, L)",
}


def on_arrays(name: str, tensor: Any = tensor) -> Any:
    """The function `name` of torch.nn.functional, with arrays for tensors.

    Arguments that are no arrays reach torch as they are. The tensors are made by `tensor`.
    """
    function = getattr(F, name)

    def call(*arguments: Any, **named: Any) -> Result:
        named = {name: tensor(value) for name, value in named.items()}
        result: Result = function(*map(tensor, arguments), **named).numpy()
        return result

    call.__name__ = name
    call.__doc__ = f"""``torch.nn.functional.{name}``, with its arguments and errors, on arrays.

    Shapes: {FUNCTIONS[name]}; N is optional.
    """
    return call


conv1d = on_arrays("conv1d")
conv2d = on_arrays("conv2d")
conv3d = on_arrays("conv3d")
conv_transpose1d = on_arrays("conv_transpose1d")
conv_transpose2d = on_arrays("conv_transpose2d")
conv_transpose3d = on_arrays("conv_transpose3d")
fold = on_arrays("fold")
unfold = on_arrays("unfold")


def gradients(
    function: str,
    operands: Mapping[str, Any],
    arguments: Mapping[str, Any],
    grad_output: Any,
    tensor: Any = tensor,
) -> dict[str, Result]:
    """The gradients of a function of torch.nn.functional, by ``torch.autograd.grad``.

    `operands` has arrays or None, `grad_output` the shape of the result. Each gradient has the
    shape of its operand, and "grad_" before its name. For complex numbers it is the conjugate
    one, as torch defines it.
    """
    leaves = {k: tensor(v).requires_grad_() for k, v in operands.items() if v is not None}
    return _backward(getattr(F, function)(**leaves, **arguments), leaves, tensor(grad_output))


def _backward(output: Any, leaves: Mapping[str, Any], grad_output: Any) -> dict[str, Result]:
    found = torch.autograd.grad(output, list(leaves.values()), grad_output)
    return {f"grad_{k}": v.numpy() for k, v in zip(leaves, found, strict=True)}


class Layer:
    """The module of torch.nn with the name of the subclass, on arrays, with `backward` beside it.

    It takes torch's arguments, with a NumPy dtype.
    """

    tensor = staticmethod(tensor)

    def __init__(self, *arguments: Any, dtype: Any = np.float32, **options: Any) -> None:
        kind = getattr(torch.nn, type(self).__name__)
        self._layer = kind(*arguments, dtype=DTYPES[np.dtype(dtype)], **options)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy the arrays `weight` and `bias`, in the shapes of the parameters."""
        self._layer.load_state_dict({k: tensor(v) for k, v in state.items()})

    def __call__(self, input: Any, *arguments: Any, **options: Any) -> Result:
        with torch.no_grad():
            result: Result = self._layer(self.tensor(input), *arguments, **options).numpy()
        return result

    def backward(self, input: Any, grad_output: Any, **options: Any) -> list[Result | None]:
        """The gradients of input, weight and bias, in their shapes; None without a bias.

        `grad_output` has the shape of the result.
        """
        x = self.tensor(input).requires_grad_()
        leaves = {"input": x, **dict(self._layer.named_parameters())}
        found = _backward(self._layer(x, **options), leaves, self.tensor(grad_output))
        return [found.get(name) for name in ("grad_input", "grad_weight", "grad_bias")]


DTYPES = {
    np.dtype(np.float16): torch.float16,
    np.dtype(np.float32): torch.float32,
    np.dtype(np.float64): torch.float64,
    np.dtype(np.complex64): torch.complex64,
    np.dtype(np.complex128): torch.complex128,
}


class Conv1d(Layer):
    """``torch.nn.Conv1d``: (N, C, L) -> (N, O, L'); N is optional."""


class Conv2d(Layer):
    """``torch.nn.Conv2d``: (N, C, H, W) -> (N, O, H', W'); N is optional."""


class Conv3d(Layer):
    """``torch.nn.Conv3d``: (N, C, D, H, W) -> (N, O, D', H', W'); N is optional."""


class ConvTranspose1d(Layer):
    """``torch.nn.ConvTranspose1d``: (N, C, L) -> (N, O, L'); N is optional."""


class ConvTranspose2d(Layer):
    """``torch.nn.ConvTranspose2d``: (N, C, H, W) -> (N, O, H', W'); N is optional."""


class ConvTranspose3d(Layer):
    """``torch.nn.ConvTranspose3d``: (N, C, D, H, W) -> (N, O, D', H', W'); N is optional."""
