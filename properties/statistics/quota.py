"""What a slow engine is spared, so that a run of it ends; all of it is counted.

Of an engine that is fast enough nothing is left out. Which it is, its paces say, not the time that
a run takes: a busy machine changes nothing of what is judged.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import inf

from ..cases.case import Case
from ..cases.sequence import CaseSequence, cases_of
from ..comparison.engine import Engine
from ..comparison.pace import Pace
from .statistics import Statistics

CALLS = 3  # of the engine, for most cases
ELEMENTS, PRODUCTS = 200, 2000  # of a case that is drawn, as a rule
FAST = 0.004  # seconds that such a case takes an engine of which nothing is left out
EACH = 0.003  # seconds for a case, on average, of one that is slower
LARGEST = 0.05  # of the time for many cases, what one of them may take
LINE = 5.0  # seconds that a line of the corpus may take


def expected(engine: Engine, source: Case | CaseSequence) -> float:
    """The seconds that judging `source` takes the engine."""
    paces = ((engine.paces.get(case.op, Pace()), case) for case in cases_of(source))
    return CALLS * sum(pace.seconds(case) for pace, case in paces)


def is_slow(engine: Engine) -> bool:
    usual = [pace.per_call + pace.of(ELEMENTS, PRODUCTS) for pace in engine.paces.values()]
    return CALLS * max(usual, default=0.0) > FAST


class Quota:
    """How many of `asked` cases a part of a search judges: of a slow engine, as time allows."""

    def __init__(self, engine: Engine, statistics: Statistics, asked: int) -> None:
        self._engine, self._statistics = engine, statistics
        self._limited = is_slow(engine)
        self._asked, self._judged = asked, 0
        seconds = asked * EACH
        self._until = time.monotonic() + seconds if self._limited else inf
        self._largest = seconds * LARGEST

    def admits(self, source: Case | CaseSequence) -> bool:
        """Whether `source` is to be judged."""
        if not self._limited:
            return True
        if time.monotonic() > self._until:
            return False
        if expected(self._engine, source) > self._largest:
            self._statistics.left_out["drawn cases"] += 1
            return False
        self._judged += 1
        return True

    @property
    def is_used_up(self) -> bool:
        return time.monotonic() > self._until

    def close(self) -> None:
        """Count what was judged of what was asked for."""
        if self.is_used_up:
            self._statistics.left_out["parts"] += 1
            self._statistics.left_out["asked"] += self._asked
            self._statistics.left_out["judged"] += self._judged


def leaves_out(engine: Engine, source: Case | CaseSequence) -> bool:
    """Whether a line of the corpus would take too long."""
    return expected(engine, source) > LINE


def left_out(statistics: Statistics) -> Iterator[str]:
    """What the engine was spared, in words."""
    found = statistics.left_out
    if lines := found["lines"]:
        yield f"slow engine: {lines:,} corpus tests left out, each would take over {LINE:g} s"
    if drawn := found["drawn cases"]:
        yield f"slow engine: {drawn:,} drawn cases left out as too large"
    if parts := found["parts"]:
        yield (
            f"slow engine: {parts:,} parts of searches ended early: {found['judged']:,} of "
            f"{found['asked']:,} cases judged in them, some {found['judged'] // parts:,} each"
        )
