"""What is chosen for speed and memory: the algorithm, and the blocks into which it cuts its work.

No choice changes a result beyond the order of its sums: for every convolution with products to
form, each algorithm is right with blocks of any sizes from 1 up. The one thing that holds for
results is that a convolution without products is im2col's.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..geometry import Geometry
from . import limits


@dataclass(frozen=True, slots=True)
class Block:
    """The most that is taken at once."""

    groups: int
    channels: int
    rows: int  # of the output
    columns: int
    tile: int = 1  # columns of one product
    together: int = 1  # t, output rows of one product


def joins_rows(g: Geometry, dtype: np.dtype[Any]) -> bool:
    """The rule: im2col for little work, one tap, short rows, and what BLAS doesn't multiply."""
    work = prod(g.output_shape) * g.channels * prod(g.kernel_size)  # multiply-adds
    short = len(g.kernel_size) > 1 and g.output_size[-1] < limits.SHORT_ROW and g.filters > 2
    return work <= limits.TINY or prod(g.kernel_size) == 1 or short or dtype.kind in "iu"


def for_band(g: Geometry, itemsize: int, *, step: int, stride: int) -> Block:
    """Take few columns, then few channels, until a block has as many rows as the kernel.

    Its output rows lie `step` apart, and `stride` is theirs in the buffer.
    """
    length = -(-g.output_size[-2] // step)
    kr, capacity = g.kernel_size[-2], limits.BUFFER // itemsize
    taps = prod(g.kernel_size) // kr  # of one row
    together = -(-limits.FEW_ROWS // g.filters) if kr > 1 else 1

    def read(rows: int) -> int:
        """Elements of the buffer for each column and channel."""
        return ((rows - 1) * stride + kr) * taps

    def size(rows: int, channels: int) -> int:
        """Elements of a block for each column: the buffer, and the results."""
        return read(rows) * channels + rows * g.filters

    least = max(together, kr)
    tile = tile_of(g.output_size[-1])
    most = max(limits.WIDTHS[0], capacity // size(least, g.channels))
    columns = even(g.output_size[-1], most, tile)
    room = capacity // (-(-columns // tile) * tile)
    channels = even(g.channels, (room - least * g.filters) // read(least))
    further = (room - size(1, channels)) // (size(2, channels) - size(1, channels))
    rows = even(length // together * together, min(length, 1 + further), together)
    groups = even(g.groups, room // size(rows, channels))
    return Block(groups, channels, rows, columns, tile, together)


def for_correlate(g: Geometry, itemsize: int) -> Block:
    """Blocks of few places, and of as many channels and groups as the buffer then holds."""
    kr, capacity = g.kernel_size[-2], limits.BUFFER // itemsize
    lines = prod(g.kernel_size) // kr  # of one channel
    reach = (kr - 1) * g.dilation[-2] // g.stride[-2]  # rows that a buffer has beyond those of gy
    columns = even(g.output_size[-1], limits.PLACES)
    room = capacity // columns
    least = min(reach + 1, g.output_size[-2])
    channels = even(g.channels, (room - least * g.filters) // ((least + reach) * lines))
    beyond, height = reach * lines * channels, lines * channels + g.filters
    rows = even(g.output_size[-2], min((room - beyond) // height, limits.PLACES // columns))
    return Block(even(g.groups, room // (rows * height + beyond)), channels, rows, columns)


def for_im2col(g: Geometry) -> tuple[int, int]:
    """Samples and rows that are unfolded at once, with their part of the output."""
    if g.batch == 0:  # nothing is unfolded, and the rows may be too many even to count
        return 1, g.output_size[0]
    row = g.groups * (g.channels * prod(g.kernel_size) + g.filters) * prod(g.output_size[1:])
    rows = max(1, limits.FEW_ELEMENTS // max(1, row))
    return even(g.batch, rows // g.output_size[0]), even(g.output_size[0], rows)


def for_col2im(g: Geometry) -> int:
    """Channels whose columns are formed at once; beside them stands their part of the input."""
    column = g.groups * prod(g.kernel_size) * prod(g.output_size)
    return even(g.channels, limits.FEW_ELEMENTS // 2 // max(1, column))


def for_weight(g: Geometry) -> int:
    """Channels of the weight's gradient that are formed at once: all, if one block is enough."""
    if for_im2col(g) == (g.batch, g.output_size[0]):
        return max(1, g.channels)
    channel = g.groups * g.filters * prod(g.kernel_size)
    return even(g.channels, limits.FEW_ELEMENTS // 4 // max(1, channel))


def even(length: int, most: int, unit: int = 1) -> int:
    """The size of nearly equal pieces of `length`, of at most `most`, rounded to units."""
    pieces = max(1, -(-length // max(unit, most // unit * unit)))
    return max(1, -(-length // pieces // unit) * unit)


def tile_of(columns: int) -> int:
    """Columns of a product: as many as BLAS likes, unless too many would be computed in vain."""
    for tile in limits.WIDTHS:
        if -columns % tile * limits.WASTE <= columns:
            return tile
    return columns


def part(rows: int, size: int) -> int:
    """A divisor of `rows`: halved while that brings the product to where BLAS is fastest."""
    m = rows
    while m % 2 == 0 and m > 8 and m * size > limits.SMALL_PRODUCT:
        m //= 2
    return m if m * size <= limits.SMALL_PRODUCT else rows
