"""One run of the harness: the engine, the trusted answers, the options, and what was counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..cases.case import DTYPES, Case, Operand
from ..cases.operation import OPS
from ..cases.sequence import CaseSequence, cases_of
from ..comparison.baseline import Contrast, Side, contrast, one_side
from ..comparison.compare import compare, reference_ratios
from ..comparison.concurrency import compare_at_once
from ..comparison.deviations import is_excused
from ..comparison.engine import Engine
from ..comparison.loading import by_definition
from ..comparison.mismatch import Mismatch, Status, Verdict, in_a_word
from ..comparison.sequence import compare_sequence
from ..shrinking import smallest, smallest_sequence
from ..statistics.claims import never_covered
from ..statistics.statistics import Statistics
from ..triage.crashlog import CrashLog
from ..triage.triage import Stopwatch, Triage
from .options import Options

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
    status: str = ""  # of the verdict on the last case
    asked: bool = False  # whether any property was put to the test
    alone: Elsewhere | None = None  # judges in a process that has judged nothing else
    elsewhere: Elsewhere | None = None  # judges in place of this process
    baseline: Engine | None = None  # what the engine is held against as well
    triage: Triage = field(init=False)

    def __post_init__(self) -> None:
        self.triage = Triage(self.crashlog)

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
        """Whether the ops, dtypes, data and layouts that are asked for leave `source` in."""
        cases = cases_of(source)
        arrays = [v for c in cases for v in c.operands.values() if isinstance(v, Operand)]
        ops, dtypes = self.options.ops, self.options.dtypes
        kept = all(c.op in ops and self.options.narrowing.keeps(c) for c in cases)
        return kept and all(v.dtype in dtypes for v in arrays)

    def check(self, predicate: Predicate, case: Source) -> Verdict | None:
        """Put `predicate` to the test on `case`, and count it."""
        start = time.perf_counter()
        try:
            verdict = self.judged(predicate, case)
        except Mismatch:
            self.statistics.add(case, Verdict(Status.FAILED), time.perf_counter() - start)
            raise
        self.status = "" if verdict is None else str(verdict.status)
        if verdict is not None:
            self.statistics.add(case, verdict, time.perf_counter() - start)
        return verdict

    def judged(self, predicate: Predicate, source: Source) -> Verdict | None:
        """What `predicate` says of `source`, not counted."""
        if self.crashlog:
            self.crashlog.at(source)
        try:
            result = self._result(predicate, source)
        except Mismatch as mismatch:
            mismatch.recent = self.recent
            result = mismatch
        excused = self.excused(result) if isinstance(result, Mismatch) else None
        if isinstance(result, BaseException) and excused is None:
            raise result.with_traceback(None)
        return excused or result  # type: ignore[return-value]

    def _result(self, predicate: Predicate, source: Source) -> Result:
        if self.options.known.spares(source):
            return Verdict(Status.KNOWN)
        return self.elsewhere(predicate, source) if self.elsewhere else predicate(source, self)

    def excused(self, mismatch: Mismatch) -> Verdict | None:
        """The verdict in place of a failure that is known, or that is only recorded.

        Our own engine deviates from torch by design, and from nothing else; of another one, its
        list says what is wrong, in whatever way that shows.
        """
        if not self.engine.strict and (deviates := self._deviates(mismatch)):
            return deviates
        known = self.options.known.excusing(mismatch)
        if known or not self.options.recording:
            return Verdict(Status.KNOWN, known=("\n".join(known),)) if known else None
        return Verdict(Status.KNOWN, failures=(in_a_word(mismatch),))

    @property
    def recent(self) -> tuple[str, ...]:
        """The lines of what this process judged last."""
        return tuple(self.crashlog.recent) if self.crashlog else ()

    def before(self, mismatch: Mismatch) -> list[str]:
        """The lines of what this process judged, as far as it knows, before `mismatch` showed."""
        lines = self.crashlog.judged if self.crashlog else mismatch.recent
        own = str(mismatch.source)
        return [line for line in lines if line != own]

    @property
    def found(self) -> Path | None:
        """The file for failures that must outlive this process."""
        return self.crashlog.found if self.crashlog else None

    def verdict_of(self, predicate: Predicate, source: Source) -> Mismatch | None:
        """The failure of `source` under `predicate`, or None: each is judged only once."""
        key = predicate.__name__, str(source)
        if key not in self.triage.verdicts:
            try:
                if self.judged(predicate, source) is not None:  # else nothing was said
                    self.triage.remember(key, None)
            except Mismatch as mismatch:
                self.triage.remember(key, mismatch)
                return mismatch
        return self.triage.verdicts.get(key)

    def smallest(
        self, predicate: Predicate, mismatch: Mismatch, watch: Stopwatch | None = None
    ) -> Mismatch:
        """The simplest failure of the same kind that `mismatch` leads to, in the time there is."""
        found = mismatch

        def fails(case: Source) -> bool:
            nonlocal found
            if (watch and watch.is_over) or not self.draws(case):
                return False
            error = self.verdict_of(predicate, case)
            if type(error) is not type(mismatch):
                return False
            found = error
            return True

        if mismatch.sequence is not None:
            smallest_sequence(mismatch.sequence, fails)
        else:
            smallest(mismatch.case, fails)
        return found

    def keep(self, found: dict[str, Any]) -> None:
        """Write down a failure at once, where there is a place for it."""
        if self.crashlog:
            self.crashlog.keep(found)

    def against_oracle(self, case: Case, *, repeat: bool = True) -> Verdict:
        """Compare the engine with torch; it may deviate as its list says."""
        try:
            verdict = compare(case, self.engine, self.oracle, repeat=repeat)
        except Mismatch as mismatch:
            if (deviates := self._deviates(mismatch)) is None:
                raise
            return deviates
        if self.options.recording:
            self.statistics.passed(case, verdict)
        if any(verdict.ratios.values()) and self.statistics.samples():
            self.statistics.add_torch(case.op, reference_ratios(case, self.oracle))
        return verdict

    def in_order(self, sequence: CaseSequence) -> Verdict:
        """Compare the engine with torch on calls in a row, or at once, in one process."""
        compare = compare_at_once if sequence.at_once else compare_sequence
        verdicts = compare(sequence, self.engine, self.oracle, self._expected)
        best = next((v for v in verdicts if v.status is Status.AGREED), verdicts[0])
        known = tuple(line for verdict in verdicts for line in verdict.known)
        failures = tuple(failure for verdict in verdicts for failure in verdict.failures)
        return replace(best, known=known, failures=failures)

    def against_baseline(self, case: Case, *, repeat: bool = True) -> Contrast:
        """What the engine does, beside what the baseline does."""
        return contrast(case, self.engines, self.oracle, self._expected, repeat=repeat)

    def one_side(self, case: Case, engine: Engine) -> Side:
        """What one of the two does."""
        return one_side(case, engine, self.oracle, self._expected)

    def _expected(self, mismatch: Mismatch) -> Verdict | None:
        return self._deviates(mismatch) or self.excused(mismatch)

    def _deviates(self, mismatch: Mismatch) -> Verdict | None:
        return Verdict(Status.DEVIATES) if is_excused(mismatch, self.engine) else None

    def against_definition(self, case: Case) -> Verdict:
        """Compare the engine with our engine's readable definition."""
        return compare(case, self.engine, self.definition, repeat=False)

    @property
    def compared_nothing(self) -> bool:
        return self.asked and not (self.statistics.checked or self.statistics.changes.cases)

    def never_drawn(self, enough: int) -> list[str]:
        """Pairs of features that no case had, in a run of everything with `enough` valid cases."""
        whole = (self.options.ops, self.options.dtypes) == (tuple(OPS), DTYPES)
        if not whole or self.statistics.drawn.total() < enough:
            return []
        return never_covered(self.statistics, self.options.features)


def in_order(sequence: CaseSequence, session: Session) -> Verdict:
    """The predicate of calls in a row."""
    return session.in_order(sequence)


def by_oracle(case: Case, session: Session) -> Verdict:
    """The predicate of one call against torch."""
    return session.against_oracle(case)
