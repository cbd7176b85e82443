"""A survey as a table: a row for each feature, a column for each op; what answers alike is one.

Ops of one family whose answers are the same share a column, features of one kind a row.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..cases.line import parse
from ..cases.operation import OPS
from ..session.report import replay, versions
from .cells import KINDS, PLAIN
from .judging import Answer, Finding

WIDTH = 100
SYMBOLS = {
    Answer.AGREES: "✓",
    Answer.DIFFERS: "D",
    Answer.REJECTS: "R",
    Answer.ACCEPTS: "A",
    Answer.CRASHES: "C",
    Answer.HANGS: "H",
    Answer.DEVIATES: "d",
    Answer.NOT_CLAIMED: "–",
    Answer.NOT_OFFERED: ".",
    Answer.NOT_JUDGED: "?",
}
LEGEND = {
    Answer.AGREES: "agrees with torch",
    Answer.DIFFERS: "another result than torch's",
    Answer.REJECTS: "raises on what torch computes",
    Answer.ACCEPTS: "computes what torch rejects",
    Answer.CRASHES: "raises what is no rejection, or ends the process",
    Answer.HANGS: "does not return",
    Answer.DEVIATES: "differs by design (deviations.txt)",
    Answer.NOT_CLAIMED: "raises NotImplementedError: not claimed",
    Answer.NOT_OFFERED: "has no such function",
    Answer.NOT_JUDGED: "not judged",
}
BLANK = "  not asked: the op has no such thing, or its plain calls do not agree"
Key = tuple[str, str]  # what a feature is of, and which
Answers = dict[Key, Finding]


@dataclass(frozen=True)
class Column:
    """Ops of one family that answer alike."""

    ops: tuple[str, ...]
    answers: Answers

    @property
    def family(self) -> str:
        return OPS[self.ops[0]].family

    @property
    def axes(self) -> str:
        """Such as 1d or 1-3d; nothing for an op that is alone in its family."""
        if self.family == self.ops[0]:
            return ""
        numbers = [str(OPS[op].axes) for op in self.ops]
        return f"{','.join(numbers) if numbers != ['1', '2', '3'] else '1-3'}d"


@dataclass(frozen=True)
class Row:
    """Features of one kind that every column answers alike."""

    of: str
    whiches: tuple[str, ...]
    symbols: tuple[str, ...]  # one for each column


class Table:
    """The findings of a survey, grouped."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        by_op: dict[str, Answers] = {}
        for finding in findings:
            by_op.setdefault(finding.op, {})[finding.key] = finding
        ordered = {op: by_op[op] for op in OPS if op in by_op}
        self.columns = _columns(ordered)
        keys = dict.fromkeys(key for answers in ordered.values() for key in answers)
        self.rows = _rows(self.columns, sorted(keys, key=lambda key: KINDS.index(key[0])))

    @property
    def answers(self) -> list[Answer]:
        """Those that occur, in the order of the legend."""
        found = {finding.answer for column in self.columns for finding in column.answers.values()}
        return [answer for answer in Answer if answer in found]

    def shown(self) -> Iterator[tuple[str, str, list[Finding]]]:
        """The cells that do not agree: their ops, their features, and what the first op gave."""
        merged: dict[tuple[Row, Answer], list[tuple[Column, list[Finding]]]] = {}
        for row in self.rows:
            for column in self.columns:
                keys = [(row.of, which) for which in row.whiches]
                found = [column.answers[key] for key in keys if key in column.answers]
                if found and found[0].answer is not Answer.AGREES:
                    merged.setdefault((row, found[0].answer), []).append((column, found))
        for (row, _), group in merged.items():
            ops = ", ".join(title(column) for column, _ in group)
            yield ops, f"{row.of} {', '.join(row.whiches)}".strip(), group[0][1]


def title(column: Column) -> str:
    """The ops of a column, in a word."""
    if len(column.ops) == 1:
        return column.ops[0]
    return f"{column.ops[0]} … {column.ops[-1]}" if column.axes == "1-3d" else ", ".join(column.ops)


def _columns(by_op: Mapping[str, Answers]) -> list[Column]:
    columns: list[Column] = []
    for op, answers in by_op.items():
        for at, column in enumerate(columns):
            if column.family == OPS[op].family and _alike(column.answers, answers):
                columns[at] = Column((*column.ops, op), {**answers, **column.answers})
                break
        else:
            columns.append(Column((op,), answers))
    families = [OPS[op].family for op in by_op]
    return sorted(columns, key=lambda column: families.index(column.family))


def _alike(a: Answers, b: Answers) -> bool:
    """Whether two ops answer alike where both have the feature."""
    return all(a[key].answer is b[key].answer for key in a.keys() & b.keys())


def _rows(columns: Sequence[Column], keys: Sequence[Key]) -> list[Row]:
    rows: list[Row] = []
    for of, which in keys:
        found = [column.answers.get((of, which)) for column in columns]
        symbols = tuple(SYMBOLS[f.answer] if f else "" for f in found)
        same = [i for i, row in enumerate(rows) if (row.of, row.symbols) == (of, symbols)]
        if same:
            rows[same[0]] = Row(of, (*rows[same[0]].whiches, which), symbols)
        else:
            rows.append(Row(of, (which,), symbols))
    return rows


# ---- On the terminal ----


def on_terminal(table: Table, engine: str) -> Iterator[str]:
    """The table, its legend, and a case for each cell that does not agree."""
    widths = _widths(table.columns)
    label = max(26, min(60, WIDTH - sum(width + 2 for width in widths)))
    families = "".join(f"  {name:<{w}}" for name, w in _families(table.columns, widths))
    yield " " * label + families.rstrip()
    axes = "".join(f"  {c.axes:<{w}}" for c, w in zip(table.columns, widths, strict=True))
    yield " " * label + axes.rstrip()
    for row in table.rows:
        cells = zip(row.symbols, widths, strict=True)
        symbols = "".join(f"  {symbol:<{w}}" for symbol, w in cells).rstrip()
        lines = textwrap.wrap(", ".join(row.whiches), label - 14) or [""]
        yield f"{row.of:<14}{lines[0]:<{label - 14}}{symbols}"
        yield from (" " * 14 + line for line in lines[1:])
    yield ""
    yield from (f"{SYMBOLS[answer]} {LEGEND[answer]}" for answer in table.answers)
    yield BLANK
    for column in table.columns:
        if note := column.answers[PLAIN].why * (column.answers[PLAIN].answer is Answer.AGREES):
            yield f"{title(column)}: all but the dtypes {note}"
    yield from _details(table, engine)


def _widths(columns: Sequence[Column]) -> list[int]:
    """Of each column; the first of a family has room for its name."""
    widths = [max(2, len(column.axes)) for column in columns]
    for family in dict.fromkeys(column.family for column in columns):
        at = [i for i, column in enumerate(columns) if column.family == family]
        room = sum(widths[i] + 2 for i in at) - 2
        widths[at[-1]] += max(0, len(family) - room)
    return widths


def _families(columns: Sequence[Column], widths: Sequence[int]) -> list[tuple[str, int]]:
    found: dict[str, int] = {}
    for column, width in zip(columns, widths, strict=True):
        found[column.family] = found[column.family] + 2 + width if column.family in found else width
    return [*found.items()]


def _details(table: Table, engine: str) -> Iterator[str]:
    shown = [(ops, name, found) for ops, name, found in table.shown() if found[0].case]
    if not shown:
        return
    yield ""
    yield "what does not agree, each with its smallest case:"
    for ops, name, found in shown:
        first = found[0]
        yield from textwrap.wrap(f"{SYMBOLS[first.answer]} {name} of {ops}", WIDTH)
        if first.why:
            yield from textwrap.wrap(first.why + _share(first), WIDTH - 4, **_INDENTED)
        for finding in found:
            yield f"    {f'{finding.which}: ' if found[1:] else ''}{finding.case}"
    yield ""
    yield f"replay one: {replay(engine, parse(shown[0][2][0].case))}"


_INDENTED: dict[str, Any] = {"initial_indent": "    ", "subsequent_indent": "    "}


def _share(finding: Finding) -> str:
    if finding.shown == finding.judged:
        return ""
    return f" ({finding.shown} of {finding.judged} cases)"


# ---- In files ----


def as_markdown(table: Table, engine: str) -> str:
    heads = [title(column) for column in table.columns]
    lines = [
        f"# What {engine} can do",
        "",
        f"Against {versions()}.",
        "",
        f"| feature | | {' | '.join(heads)} |",
        "|---|---|" + "---|" * len(heads),
        *(
            f"| {row.of} | {', '.join(row.whiches)} | {' | '.join(row.symbols)} |"
            for row in table.rows
        ),
        "",
        *(f"* {SYMBOLS[answer]} {LEGEND[answer]}" for answer in table.answers),
    ]
    if shown := [
        (ops, finding) for ops, _, found in table.shown() for finding in found if finding.case
    ]:
        lines += ["", "| | ops | feature | smallest case | why |", "|---|---|---|---|---|"]
        lines += [
            f"| {SYMBOLS[f.answer]} | {ops} | {f.of} {f.which} | `{f.case}` | {_in_a_cell(f.why)} |"
            for ops, f in shown
        ]
    return "\n".join(lines) + "\n"


def _in_a_cell(text: str) -> str:
    return text.replace("|", "\\|")


def as_json(findings: Sequence[Finding], engine: str) -> str:
    cells = [asdict(finding) for finding in findings]
    return json.dumps({"engine": engine, "versions": versions(), "cells": cells}, indent=1) + "\n"


WRITERS: dict[str, Callable[[Sequence[Finding], str], str]] = {
    ".md": lambda findings, engine: as_markdown(Table(findings), engine),
    ".json": as_json,
}
