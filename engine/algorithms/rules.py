"""The rules by which an algorithm is chosen: for speed, since each computes the same.

A choice changes no result beyond the order of its sums. The one thing that holds for results is
that a convolution without products is im2col's.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd, prod
from typing import Any

import numpy as np

from ..geometry import Geometry
from . import limits


@lru_cache
def joins_rows(g: Geometry, dtype: np.dtype[Any]) -> bool:
    """The rule: im2col for little work, one tap, short rows, and what BLAS doesn't multiply."""
    little = work(g) <= limits.TINY
    return little or prod(g.kernel_size) == 1 or has_short_rows(g) or dtype.kind in "iu"


@lru_cache
def adds_columns(g: Geometry) -> bool:
    """The rule for an input's gradient: col2im for one tap, short rows, and few channels of many.

    So it is for phases of mere zeros: they meet every place of the input, and a window may cover
    a few only.
    """
    steps = [s // gcd(s, d) for s, d in zip(g.stride, g.dilation, strict=True)]
    phased = prod(g.input_shape) * g.filters * prod(g.kernel_size) // prod(steps)
    if phased <= limits.TINY:
        return False
    starves = g.channels < limits.FEW_FILTERS and g.filters >= limits.MANY_FILTERS
    one = prod(g.kernel_size) == 1
    return one or starves or has_short_rows(g) or phased > limits.ZEROS * work(g)


def work(g: Geometry) -> int:
    """Multiply-adds of the output, and of each gradient."""
    return prod(g.output_shape) * g.channels * prod(g.kernel_size)


def has_short_rows(g: Geometry) -> bool:
    return len(g.kernel_size) > 1 and g.output_size[-1] < limits.SHORT_ROW and g.filters > 2


@lru_cache
def together(g: Geometry) -> int:
    """The rule for few filters: several output rows by one product, where kernels share rows."""
    few = len(g.kernel_size) > 1 and g.filters < limits.FEW_FILTERS and g.kernel_size[-2] > 1
    return limits.TOGETHER if few else 1
