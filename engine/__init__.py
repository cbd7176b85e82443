"""Convolutions as torch.nn computes them, in NumPy alone."""

from . import grad
from .errors import ArgumentError, ArgumentTypeError
from .folding import fold, unfold
from .functional import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from .layers import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    DepthwiseConv2d,
)
from .seed import Conv2D, DepthwiseConv2D

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "Conv1d",
    "Conv2D",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "DepthwiseConv2D",
    "DepthwiseConv2d",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "fold",
    "grad",
    "unfold",
]
