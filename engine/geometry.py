"""The sizes of one convolution, in the letters in which the shape comments name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Ints: TypeAlias = int | Sequence[int]
Sizes: TypeAlias = tuple[int, ...]
Pairs: TypeAlias = tuple[tuple[int, int], ...]


class Geometry(NamedTuple):
    """The sizes of one convolution, in the letters that the shape comments use.

    A window of `kernel_size` taps, `dilation` apart, visits the padded input every `stride`
    elements. The same geometry serves the convolution and its two adjoints, and so the transposed
    convolution, whose result has the size of this input. What the last window leaves over at the
    end of an axis belongs to the input, but is never read.
    """

    batch: int  # N
    groups: int  # G
    channels: int  # C, input channels of one group
    filters: int  # O, output channels of one group
    input_size: Sizes  # X
    kernel_size: Sizes  # K
    stride: Sizes
    padding: Pairs  # zeros before and after, per axis; negative ones crop, not for input_gradient
    dilation: Sizes
    output_size: Sizes  # Y

    @property
    def input_shape(self) -> Sizes:
        return (self.batch, self.groups * self.channels, *self.input_size)

    @property
    def weight_shape(self) -> Sizes:
        return (self.groups * self.filters, self.channels, *self.kernel_size)

    @property
    def output_shape(self) -> Sizes:
        return (self.batch, self.groups * self.filters, *self.output_size)

    @property
    def padded_size(self) -> Sizes:
        return tuple(x + lo + hi for x, (lo, hi) in zip(self.input_size, self.padding, strict=True))
