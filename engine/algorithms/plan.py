"""The blocks into which each algorithm cuts its work, for speed and memory.

No size changes a result beyond the order of its sums: each algorithm is right with blocks of any
sizes from 1 up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import gcd, prod

from ..geometry import Geometry
from . import limits


@dataclass(frozen=True, slots=True)
class Block:
    """The most that is taken at once."""

    groups: int
    channels: int
    rows: int  # of the output
    columns: int
    step: int = 1  # from one output row to the next
    stride: int = 1  # from what one of them reads to what the next one reads
    tile: int = 1  # columns of one product
    width: int = 1  # P, columns of the buffer
    together: int = 1  # t, output rows of one product


def undilated(g: Geometry) -> tuple[int, int]:
    """Output rows that read every `dilation`-th row: how far apart they are, and their stride.

    They are a problem of their own, without dilation.
    """
    common = gcd(g.dilation[-2], g.stride[-2])
    return g.dilation[-2] // common, g.stride[-2] // common


def for_band(g: Geometry, itemsize: int) -> Block:
    """Take few columns, then few channels, until a block has as many rows as the kernel."""
    step, stride = undilated(g)
    length = -(-g.output_size[-2] // step)
    kr, capacity = g.kernel_size[-2], limits.BUFFER // itemsize
    leading = prod(g.kernel_size[:-2])
    copies = leading * (g.kernel_size[-1] + g.stride[-1])  # of a row: in the buffer, and as read

    def read(rows: int) -> int:
        """Elements for each column and channel, of the buffer and of what it is made from."""
        return ((rows - 1) * stride + kr) * copies

    def size(rows: int, channels: int) -> int:
        """Elements of a block for each column, with the results and what is added to them."""
        return read(rows) * channels + 2 * rows * g.filters

    tile = tile_of(g.output_size[-1])
    most = max(limits.WIDTHS[0], capacity // size(kr, g.channels))
    columns = even(g.output_size[-1], most, tile)
    room = capacity // whole(columns, tile)
    channels = even(g.channels, (room - 2 * kr * g.filters) // read(kr))
    further = (room - size(1, channels)) // (size(2, channels) - size(1, channels))
    rows = even(length, 1 + further)
    groups = even(g.groups, room // size(rows, channels))
    return Block(groups, channels, rows, columns, step, stride, tile)


def for_toeplitz(g: Geometry, itemsize: int) -> Block:
    """All columns unless they are many, then as few channels and rows as a block must have."""
    step, stride = undilated(g)
    t = limits.TOGETHER
    columns = even(g.output_size[-1], limits.PLACES)
    tile = whole(columns, limits.LANES)
    width = tile + (g.kernel_size[-1] - 1) * g.dilation[-1] // g.stride[-1]
    leading = prod(g.kernel_size[:-2])

    def size(count: int, channels: int) -> int:
        """Elements of a block: what is read, twice unless it is in order, and sum and term."""
        height = (count * t - 1) * stride + g.kernel_size[-2]
        copies = 1 if channels * leading == 1 else 2
        return copies * channels * leading * height * width + 2 * count * g.filters * t * tile

    room = limits.BUFFER // itemsize
    channels = even(g.channels, (room - size(1, 0)) // (size(1, 2) - size(1, 1)))
    further = (room - size(1, channels)) // (size(2, channels) - size(1, channels))
    count = even(-(-g.output_size[-2] // step // t), 1 + further)
    groups = even(g.groups, room // size(count, channels))
    return Block(groups, channels, count * t, columns, step, stride, tile, width, t)


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


@lru_cache
def for_im2col(g: Geometry) -> tuple[int, int]:
    """Samples and rows that are unfolded at once, with their part of the output."""
    if g.batch == 0:  # nothing is unfolded, and the rows may be too many even to count
        return 1, g.output_size[0]
    row = g.groups * (g.channels * prod(g.kernel_size) + g.filters) * prod(g.output_size[1:])
    rows = max(1, limits.FEW_ELEMENTS // max(1, row))
    return even(g.batch, rows // g.output_size[0]), even(g.output_size[0], rows)


def is_one_block(g: Geometry) -> bool:
    """Whether all is unfolded at once."""
    return for_im2col(g) == (g.batch, g.output_size[0])


def for_col2im(g: Geometry) -> tuple[int, int]:
    """Samples and channels whose columns are formed at once, beside their part of the input."""
    column = g.groups * prod(g.kernel_size) * prod(g.output_size)
    most = limits.FEW_ELEMENTS // 2 // max(1, column)
    return even(g.batch, most // max(1, g.channels)), even(g.channels, most)


def for_weight(g: Geometry) -> int:
    """Channels of the weight's gradient that are formed at once."""
    channel = g.groups * g.filters * prod(g.kernel_size)
    return even(g.channels, limits.FEW_ELEMENTS // 4 // max(1, channel))


def whole(length: int, unit: int) -> int:
    """`length`, rounded up to units."""
    return -(-length // unit) * unit


def even(length: int, most: int, unit: int = 1) -> int:
    """The size of nearly equal pieces of `length`, of at most `most`, rounded to units."""
    pieces = max(1, -(-length // max(unit, most // unit * unit)))
    return max(1, whole(-(-length // pieces), unit))


def tile_of(columns: int) -> int:
    """Columns of a product: as many as BLAS likes, unless too many would be computed in vain."""
    for tile in limits.WIDTHS:
        if -columns % tile * limits.WASTE <= columns:
            return tile
    return columns


def for_panel(rows: int, width: int) -> int:
    """Rows of a product's right operand, of `width` bytes, that stay in the cache of the core."""
    return even(rows, limits.PANEL // width)


def part(rows: int, size: int) -> int:
    """A divisor of `rows`: halved while that brings the product to where BLAS is fastest."""
    m = rows
    while m % 2 == 0 and m > 8 and m * size > limits.SMALL_PRODUCT:
        m //= 2
    return m if m * size <= limits.SMALL_PRODUCT else rows
