"""@holds_for(cases): one property serves Hypothesis' shards, the corpus and --case alike."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from .case import Case
from .court import Court, Statement
from .judge import Mismatch, mismatches

SHARDS = 8  # work for xdist to spread, and a fixed number, so that seeds mean the same everywhere

Strategy = Callable[..., st.SearchStrategy[Case]]


@dataclass(frozen=True)
class Property:
    """A statement that must hold for all cases of a strategy."""

    statement: Statement
    strategy: Strategy
    shards: int
    own_only: bool


def holds_for(
    strategy: Strategy, *, shards: int = SHARDS, own_only: bool = False
) -> Callable[[Statement], Any]:
    """Make a test of a statement about one case.

    The statement returns the verdict, or None where it says nothing about the case, and raises
    a `Mismatch` where it does not hold. The test runs once per shard, drawing cases from
    `strategy`, and once per line of the corpus or of --case.
    """

    def decorate(statement: Statement) -> Any:
        def test(source: int | Case, court: Court) -> None:
            court.asked = True
            if isinstance(source, Case):
                if court.hear(statement, source) is None:
                    pytest.skip("says nothing about this case")
            else:
                explore(statement, strategy, source, court)

        test.__doc__ = statement.__doc__
        test.__name__ = statement.__name__
        test.__module__ = statement.__module__
        test.property = Property(statement, strategy, shards, own_only)  # type: ignore[attr-defined]
        return test

    return decorate


def explore(statement: Statement, strategy: Strategy, shard: int, court: Court) -> None:
    """Search one shard: its cases depend on the run's seed and the shard alone."""

    def holds(case: Case) -> None:
        court.hear(statement, case)

    holds.__name__ = statement.__name__  # a part of the key in Hypothesis' database
    digest = zlib.crc32(f"{court.seed}:{statement.__name__}:{shard}".encode())
    try:
        seed(digest)(given(strategy(ops=court.ops, dtypes=court.dtypes))(holds))()
    except (Mismatch, BaseExceptionGroup) as error:
        if not (found := mismatches(error)):
            raise
        smallest = [court.smallest(statement, m) for m in found]
        raise smallest[0] if len(smallest) == 1 else ExceptionGroup("", smallest) from None
