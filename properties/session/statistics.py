"""What a run has looked at, counted per op and merged over workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..cases.case import Case
from ..cases.data import widest
from ..cases.sequence import CaseSequence
from ..comparison.mismatch import Status, Verdict
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
    worst: dict[str, float] = field(default_factory=dict)  # error ÷ bound of the engine
    worst_torch: dict[str, float] = field(default_factory=dict)  # of torch, on a sample
    seconds: float = 0.0

    def merge(self, other: Row) -> None:
        for name, value in asdict(other).items():
            if isinstance(value, dict):
                raise_to(getattr(self, name), value)
            else:
                setattr(self, name, getattr(self, name) + value)


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
    changes: Changes = field(default_factory=Changes)  # against the baseline
    rounded: int = 0

    def row(self, op: str) -> Row:
        return self.rows.setdefault(op, Row())

    def add(self, case: Case | CaseSequence, verdict: Verdict, seconds: float) -> None:
        row = self.row(case.op)
        row.seconds += seconds
        name = _UNCHECKED.get(verdict.status)
        if name is not None:
            setattr(row, name, getattr(row, name) + 1)
            return
        row.checked += 1
        row.rejected += verdict.status is Status.REJECTED
        row.failed += verdict.status is Status.FAILED
        raise_to(row.worst, verdict.ratios)

    def cover(self, case: Case, *, independently: bool = False) -> None:
        """Count the features of a valid case that was drawn."""
        self.drawn[case.op] += 1
        if independently:
            self.independent[case.op] += 1
        self.pairs.update(pairs(case))

    def expect(self, scope: str, cases: Iterable[Case]) -> None:
        """Note how many cases an enumeration has."""
        for op, n in Counter(case.op for case in cases).items():
            self.scopes.setdefault(f"{scope} {op}", Scope()).merge(Scope(whole=n))

    def complete(self, scope: str, case: Case, verdict: Verdict | None) -> None:
        """Count one case of an enumeration."""
        if verdict is None or verdict.status not in {Status.AGREED, Status.REJECTED}:
            return
        found = self.scopes.setdefault(f"{scope} {case.op}", Scope())
        if verdict.status is Status.REJECTED:
            found.merge(Scope(rejected=1))
        else:
            found.merge(Scope(1, len(verdict.ratios) > 1, escape=escape(case)))

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
            "baseline": self.changes.dump(),
        }

    def merge(self, dumped: Mapping[str, Any]) -> None:
        for op, row in dumped["ops"].items():
            self.row(op).merge(Row(**row))
        for name, scope in dumped["scopes"].items():
            self.scopes.setdefault(name, Scope()).merge(Scope(**scope))
        self.pairs.update(dumped["pairs"])
        self.drawn.update(dumped["drawn"])
        self.independent.update(dumped["independent"])
        self.changes.merge(dumped["baseline"])


_UNCHECKED = {
    Status.NOT_CLAIMED: "not_claimed",
    Status.NOT_JUDGED: "not_judged",
    Status.DEVIATES: "deviates",
}
