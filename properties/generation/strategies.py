"""Hypothesis strategies for cases; they are `st.nothing()` where no op takes one of the dtypes.

A case is drawn as one string of bytes, a tape, from which the choices are read in order. Drawn
one by one they cost three times as much, and Hypothesis copies single choices of a case to others
of it: four cases in five are then such mutants of one before, one in eight is a duplicate, and
they hit or miss a fault together. A tape has no parts to copy, so cases are as good as
independent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from ..cases.case import DTYPES, Case
from ..cases.operation import OPS
from ..cases.sequence import CaseSequence
from .budget import Choose
from .neighbours import invalid_case, valid_case
from .sequences import build_at_once, build_sequence
from .valid import takers, weighted

Draw = Callable[[st.SearchStrategy[Any]], Any]

TAPE = 128  # bytes: more than a case or a sequence reads; each costs Hypothesis a microsecond
TAPES = st.binary(min_size=TAPE, max_size=TAPE)


def reading(tape: bytes) -> Choose:
    """The choices on a tape; after its end, the simplest."""
    at = 0

    def choose(n: int) -> int:
        nonlocal at
        if n == 1:
            return 0
        size = 1 if n <= 16 else 2 if n <= 4096 else 3  # so that no choice is much likelier
        at += size
        return int.from_bytes(tape[at - size : at]) % n

    return choose


def cases(
    ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> st.SearchStrategy[Case]:
    """Valid cases of `ops` over `dtypes`; they shrink towards torch's defaults, sizes 1, ones."""
    return _read(valid_case, ops, weighted(dtypes))


def invalid_cases(
    ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> st.SearchStrategy[Case]:
    """Cases with one fault in an otherwise valid call, which `blame` names."""
    return _read(invalid_case, ops, weighted(dtypes))


def _read(
    case: Callable[[Choose, Sequence[str], Sequence[str]], Case],
    ops: Sequence[str],
    menu: Sequence[str],
) -> st.SearchStrategy[Case]:
    ops = takers(ops, menu)
    return TAPES.map(lambda tape: case(reading(tape), ops, menu)) if ops else st.nothing()


def rounded_cases(
    ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> st.SearchStrategy[Case]:
    """Valid cases of real data, in dtypes whose error is not mostly one final rounding.

    Their choices are drawn one by one: a search that climbs needs parts to change.
    """
    wide = [d for d in dtypes if d in ("float32", "float64", "complex64", "complex128")]
    menu = weighted(wide)
    if not (ops := takers(ops, menu)):
        return st.nothing()

    @st.composite
    def rounded_cases(draw: Draw) -> Case:
        return with_reals(valid_case(choosing(draw), ops, menu))

    return rounded_cases()


@cache
def below(n: int) -> st.SearchStrategy[int]:
    return st.integers(0, n - 1)


def choosing(draw: Draw) -> Choose:
    """Choices drawn one by one."""
    return lambda n: draw(below(n)) if n > 1 else 0


def sequences(
    ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> st.SearchStrategy[CaseSequence]:
    """Cases that run in order, each a variation of the first."""
    return _sequences(build_sequence, ops, dtypes)


def at_once(
    ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> st.SearchStrategy[CaseSequence]:
    """Two cases that run at the same time."""
    return _sequences(build_at_once, ops, dtypes)


def _sequences(
    make: Callable[..., CaseSequence], ops: Sequence[str], dtypes: Sequence[str]
) -> st.SearchStrategy[CaseSequence]:
    menu = weighted(dtypes)
    if not (ops := takers(ops, menu)):
        return st.nothing()
    return TAPES.map(lambda tape: make(reading(tape), ops, menu, dtypes))


def with_reals(case: Case) -> Case:
    return replace(case, data=f"reals:{case.data.partition(':')[2] or 0}")
