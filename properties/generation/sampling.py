"""Cases from a plain random generator: the same space as Hypothesis', many times faster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from ..cases.case import DTYPES, Case
from ..cases.operation import OPS
from .budget import Choose
from .neighbours import invalid_case, valid_case
from .valid import weighted


def cases(
    seed: int, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> Iterator[Case]:
    """Endless valid cases; `seed` determines them on every machine and Python version."""
    choose, menu = choosing(seed), weighted(dtypes)
    while True:
        yield valid_case(choose, ops, menu)


def invalid_cases(
    seed: int, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> Iterator[Case]:
    """Endless cases with one fault each."""
    choose, menu = choosing(seed), weighted(dtypes)
    while True:
        yield invalid_case(choose, ops, menu)


def choosing(seed: int) -> Choose:
    uniform = Random(seed).random
    return lambda n: int(n * uniform())
