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
from .products import even, tile_of, whole


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
    together: int = 1  # t, output rows of one product
    slab: int = 1  # V, rows of the buffer that these meet


def undilated(g: Geometry) -> tuple[int, int]:
    """Output rows that read every `dilation`-th row: how far apart they are, and their stride.

    They are a problem of their own, without dilation.
    """
    common = gcd(g.dilation[-2], g.stride[-2])
    return g.dilation[-2] // common, g.stride[-2] // common


@lru_cache
def for_band(g: Geometry, itemsize: int, together: int) -> Block:
    """Take few columns, then few channels, until a block has as many rows as the kernel."""
    step, stride = undilated(g)
    length = -(-g.output_size[-2] // step)
    kr, capacity = g.kernel_size[-2], limits.BUFFER // itemsize
    lines = prod(g.kernel_size) // kr  # of one channel
    copies = lines + lines // g.kernel_size[-1] * g.stride[-1]  # of a row: in the buffer, as read
    t = min(together, length)

    def read(rows: int) -> int:
        """Elements for each column and channel, of the buffer and of what it is made from."""
        return ((rows - 1) * stride + kr) * copies

    def size(rows: int, channels: int) -> int:
        """Elements of a block for each column, with the results and what is added to them."""
        return read(rows) * channels + 2 * rows * g.filters

    most, slab = capacity // size(kr, g.channels), (t - 1) * stride + kr
    tile = tile_of(g.output_size[-1], most, slab * lines * g.channels, t * g.filters)
    columns = even(g.output_size[-1], max(tile, most), tile)
    room = capacity // whole(columns, tile)
    channels = even(g.channels, (room - 2 * kr * g.filters) // read(kr))
    further = (room - size(t, channels)) // (size(2 * t, channels) - size(t, channels))
    rows = even(length, t * (1 + further), t)
    groups = even(g.groups, room // size(rows, channels))
    return Block(groups, channels, rows, columns, step, stride, tile, t, slab)


@lru_cache
def for_correlate(g: Geometry, itemsize: int) -> Block:
    """Blocks of few places, and of as many channels and groups as the buffer then holds."""
    kr, capacity = g.kernel_size[-2], limits.BUFFER // itemsize
    lines = prod(g.kernel_size) // kr  # of one channel
    reach = (kr - 1) * g.dilation[-2] // g.stride[-2]  # rows that a buffer has beyond those of gy
    # What a place of all channels takes: its lines, twice while one buffer replaces another, what
    # they are made from, and gy with its copy.
    place = (2 * lines + lines // g.kernel_size[-1] * g.stride[-1]) * g.channels + 2 * g.filters
    places = min(limits.MOST_PLACES, max(limits.PLACES, capacity // place))
    columns = even(g.output_size[-1], places)
    room = capacity // columns
    least = min(reach + 1, g.output_size[-2])
    channels = even(g.channels, (room - least * g.filters) // ((least + reach) * lines))
    beyond, height = reach * lines * channels, lines * channels + g.filters
    rows = even(g.output_size[-2], min((room - beyond) // height, places // columns))
    return Block(even(g.groups, room // (rows * height + beyond)), channels, rows, columns)


def met_by(g: Geometry, t: int) -> int:
    """Elements of a row that so many outputs meet."""
    return (t - 1) * g.stride[-1] + (g.kernel_size[-1] - 1) * g.dilation[-1] + 1


@lru_cache
def for_segments(g: Geometry, itemsize: int) -> Block:
    """Blocks of few segments, and of as many rows and groups as the buffer then holds."""
    t, capacity = min(limits.SEGMENT, g.output_size[-1]), limits.BUFFER // itemsize
    v = met_by(g, t)
    # A segment, what it is made from, and its results twice.
    size = g.channels * (v + t * g.stride[-1]) + 2 * g.filters * t
    columns = even(g.output_size[-1], capacity // size * t, t)
    row = columns // t * size
    rows = even(g.output_size[-2], capacity // row)
    groups = even(g.groups, capacity // (rows * row + g.channels * v * g.filters * t))
    return Block(groups, g.channels, rows, columns, tile=t)
