"""torch's convolutions as the trusted answer: its own names, ndarray in, ndarray out.

Guarded: one thread, and neither oneDNN nor NNPACK. Then torch 2.13 computes with its own kernels,
which are exact on integers in range, treat inf and nan by one rule and do not crash on valid
arguments; with oneDNN some channels-last inputs do (pytorch#195394), and NNPACK is not exact.

Called on operands in float64, complex128 or int64, a function gives the reference; on their
absolute values, S, the scale of the rounding errors; on operands as they are, torch's own result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch._C._set_mkldnn_enabled(False)  # torch.backends.mkldnn.flags() would warn
torch.backends.nnpack.set_flags(False)

Result = np.ndarray[Any, Any]


def tensor(value: Any) -> Any:
    """A tensor of its own memory; what is no array passes through, for torch to reject."""
    if not isinstance(value, np.ndarray):
        return value
    return torch.from_numpy(np.array(value, value.dtype.newbyteorder("="), order="C"))


def _call(function: Any, *arguments: Any) -> Result:
    result: Result = function(*map(tensor, arguments)).numpy()
    return result


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
) -> Result:
    """torch.nn.functional.conv1d on arrays."""
    return _call(F.conv1d, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
) -> Result:
    """torch.nn.functional.conv2d on arrays."""
    return _call(F.conv2d, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
) -> Result:
    """torch.nn.functional.conv3d on arrays."""
    return _call(F.conv3d, input, weight, bias, stride, padding, dilation, groups)
