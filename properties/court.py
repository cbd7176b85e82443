"""What one run judges and by what: the engine, the trusted answer, the seed, the tally."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from . import judge as judging
from .case import Case, Operand
from .deviations import is_excused
from .judge import Mismatch, Verdict
from .recorder import Recorder
from .smaller import smallest
from .subject import Subject, by_definition
from .tally import Tally

FAILED = Verdict("failed")
Statement = Callable[[Case, "Court"], Verdict | None]


@dataclass
class Court:
    """The engine in the dock before its judges."""

    subject: Subject
    ops: tuple[str, ...]
    dtypes: tuple[str, ...]
    seed: int
    tally: Tally = field(default_factory=Tally)
    budget: float = 0.0  # seconds to spend on plain sampling
    recorder: Recorder | None = None
    keep: Callable[[Mismatch], None] = lambda mismatch: None  # at once, lest Ctrl-C lose it
    asked: bool = False  # whether any property was put to the test

    @cached_property
    def oracle(self) -> Subject:
        """torch, guarded; imported when first asked for."""
        import oracle  # noqa: PLC0415

        return Subject("torch", oracle, "")

    @cached_property
    def definition(self) -> Subject:
        """Our engine computing by its definition: an answer that needs no torch."""
        import engine  # noqa: PLC0415

        return by_definition(engine)

    def draws(self, case: Case) -> bool:
        """Whether the ops and dtypes that are asked for leave `case` in."""
        arrays = [v for v in case.operands.values() if isinstance(v, Operand)]
        return case.op in self.ops and all(v.dtype in self.dtypes for v in arrays)

    def hear(
        self, statement: Callable[[Case, Court], Verdict | None], case: Case
    ) -> Verdict | None:
        """Put `statement` to the test on `case`, and count it."""
        if self.recorder:
            self.recorder.write(str(case))
        start = time.perf_counter()
        try:
            verdict = statement(case, self)
        except Mismatch:
            self.tally.add(case, FAILED, time.perf_counter() - start)
            raise
        if verdict is not None:
            self.tally.add(case, verdict, time.perf_counter() - start)
        return verdict

    def smallest(self, statement: Statement, mismatch: Mismatch) -> Mismatch:
        """The simplest failure of the same kind that `mismatch` leads to."""
        found = mismatch

        def fails(case: Case) -> bool:
            nonlocal found
            if not self.draws(case):
                return False
            if self.recorder:
                self.recorder.write(str(case))
            try:
                statement(case, self)
            except Mismatch as error:
                if type(error) is type(mismatch):
                    found = error
                    return True
            return False

        smallest(mismatch.case, fails)
        return found

    def against_torch(self, case: Case, *, repeat: bool = True) -> Verdict:
        try:
            verdict = judging.judge(case, self.subject, self.oracle, repeat=repeat)
        except Mismatch as mismatch:
            if not self.subject.own or not is_excused(mismatch):
                raise
            return Verdict("deviates")
        if any(verdict.ratios.values()) and self.tally.samples():
            self.tally.add_torch(case.op, judging.own_ratios(case, self.oracle))
        return verdict

    def against_definition(self, case: Case) -> Verdict:
        return judging.judge(case, self.subject, self.definition, repeat=False)
