"""Cases from a plain random generator: the same space, many times faster, never shrunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from ..cases.case import DTYPES, Case
from ..cases.operation import OPS
from .invalid import spoil
from .valid import Choose, build, weighted


def cases(
    seed: int, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> Iterator[Case]:
    """Endless valid cases; `seed` determines them on every machine and Python version."""
    choose, menu = _choosing(seed), weighted(dtypes)
    while True:
        yield build(choose, ops, menu)


def invalid_cases(
    seed: int, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> Iterator[Case]:
    """Endless cases with one fault each."""
    choose, menu = _choosing(seed), weighted(dtypes)
    while True:
        yield spoil(choose, build(choose, ops, menu))


def _choosing(seed: int) -> Choose:
    uniform = Random(seed).random
    return lambda n: int(n * uniform())
