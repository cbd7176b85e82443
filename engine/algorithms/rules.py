"""The rules by which an algorithm is chosen: for speed, since each computes the same.

A choice changes no result beyond the order of its sums. One rule is for safety: a convolution
without multiply-adds is im2col's, since other plans divide by its sizes.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from ..geometry import Geometry
from . import limits
from .plan import met_by, undilated


@lru_cache
def output_by(g: Geometry, dtype: np.dtype[Any]) -> str:
    """The rule for the output: the name of the algorithm."""
    if cuts_rows(g, dtype):
        return "segments"
    return "im2col" if joins_rows(g, dtype) else "band"


def cuts_rows(g: Geometry, dtype: np.dtype[Any]) -> bool:
    """The rule for single rows of taps: segments for few filters whose columns would be many.

    Most of a Toeplitz matrix is zeros where taps are few, or far apart.
    """
    if prod(g.kernel_size[:-1]) > 1 or is_little(g, dtype):
        return False
    size, taps = met_by(g, min(limits.SEGMENT, g.output_size[-1])) * g.filters, g.kernel_size[-1]
    most = limits.FEW_ZEROS if g.channels == 1 else limits.FEWER_ZEROS
    many = columns(g) * dtype.itemsize >= limits.MANY_BYTES
    return many and taps > 1 and size <= most * taps


def joins_rows(g: Geometry, dtype: np.dtype[Any]) -> bool:
    """The rule: im2col where a band saves few copies or none, and for short rows.

    A band copies a row once for all rows of the kernel, but costs calls for each plane of leading
    axes and each dilated problem, and short rows leave its products empty.
    """
    rows, width = g.kernel_size[-2] if len(g.kernel_size) > 1 else 1, g.output_size[-1]
    if rows == 1 or is_little(g, dtype):
        return True
    copied = columns(g) // width * (width + limits.RUN) * dtype.itemsize
    saved = copied * (rows - 1) // rows // (prod(g.output_size[:-2]) * undilated(g)[0])
    wastes = width < limits.SHORT_ROW and g.filters >= limits.WORTH_COPIES
    return saved <= limits.FEW_SAVED or wastes


@lru_cache
def joins_places(g: Geometry, dtype: np.dtype[Any]) -> bool:
    """The rule for a weight's gradient: im2col for few columns, one tap, and many filters.

    Correlate adds a gradient for each block to the sum, which is as large as the weight.
    """
    few = columns(g) * dtype.itemsize <= limits.FEW_BYTES
    one = prod(g.kernel_size) == 1
    return few or is_little(g, dtype) or one or g.filters >= limits.WORTH_COLUMNS


@lru_cache
def adds_columns(g: Geometry) -> bool:
    """The rule for an input's gradient: col2im for many filters.

    There phases form many channels for each place, or turn a weight around for few places. And
    they would multiply mostly zeros where windows cover few places of the input.
    """
    taps = prod(g.input_shape) * g.filters * prod(g.kernel_size)
    phased = taps // prod(g.stride)  # each tap is of one phase
    if phased <= limits.TINY:
        return False
    starves = g.filters >= limits.FILTERS_OF_A_CHANNEL * g.channels
    few = g.batch * prod(g.output_size) < limits.PLACES_OF_A_CHANNEL * g.channels
    many = starves or (few and g.filters >= limits.WORTH_COLUMNS)
    return many or phased > limits.ZEROS * work(g)


def is_little(g: Geometry, dtype: np.dtype[Any]) -> bool:
    """Whether there is little work, or dtype is none that BLAS takes."""
    return work(g) <= limits.TINY or dtype.kind in "iu"


def work(g: Geometry) -> int:
    """Multiply-adds of the output, and of each gradient."""
    return prod(g.output_shape) * g.channels * prod(g.kernel_size)


def columns(g: Geometry) -> int:
    """Elements of the columns of one sample."""
    return g.groups * g.channels * prod(g.kernel_size) * prod(g.output_size)


def has_table(g: Geometry) -> bool:
    """The rule for columns: by a table of their places where columns and input are small."""
    size = g.groups * g.channels * prod(g.padded_size)
    return g.batch * max(size, columns(g)) <= limits.TABLE


def together(g: Geometry) -> int:
    """The rule for few filters: several output rows of a band by one product."""
    return limits.TOGETHER if g.filters < limits.FEW_FILTERS else 1
