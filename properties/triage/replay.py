"""What --case asks about, and what became of it: fixed, failed as before, changed, or an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ..cases.case import Case
from ..cases.files import CORPUS, kept
from ..cases.line import CaseError, parse_source
from ..cases.sequence import CaseSequence, cases_of
from .faults import rank_of

FIXED, PASSED, KNOWN = "FIXED", "PASSED", "KNOWN"
FAILED, CHANGED, ERROR = "FAILED", "CHANGED", "ERROR"
UNJUDGED = ("not claimed", "not judged")


@dataclass(frozen=True)
class Asked:
    """One line of --case, with the kind of failure that is expected of it, if one is."""

    line: str
    source: Case | CaseSequence | None  # None: it can't be read, or not be judged
    kind: str = ""
    reason: str = ""  # why there is no source

    @classmethod
    def of(cls, line: str, kind: str, ops: Sequence[str]) -> Asked:
        """What a file's line asks of an engine that has these `ops`."""
        try:
            source = parse_source(line)
        except CaseError as error:
            return cls(line, None, kind, str(error).partition("\n")[0])
        missing = [case.op for case in cases_of(source) if case.op not in ops]
        if missing:
            return cls(line, None, kind, f"the engine offers no {missing[0]}")
        return cls(str(source), source, kind)


@dataclass
class Replayed:
    """What the tests of one line saw."""

    kinds: Counter[str] = field(default_factory=Counter)
    errors: int = 0
    statuses: set[str] = field(default_factory=set)  # of verdicts

    def add(self, report: Any) -> None:
        for found in getattr(report, "convolutions", ()):
            self.kinds[found["shown"]] += 1
        if report.failed and not hasattr(report, "convolutions"):
            self.errors += 1
        verdict = getattr(report, "verdict", "")
        if report.passed and report.when == "call" and verdict:
            self.statuses.add(verdict)

    def outcome(self, asked: Asked) -> tuple[str, str]:
        """The word for it, and what else there is to say."""
        if asked.source is None:
            return ERROR, asked.reason
        return self._failed(asked) or self._ended(asked)

    def _failed(self, asked: Asked) -> tuple[str, str] | None:
        kinds = sorted(self.kinds, key=rank_of)
        if kinds and asked.kind not in ("", *kinds):
            return CHANGED, f"{kinds[0]}, was {asked.kind}"
        if kinds or "failed" in self.statuses:  # against the baseline, which fails too
            return FAILED, asked.kind or "".join(kinds[:1])
        return (ERROR, "a test of it ended in an error, see above") if self.errors else None

    def _ended(self, asked: Asked) -> tuple[str, str]:
        if "known" in self.statuses:
            return KNOWN, "fails as a known shortcoming, or is not called because of one"
        if "deviates" in self.statuses:
            return KNOWN, "differs from torch as the engine's list of deviations says"
        if not self.statuses - {*UNJUDGED}:
            return ERROR, f"no verdict: {', '.join(self.statuses) or 'no property speaks of it'}"
        return (FIXED, asked.kind) if asked.kind else (PASSED, "")


def told(asked: Iterable[Asked], replayed: dict[str, Replayed]) -> tuple[list[str], bool]:
    """A line for each, a line that counts them, and whether all is well."""
    lines, words = [], Counter[str]()
    for one in asked:
        word, more = replayed.get(one.line, Replayed()).outcome(one)
        words[word] += 1
        lines.append(f"{word:<8}{one.line}" + (f"  # {more}" if more else ""))
    counts = ", ".join(f"{n} {word}" for word, n in words.most_common())
    good = not words.keys() - {FIXED, PASSED, KNOWN}
    n = words.total()
    return [*lines, f"{n} {'case' if n == 1 else 'cases'}: {counts}"], good


def keep(cases: Iterable[Case], why: str) -> None:
    """Add cases to the corpus, and say what became of each."""
    for line in map(str, cases):
        try:
            is_new = kept(line, why)
        except OSError as error:
            raise pytest.UsageError(f"--keep: {CORPUS} can't be written: {error}") from None
        print(f"kept in {CORPUS}: {line}" if is_new else f"in {CORPUS} already: {line}")
