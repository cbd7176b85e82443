"""One run of the harness: the engine, the trusted answers, the options, and what was counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..cases.case import DTYPES, Case, Operand
from ..cases.operation import OPS
from ..cases.sequence import CaseSequence, cases_of
from ..comparison.baseline import Contrast, Side, contrast, one_side
from ..comparison.compare import compare, reference_ratios
from ..comparison.deviations import is_excused
from ..comparison.engine import Engine
from ..comparison.loading import by_definition
from ..comparison.mismatch import Mismatch, Status, Verdict
from ..comparison.sequence import compare_sequence
from ..shrinking import smallest, smallest_sequence
from .claims import never_covered
from .crashlog import CrashLog
from .options import Options
from .statistics import Statistics

Source = Case | CaseSequence
Predicate = Callable[[Any, "Session"], Verdict | None]  # of a case or a sequence
Result = Verdict | BaseException | None  # what a predicate returned or raised in another process
Elsewhere = Callable[[Predicate, Source], Result]


@dataclass
class Session:
    """The state of one process of a run: built once, from options that do not change."""

    engine: Engine
    options: Options
    crashlog: CrashLog | None = None
    statistics: Statistics = field(default_factory=Statistics)
    asked: bool = False  # whether any property was put to the test
    alone: Elsewhere | None = None  # judges in a process that has judged nothing else
    elsewhere: Elsewhere | None = None  # judges in place of this process
    baseline: Engine | None = None  # what the engine is held against as well

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engine, and its baseline where there is one."""
        return (self.engine, self.baseline) if self.baseline else (self.engine,)

    @property
    def scope(self) -> dict[str, Any]:
        """What makes this run a part of a larger one, for its report."""
        against = f"{self.baseline.spec} ({self.baseline.origin})" if self.baseline else None
        options = self.options
        return {"shard": str(options.part), "against": against, "identical": options.identical}

    @cached_property
    def oracle(self) -> Engine:
        """torch, guarded; imported when first asked for."""
        import oracle  # noqa: PLC0415

        return Engine("torch", oracle)

    @cached_property
    def definition(self) -> Engine:
        """Our engine computing by its definition: an answer that needs no torch."""
        import engine  # noqa: PLC0415

        return by_definition(engine)

    def draws(self, source: Source) -> bool:
        """Whether the ops and dtypes that are asked for leave `source` in."""
        cases = cases_of(source)
        arrays = [v for c in cases for v in c.operands.values() if isinstance(v, Operand)]
        ops, dtypes = self.options.ops, self.options.dtypes
        return all(c.op in ops for c in cases) and all(v.dtype in dtypes for v in arrays)

    def check(self, predicate: Predicate, case: Source) -> Verdict | None:
        """Put `predicate` to the test on `case`, and count it."""
        start = time.perf_counter()
        try:
            verdict = self.judged(predicate, case)
        except Mismatch:
            self.statistics.add(case, Verdict(Status.FAILED), time.perf_counter() - start)
            raise
        if verdict is not None:
            self.statistics.add(case, verdict, time.perf_counter() - start)
        return verdict

    def judged(self, predicate: Predicate, source: Source) -> Verdict | None:
        """What `predicate` says of `source`, not counted."""
        if self.crashlog:
            self.crashlog.at(source)
        try:
            result = (
                self.elsewhere(predicate, source) if self.elsewhere else predicate(source, self)
            )
        except Mismatch as mismatch:
            mismatch.recent = self.recent
            raise
        if isinstance(result, BaseException):
            raise result.with_traceback(None)
        return result

    @property
    def recent(self) -> tuple[str, ...]:
        """The lines of what this process judged last."""
        return tuple(self.crashlog.recent) if self.crashlog else ()

    @property
    def found(self) -> Path | None:
        """The file for failures that must outlive this process."""
        return self.crashlog.found if self.crashlog else None

    def smallest(self, predicate: Predicate, mismatch: Mismatch) -> Mismatch:
        """The simplest failure of the same kind that `mismatch` leads to."""
        found = mismatch

        def fails(case: Source) -> bool:
            nonlocal found
            if not self.draws(case):
                return False
            try:
                self.judged(predicate, case)
            except Mismatch as error:
                if type(error) is type(mismatch):
                    found = error
                    return True
            return False

        if mismatch.sequence is not None:
            smallest_sequence(mismatch.sequence, fails)
        else:
            smallest(mismatch.case, fails)
        return found

    def keep(self, mismatch: Mismatch) -> None:
        """Write down a failure at once, where there is a place for it."""
        if self.crashlog:
            self.crashlog.keep(mismatch)

    def against_oracle(self, case: Case, *, repeat: bool = True) -> Verdict:
        """Compare the engine with torch; a strict engine may deviate as it is listed."""
        try:
            verdict = compare(case, self.engine, self.oracle, repeat=repeat)
        except Mismatch as mismatch:
            if not self._is_excused(mismatch):
                raise
            return Verdict(Status.DEVIATES)
        if any(verdict.ratios.values()) and self.statistics.samples():
            self.statistics.add_torch(case.op, reference_ratios(case, self.oracle))
        return verdict

    def in_order(self, sequence: CaseSequence) -> Verdict:
        """Compare the engine with torch on calls in a row, in one process."""
        verdicts = compare_sequence(sequence, self.engine, self.oracle, self._is_excused)
        agreed = [verdict for verdict in verdicts if verdict.status is Status.AGREED]
        return agreed[0] if agreed else verdicts[0]

    def against_baseline(self, case: Case, *, repeat: bool = True) -> Contrast:
        """What the engine does, beside what the baseline does."""
        return contrast(case, self.engines, self.oracle, self._is_excused, repeat=repeat)

    def one_side(self, case: Case, engine: Engine) -> Side:
        """What one of the two does."""
        return one_side(case, engine, self.oracle, self._is_excused)

    def _is_excused(self, mismatch: Mismatch) -> bool:
        return self.engine.strict and is_excused(mismatch)

    def against_definition(self, case: Case) -> Verdict:
        """Compare the engine with our engine's readable definition."""
        return compare(case, self.engine, self.definition, repeat=False)

    @property
    def compared_nothing(self) -> bool:
        return self.asked and not (self.statistics.checked or self.statistics.changes.cases)

    def never_drawn(self, enough: int) -> list[str]:
        """Pairs of features that no case had, in a run of everything with `enough` valid cases."""
        whole = (self.options.ops, self.options.dtypes) == (tuple(OPS), DTYPES)
        drawn = self.statistics.drawn.total()
        return never_covered(self.statistics) if whole and drawn >= enough else []


def in_order(sequence: CaseSequence, session: Session) -> Verdict:
    """The predicate of calls in a row."""
    return session.in_order(sequence)
