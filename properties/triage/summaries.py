"""The faults of a run in words: for a terminal, a file of lines, and the summary of a CI step."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from ..comparison.loading import OWN
from .faults import RELATION, Fault, after_other_calls, lines_of

MANY = 3  # properties that a block names
FUNCTIONS = 10  # tests that are listed beside faults
WIDTH = 100  # columns of a block, and of a line in a list


def counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def listed(faults: Sequence[Fault], tests: int) -> str:
    """The headline of all faults."""
    known = sum(bool(fault.line) for fault in faults)
    rest = sum(not fault.line for fault in faults)
    more = f" and {counted(rest, 'kind')} of failure not shrunk" if rest else ""
    return f"{counted(known, 'fault')}{more} in {counted(tests, 'failing test')}"


def one_line(found: Mapping[str, Any]) -> str:
    """A failure of one test, which its fault explains elsewhere."""
    kind, line = found["fault"] or (found["kind"], found["line"])
    return f"{kind}: {found['headline']}: {line}"


def shown_by(fault: Fault) -> list[tuple[str, str]]:
    """How many tests show a fault, of which properties, and what follows from it."""
    if not fault.tests:
        return []
    names = [name for name in fault.properties if name not in fault.relations]
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    tests = counted(len(fault.tests), "test")
    rows = [("shown by", f"{tests}: {', '.join(names[:MANY])}{more}" if names else tests)]
    if fault.relations:
        names = [name.removeprefix("test_") for name in fault.relations]
        more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
        told = f"breaks {counted(len(names), 'metamorphic relation')}: {', '.join(names[:MANY])}"
        rows.append(("also", told + more))
    for kind, lines in fault.kinds.items():
        if kind == RELATION:
            continue
        n = counted(len(dict.fromkeys(lines)), "case")
        how = "after other calls" if fault.found["depends"] else "that this one simplifies"
        rows.append(("also", f"shows as {kind} in {n} {how}"))
    return rows


def shortly(fault: Fault, *, above: bool) -> list[str]:
    """A fault without its block."""
    found, tests = fault.found, counted(len(fault.tests), "test")
    if not fault.line:
        n = counted(len(fault.lines), "case")
        why = "not shrunk: the time was spent, or the run or its process ended"
        if found["once"]:
            why = "not alone, and not after the calls before it: earlier ones, or chance"
        return [
            f"{fault.kind}: {n} in {tests}, {why}",
            f"  such as   {found['line']}",
            f"  replay    {found['replay']}",
        ]
    where = "its block stands above, where it was found" if above else "--report and -v have more"
    lines = wrap(f"{fault.kind}: {found['headline']} ({where})", WIDTH, subsequent_indent="  ")
    for name, text in shown_by(fault):
        lines += wrap(f"  {name:<8}  {text}", WIDTH, subsequent_indent=" " * 12)
    return [*lines, f"  replay    {found['replay']}"]


def counted_only(faults: Sequence[Fault]) -> list[str]:
    """How many more there are, by kind, and where they are listed."""
    if not faults:
        return []
    kinds = Counter(fault.kind for fault in faults).most_common()
    told = ", ".join(f"{n} {kind}" for kind, n in kinds)
    where = "--failing, --report and -v have them"
    return wrap(f"{counted(len(faults), 'more fault')} ({where}): {told}", WIDTH)


def other_tests(reports: Sequence[Any]) -> list[str]:
    """Tests that fail and show no fault of a case, in a line for each function, most often first.

    `reports` are pytest's, of the failing tests.
    """
    if not reports:
        return []
    ordered = sorted(by_function(reports).items(), key=lambda item: -len(item[1]))
    lines = [f"{counted(len(reports), 'other test')} failed too (-v shows each):"]
    for name, failed in ordered[:FUNCTIONS]:
        text = f"  {len(failed):>4}  {name.rpartition('::')[2]}: {_reason(failed[0])}"
        lines.append(text if len(text) <= WIDTH else f"{text[: WIDTH - 2]} …")
    if rest := ordered[FUNCTIONS:]:
        n = sum(len(failed) for _, failed in rest)
        lines.append(f"  {n:>4}  of {counted(len(rest), 'more function')}")
    return lines


def by_function(reports: Sequence[Any]) -> dict[str, list[Any]]:
    """Reports of tests, apart by the test function."""
    functions: dict[str, list[Any]] = {}
    for report in reports:
        functions.setdefault(report.nodeid.partition("[")[0], []).append(report)
    return functions


def _reason(report: Any) -> str:
    """What a test raised, in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return " ".join(str(crash.message if crash else report.longrepr).split())


def failing_file(faults: Sequence[Fault], tests: int, engine: str, path: str) -> str:
    """One line per fault, then all lines that failed, with their kinds, fit for --case."""
    option = "" if engine == OWN else f" --engine={shlex.quote(engine)}"
    if option and any(fault.kind == "WrongError" for fault in faults):
        option += " --errors=exact"
    dependent = after_other_calls(faults)
    texts = {line: f"{line}  # {kind}" for line, kind in lines_of(faults).items()}
    texts |= {line: f"# {texts[line]}" for line in dependent}
    smallest = [*dict.fromkeys(fault.found["line"] for fault in faults)]
    told = f"# {listed(faults, tests)}; again with: pytest{option} --case {shlex.quote(path)}"
    parts = {
        f"{told}\n# the smallest case of each fault, most telling first": smallest,
        "# all others that failed": [k for k in texts if k not in {*smallest, *dependent}],
        "# these failed only after other calls": dependent,
    }
    rows = [[head, *(texts[line] for line in part)] for head, part in parts.items() if part]
    return "".join(f"{row}\n" for part in rows for row in part)


def step_summary(faults: Sequence[Fault], tests: int) -> str:
    """The faults as Markdown."""
    rows = [
        f"| {fault.kind} | {_code(fault.found['line'])} | {len(fault.tests):,} |"
        for fault in faults
    ]
    replays = "\n".join(fault.found["replay"] for fault in faults)
    table = ["| kind | smallest case | tests |", "|---|---|---|", *rows]
    lines = [f"### {listed(faults, tests)}", "", *table, "", "```console", replays, "```", ""]
    return "\n".join(lines)


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"
