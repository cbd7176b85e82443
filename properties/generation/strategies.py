"""Hypothesis strategies for cases; they are `st.nothing()` where no op takes one of the dtypes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from ..cases.case import DTYPES, Case
from ..cases.operation import OPS
from .invalid import spoil
from .valid import build, drawable, weighted

Draw = Callable[[st.SearchStrategy[Any]], Any]


@cache
def below(n: int) -> st.SearchStrategy[int]:
    return st.integers(0, n - 1)


def choosing(draw: Draw) -> Callable[[int], int]:
    """The primitive of `space`, over Hypothesis' draws."""
    return lambda n: draw(below(n)) if n > 1 else 0


def _with_dtypes(ops: Sequence[str], dtypes: tuple[str, ...]) -> list[str]:
    """Those of `ops` that take some of `dtypes`."""
    return [op for op in ops if drawable(OPS[op], dtypes)]


def cases(
    ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> st.SearchStrategy[Case]:
    """Valid cases of `ops` over `dtypes`; they shrink towards torch's defaults, sizes 1, ones."""
    menu = weighted(dtypes)
    ops = _with_dtypes(ops, menu)
    if not ops:
        return st.nothing()

    @st.composite
    def cases(draw: Draw) -> Case:
        return build(choosing(draw), ops, menu)

    return cases()


def invalid_cases(
    ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> st.SearchStrategy[Case]:
    """Cases with one fault in an otherwise valid call, which `blame` names."""
    menu = weighted(dtypes)
    ops = _with_dtypes(ops, menu)
    if not ops:
        return st.nothing()

    @st.composite
    def invalid_cases(draw: Draw) -> Case:
        choose = choosing(draw)
        return spoil(choose, build(choose, ops, menu))

    return invalid_cases()


def rounded_cases(
    ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> st.SearchStrategy[Case]:
    """Valid cases of real data, in dtypes whose error is not mostly one final rounding."""
    wide = [d for d in dtypes if d in ("float32", "float64", "complex64", "complex128")]
    return cases(ops, wide).map(with_reals)


def with_reals(case: Case) -> Case:
    return replace(case, data=f"reals:{case.data.partition(':')[2] or 0}")
