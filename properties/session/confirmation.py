"""What a failure is, when it is judged again in a process that has judged nothing else.

Either it holds alone: then it is shrunk. Or it shows only after other calls: then the shortest
sequence of the calls before it is searched for, and that is the failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..cases.case import Case
from ..cases.line import parse_source
from ..cases.sequence import CaseSequence, cases_of
from ..comparison.mismatch import Mismatch
from ..shrinking import smallest, smallest_sequence
from .isolation import Sparing
from .session import Elsewhere, Predicate, Session, Source, in_order

LIMIT = 20.0  # seconds for each search among processes: one costs some 15 ms

Cases = tuple[Case, ...]


def settled(session: Session, predicate: Predicate, found: Mismatch) -> Mismatch:
    """The smallest failure that `found` leads to, one that a process of its own shows."""
    if session.alone is None:
        return session.smallest(predicate, found)
    alone = confirmed(session, predicate, found)
    if alone.source != found.source:  # only after others, and as short as it gets
        return alone
    if isinstance(session.elsewhere, Sparing):
        session.elsewhere.left = LIMIT  # the search that found it has spent its own
    smaller = session.smallest(predicate, alone)
    again = session.alone(predicate, smaller.source)
    if isinstance(again, Mismatch) and type(again) is type(alone):
        return again
    return _Search(session.alone, predicate, alone).smallest()


def confirmed(session: Session, predicate: Predicate, found: Mismatch) -> Mismatch:
    """`found` as it shows alone, or with the shortest sequence of calls after which it shows."""
    if session.alone is None or len(found.recent) == 1:  # this process has judged nothing else
        return found
    alone = session.alone(predicate, found.source)
    if isinstance(alone, Mismatch):
        return alone
    return after_others(session.alone, found)


def after_others(alone: Elsewhere, found: Mismatch) -> Mismatch:
    """The failure with the calls that it needs before it; they are among the recent ones."""
    history = [case for line in found.recent for case in cases_of(parse_source(line))]
    search = _Search(alone, in_order, found)
    if not search.found_after(tuple(history)):
        found.headline += ", only after other calls: none of the last ones suffice"
        return found
    found = search.smallest()
    found.headline += ", only after other calls"
    return found


class _Search:
    """A search for a simpler failure in which each step is judged in a process of its own."""

    def __init__(self, alone: Elsewhere, predicate: Predicate, found: Mismatch) -> None:
        self._alone, self._predicate = alone, predicate
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
            smallest_sequence(source, self.fails)
        else:
            smallest(source, self.fails)
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
