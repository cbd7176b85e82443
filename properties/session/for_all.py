"""@for_all(cases): one property serves Hypothesis' shards, the corpus and --case alike.

@relation(families, …) does the same with a metamorphic relation.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import pytest
from hypothesis import given, seed, settings, target
from hypothesis import strategies as st

from ..cases.case import DTYPES, Case
from ..comparison.mismatch import Mismatch, Status, Verdict, mismatches
from ..metamorphic.relation import Equation, Partner, Precondition, Relation, itself
from .session import Predicate, Session

PIECES = 10  # of the budget for each worker: a process that dies costs one
SHARDS = 8  # work for xdist to spread, and a fixed number, so that seeds mean the same everywhere
LIGHTLY = 0.15  # of the profile's cases

Strategy = Callable[..., st.SearchStrategy[Case]]
Sampler = Callable[[int, Sequence[str], Sequence[str]], Iterable[Case]]
Observer = Callable[[Session, Case, Verdict], None]
Enumeration = Callable[[Sequence[str]], Iterable[Case]]


@dataclass(frozen=True)
class Property:
    """A predicate that must hold for all cases, and how to search for one where it does not."""

    predicate: Predicate
    explore: Callable[[int, Session], None]  # one shard; raises what it finds
    shards: int
    own_only: bool = False  # of our own engine alone
    takes_lines: bool = False  # of --case
    takes_corpus: bool = False
    spends_budget: bool = False  # runs only with --budget, and then alone


def for_all(
    strategy: Strategy,
    *,
    shards: int = SHARDS,
    own_only: bool = False,
    lines: bool = True,
    lightly: bool = False,
    observe: Observer | None = None,
) -> Callable[[Predicate], Any]:
    """Make a test of a predicate about one case.

    The predicate returns the verdict, or None where it says nothing about the case, and raises
    a `Mismatch` where it does not hold. The test runs once per shard, drawing cases from
    `strategy`, and, unless `lines` is false, once per line of the corpus or of --case. `observe`
    sees each verdict on a case drawn. Explored `lightly`, a property that is one of many draws
    a fraction of the cases, in one shard, and leaves the corpus to others.
    """

    def decorate(predicate: Predicate) -> Any:
        def explore(shard: int, session: Session) -> None:
            _search(predicate, strategy, shard, session, observe, LIGHTLY if lightly else 1)

        parts, corpus = (1, False) if lightly else (shards, lines)
        return _as_test(Property(predicate, explore, parts, own_only, lines, corpus))

    return decorate


def relation(
    families: tuple[str, ...],
    *preconditions: Precondition,
    dtypes: tuple[str, ...] = DTYPES,
    partner: Partner = itself,
) -> Callable[[Equation], Any]:
    """Make a test of a metamorphic relation from the function that yields its sides.

    The arguments are those of `Relation`. The test explores its cases lightly, as one of many.
    """

    def decorate(equation: Equation) -> Any:
        made = Relation(equation, families, preconditions, dtypes, partner)

        @wraps(equation)
        def predicate(case: Case, session: Session) -> Verdict | None:
            return made.verdict(case, session.engine, session.definition)

        test = for_all(made.cases, lightly=True)(predicate)
        test.relation = made
        return test

    return decorate


def count_features(session: Session, case: Case, verdict: Verdict) -> None:
    """Observe what the cases drawn have in common."""
    session.statistics.cover(case)


def seek_the_bound(session: Session, case: Case, verdict: Verdict) -> None:
    """Observe how near rounding came to its bound, so that the search goes there."""
    if verdict.ratios:
        target(max(verdict.ratios.values()), label="error ÷ bound")


def for_each(enumeration: Enumeration, *, shards: int = SHARDS) -> Callable[[Predicate], Any]:
    """Make a test of a predicate about every case of `enumeration`, without sampling."""

    def decorate(predicate: Predicate) -> Any:
        def explore(shard: int, session: Session) -> None:
            cases = [case for case in enumeration(session.options.ops) if session.draws(case)]
            if not cases:
                pytest.skip("no dtype or op of it is asked for")
            session.statistics.expect(enumeration.__name__, cases)
            for case in cases[shard::shards]:
                try:
                    verdict = session.check(predicate, case)
                except Mismatch as mismatch:
                    raise session.smallest(predicate, mismatch) from None
                session.statistics.complete(enumeration.__name__, case, verdict)

        return _as_test(Property(predicate, explore, shards))

    return decorate


def within_budget(sampler: Sampler) -> Callable[[Predicate], Any]:
    """Make a test that spends --budget seconds on cases of a plain `sampler`, in every worker."""

    def decorate(predicate: Predicate) -> Any:
        def explore(shard: int, session: Session) -> None:
            found: dict[tuple[str, str], Mismatch] = {}
            until = time.monotonic() + session.options.budget / PIECES
            for case in sampler(
                session.options.seed + shard, session.options.ops, session.options.dtypes
            ):
                try:
                    session.check(predicate, case)
                except Mismatch as mismatch:
                    kind = (type(mismatch).__name__, case.op)
                    if kind not in found:
                        session.keep(mismatch)
                        found[kind] = session.smallest(predicate, mismatch)
                        session.keep(found[kind])
                if time.monotonic() > until:
                    break
            if found:
                raise ExceptionGroup("", [*found.values()])

        return _as_test(Property(predicate, explore, 0, spends_budget=True))

    return decorate


def _as_test(made: Property) -> Any:
    predicate = made.predicate

    def test(source: int | Case, session: Session) -> None:
        session.asked = True
        if not isinstance(source, Case):
            made.explore(source, session)
        elif session.check(predicate, source) is None:
            pytest.skip("says nothing about this case")

    test.__doc__ = predicate.__doc__
    test.__name__ = predicate.__name__
    test.__module__ = predicate.__module__
    test.property = made  # type: ignore[attr-defined]
    return test


def _search(
    predicate: Predicate,
    strategy: Strategy,
    shard: int,
    session: Session,
    observe: Observer | None,
    part: float,
) -> None:
    """Search one shard: its cases depend on the run's seed and the shard alone."""
    drawn = strategy(ops=session.options.ops, dtypes=session.options.dtypes)
    if drawn.is_empty:
        pytest.skip("no op and dtype that the run asks for and the engine offers has such cases")

    def holds(case: Case) -> None:
        verdict = session.check(predicate, case)
        if observe and verdict is not None and verdict.status is Status.AGREED:
            observe(session, case, verdict)

    holds.__name__ = predicate.__name__  # a part of the key in Hypothesis' database
    digest = zlib.crc32(f"{session.options.seed}:{predicate.__name__}:{shard}".encode())
    search = given(drawn)(holds)
    examples = max(1, round(settings().max_examples * part))
    try:
        settings(max_examples=examples)(seed(digest)(search))()
    except (Mismatch, BaseExceptionGroup) as error:
        if not (found := mismatches(error)):
            raise
        smallest = [session.smallest(predicate, m) for m in found]
        raise smallest[0] if len(smallest) == 1 else ExceptionGroup("", smallest) from None
