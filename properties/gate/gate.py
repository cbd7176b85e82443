"""The verdict on a refactor: what has changed against the baseline, on one screen."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from math import floor
from pathlib import Path
from typing import Any

import pytest

from ..cases.case import Case
from ..cases.operation import OUTPUT
from ..comparison.baseline import GRADIENTS, Contrast, Kind
from ..comparison.engine import Engine
from ..comparison.revision import load_baseline, resolved
from ..session.session import Session
from ..statistics.changes import Changes, Example, Part, Row
from .baseline import shrink

SCREEN = 40  # lines of a verdict, at most
ROWS = 12  # of the table; if more have changed, those of one op are one row
WIDTH = 160  # of a line that quotes an error
LARGE = 10**6  # ulps, from which on their order of magnitude says enough


def baseline_of(config: pytest.Config, engine: Engine, folder: Path) -> Engine | None:
    """The baseline that the run asks for; all its processes get the same commit."""
    spec = config.getoption("--baseline")
    if spec is None:
        return None
    given = getattr(config, "workerinput", {})
    exact = given.get("convolution_baseline") or resolved(spec, engine)
    found = load_baseline(exact, engine, folder / f"baseline-{given.get('workerid', 'main')}")
    found.spec = spec
    config.option.resolved_baseline = exact
    return found


class Gate:
    """A plugin of the process that prints."""

    def __init__(self, config: pytest.Config, session: Session) -> None:
        self._config, self._session = config, session

    @property
    def _changes(self) -> Changes:
        return self._session.statistics.changes

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["convolution_baseline"] = self._config.option.resolved_baseline

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Shrink the examples before the reporter writes them; fail for what no test sees."""
        if exitstatus not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            return
        exactly = self._session.options.cases  # is all that is asked about
        if not (self._config.getoption("--ops") or exactly):
            engine, baseline = self._session.engines
            self._changes.lost = tuple(op for op in baseline.ops if op not in engine.ops)
        if not exactly:
            shrink(self._changes, thoroughly, self._session)
        if self._session.asked and (self._changes.lost or not self._changes.cases):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self._session.asked:
            return
        baseline = self._session.engines[-1]
        title = f"held against {baseline.spec} ({baseline.origin})"
        lines = verdict(self._changes, identical=self._session.options.identical)
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
        to_step_summary(title, lines)


def to_step_summary(title: str, lines: Iterable[str]) -> None:
    """Add what was printed to the summary of a step of a GitHub workflow, where there is one."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write("\n".join([f"### {title}", "", "```text", *lines, "```", "", ""]))


def thoroughly(case: Case, session: Session) -> Contrast:
    """The predicate that finds every kind of change."""
    return session.against_baseline(case)


def verdict(changes: Changes, *, identical: bool) -> list[str]:
    """What has changed, in at most `SCREEN` lines, with the title above them."""
    head = [_whole(changes), *_table(changes)]
    last = [*_notes(changes), _decision(changes, identical=identical)]
    examples: list[str] = []
    found = [*changes.sorted()]
    for n, (key, example) in enumerate(found):
        text = _example(key, example)
        if len(head) + len(examples) + len(text) + len(last) + 2 > SCREEN:
            examples.append(f"… and {len(found) - n} more kinds of change, in --report")
            break
        examples += text
    return [*head, *examples, *last]


def _whole(changes: Changes) -> str:
    parts = [part for row in changes.rows.values() for part in row.parts.values()]
    results, identical = (sum(getattr(p, n) for p in parts) for n in ("results", "identical"))
    return (
        f"{changes.cases:,} cases; {results:,} results of both, of which "
        f"{_share(identical, results)} have identical bits"
    )


def _share(part: int, whole: int) -> str:
    """In hundredths of a percent, rounded down: 100% says all."""
    if part == whole:
        return "100%"
    return f"{floor(10_000 * part / whole) / 100:.2f}%"


def _table(changes: Changes) -> Iterator[str]:
    """A line for each op and dtype in which something has changed."""
    changed = {key: row for key, row in changes.rows.items() if row.has_changed}
    rest = [row for row in changes.rows.values() if not row.has_changed]
    if changed:
        yield f"{'op, dtype':<27}{'cases':>7}  {'output':<30}{'gradients':<30}cases that changed"
    grouped = changed if len(changed) <= ROWS else _by_op(changed)
    for key, row in grouped.items():
        cells = [_cell(row.parts[name]) for name in (OUTPUT, GRADIENTS)]
        counts = ", ".join(f"{kind} {n:,}" for kind, n in _by_gravity(row.changes))
        yield f"{key:<27}{row.cases:>7,}  {cells[0]:<30}{cells[1]:<30}{counts}"
    if changed:
        yield (
            "identical bits, largest change in ulps, worst error ÷ bound of what changed: "
            "baseline → now"
        )
    if rest:
        others = "others" if changed else "ops and dtypes"
        cases = sum(row.cases for row in rest)
        yield f"nothing has changed in {cases:,} cases of {len(rest)} {others}"


def _by_op(rows: dict[str, Row]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    dtypes = Counter(key.split()[0] for key in rows)
    for key, row in rows.items():
        op = key.split()[0]
        found.setdefault(f"{op}, {dtypes[op]} dtypes", Row()).merge(row)
    return found


def _cell(part: Part) -> str:
    if not part.results:
        return "-"
    if part.identical == part.results:
        return "same"
    texts = [_share(part.identical, part.results)]
    if part.ulps:
        texts.append(f"{part.ulps:,}" if part.ulps < LARGE else f"{part.ulps:.0e}")
    if any(part.worst.values()):
        texts.append(f"{part.worst['was']:.2f} → {part.worst['now']:.2f}")
    return ", ".join(texts)


def _by_gravity(counts: Counter[str]) -> Iterable[tuple[str, int]]:
    return ((str(kind), counts[kind]) for kind in Kind if counts[kind])


def _example(key: str, example: Example) -> list[str]:
    """Two lines or three: a kind of change, the smallest case that shows it, both sides."""
    first = f"{key} ({example.cases:,} cases): {example.case}"
    sides = [("was", example.was), ("now", example.now)]
    return [first, *(f"    {name}  {text}"[:WIDTH] for name, text in sides if text)]


def _notes(changes: Changes) -> Iterator[str]:
    if changes.not_compared:
        yield (
            f"{changes.not_compared:,} cases not compared: calls before them did not return, or "
            f"ended the process"
        )
    if any(key.startswith(Kind.BOTH_WRONG) for key in changes.examples):
        yield "what is wrong in both is a failure of the properties that judge the engine alone"


def _decision(changes: Changes, *, identical: bool) -> str:
    """The last line: whether it fails, and for what."""
    failing = [*changes.failing(identical=identical)]
    if changes.lost:
        failing.append(f"no longer offered: {', '.join(changes.lost)}")
    if not changes.cases:
        failing.append("nothing was compared with the baseline")
    if identical and changes.not_compared:
        failing.append("not all was compared")
    if failing:
        return f"verdict: FAILED: {'; '.join(failing)}"
    others = [key for key in changes.examples if not key.startswith(Kind.BOTH_WRONG)]
    return f"verdict: passed: {'nothing that was right breaks' if others else 'nothing changed'}"
