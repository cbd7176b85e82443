"""What multiplies matrices, and the sizes of one product, as BLAS likes them, and of equal pieces.

No size changes a result beyond the order of its sums.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..geometry import Array
from . import limits


def product_over(lines: int) -> Callable[..., Array]:
    """What multiplies matrices by sums over so many lines: matmul, which takes up to 20 times as
    long as multiply where there is one line, and so no sum.
    """
    return np.multiply if lines == 1 else np.matmul


def whole(length: int, unit: int) -> int:
    """`length`, rounded up to units."""
    return -(-length // unit) * unit


def even(length: int, most: int, unit: int = 1) -> int:
    """The size of nearly equal pieces of `length`, of at most `most` or one unit, in units."""
    pieces = max(1, -(-length // max(unit, most // unit * unit)))
    return max(1, whole(-(-length // pieces), unit))


def tile_of(columns: int, most: int, terms: int, rows: int) -> int:
    """Columns of a product: as many as BLAS likes, unless too many would be computed in vain.

    A whole row, of at most `most`, needs no copy, which costs more than the best width saves where
    a product is small: for each column so many terms in so many rows.
    """
    size = terms * min(rows, limits.ENOUGH_ROWS)
    takes_row = columns <= most and columns * size <= limits.SMALL_PRODUCT
    for tile in limits.WIDTHS:
        if takes_row and columns > tile and columns % tile:
            return columns
        if -columns % tile * limits.WASTE <= columns:
            return tile
    return even(columns, limits.WIDEST)


def for_panel(rows: int, width: int) -> int:
    """Rows of a product's right operand, of `width` bytes, that stay in the cache of the core."""
    return even(rows, limits.PANEL // width)


def part(filters: int, size: int, together: int = 1) -> int:
    """Rows of a product's left operand: those of all filters, if each of these has several.

    Else a divisor of the filters, halved while that brings the product to where BLAS is fastest.
    """
    m = filters
    while m % 2 == 0 and m > 8 and m * size > limits.SMALL_PRODUCT:
        m //= 2
    return m if together == 1 and m * size <= limits.SMALL_PRODUCT else filters * together
