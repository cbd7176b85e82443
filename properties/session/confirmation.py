"""What a failure is, when it is judged again in a process that has judged nothing else.

Either it holds alone: then it is shrunk. Or it shows only after other calls: then the shortest
sequence of the calls before it is searched for, and that is the failure.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import copy
from dataclasses import replace

from ..cases.case import Case
from ..cases.line import CaseError, parse, parse_source
from ..cases.operation import OPS
from ..cases.sequence import CaseSequence, cases_of
from ..comparison.mismatch import (
    GradientMismatch,
    MarginalGradientMismatch,
    MarginalValueMismatch,
    Mismatch,
    RelationBroken,
    ValueMismatch,
)
from ..shrinking import smallest, smallest_sequence
from ..triage.triage import Stopwatch
from .explanation import explained
from .isolation import Sparing
from .report import described
from .session import Elsewhere, Predicate, Session, Source, by_oracle, in_order

LIMIT = 20.0  # seconds for each search among processes: one costs some 15 ms
# Kinds that are near a bound, and what they are where a result must be exact.
PLAIN: dict[type[Mismatch], type[Mismatch]] = {
    MarginalValueMismatch: ValueMismatch,
    MarginalGradientMismatch: GradientMismatch,
}

Cases = tuple[Case, ...]
Draws = Callable[[Source], bool]  # whether the run asks for it


def settled(
    session: Session, predicate: Predicate, found: Mismatch, *, limited: bool = False
) -> Mismatch:
    """The smallest failure that `found` leads to, or `found` itself, with its fault if known.

    What is `limited` shares a time limit with all others of the process.
    """
    origin, found = str(found.source), copy(found)  # what is remembered stays as it is
    if session.options.cases:  # exactly these are asked about
        return _as_it_is(session, predicate, found)
    shown = type(found).__name__
    predicate, found = _plainer(session, predicate, found)
    session.triage.wait(found)
    found.fault, found.origin, found.shown = _known(session, predicate, found), origin, shown
    if found.fault or (limited and session.triage.left <= 0):
        return found
    with session.triage.shrinking(found, limited=limited) as watch:
        smaller = _smallest(session, predicate, found, watch)
        if watch.is_over:
            smaller = copy(smaller)
            smaller.details += (("shrunk", "not to the end: the time limit was spent"),)
    if smaller.sequence is not None:  # by now one of its cases may fail alone
        by, alone = _plainer(session, predicate, smaller)
        if alone is not smaller:
            smaller = settled(session, by, alone, limited=limited)
    if not (smaller.settled or smaller.fault):
        smaller = _cause(session, predicate, smaller, limited=limited)
    smaller.origin, smaller.shown = origin, shown
    return smaller


def _as_it_is(session: Session, predicate: Predicate, found: Mismatch) -> Mismatch:
    """`found`, or how its case differs from torch where a relation is broken by that."""
    found = copy(confirmed(session, predicate, found))
    if isinstance(found, RelationBroken) and (direct := _against_torch(session, found)):
        direct, predicate = copy(direct), by_oracle
        found, direct.shown = direct, type(found).__name__
    found.settled = True
    return explained(session, predicate, found)


def _cause(session: Session, predicate: Predicate, found: Mismatch, *, limited: bool) -> Mismatch:
    """`found`, or the fault that breaks its relation, if its smallest case differs from torch."""
    if isinstance(found, RelationBroken) and (direct := _against_torch(session, found)):
        return settled(session, by_oracle, direct, limited=limited)
    found = copy(found)
    found.settled = True
    explained(session, predicate, found)
    session.triage.add(found)
    session.keep(described(found))
    return found


def _against_torch(session: Session, found: Mismatch) -> Mismatch | None:
    """How the case of `found`, or a call that a relation makes of it, differs from torch alone."""
    sides = [text for name, text in found.details if name in ("left", "right")]
    with suppress(ImportError):  # where there is torch
        for case in (found.case, *(call for text in sides for call in _calls(text))):
            if direct := session.verdict_of(by_oracle, case):
                return direct
    return None


def _calls(text: str) -> Iterator[Case]:
    """The cases whose lines stand in a text."""
    for start in re.finditer(rf"\b(?:{'|'.join(OPS)})\(", text):
        depth, end = 1, start.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        with suppress(CaseError):
            yield parse(text[start.start() : end])


def _plainer(session: Session, predicate: Predicate, found: Mismatch) -> tuple[Predicate, Mismatch]:
    """The same failure in a form that says more.

    A sequence whose failing case fails alone, as whatever kind, is that case; a relation that makes
    a call which fails alone is that call. A difference near its bound may be one that is no
    rounding at all: then the same call is wrong on integers, where it must be exact.
    """
    if found.sequence is not None:
        alone = _against_torch(session, found)
        if alone is not None and _stands(session, alone):
            return by_oracle, copy(alone)
    if called := dict(found.details).get("call"):
        direct = session.verdict_of(by_oracle, parse(called))
        if type(direct) is type(found):
            return by_oracle, copy(direct)
    plain = PLAIN.get(type(found))
    if plain is not None and found.sequence is None:
        case = replace(found.case, data="integers:0")
        exact = session.verdict_of(predicate, case) if session.draws(case) else None
        if type(exact) is plain:
            return predicate, copy(exact)
    return predicate, found


def _stands(session: Session, found: Mismatch) -> bool:
    """Whether a process that has judged nothing else shows it too."""
    if session.alone is None:
        return True
    return type(session.alone(by_oracle, found.case)) is type(found)


def _known(session: Session, predicate: Predicate, found: Mismatch) -> tuple[str, str] | None:
    """The fault to which `found` leads, if it is known: its smallest case fails alike."""
    for key, case in session.triage.candidates(found):
        failure = session.verdict_of(predicate, case)
        if failure is not None and type(failure).__name__ in (key[0], type(found).__name__):
            return key
    return None


def _smallest(
    session: Session, predicate: Predicate, found: Mismatch, watch: Stopwatch
) -> Mismatch:
    """The smallest failure that `found` leads to, one that a process of its own shows."""
    if session.alone is None:
        return session.smallest(predicate, found, watch)
    alone = confirmed(session, predicate, found)
    if alone.source != found.source:  # only after others, and as short as it gets
        return alone
    if isinstance(session.elsewhere, Sparing):
        session.elsewhere.left = LIMIT  # the search that found it has spent its own
    smaller = session.smallest(predicate, alone, watch)
    again = session.alone(predicate, smaller.source)
    if isinstance(again, Mismatch) and type(again) is type(alone):
        return again
    return _Search(session.alone, predicate, alone, session.draws).smallest()


def confirmed(session: Session, predicate: Predicate, found: Mismatch) -> Mismatch:
    """`found` as it shows alone, or with the shortest sequence of calls after which it shows."""
    if session.alone is None or len(found.recent) == 1:  # this process has judged nothing else
        return found
    alone = session.alone(predicate, found.source)
    if isinstance(alone, Mismatch):
        return alone
    return after_others(session.alone, found, session.draws)


def after_others(alone: Elsewhere, found: Mismatch, draws: Draws) -> Mismatch:
    """The failure with the calls that it needs before it; they are among the recent ones."""
    history = [case for line in found.recent for case in cases_of(parse_source(line))]
    search = _Search(alone, in_order, found, draws)
    if not search.found_after(tuple(history)):
        found.headline += ", only after other calls: none of the last ones suffice"
        return found
    found = search.smallest()
    found.headline += ", only after other calls"
    return found


class _Search:
    """A search for a simpler failure in which each step is judged in a process of its own."""

    def __init__(
        self, alone: Elsewhere, predicate: Predicate, found: Mismatch, draws: Draws
    ) -> None:
        self._alone, self._predicate, self._draws = alone, predicate, draws
        self._found, self._kind = found, type(found)
        self._until = time.monotonic() + LIMIT

    def fails(self, source: Source) -> bool:
        if time.monotonic() > self._until:
            return False
        result = self._alone(self._predicate, source)
        if not isinstance(result, self._kind):
            return False
        self._found = result
        return True

    def found_after(self, history: Cases) -> bool:
        """Whether one of `history`, judged in order, fails; the last calls of it suffice then."""
        self._kind = Mismatch  # a relation may break where a value of the sequence is wrong
        cases = _shortest(history, lambda cases: self.fails(CaseSequence(cases)))
        self._kind = type(self._found)
        return cases is not None

    def smallest(self) -> Mismatch:
        self._until = time.monotonic() + LIMIT
        source = self._found.source
        if isinstance(source, CaseSequence):
            smallest_sequence(source, lambda cases: self._draws(cases) and self.fails(cases))
        else:
            smallest(source, lambda case: self._draws(case) and self.fails(case))
        return self._found


def _shortest(history: Cases, fails: Callable[[Cases], bool]) -> Cases | None:
    """The fewest of the last cases that still fail: ever longer ends, then without ever less."""
    length = 2
    while not fails(history[-length:]):
        if length >= len(history):
            return None
        length *= 2
    cases, size = history[-length:], length // 2
    while size:
        start = 0
        while start < len(cases) - 1:
            fewer = cases[:start] + cases[min(start + size, len(cases) - 1) :]
            if len(fewer) > 1 and fails(fewer):
                cases = fewer
            else:
                start += size
        size //= 2
    return cases
