"""What a run has looked at, counted per op and merged over workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from ..cases.case import Case
from ..cases.data import widest
from ..cases.line import parse
from ..cases.partial import traits
from ..cases.sequence import AT_ONCE, IN_ORDER, CaseSequence
from ..comparison.mismatch import Failure, Status, Verdict
from .changes import Changes, raise_to
from .features import pairs

SAMPLE = 8  # torch's own error is measured on one in so many cases with rounding


@dataclass
class Row:
    """The counts of one op."""

    checked: int = 0
    rejected: int = 0
    failed: int = 0  # with the steps of shrinking
    not_claimed: int = 0
    not_judged: int = 0  # torch has no kernel for what the engine computes
    deviates: int = 0  # from torch, by design
    known: int = 0  # fails as a known shortcoming
    worst: dict[str, float] = field(default_factory=dict)  # error ÷ bound of the engine
    worst_torch: dict[str, float] = field(default_factory=dict)  # of torch, on a sample
    seconds: float = 0.0
    unlikely: int = 0  # cases whose error passes the statistical bound
    least_likely: dict[str, float] = field(default_factory=dict)  # the line, and by how much

    def merge(self, other: Row) -> None:
        for name, value in asdict(other).items():
            if isinstance(value, dict):
                raise_to(getattr(self, name), value)
            else:
                setattr(self, name, getattr(self, name) + value)


def simplicity(failure: Failure) -> tuple[bool, int, str]:
    """Of several failures, that with the least says most: a single call, then the shortest."""
    several = any(mark in failure.source for mark in (IN_ORDER, AT_ONCE))
    return several, len(failure.source), failure.source


@lru_cache(1 << 16)
def traits_of(line: str) -> str:
    """The op and the traits of a case, as one key."""
    case = parse(line)
    return "\t".join((case.op, *sorted(traits(case))))


@dataclass
class Scope:
    """What was checked of a scope that is enumerated whole."""

    accepted: int = 0
    gradients: int = 0  # of the accepted cases, those whose gradients were compared too
    rejected: int = 0
    escape: float = 0.0  # with which a fault of degree 2 in the data passes one accepted case
    whole: int = 0  # how many there are

    def merge(self, other: Scope) -> None:
        self.accepted += other.accepted
        self.gradients += other.gradients
        self.rejected += other.rejected
        self.escape = max(self.escape, other.escape)
        self.whole = max(self.whole, other.whole)


def escape(case: Case) -> float:
    """The probability with which a fault of degree 2 in the data vanishes on `case`."""
    values = widest(case) + 1 if case.dtype.startswith("u") else 2 * widest(case) + 1
    return 2 / values


@dataclass
class Statistics:
    """Rows by op, enumerations by name and op, and how often features met."""

    rows: dict[str, Row] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    pairs: Counter[str] = field(default_factory=Counter)
    drawn: Counter[str] = field(default_factory=Counter)  # valid cases by op
    independent: Counter[str] = field(default_factory=Counter)  # those of the plain sampler
    left_out: Counter[str] = field(default_factory=Counter)  # of a slow engine
    changes: Changes = field(default_factory=Changes)  # against the baseline
    rounded: int = 0
    known: Counter[str] = field(default_factory=Counter)  # which lines excused a failure together
    failures: dict[str, Failure] = field(default_factory=dict)  # recorded, the shortest of a key
    passes: Counter[str] = field(
        default_factory=Counter
    )  # what agreed, where failures are recorded

    def row(self, op: str) -> Row:
        return self.rows.setdefault(op, Row())

    def add(self, case: Case | CaseSequence, verdict: Verdict, seconds: float) -> None:
        row = self.row(case.op)
        row.seconds += seconds
        self.known.update(verdict.known)
        for failure in verdict.failures:
            self.record(failure)
        name = _UNCHECKED.get(verdict.status)
        if name is not None:
            setattr(row, name, getattr(row, name) + 1)
            return
        row.checked += 1
        row.rejected += verdict.status is Status.REJECTED
        row.failed += verdict.status is Status.FAILED
        raise_to(row.worst, verdict.ratios)
        if verdict.statistical > 1:
            row.unlikely += 1
            if verdict.statistical > max(row.least_likely.values(), default=0):
                row.least_likely = {str(case): verdict.statistical}

    def record(self, failure: Failure) -> None:
        """Keep a failure, and of those with the same traits only the shortest."""
        key = f"{failure.kind}\t{traits_of(failure.calls[0])}"
        before = self.failures.setdefault(key, failure)
        self.failures[key] = min(before, failure, key=simplicity)

    def passed(self, case: Case, verdict: Verdict) -> None:
        """Count a case that the reference answers alike, in a run that records failures."""
        if verdict.status in (Status.AGREED, Status.REJECTED):
            self.passes[f"{verdict.status}\t{traits_of(str(case))}"] += 1

    def cover(self, case: Case | CaseSequence, *, independently: bool = False) -> None:
        """Count the features of a valid case, or a sequence, that was drawn."""
        self.pairs.update(pairs(case))
        if isinstance(case, CaseSequence):
            return
        self.drawn[case.op] += 1
        if independently:
            self.independent[case.op] += 1

    def expect(self, scope: str, cases: Iterable[Case]) -> None:
        """Note how many cases an enumeration has."""
        for op, n in Counter(case.op for case in cases).items():
            self.scopes.setdefault(f"{scope} {op}", Scope()).merge(Scope(whole=n))

    def complete(
        self, scope: str, case: Case, verdict: Verdict | None, *, exactly: bool = True
    ) -> None:
        """Count one case of an enumeration, which was compared exactly or under a bound."""
        if verdict is None or verdict.status not in {Status.AGREED, Status.REJECTED}:
            return
        found = self.scopes.setdefault(f"{scope} {case.op}", Scope())
        if verdict.status is Status.REJECTED:
            found.merge(Scope(rejected=1))
        else:
            escapes = escape(case) if exactly else 1.0
            found.merge(Scope(1, len(verdict.ratios) > 1, escape=escapes))

    def samples(self) -> bool:
        """Whether torch's own error is to be measured on this case with rounding."""
        self.rounded += 1
        return self.rounded % SAMPLE == 1

    def add_torch(self, op: str, ratios: Mapping[str, float]) -> None:
        raise_to(self.row(op).worst_torch, ratios)

    @property
    def checked(self) -> int:
        return sum(row.checked for row in self.rows.values())

    def dump(self) -> dict[str, Any]:
        """As JSON, for another process to `merge`."""
        return {
            "ops": {op: asdict(row) for op, row in self.rows.items()},
            "scopes": {name: asdict(scope) for name, scope in self.scopes.items()},
            "pairs": dict(self.pairs),
            "drawn": dict(self.drawn),
            "independent": dict(self.independent),
            "known": dict(self.known),
            "left_out": dict(self.left_out),
            "baseline": self.changes.dump(),
        }

    def whole(self) -> dict[str, Any]:
        """What `dump` leaves out of a report, too: all that `merge` takes."""
        failures = [tuple(failure) for failure in self.failures.values()]
        return {**self.dump(), "failures": failures, "passes": dict(self.passes)}

    def merge(self, dumped: Mapping[str, Any]) -> None:
        for op, row in dumped["ops"].items():
            self.row(op).merge(Row(**row))
        for name, scope in dumped["scopes"].items():
            self.scopes.setdefault(name, Scope()).merge(Scope(**scope))
        self.pairs.update(dumped["pairs"])
        self.drawn.update(dumped["drawn"])
        self.independent.update(dumped["independent"])
        self.left_out.update(dumped["left_out"])
        self.known.update(dumped.get("known", {}))
        for failure in dumped.get("failures", ()):
            kind, calls, source, headline = failure
            self.record(Failure(kind, tuple(calls), source, headline))
        self.passes.update(dumped.get("passes", {}))
        self.changes.merge(dumped["baseline"])


_UNCHECKED = {
    Status.NOT_CLAIMED: "not_claimed",
    Status.NOT_JUDGED: "not_judged",
    Status.DEVIATES: "deviates",
    Status.KNOWN: "known",
}
