"""Cases from a plain random generator: the same space as Hypothesis', many times faster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from ..cases.case import DTYPES, Case
from ..cases.operation import OPS
from .budget import Choose
from .neighbours import invalid_case, valid_case
from .valid import takers, weighted


def cases(
    seed: int, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> Iterator[Case]:
    """Endless valid cases, or none where no op takes one of the dtypes.

    `seed` determines them on every machine and Python version.
    """
    choose, menu = choosing(seed), weighted(dtypes)
    ops = takers(ops, menu)
    while ops:
        yield valid_case(choose, ops, menu)


def invalid_cases(
    seed: int, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> Iterator[Case]:
    """Endless cases with one fault each."""
    choose, menu = choosing(seed), weighted(dtypes)
    ops = takers(ops, menu)
    while ops:
        yield invalid_case(choose, ops, menu)


def choosing(seed: int) -> Choose:
    uniform = Random(seed).random
    return lambda n: int(n * uniform())
