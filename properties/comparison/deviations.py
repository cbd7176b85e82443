"""Differences from torch that are expected: an engine's deviations by design, and shortcomings.

Both stand in files of one form, one a line:

    KIND: PARTIAL | EXAMPLE  # REASON

The kind of failure, by the name of its class, and the calls that it is excused on, as a partial
line (`cases.partial`). An example is a case, or a sequence of cases, that fails in this way: it
is run with the corpus. In a file of deviations the kind must be given, and reasons stand in
comments above: our own engine has `deviations.txt`, another one names its file in an attribute
`deviations`. In a file of known shortcomings a reason must be given, and without a kind every one
is excused; the example may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..cases.case import Case
from ..cases.files import read_lines
from ..cases.line import CaseError, outside_strings, parse_source
from ..cases.partial import Partial, parse_partial
from ..cases.sequence import CaseSequence, cases_of
from .engine import Engine
from .mismatch import (
    KINDS,
    EngineCrash,
    EngineHang,
    GradientMismatch,
    MarginalGradientMismatch,
    MarginalValueMismatch,
    Mismatch,
    NotRepeatable,
    RelationBroken,
    ValueMismatch,
)

FILE = Path(__file__).parents[1] / "deviations.txt"


# The kinds of failure in which a result is wrong.
WRONG = tuple(
    kind.__name__
    for kind in (
        *(ValueMismatch, MarginalValueMismatch, NotRepeatable),
        *(GradientMismatch, MarginalGradientMismatch),
    )
)


class ExcuseError(ValueError):
    """A line of such a file that is malformed: the file, the line, the column, and what."""


@dataclass(frozen=True)
class Excuse:
    """A kind of failure and the calls on which it is expected."""

    kind: str  # "": any
    partial: Partial
    reason: str = ""
    source: Case | CaseSequence | None = None  # an example

    def __str__(self) -> str:
        return f"{self.kind}: {self.partial}" if self.kind else str(self.partial)

    @property
    def line(self) -> str:
        """As it stands in a file."""
        example = f" | {self.source}" if self.source else ""
        return f"{self}{example}" + (f"  # {self.reason}" if self.reason else "")

    def excuses(self, mismatch: Mismatch) -> bool:
        excused: tuple[str, ...] = ("", type(mismatch).__name__)
        if isinstance(mismatch, RelationBroken):  # nothing follows from a call known to be wrong
            excused = (*excused, *WRONG)
        return self.kind in excused and any(map(self.covers, _at_fault(mismatch)))

    def covers(self, case: Case) -> bool:
        return self.partial.covers(case)

    def example(self) -> Case:
        return self.partial.example()


def _at_fault(mismatch: Mismatch) -> tuple[Case, ...]:
    """The calls that may be at fault: of a sequence in which the process ended, any."""
    if mismatch.sequence is not None and isinstance(mismatch, EngineCrash | EngineHang):
        return cases_of(mismatch.sequence)
    return mismatch.calls


def read_known(path: Path) -> tuple[Excuse, ...]:
    """The known shortcomings in a file, each with its reason; a malformed line is an error."""
    return tuple(_read(path))


def _read(path: Path) -> Iterator[Excuse]:
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        try:
            yield parse_excuse(text)
        except CaseError as error:
            raise ExcuseError(f"{path}, line {number}, {error}") from None


def parse_excuse(text: str) -> Excuse:
    """The excuse in a line of a file of known shortcomings."""
    at = min(outside_strings(text, "#"), default=len(text))
    if not (reason := text[at + 1 :].strip()):
        raise CaseError(text, at, "expected a reason after '#', such as: # no kernel yet")
    end = min(outside_strings(text[:at], "|"), default=at)
    kind, start = _kind(text)
    try:
        partial = parse_partial(text[start:end].strip())
        start = end + 1
        source = parse_source(text[start:at].strip()) if end < at else None
    except CaseError as error:
        margin = start + len(text[start:]) - len(text[start:].lstrip())
        raise CaseError(text, margin + error.column, error.reason) from None
    return Excuse(kind, partial, reason, source)


def _kind(text: str) -> tuple[str, int]:
    """The kind before the colon, if there is one, and where the partial line begins."""
    found = re.match(r"\s*(\w+):", text)
    if found is None:
        return "", 0
    if found[1] not in KINDS:
        told = f"unknown kind {found[1]!r}; expected {', '.join(KINDS)}"
        raise CaseError(text, found.start(1), told)
    return found[1], found.end()


@cache
def deviations(file: Path = FILE) -> tuple[Excuse, ...]:
    """Every deviation in a file, that of our own engine if no other is named."""
    pairs = (line.partition(":") for line in read_lines(file))
    return tuple(Excuse(kind, parse_partial(line.strip())) for kind, _, line in pairs)


def is_excused(mismatch: Mismatch, engine: Engine) -> bool:
    """Whether `mismatch` is one of the engine's known deviations."""
    file = FILE if engine.strict else getattr(engine.namespace, "deviations", None)
    return file is not None and any(d.excuses(mismatch) for d in deviations(file))
