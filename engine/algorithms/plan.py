"""How the band algorithm cuts its work: every block's patches and products lie in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import gcd, prod

from ..geometry import Geometry
from . import limits
from .blocks import cut


@dataclass(frozen=True, slots=True)
class Plan:
    """A block takes some groups, channels, output rows and columns; the last may be smaller."""

    groups: list[slice]
    channels: list[slice]
    rows: list[range]
    columns: list[slice]
    tile: int  # columns of one product
    together: int  # t, output rows of one product
    stride: int  # from one output row's slab to the next, in rows of the buffer

    def blocks(self) -> Iterator[tuple[slice, range, slice]]:
        return product(self.groups, self.rows, self.columns)


def planned(g: Geometry, itemsize: int) -> Plan:
    """Take few columns, then few channels, until a block has as many rows as the kernel."""
    kr, capacity = g.kernel_size[-2], limits.BUFFER // itemsize
    taps = prod(g.kernel_size) // kr  # of one row
    step, stride = undilated(g.dilation[-2], g.stride[-2])
    problems = [range(q, g.output_size[-2], step) for q in range(min(step, g.output_size[-2]))]
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
    columns = cut(g.output_size[-1], most, tile)
    room = capacity // (-(-columns[0].stop // tile) * tile)
    channels = cut(g.channels, max(1, (room - least * g.filters) // read(least)))
    chosen = channels[0].stop
    further = (room - size(1, chosen)) // (size(2, chosen) - size(1, chosen))
    most = min(len(problems[0]), max(1, 1 + further))
    rows = [piece for problem in problems for piece in row_blocks(problem, most, together)]
    groups = cut(g.groups, max(1, room // size(len(rows[0]), chosen)))
    return Plan(groups, channels, rows, columns, tile, together, stride)


def row_blocks(rows: range, most: int, together: int) -> list[range]:
    """Blocks of a multiple of t rows, and one of what is left."""
    whole = len(rows) // together * together
    pieces = [*cut(whole, most, together), slice(whole, len(rows))]
    return [rows[piece] for piece in pieces if rows[piece]]


def undilated(dilation: int, stride: int) -> tuple[int, int]:
    """Output rows that read every `dilation`-th row: how far apart they are, and their stride.

    They are a problem of their own, without dilation.
    """
    return dilation // gcd(dilation, stride), stride // gcd(dilation, stride)


def tile_of(columns: int) -> int:
    """Columns of a product: as many as BLAS likes, unless too many would be computed in vain."""
    for tile in limits.WIDTHS:
        if -columns % tile * limits.WASTE <= columns:
            return tile
    return columns
