"""How the band algorithm cuts its work: every block's patches and product lie in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
    together: int  # t, output rows of one product
    stride: int  # from one output row's slab to the next, in rows of the buffer

    def blocks(self) -> Iterator[tuple[range, slice]]:
        return ((rows, columns) for rows in self.rows for columns in self.columns)

    def slab(self, g: Geometry, rows: int) -> int:
        """Rows of the buffer that so many output rows read."""
        return (rows - 1) * self.stride + g.kernel_size[-2]


def planned(g: Geometry, itemsize: int) -> Plan:
    """Cut columns first, then channels, until one product's slab fits; then add rows, and groups.

    Every d-th output row reads every d-th input row, where d is the dilation without what it
    shares with the stride: these rows are a problem of their own, without dilation.
    """
    capacity, (kr, kc) = limits.BUFFER // itemsize, g.kernel_size[-2:]
    step, stride = reduced(g.dilation[-2], g.stride[-2])
    together = limits.FEW_ROWS // g.filters if kr > 1 and g.filters < limits.FEW_ROWS else 1
    slab = (together - 1) * stride + kr
    taps = prod(g.kernel_size[:-2]) * kc
    columns = cut(g.output_size[-1], max(limits.WIDTHS[0], capacity // (slab * taps * g.channels)))
    width, _ = widened(columns[0].stop)
    channels = cut(g.channels, max(1, capacity // (slab * taps * width)))
    patch = taps * channels[0].stop  # J
    # A block of r rows has ((r - 1)·stride + kr)·J·width patches, and r·O·width results.
    most = (capacity // width - (kr - stride) * patch) // (stride * patch + g.filters)
    problems = [range(q, g.output_size[-2], step) for q in range(min(step, g.output_size[-2]))]
    height = len(problems[0])
    pieces = cut(height, max(together, most // together * together))
    rows = [problem[piece] for problem in problems for piece in pieces if problem[piece]]
    whole = ((height - 1) * stride + kr) * patch + height * g.filters
    alone = len(pieces) > 1 or len(columns) > 1
    groups = cut(g.groups, 1 if alone else max(1, capacity // (whole * width)))
    return Plan(groups, channels, rows, columns, together, stride)


def reduced(dilation: int, stride: int) -> tuple[int, int]:
    return dilation // gcd(dilation, stride), stride // gcd(dilation, stride)


def widened(columns: int) -> tuple[int, int]:
    """The columns of a product, rounded up to tiles that BLAS likes, and the tile."""
    for tile in limits.WIDTHS:
        width = -(-columns // tile) * tile
        if (width - columns) * limits.WASTE <= columns:
            return width, tile
    return columns, columns
