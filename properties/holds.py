"""@holds_for(cases): one property serves Hypothesis' shards, the corpus and --case alike."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, seed, settings, target
from hypothesis import strategies as st

from .case import Case
from .court import Court, Statement
from .judge import Mismatch, Verdict, mismatches

PIECES = 10  # of the budget for each worker: a process that dies costs one
SHARDS = 8  # work for xdist to spread, and a fixed number, so that seeds mean the same everywhere
LIGHTLY = 0.15  # of the profile's cases

Strategy = Callable[..., st.SearchStrategy[Case]]
Sampler = Callable[[int, Sequence[str], Sequence[str]], Iterable[Case]]
Observer = Callable[[Court, Case, Verdict], None]
Enumeration = Callable[[Sequence[str]], Iterable[Case]]


@dataclass(frozen=True)
class Property:
    """A statement that must hold for all cases, and how to search for one where it does not."""

    statement: Statement
    explore: Callable[[int, Court], None]  # one shard; raises what it finds
    shards: int
    own_only: bool = False  # of our own engine alone
    takes_lines: bool = False  # of --case
    takes_corpus: bool = False
    spends_budget: bool = False  # runs only with --budget, and then alone


def holds_for(
    strategy: Strategy,
    *,
    shards: int = SHARDS,
    own_only: bool = False,
    lines: bool = True,
    lightly: bool = False,
    observe: Observer | None = None,
) -> Callable[[Statement], Any]:
    """Make a test of a statement about one case.

    The statement returns the verdict, or None where it says nothing about the case, and raises
    a `Mismatch` where it does not hold. The test runs once per shard, drawing cases from
    `strategy`, and, unless `lines` is false, once per line of the corpus or of --case. `observe`
    sees each verdict on a case drawn. Explored `lightly`, a property that is one of many draws
    a fraction of the cases, in one shard, and leaves the corpus to others.
    """

    def decorate(statement: Statement) -> Any:
        def explore(shard: int, court: Court) -> None:
            _search(statement, strategy, shard, court, observe, LIGHTLY if lightly else 1)

        parts, corpus = (1, False) if lightly else (shards, lines)
        return _as_test(Property(statement, explore, parts, own_only, lines, corpus))

    return decorate


def count_features(court: Court, case: Case, verdict: Verdict) -> None:
    """Observe what the cases drawn have in common."""
    court.tally.cover(case)


def seek_the_bound(court: Court, case: Case, verdict: Verdict) -> None:
    """Observe how near rounding came to its bound, so that the search goes there."""
    if verdict.ratios:
        target(max(verdict.ratios.values()), label="error ÷ bound")


def holds_for_each(enumeration: Enumeration, *, shards: int = SHARDS) -> Callable[[Statement], Any]:
    """Make a test of a statement about every case of `enumeration`, without sampling."""

    def decorate(statement: Statement) -> Any:
        def explore(shard: int, court: Court) -> None:
            cases = [case for case in enumeration(court.ops) if court.draws(case)]
            if not cases:
                pytest.skip("no dtype or op of it is asked for")
            court.tally.expect(enumeration.__name__, cases)
            for case in cases[shard::shards]:
                try:
                    verdict = court.hear(statement, case)
                except Mismatch as mismatch:
                    raise court.smallest(statement, mismatch) from None
                court.tally.complete(enumeration.__name__, case, verdict)

        return _as_test(Property(statement, explore, shards))

    return decorate


def holds_for_budget(sampler: Sampler) -> Callable[[Statement], Any]:
    """Make a test that spends --budget seconds on cases of a plain `sampler`, in every worker."""

    def decorate(statement: Statement) -> Any:
        def explore(shard: int, court: Court) -> None:
            found: dict[tuple[str, str], Mismatch] = {}
            until = time.monotonic() + court.budget / PIECES
            for case in sampler(court.seed + shard, court.ops, court.dtypes):
                try:
                    court.hear(statement, case)
                except Mismatch as mismatch:
                    kind = (type(mismatch).__name__, case.op)
                    if kind not in found:
                        court.keep(mismatch)
                        found[kind] = court.smallest(statement, mismatch)
                        court.keep(found[kind])
                if time.monotonic() > until:
                    break
            if found:
                raise ExceptionGroup("", [*found.values()])

        return _as_test(Property(statement, explore, 0, spends_budget=True))

    return decorate


def _as_test(made: Property) -> Any:
    statement = made.statement

    def test(source: int | Case, court: Court) -> None:
        court.asked = True
        if not isinstance(source, Case):
            made.explore(source, court)
        elif court.hear(statement, source) is None:
            pytest.skip("says nothing about this case")

    test.__doc__ = statement.__doc__
    test.__name__ = statement.__name__
    test.__module__ = statement.__module__
    test.property = made  # type: ignore[attr-defined]
    return test


def _search(
    statement: Statement,
    strategy: Strategy,
    shard: int,
    court: Court,
    observe: Observer | None,
    part: float,
) -> None:
    """Search one shard: its cases depend on the run's seed and the shard alone."""

    def holds(case: Case) -> None:
        verdict = court.hear(statement, case)
        if observe and verdict is not None and verdict.status == "agreed":
            observe(court, case, verdict)

    holds.__name__ = statement.__name__  # a part of the key in Hypothesis' database
    digest = zlib.crc32(f"{court.seed}:{statement.__name__}:{shard}".encode())
    search = given(strategy(ops=court.ops, dtypes=court.dtypes))(holds)
    examples = max(1, round(settings().max_examples * part))
    try:
        settings(max_examples=examples)(seed(digest)(search))()
    except (Mismatch, BaseExceptionGroup) as error:
        if not (found := mismatches(error)):
            raise
        smallest = [court.smallest(statement, m) for m in found]
        raise smallest[0] if len(smallest) == 1 else ExceptionGroup("", smallest) from None
