"""The gate for refactors: the engine held against a baseline, on cases that do not move.

Its cases are the corpus, what is enumerated, and plain random cases of fixed seeds: they depend
neither on the run's seed nor on the engine's source, and so do its counts. Hypothesis searches
beside it, as in every run.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import pytest
from hypothesis import settings

from ..cases.case import Case
from ..cases.files import CORPUS, read_cases
from ..cases.line import parse
from ..comparison.baseline import Contrast, Side, of_death
from ..comparison.engine import IMPATIENCE
from ..comparison.mismatch import EngineCrash, EngineHang, Mismatch
from ..generation import sampling
from ..generation.exhaustive import one_axis, pairs_on_two_axes
from ..session.for_all import SHARDS, Property, Sampler
from ..session.isolation import CAN_FORK, Isolation, Judge, Sparing
from ..session.session import Predicate, Session
from ..shrinking import smallest
from ..statistics.changes import Changes, Example

ENDS = 10  # calls that do not return, or end the process, after which a shard is given up

COSTLY = {kind.__name__ for kind in (EngineHang, EngineCrash)}

Cases = Callable[[Session, int], Iterable[Case]]  # those of one shard


def against_baseline(
    cases: Cases, *, lines: bool = False, of_rejections: bool = False
) -> Callable[[Predicate], Any]:
    """Make a test that counts what has changed on `cases`, and on those of --case if `lines`.

    The predicate returns the `Contrast` of candidate and baseline on one case. The test fails
    where something breaks that the baseline did right; with --identical also where anything has
    changed.
    """

    def decorate(predicate: Predicate) -> Any:
        def explore(shard: int, session: Session) -> None:
            _count(predicate, session, cases(session, shard))

        searched = Property(predicate, explore, SHARDS, takes_lines=lines, of_baseline=True)
        made = replace(searched, of_rejections=of_rejections)

        def test(source: int | Case, session: Session) -> None:
            session.asked, session.status = True, ""
            before = session.statistics.changes
            session.statistics.changes = mine = Changes()
            try:
                if isinstance(source, int):
                    made.explore(source, session)
                else:
                    _count(predicate, session, [source])
            finally:
                session.statistics.changes = before
                before.merge(mine.dump())
            _fail_for(mine, identical=session.options.identical)

        test.__doc__, test.__name__ = predicate.__doc__, predicate.__name__
        test.__module__, test.property = predicate.__module__, made  # type: ignore[attr-defined]
        return test

    return decorate


def _count(predicate: Predicate, session: Session, cases: Iterable[Case]) -> None:
    """Count what has changed on `cases`; after `ENDS` costly ends of calls, how many are left."""
    changes, ends = session.statistics.changes, 0
    for case in cases:
        if session.options.known.spares(case):
            continue
        found = contrasted(predicate, case, session) if ends < ENDS else None
        if found is None:
            changes.not_compared += 1
            continue
        changes.add(case, found)
        session.status = str(found.status)
        ends += any(s.wrong in COSTLY for s in (found.candidate, found.baseline))
        for engine, one in zip(session.engines, (found.candidate, found.baseline), strict=True):
            if one.wrong == EngineHang.__name__:
                engine.patience = IMPATIENCE  # the next ones need not be waited for as long


def contrasted(predicate: Predicate, case: Case, session: Session) -> Contrast | None:
    """What `predicate` says, or which of the two it was that ended the process or never returned.

    None where neither does so alone, or where so many calls have hung that no more are made.
    """
    try:
        found: Any = session.judged(predicate, case)
    except Mismatch as death:  # of a process in which both are called
        return _apart(case, session, death)
    return found if isinstance(found, Contrast) else None


def _apart(case: Case, session: Session, death: Mismatch) -> Contrast | None:
    """Each of the two, judged in a process of its own."""
    if session.alone is None:
        return None
    now, was = (_of_result(session.alone(side, case)) for side in (of_candidate, of_baseline))
    return Contrast.of(now, was) if now.wrong or was.wrong else None


def _of_result(found: Any) -> Side:
    return of_death(found) if isinstance(found, Mismatch) else found


def of_candidate(case: Case, session: Session) -> Side:
    return session.one_side(case, session.engines[0])


def of_baseline(case: Case, session: Session) -> Side:
    return session.one_side(case, session.engines[1])


def _fail_for(changes: Changes, *, identical: bool) -> None:
    """Fail in one line: the verdict at the end of the run has the shrunk cases."""
    failing = changes.failing(identical=identical)
    texts = [f"{key} ({e.cases:,} cases, such as {e.case})" for key, e in failing.items()]
    if changes.not_compared and identical:
        texts.append(f"{changes.not_compared:,} cases not compared")
    if texts:
        pytest.fail("against the baseline: " + "; ".join(texts), pytrace=False)


# ---- The cases of one shard: of what both engines offer ----


def corpus(session: Session, shard: int) -> Iterator[Case]:
    """Those of the corpus."""
    return _share(read_cases(CORPUS), session, shard)


def enumerated(session: Session, shard: int) -> Iterator[Case]:
    """Those of all that is enumerated."""
    ops = session.options.ops
    return _share(chain(one_axis(ops), pairs_on_two_axes(ops)), session, shard)


def sampled(session: Session, shard: int) -> Iterator[Case]:
    """As many plain random valid cases as the profile says, always the same."""
    return _sampled(sampling.cases, session, shard)


def sampled_invalid(session: Session, shard: int) -> Iterator[Case]:
    """As many plain random invalid cases, always the same."""
    return _sampled(sampling.invalid_cases, session, shard)


def _share(cases: Iterable[Case], session: Session, shard: int) -> Iterator[Case]:
    offered = (case for case in cases if _is_offered(case, session))
    return session.options.share(offered, shard, SHARDS)


def _sampled(sampler: Sampler, session: Session, shard: int) -> Iterator[Case]:
    options = session.options
    ops = [op for op in options.ops if all(op in engine.ops for engine in session.engines)]
    seed = zlib.crc32(f"{sampler.__name__}:{shard}".encode())
    drawn = options.narrowing.fitting(sampler(seed, ops, options.dtypes))
    return options.share(islice(drawn, settings().max_examples))


def _is_offered(case: Case, session: Session) -> bool:
    return session.draws(case) and all(case.op in engine.ops for engine in session.engines)


# ---- The examples, shrunk in the process that prints ----


def shrink(changes: Changes, predicate: Predicate, session: Session) -> None:
    """Make each example the smallest case that shows its kind of change."""
    if not changes.examples:
        return
    isolation = Isolation(session)
    isolation.warm_up()
    for key, example in changes.sorted():
        judge = Judge(session)
        if CAN_FORK:
            session.alone, session.elsewhere = isolation, Sparing(judge)
        try:
            _shrink(key, example, predicate, session)
        finally:
            judge.close()
            session.alone = session.elsewhere = None


def _shrink(key: str, example: Example, predicate: Predicate, session: Session) -> None:
    def shows(case: Case) -> bool:
        found = contrasted(predicate, case, session) if _is_offered(case, session) else None
        shown = [change for change in (found.changes() if found else ()) if change.key == key]
        if shown:
            example.case, example.was, example.now = str(case), shown[0].was, shown[0].now
        return bool(shown)

    smallest(parse(example.case), shows)
