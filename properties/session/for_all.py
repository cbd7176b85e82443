"""@for_all(cases): one property serves Hypothesis' shards, the corpus and --case alike.

@relation(families, …) does the same with a metamorphic relation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from itertools import chain, islice
from typing import Any

import pytest
from hypothesis import given, seed, settings, target
from hypothesis import strategies as st

from ..cases.case import DTYPES, Case
from ..cases.sequence import CaseSequence
from ..comparison.mismatch import EngineHang, Mismatch, Status, Verdict, mismatches
from ..generation import sampling
from ..generation.narrowing import EVERYTHING
from ..generation.rare import with_rare_pairs
from ..metamorphic.relation import Equation, Partner, Precondition, Relation, itself
from ..statistics.features import features, possible, two_features
from ..statistics.quota import Quota, leaves_out
from .confirmation import settled
from .report import described
from .session import Predicate, Session

PIECES = 10  # of the budget for each worker: a process that dies costs one
SHARDS = 8  # work for xdist to spread, and a fixed number, so that seeds mean the same everywhere
LIGHTLY = 0.15  # of the profile's cases, for a property that is one of many
RARE = 10  # one in so many pairs of features counts as rare
FURTHER = 10  # one case with rare features for so many plain ones
FEWEST = 100  # cases after a failure, in which one of another kind may show

Strategy = Callable[..., st.SearchStrategy[Any]]
Sampler = Callable[[int, Sequence[str], Sequence[str]], Iterable[Any]]
Observer = Callable[[Session, Case, Verdict, bool], None]  # last: drawn independently
Further = Callable[[int, Session], Iterator[Case]]  # from a seed
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
    takes: type = Case  # what it is about
    of_rejections: bool = False  # all its cases are invalid
    of_baseline: bool = False  # of the engine and its baseline, whose deaths are told apart by it


def for_all(
    strategy: Strategy,
    *,
    plainly: Sampler | None = None,
    shards: int = SHARDS,
    own_only: bool = False,
    lines: bool = True,
    corpus: bool = True,
    part: float = 1,
    observe: Observer | None = None,
    also: Further | None = None,
    takes: type = Case,
    of_rejections: bool = False,
) -> Callable[[Predicate], Any]:
    """Make a test of a predicate about one case (or whatever it `takes`).

    The predicate returns the verdict, or None where it says nothing about the case, and raises
    a `Mismatch` where it does not hold. The test runs once per shard, drawing cases from
    `strategy` and as many again from `plainly`, which samples the same cases at a fraction of the
    cost, and, unless `lines` is false, once per line of --case and, unless `corpus` is, of the
    corpus. `observe` sees each verdict on a case drawn, and `also` gives further cases when all
    are drawn. With a `part` below 1, a property draws this fraction of the cases, in one shard, and
    leaves the corpus to others. One that is `of_rejections` alone is left out where only valid
    calls are judged.
    """

    def decorate(predicate: Predicate) -> Any:
        def explore(shard: int, session: Session) -> None:
            _search(predicate, strategy, plainly, shard, session, observe, part, also)

        parts, listed = (1, False) if part < 1 else (shards, lines and corpus)
        searched = Property(predicate, explore, parts, own_only, lines, listed, takes=takes)
        return _as_test(replace(searched, of_rejections=of_rejections))

    return decorate


def relation(
    families: tuple[str, ...],
    *preconditions: Precondition,
    dtypes: tuple[str, ...] = DTYPES,
    partner: Partner = itself,
) -> Callable[[Equation], Any]:
    """Make a test of a metamorphic relation from the function that yields its sides.

    The arguments are those of `Relation`. The test draws a fraction of the cases, as one of many.
    """

    def decorate(equation: Equation) -> Any:
        made = Relation(equation, families, preconditions, dtypes, partner)

        @wraps(equation)
        def predicate(case: Case, session: Session) -> Verdict | None:
            return made.verdict(case, session.engine, session.definition)

        test = for_all(made.cases, plainly=made.sample, part=LIGHTLY)(predicate)
        test.relation = made
        return test

    return decorate


def count_features(session: Session, case: Case, verdict: Verdict, independently: bool) -> None:
    """Observe what the cases drawn have in common."""
    session.statistics.cover(case, independently=independently)


def rare_pairs(seed: int, session: Session) -> Iterator[Case]:
    """Cases with pairs of features that met least often among the cases drawn so far."""
    options, met = session.options, session.statistics.pairs
    every = sorted(possible(options.features), key=lambda pair: met[pair])
    least = [two_features(pair) for pair in every[: len(every) // RARE]]
    rare = [pair for pair in least if pair.get("dtype", options.dtypes[0]) in options.dtypes]
    cases = sampling.cases(seed + 1, options.ops, options.dtypes)
    return with_rare_pairs(sampling.choosing(seed), cases, rare, features)


def seek_the_bound(session: Session, case: Case, verdict: Verdict, independently: bool) -> None:
    """Observe how near rounding came to its bound, so that the search goes there."""
    if verdict.ratios and not independently:  # only Hypothesis can climb
        target(max(verdict.ratios.values()), label="error ÷ bound")


def for_each(enumeration: Enumeration, *, shards: int = SHARDS) -> Callable[[Predicate], Any]:
    """Make a test of a predicate about every case of `enumeration`, without sampling."""

    def decorate(predicate: Predicate) -> Any:
        def explore(shard: int, session: Session) -> None:
            cases = [case for case in enumeration(session.options.ops) if session.draws(case)]
            if not cases:
                pytest.skip("no op, dtype or data rule of it is asked for")
            session.statistics.expect(enumeration.__name__, cases)
            for case in session.options.share(cases, shard, shards):
                try:
                    verdict = session.check(predicate, case)
                except Mismatch as mismatch:
                    raise settled(session, predicate, mismatch, limited=True) from None
                exactly = case.dtype not in session.engine.accuracy
                session.statistics.complete(enumeration.__name__, case, verdict, exactly=exactly)

        return _as_test(Property(predicate, explore, shards))

    return decorate


def within_budget(sampler: Sampler) -> Callable[[Predicate], Any]:
    """Make a test that spends --budget seconds on cases of a plain `sampler`, in every worker."""

    def decorate(predicate: Predicate) -> Any:
        def explore(shard: int, session: Session) -> None:
            found: dict[tuple[str, str], Mismatch] = {}
            until = time.monotonic() + session.options.budget / PIECES
            options = session.options
            seed = options.digest(predicate.__name__, shard)
            drawn = sampler(seed, options.ops, options.dtypes)
            for case in options.narrowing.fitting(drawn):
                try:
                    session.check(predicate, case)
                except Mismatch as mismatch:
                    kind = (type(mismatch).__name__, case.op)
                    if kind not in found:
                        session.keep(described(mismatch))
                        found[kind] = settled(session, predicate, mismatch)
                if time.monotonic() > until:
                    break
            if found:
                raise ExceptionGroup("", [*found.values()])

        return _as_test(Property(predicate, explore, 0, spends_budget=True))

    return decorate


def _as_test(made: Property) -> Any:
    predicate = made.predicate

    def test(source: int | Case | CaseSequence, session: Session) -> None:
        session.asked = True
        if isinstance(source, int):
            made.explore(source, session)
            return
        options = session.options
        wanted = options.cases or source in options.known.examples
        if not wanted and leaves_out(session.engine, source):
            session.statistics.left_out["lines"] += 1
            pytest.skip("too large for a slow engine")
        try:
            verdict = session.check(predicate, source)
        except Mismatch as mismatch:
            raise settled(session, predicate, mismatch, limited=True) from None
        if verdict is None:
            pytest.skip("says nothing about this case")

    test.__doc__ = predicate.__doc__
    test.__name__ = predicate.__name__
    test.__module__ = predicate.__module__
    test.property = made  # type: ignore[attr-defined]
    return test


def _search(
    predicate: Predicate,
    strategy: Strategy,
    plainly: Sampler | None,
    shard: int,
    session: Session,
    observe: Observer | None,
    part: float,
    also: Further | None,
) -> None:
    """Search one shard: its cases depend on the run's seed and the shard alone.

    Hypothesis stops at the first failure. There may be others of another kind: the plain sampler
    goes on, after a failure for as many cases again, and lets the kinds pass that are known. A
    call that hangs ends the search: the next ones would take as long.
    """
    options = session.options
    cases, fitting = strategy(ops=options.ops, dtypes=options.dtypes), options.narrowing.fitting
    if cases.is_empty:
        pytest.skip("no op and dtype that the run asks for and the engine offers has such cases")
    examples = max(1, round(settings().max_examples * part))
    digest = options.digest(predicate.__name__, shard)
    found: dict[type[Mismatch], Mismatch] = {}
    drawn: list[Case] = []

    quota = Quota(session.engine, session.statistics, examples)

    def observed(case: Case, independently: bool) -> None:
        if not quota.admits(case):
            return
        drawn.append(case)
        try:
            verdict = session.check(predicate, case)
        except Mismatch as mismatch:
            if type(mismatch) not in found:
                raise
            return
        if observe and verdict is not None and verdict.status is Status.AGREED:
            observe(session, case, verdict, independently)

    def holds(case: Case) -> None:
        observed(case, independently=False)

    holds.__name__ = predicate.__name__  # a part of the key in Hypothesis' database
    if options.narrowing != EVERYTHING:
        cases = cases.map(options.narrowing.fitted).filter(bool)
    for mismatch in _failures(settings(max_examples=examples), digest, given(cases)(holds)):
        found[type(mismatch)] = mismatch
    quota.close()
    more = min(examples, max(FEWEST, len(drawn))) if found else examples
    quota = Quota(session.engine, session.statistics, more)
    plain = plainly(digest, options.ops, options.dtypes) if plainly else ()
    beyond = also(digest, session) if also else ()
    independent = ((case, True) for case in islice(fitting(plain), more))
    further = ((case, False) for case in islice(fitting(beyond), more // FURTHER))
    for case, independently in chain(independent, further):
        if EngineHang in found or quota.is_used_up:
            break
        try:
            observed(case, independently)
        except Mismatch as mismatch:
            found[type(mismatch)] = mismatch
    quota.close()
    if smallest := _smallest(predicate, session, found):
        raise smallest[0] if len(smallest) == 1 else ExceptionGroup("", smallest)


def _smallest(
    predicate: Predicate, session: Session, found: dict[type[Mismatch], Mismatch]
) -> list[Mismatch]:
    """The simplest failure of each kind that was `found`, or that shows on the way to it."""

    @wraps(predicate)
    def watched(case: Case, session: Session) -> Verdict | None:
        try:
            return predicate(case, session)
        except Mismatch as mismatch:
            found.setdefault(type(mismatch), mismatch)
            raise

    smallest: dict[type[Mismatch], Mismatch] = {}
    while kinds := found.keys() - smallest.keys():
        kind = min(kinds, key=lambda kind: kind.__name__)
        smallest[kind] = settled(session, watched, found[kind])
    return [*smallest.values()]


def _failures(plan: settings, digest: int, search: Callable[[], None]) -> list[Mismatch]:
    """What Hypothesis finds, by `plan` and from the seed `digest`."""
    try:
        plan(seed(digest)(search))()
    except (Mismatch, BaseExceptionGroup) as error:
        if not (found := mismatches(error)):
            raise
        return found
    return []
