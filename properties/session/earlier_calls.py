"""Failures that do not show alone: the shortest sequence of calls after which they do.

What an engine keeps from one call, and takes for another's, it keeps for a call that is much like
the other. So the calls before that are most alike are tried first, each alone; then variations of
the call that fails, each between two calls of it; and then the last calls together, twice as many
each time.
"""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Callable, Iterator, Sequence

from ..cases.case import Case
from ..cases.line import parse_source
from ..cases.sequence import CaseSequence, cases_of
from ..comparison.mismatch import EngineCrash, EngineHang, Mismatch
from ..generation.sampling import choosing
from ..generation.sequences import VARIATIONS
from ..shrinking import smallest, smallest_sequence
from .session import Elsewhere, Predicate, Source, by_oracle, in_order

LIMIT = 10.0  # seconds for each search among processes: one costs some 15 ms
ALIKE = 60  # calls before that are tried alone
TIMES = 5  # each kind of variation
LAST = 500  # calls before that are tried together

Cases = tuple[Case, ...]
Draws = Callable[[Source], bool]  # whether the run asks for it


def after_others(
    alone: Elsewhere, found: Mismatch, draws: Draws, before: Sequence[str]
) -> Mismatch:
    """The failure with the calls that it needs before it, if they are found.

    Parameters
    ----------
    alone : callable
        Judges in a process that has judged nothing else.
    found : Mismatch
        It did not show so.
    draws : callable
        Whether the run asks for a case or sequence.
    before : sequence of str
        The lines of what was judged before it in its process, the latest at the end.
    """
    found.depends = True
    own = cases_of(found.source)
    search = Search(alone, in_order, found, draws)
    if not (search.any_of(_suspects(own, before)) or search.shortest_end(before[-LAST:], own)):
        found.once = True
        found.headline += ", seen once: not alone, and not after the calls before it"
        return found
    found = search.smallest()
    found.headline += ", only after other calls"
    found.depends = True
    return found


def _suspects(own: Cases, before: Sequence[str]) -> Iterator[Cases]:
    """Short sequences that may show what `own` shows after all of `before`."""
    yield (*own, *own)
    last = own[-1]
    different = [line for line in dict.fromkeys(reversed(before)) if line != str(last)]
    for line in heapq.nlargest(ALIKE, different, key=lambda line: likeness(line, str(last))):
        yield (*cases_of(parse_source(line)), *own)
    choose = choosing(0)
    is_valid = last.blame is None and last.output_shape is not None
    for vary in [*VARIATIONS.values()] * TIMES if is_valid else ():
        yield (*own, vary(choose, last), last)


def likeness(line: str, other: str) -> int:
    """How many parts two lines have in common: the op, operands, arguments, the data."""
    return len(_parts(line) & _parts(other))


def _parts(line: str) -> set[str]:
    op, _, rest = line.partition("(")
    return {op, *re.split(r", (?=[a-z(])", rest)}


class Search:
    """A search for a simpler failure in which each step is judged in a process of its own."""

    def __init__(
        self, alone: Elsewhere, predicate: Predicate, found: Mismatch, draws: Draws
    ) -> None:
        self._alone, self._predicate, self._draws = alone, predicate, draws
        self._found, self._kind, self._own = found, type(found), cases_of(found.source)
        self._until = time.monotonic() + LIMIT

    def fails(self, source: Source) -> bool:
        if time.monotonic() > self._until:
            return False
        result = self._alone(self._predicate, source)
        if not isinstance(result, self._kind):
            return False
        self._found = result
        return True

    def any_of(self, sequences: Iterator[Cases]) -> bool:
        """Whether one of these fails in any way; what it fails by is the failure from then on."""
        return any(self._fails_somehow(cases) for cases in sequences)

    def shortest_end(self, before: Sequence[str], own: Cases) -> bool:
        """Whether `own` fails after the last of `before`, of which the fewest are kept."""
        earlier = tuple(case for line in before for case in cases_of(parse_source(line)))
        return _shortest((*earlier, *own), self._fails_somehow) is not None

    def _fails_somehow(self, cases: Cases) -> bool:
        """Whether a call fails that does not fail alone: by whatever kind, but for a death.

        A relation may break where a value of the sequence is wrong.
        """
        before, self._kind = self._found, Mismatch
        fails = self.fails(CaseSequence(cases)) and self._is_of_others(self._found, type(before))
        if not fails:
            self._found = before
        self._kind = type(self._found)
        return fails

    def _is_of_others(self, result: Mismatch, kind: type[Mismatch]) -> bool:
        if isinstance(result, (EngineCrash, EngineHang)):  # which of the calls it was is not known
            return type(result) is kind
        alone = result.case not in self._own and self._alone(by_oracle, result.case)
        return not isinstance(alone, Mismatch)

    def smallest(self) -> Mismatch:
        self._until = time.monotonic() + LIMIT
        source = self._found.source
        if isinstance(source, CaseSequence):
            smallest_sequence(source, lambda cases: self._draws(cases) and self.fails(cases))
        else:
            smallest(source, lambda case: self._draws(case) and self.fails(case))
        return self._found


def _shortest(history: Cases, fails: Callable[[Cases], bool]) -> Cases | None:
    """The fewest of the last cases that still fail.

    Twice as many are taken until they fail; then halves, quarters … and single cases are left out.
    """
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
