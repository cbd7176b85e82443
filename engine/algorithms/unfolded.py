"""How much im2col and col2im unfold at once, for speed and memory.

No size changes a result beyond the order of its sums.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

from ..geometry import Geometry
from . import limits
from .products import even


def of_row(g: Geometry) -> int:
    """Elements of the columns of an output row and a channel, or of the padded input, if more."""
    read = g.stride[0] * prod(g.padded_size[1:])
    return max(read, prod(g.kernel_size) * prod(g.output_size[1:]))


@lru_cache
def for_im2col(g: Geometry) -> tuple[int, int]:
    """Samples and rows that are unfolded at once, with their part of the output.

    One sample may have twice as many columns as several: these have copies of the input beside.
    """
    if g.batch == 0:  # nothing is unfolded, and the rows may be too many even to count
        return 1, g.output_size[0]
    row = g.groups * (g.channels * of_row(g) + g.filters * prod(g.output_size[1:]))
    rows = max(1, limits.FEW_ELEMENTS // max(1, row))
    return even(g.batch, rows // 2 // g.output_size[0]), even(g.output_size[0], rows)


def is_one_block(g: Geometry) -> bool:
    """Whether all is unfolded at once."""
    return for_im2col(g) == (g.batch, g.output_size[0])


def for_col2im(g: Geometry) -> tuple[int, int, int]:
    """Samples, channels and rows of the output whose columns are formed at once."""
    row = max(1, g.groups * of_row(g))
    rows = limits.FEW_ELEMENTS // 2 // row  # of one channel
    channels = even(g.channels, rows // max(1, g.output_size[0]))
    samples = even(g.batch, rows // max(1, g.output_size[0] * g.channels))
    return samples, channels, even(g.output_size[0], rows // channels)


def for_weight(g: Geometry) -> int:
    """Channels of the weight's gradient that are formed at once."""
    channel = g.groups * g.filters * prod(g.kernel_size)
    return even(g.channels, limits.FEW_ELEMENTS // 4 // max(1, channel))
