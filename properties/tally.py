"""What a run has looked at, counted per op and merged over workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .case import Case
from .judge import Verdict

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


def raise_to(worst: dict[str, float], ratios: Mapping[str, float]) -> None:
    for name, ratio in ratios.items():
        worst[name] = max(worst.get(name, 0.0), ratio)


@dataclass
class Tally:
    """Rows by op."""

    rows: dict[str, Row] = field(default_factory=dict)
    rounded: int = 0

    def row(self, op: str) -> Row:
        return self.rows.setdefault(op, Row())

    def add(self, case: Case, verdict: Verdict, seconds: float) -> None:
        row = self.row(case.op)
        row.seconds += seconds
        if verdict.status == "not claimed":
            row.not_claimed += 1
        elif verdict.status == "not judged":
            row.not_judged += 1
        elif verdict.status == "deviates":
            row.deviates += 1
        else:
            row.checked += 1
            row.rejected += verdict.status == "rejected"
            row.failed += verdict.status == "failed"
            raise_to(row.worst, verdict.ratios)

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
        return {op: asdict(row) for op, row in self.rows.items()}

    def merge(self, dumped: dict[str, Any]) -> None:
        for op, row in dumped.items():
            self.row(op).merge(Row(**row))
