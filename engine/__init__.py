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

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
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
