"""What has changed against a baseline, counted by op and dtype, and an example of each kind.

Counts add up and examples are the simplest of all, so that it does not matter how many processes
or machines shared the cases: the sum is the same, and so is its JSON.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from ..cases.case import DTYPES, Case
from ..cases.line import parse
from ..cases.operation import OPS, OUTPUT
from ..comparison.baseline import GRADIENTS, Change, Contrast, Kind
from ..shrinking import order


def raise_to(worst: dict[str, float], ratios: Mapping[str, float]) -> None:
    """Keep the larger of each name."""
    for name, ratio in ratios.items():
        worst[name] = max(worst.get(name, 0.0), ratio)


@dataclass
class Part:
    """The output, or all gradients, of the cases of one op and dtype."""

    results: int = 0
    identical: int = 0
    ulps: int = 0  # the largest change
    worst: dict[str, float] = field(default_factory=dict)  # error ÷ bound of what changed, by side

    def add(self, contrast: Contrast, name: str) -> None:
        apart = contrast.distances[name]
        self.results += 1
        self.identical += apart.identical
        sides = {"was": contrast.baseline, "now": contrast.candidate}
        if not apart.identical and not any(side.wrong for side in sides.values()):
            self.ulps = max(self.ulps, apart.ulps)
            raise_to(self.worst, {k: v.ratios.get(name, 0.0) for k, v in sides.items()})

    def merge(self, other: Part) -> None:
        self.results += other.results
        self.identical += other.identical
        self.ulps = max(self.ulps, other.ulps)
        raise_to(self.worst, other.worst)


@dataclass
class Row:
    """The counts of one op and dtype."""

    cases: int = 0
    parts: dict[str, Part] = field(default_factory=lambda: {OUTPUT: Part(), GRADIENTS: Part()})
    changes: Counter[str] = field(default_factory=Counter)  # cases, by the kind of change

    @property
    def has_changed(self) -> bool:
        return bool(self.changes)

    def add(self, contrast: Contrast, changes: Iterable[Change]) -> None:
        self.cases += 1
        for name in contrast.distances:
            self.parts[OUTPUT if name == OUTPUT else GRADIENTS].add(contrast, name)
        self.changes.update({str(change.kind) for change in changes})

    def merge(self, other: Row) -> None:
        self.cases += other.cases
        for name, part in other.parts.items():
            self.parts[name].merge(part)
        self.changes.update(other.changes)

    def dump(self) -> dict[str, Any]:
        return {**asdict(self), "changes": dict(sorted(self.changes.items()))}

    @classmethod
    def read(cls, dumped: Mapping[str, Any]) -> Row:
        parts = {name: Part(**part) for name, part in dumped["parts"].items()}
        return cls(dumped["cases"], parts, Counter(dumped["changes"]))


@dataclass
class Example:
    """The simplest case that shows one kind of change, and how many show it."""

    case: str
    was: str
    now: str
    cases: int = 1

    def merge(self, other: Example) -> None:
        self.cases += other.cases
        if simplicity(other.case) < simplicity(self.case):
            self.case, self.was, self.now = other.case, other.was, other.now


@lru_cache(maxsize=64)
def simplicity(line: str) -> Any:
    return order(parse(line))


@dataclass
class Changes:
    """Rows by op and dtype, and an example of each kind of change."""

    rows: dict[str, Row] = field(default_factory=dict)
    examples: dict[str, Example] = field(default_factory=dict)
    not_compared: int = 0  # cases left out after calls that did not return, or ended the process
    lost: tuple[str, ...] = ()  # ops that the baseline offers and the candidate does not

    def add(self, case: Case, contrast: Contrast) -> None:
        found = [*contrast.changes()]
        self.rows.setdefault(f"{case.op} {case.dtype}", Row()).add(contrast, found)
        for key, change in {change.key: change for change in found}.items():
            self._show(key, Example(str(case), change.was, change.now))

    def _show(self, key: str, example: Example) -> None:
        if key in self.examples:
            self.examples[key].merge(example)
        else:
            self.examples[key] = example

    @property
    def cases(self) -> int:
        return sum(row.cases for row in self.rows.values())

    def failing(self, *, identical: bool) -> dict[str, Example]:
        """The examples of what fails the run: what breaks, or also whatever has changed.

        What was wrong and is wrong fails the properties that judge the candidate alone.
        """
        kept = (Kind.BREAKS,) if not identical else tuple(k for k in Kind if k != Kind.BOTH_WRONG)
        return {key: e for key, e in self.sorted() if key.partition(": ")[0] in kept}

    def sorted(self) -> Iterator[tuple[str, Example]]:
        """The examples, the gravest first."""
        kinds = [str(kind) for kind in Kind]
        yield from sorted(
            self.examples.items(), key=lambda item: (kinds.index(item[0].partition(": ")[0]), item)
        )

    def dump(self) -> dict[str, Any]:
        """As JSON, in an order that does not depend on who saw what first."""
        return {
            "rows": {key: self.rows[key].dump() for key in sorted(self.rows, key=_place)},
            "examples": {key: asdict(example) for key, example in self.sorted()},
            "not_compared": self.not_compared,
            "lost": [*self.lost],
        }

    def merge(self, dumped: Mapping[str, Any]) -> None:
        for key, row in dumped["rows"].items():
            self.rows.setdefault(key, Row()).merge(Row.read(row))
        for key, example in dumped["examples"].items():
            self._show(key, Example(**example))
        self.not_compared += dumped["not_compared"]
        self.lost = tuple(op for op in OPS if op in {*self.lost, *dumped["lost"]})


def _place(key: str) -> tuple[int, int]:
    op, dtype = key.split()
    return [*OPS].index(op), DTYPES.index(dtype) if dtype in DTYPES else len(DTYPES)
