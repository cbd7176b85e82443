"""Hypothesis strategies for cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import strategies as st

from ..cases.case import DTYPES, Case
from ..cases.operation import OPS
from ..cases.sequence import CaseSequence
from .invalid import spoil
from .sequences import build_sequence
from .valid import build, weighted

Draw = Callable[[st.SearchStrategy[Any]], Any]


@cache
def below(n: int) -> st.SearchStrategy[int]:
    return st.integers(0, n - 1)


def choosing(draw: Draw) -> Callable[[int], int]:
    """The primitive of `space`, over Hypothesis' draws."""
    return lambda n: draw(below(n)) if n > 1 else 0


def cases(
    ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> st.SearchStrategy[Case]:
    """Valid cases of `ops` over `dtypes`; they shrink towards torch's defaults, sizes 1, ones."""
    menu = weighted(dtypes)

    @st.composite
    def cases(draw: Draw) -> Case:
        return build(choosing(draw), ops, menu)

    return cases()


def invalid_cases(
    ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> st.SearchStrategy[Case]:
    """Cases with one fault in an otherwise valid call, which `blame` names."""
    menu = weighted(dtypes)

    @st.composite
    def invalid_cases(draw: Draw) -> Case:
        choose = choosing(draw)
        return spoil(choose, build(choose, ops, menu))

    return invalid_cases()


def sequences(
    ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> st.SearchStrategy[CaseSequence]:
    """Cases that run in order, each a variation of the first."""
    menu = weighted(dtypes)

    @st.composite
    def sequences(draw: Draw) -> CaseSequence:
        return build_sequence(choosing(draw), ops, menu, dtypes)

    return sequences()


def rounded_cases(
    ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> st.SearchStrategy[Case]:
    """Valid cases of real data, in dtypes whose error is not mostly one final rounding."""
    wide = [d for d in dtypes if d in ("float32", "float64", "complex64", "complex128")]
    if not wide:
        pytest.skip("no dtype in which rounding shows is asked for")
    return cases(ops, wide).map(with_reals)


def with_reals(case: Case) -> Case:
    return replace(case, data=f"reals:{case.data.partition(':')[2] or 0}")
