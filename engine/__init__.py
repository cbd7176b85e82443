"""Convolutions as torch.nn computes them, in NumPy alone."""

from .arguments import ArgumentError, ArgumentTypeError
from .functional import conv1d, conv2d, conv3d

__all__ = ["ArgumentError", "ArgumentTypeError", "conv1d", "conv2d", "conv3d"]
