"""What a failure is, when it is judged again in a process that has judged nothing else.

Either it holds alone: then it is shrunk. Or it shows only after other calls: then the shortest
sequence of the calls before it is searched for, and that is the failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from dataclasses import replace

from ..cases.case import Case
from ..cases.line import CaseError, parse
from ..cases.operation import OPS
from ..cases.sequence import CaseSequence, is_at_once, is_in_order
from ..comparison.mismatch import (
    GradientMismatch,
    MarginalGradientMismatch,
    MarginalValueMismatch,
    Mismatch,
    RelationBroken,
    ValueMismatch,
)
from ..triage.faults import DEATHS
from ..triage.triage import Key, Stopwatch, has_raised
from .earlier_calls import LIMIT, Search, after_others
from .explanation import explained
from .isolation import Sparing
from .report import described
from .session import Predicate, Session, by_oracle, in_order

# Kinds that are near a bound, and what they are where a result must be exact.
PLAIN: dict[type[Mismatch], type[Mismatch]] = {
    MarginalValueMismatch: ValueMismatch,
    MarginalGradientMismatch: GradientMismatch,
}


def settled(
    session: Session, predicate: Predicate, found: Mismatch, *, limited: bool = False
) -> Mismatch:
    """The smallest failure that `found` leads to, or `found` itself, with its fault if known.

    What is `limited` shares a time limit with all others of the process.
    """
    found = copy(found)  # what is remembered stays as it is
    if session.options.cases:  # exactly these are asked about
        return _as_it_is(session, predicate, found)
    predicate, found = _part_at_fault(session, predicate, found)
    origin, shown = str(found.source), type(found).__name__
    predicate, found = _exact(session, predicate, found)
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
        by, alone = _part_at_fault(session, predicate, smaller)
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
    is_relation = isinstance(found, RelationBroken) and not found.depends
    if is_relation and (direct := _against_torch(session, found)):
        return settled(session, by_oracle, direct, limited=limited)
    found = copy(found)
    found.settled = not found.once
    if found.once:
        return found
    explained(session, predicate, found)
    session.triage.add(found)
    session.keep(described(found))
    return found


def _against_torch(session: Session, found: Mismatch) -> Mismatch | None:
    """How the case of `found`, or a call that a relation makes of it, differs from torch alone."""
    sides = [text for name, text in found.details if name in ("left", "right")]
    cases = (found.case, *(call for text in sides for call in _calls(text)))
    return next(filter(None, (_by_torch(session, case) for case in cases)), None)


def _by_torch(session: Session, case: Case) -> Mismatch | None:
    """How `case` differs from torch; where there is no torch, nothing is known of that."""
    with suppress(ImportError):
        return session.verdict_of(by_oracle, case)
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


def _part_at_fault(
    session: Session, predicate: Predicate, found: Mismatch
) -> tuple[Predicate, Mismatch]:
    """The part of what was judged that fails by itself, or all of it.

    A sequence whose failing case fails alone, as whatever kind, is that case, and calls at once
    that fail in a row too are that row; a relation that makes a call which fails alone is that
    call.
    """
    if found.sequence is not None:
        alone = _against_torch(session, found)
        if alone is not None and _stands(session, alone):
            return by_oracle, copy(alone)
        if in_a_row := _in_a_row(session, found.sequence):
            return in_order, in_a_row
    if call := called(found):
        direct = _by_torch(session, call)
        if type(direct) is type(found):
            return by_oracle, copy(direct)
    return predicate, found


def _exact(session: Session, predicate: Predicate, found: Mismatch) -> tuple[Predicate, Mismatch]:
    """The same call on integers, if it is wrong there too, where it must be exact.

    A difference near its bound may be one that is no rounding at all.
    """
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


def called(found: Mismatch) -> Case | None:
    """The call at fault, where it is a part of what was judged."""
    line = dict(found.details).get("call")
    return parse(line) if line else None


def _in_a_row(session: Session, sequence: CaseSequence) -> Mismatch | None:
    """How calls at once fail one after another, in one order or the other."""
    if session.alone is None or not sequence.at_once:
        return None
    rows = map(CaseSequence, (sequence.cases, sequence.cases[::-1]))
    results = (session.alone(in_order, row) for row in rows)
    return next((found for found in results if isinstance(found, Mismatch)), None)


def _known(session: Session, predicate: Predicate, found: Mismatch) -> Key | None:
    """The fault to which `found` leads, if it is known: its smallest case fails alike.

    All that needs earlier calls is taken for one fault: what is kept shows in many ways.
    """
    for key, case in session.triage.candidates(found):
        failure = session.verdict_of(predicate, case) or _crashes(session, found, case)
        kinds = (key[0], type(found).__name__)
        if failure and type(failure).__name__ in kinds and has_raised(failure) == has_raised(found):
            return key
    of_state = None if is_at_once(found.source) else session.triage.after_others(found)
    if of_state and (is_in_order(found.source) or not _shows_alone(session, predicate, found)):
        found.depends = True
        return of_state
    return None


def _crashes(session: Session, found: Mismatch, case: Case) -> Mismatch | None:
    """How `case` fails by itself, where `found` is a crash or a hang.

    The relation that `found` breaks may say nothing about this case.
    """
    return _by_torch(session, case) if type(found).__name__ in DEATHS else None


def _shows_alone(session: Session, predicate: Predicate, found: Mismatch) -> bool:
    if session.alone is None or len(found.recent) == 1:  # this process has judged nothing else
        return True
    return isinstance(session.alone(predicate, found.source), Mismatch)


def _smallest(
    session: Session, predicate: Predicate, found: Mismatch, watch: Stopwatch
) -> Mismatch:
    """The smallest failure that `found` leads to, one that a process of its own shows."""
    if session.alone is None:
        return session.smallest(predicate, found, watch)
    alone = confirmed(session, predicate, found)
    if alone.depends:  # as short as it gets
        return alone
    if alone.sequence is not None:  # this process may have kept what others need
        return Search(session.alone, predicate, alone, session.draws).smallest()
    if isinstance(session.elsewhere, Sparing):
        session.elsewhere.left = LIMIT  # the search that found it has spent its own
    smaller = session.smallest(predicate, alone, watch)
    again = session.alone(predicate, smaller.source)
    if isinstance(again, Mismatch) and type(again) is type(alone):
        return again
    return Search(session.alone, predicate, alone, session.draws).smallest()


def confirmed(session: Session, predicate: Predicate, found: Mismatch) -> Mismatch:
    """`found` as it shows alone, or with the shortest sequence of calls after which it shows."""
    if session.alone is None or len(found.recent) == 1:  # this process has judged nothing else
        return found
    alone = session.alone(predicate, found.source)
    if isinstance(alone, Mismatch):
        return alone
    before = [*session.before(found), *found.recent[:-1]]
    return after_others(session.alone, found, session.draws, before)
