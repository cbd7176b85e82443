"""torch's convolutions as the trusted answer: its own names, ndarray in, ndarray out.

Guarded: one thread, and neither oneDNN nor NNPACK. Then torch 2.13 computes with its own kernels,
which are exact on integers in range, treat inf and nan by one rule and do not crash on valid
arguments; with oneDNN some channels-last inputs do (pytorch#195394), and NNPACK is not exact.

Called on operands in float64, complex128 or int64, a function gives the reference; on their
absolute values, S, the scale of the rounding errors; on operands as they are, torch's own result.
"""

from __future__ import annotations

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

    Afterwards both libraries are switched as they were.
    """
    before = _switch(onednn=not native, nnpack=not native)
    try:
        yield
    finally:
        _switch(**before)


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
    """A tensor of its own memory; what is no array passes through, for torch to reject."""
    if not isinstance(value, np.ndarray):
        return value
    return torch.from_numpy(np.array(value, value.dtype.newbyteorder("="), order="C"))


FUNCTIONS = (
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    *("fold", "unfold"),
)


def on_arrays(name: str, tensor: Any = tensor) -> Any:
    """A torch function with arrays for tensors; other arguments reach torch as they came."""
    function = getattr(F, name)

    def call(*arguments: Any, **named: Any) -> Result:
        named = {name: tensor(value) for name, value in named.items()}
        result: Result = function(*map(tensor, arguments), **named).numpy()
        return result

    call.__name__ = name
    call.__doc__ = f"torch.nn.functional.{name} on arrays."
    return call


conv1d, conv2d, conv3d = map(on_arrays, FUNCTIONS[:3])
conv_transpose1d, conv_transpose2d, conv_transpose3d = map(on_arrays, FUNCTIONS[3:6])
fold, unfold = map(on_arrays, FUNCTIONS[6:])


def gradients(
    function: str,
    operands: Mapping[str, Any],
    arguments: Mapping[str, Any],
    grad_output: Any,
    tensor: Any = tensor,
) -> dict[str, Result]:
    """torch.autograd's gradients of a function with respect to each of its operands.

    For complex numbers they are the conjugate ones, as torch defines them.
    """
    leaves = {k: tensor(v).requires_grad_() for k, v in operands.items() if v is not None}
    return _backward(getattr(F, function)(**leaves, **arguments), leaves, tensor(grad_output))


def _backward(output: Any, leaves: Mapping[str, Any], grad_output: Any) -> dict[str, Result]:
    found = torch.autograd.grad(output, list(leaves.values()), grad_output)
    return {f"grad_{k}": v.numpy() for k, v in zip(leaves, found, strict=True)}


class Layer:
    """A module of torch.nn on arrays, with `backward` beside it; its subclasses name which."""

    tensor = staticmethod(tensor)

    def __init__(self, *arguments: Any, dtype: Any = np.float32, **options: Any) -> None:
        kind = getattr(torch.nn, type(self).__name__)
        self._layer = kind(*arguments, dtype=DTYPES[np.dtype(dtype)], **options)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._layer.load_state_dict({k: tensor(v) for k, v in state.items()})

    def __call__(self, input: Any, **options: Any) -> Result:
        with torch.no_grad():
            result: Result = self._layer(self.tensor(input), **options).numpy()
        return result

    def backward(self, input: Any, grad_output: Any, **options: Any) -> list[Result | None]:
        """The gradients of input, weight and bias."""
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


class Conv1d(Layer): ...


class Conv2d(Layer): ...


class Conv3d(Layer): ...


class ConvTranspose1d(Layer): ...


class ConvTranspose2d(Layer): ...


class ConvTranspose3d(Layer): ...
