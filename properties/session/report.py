"""What a person reads: the failure block, the header, the summary."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterable
from importlib.metadata import version
from importlib.util import find_spec
from itertools import zip_longest
from textwrap import wrap
from typing import Any

from ..cases.case import Case
from ..cases.operation import GRADIENTS, OPS, OUTPUT
from ..cases.sequence import CaseSequence, cases_of, is_at_once, is_in_order
from ..comparison.compare import operand_summary
from ..comparison.loading import OWN
from ..comparison.mismatch import Mismatch, WrongError
from ..statistics.quota import left_out
from ..statistics.statistics import Row, Statistics
from ..triage.summaries import WIDTH

WHOLE = ("case", "replay", "in order")  # rows that are copied, and so not broken


def quoted(line: str) -> str:
    """`line` as one word of a POSIX shell."""
    if "'" in line and not set(line) & set('"$`\\!'):
        return f'"{line}"'
    return shlex.quote(line) if "'" in line else f"'{line}'"


def replay(engine: str, source: Case | CaseSequence, *, exactly: bool = False) -> str:
    """The command that runs exactly this case, or these in order."""
    exact = "--errors=exact " if exactly else ""
    option = "" if engine == OWN else f"--engine={shlex.quote(engine)} {exact}"
    sources = (source,) if is_at_once(source) else cases_of(source)
    return f"pytest {option}" + " ".join(f"--case {quoted(str(s))}" for s in sources)


def described(mismatch: Mismatch) -> dict[str, Any]:
    """Everything about one failure, fit for JSON: what `block` prints, and what tells it apart."""
    rows = [
        ("case", str(mismatch.case)),
        ("operands", operand_summary(mismatch.case)),
        ("function", mismatch.function),
        *mismatch.details,
        *mismatch.explanation,
        *_in_order(mismatch),
    ]
    return {
        "kind": type(mismatch).__name__,
        "op": mismatch.case.op,
        "headline": mismatch.headline,
        "line": str(mismatch.source),
        "rows": [[name, text] for name, text in rows if text],
        "map": mismatch.map,
        "replay": replay(
            mismatch.engine, mismatch.source, exactly=isinstance(mismatch, WrongError)
        ),
        "settled": mismatch.settled,
        "depends": mismatch.depends or is_in_order(mismatch.source),
        "once": mismatch.once,
        "fault": mismatch.fault,
        "origin": mismatch.origin,
        "shown": mismatch.shown or type(mismatch).__name__,
    }


def block(found: dict[str, Any], *more: tuple[str, str]) -> list[str]:
    """The lines that a person reads of a failure that is `described`."""
    rows = [*found["rows"], *(["", line] for line in found["map"])]
    rows += [*more, ["replay", found["replay"]]]
    width = max(len(name) for name, _ in rows)
    wide = WIDTH - width - 4
    lines = [f"{found['kind']}: {found['headline']}"]
    for name, text in rows:
        parts = [text] if name in WHOLE or not name else wrap(text, wide, break_long_words=False)
        lines += [f"  {n:<{width}}  {part}" for n, part in zip_longest([name], parts, fillvalue="")]
    return lines


def _in_order(mismatch: Mismatch) -> list[tuple[str, str]]:
    """The sequence of calls that a failure needs."""
    if mismatch.sequence is None:
        return []
    how = "at once" if mismatch.sequence.at_once else "in order"
    cases = enumerate(mismatch.sequence.cases, 1)
    return [(how if i == 1 else "", f"{i}. {case}") for i, case in cases]


def versions() -> str:
    """The versions on which a verdict depends."""
    found = [f"Python {platform.python_version()}"]
    for name in ("numpy", "torch", "hypothesis"):
        found.append(f"{name} {version(name)}" if find_spec(name) else f"no {name}")
    return ", ".join(found)


OTHERWISE = {
    "not_judged": "calls not judged: torch has no kernel for what the engine computes",
    "known": "calls that fail as a known shortcoming of the engine",
    "deviates": "calls on which the engine differs from torch as its list of deviations says",
}
UNLIKELY = "16·u·S, which sums of random data in the declared dtype hardly reach"
RESULTS = (OUTPUT, *GRADIENTS)


def summary(statistics: Statistics) -> Iterable[str]:
    """One line per op: what was checked, and the worst error ÷ bound of the engine and torch."""
    titles = "".join(f"{name:>15}" for name in RESULTS)
    yield f"{'op':<18}{'checked':>9}{'rejected':>9}{'not claimed':>12}{'cases/s':>9}{titles}"
    for op in OPS:
        if row := statistics.rows.get(op):
            yield _line(op, row)
    for name, told in OTHERWISE.items():
        if n := sum(getattr(row, name) for row in statistics.rows.values()):
            yield f"{n:,} {told}"
    for row in statistics.rows.values():
        if row.unlikely:
            line, ratio = max(row.least_likely.items(), key=lambda found: found[1])
            beyond = f"{row.unlikely:,} errors, within the bound, are beyond {UNLIKELY}"
            yield f"{beyond}: {ratio:.3g} × in {line}"
    yield from left_out(statistics)
    yield "output and gradients: worst error ÷ bound of the engine | of torch in the same dtype"


def _line(op: str, row: Row) -> str:
    share = row.rejected / row.checked if row.checked else 0.0
    rate = row.checked / row.seconds if row.seconds else 0.0
    worst = "".join(f"{_pair(row, name):>15}" for name in RESULTS)
    return f"{op:<18}{row.checked:>9,}{share:>9.1%}{row.not_claimed:>12,}{rate:>9,.0f}{worst}"


def _pair(row: Row, name: str) -> str:
    if name not in row.worst:
        return "-"
    return f"{row.worst[name]:.2f} | {row.worst_torch.get(name, 0.0):.2f}"
