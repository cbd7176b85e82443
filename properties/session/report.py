"""What a person reads: the failure block, the header, the summary."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterable
from importlib.metadata import version
from importlib.util import find_spec

from ..cases.case import Case
from ..cases.operation import GRADIENTS, OPS, OUTPUT
from ..cases.sequence import CaseSequence, cases_of
from ..comparison.compare import operand_summary
from ..comparison.loading import OWN
from ..comparison.mismatch import Mismatch
from .statistics import Row, Statistics


def quoted(line: str) -> str:
    """`line` as one word of a POSIX shell."""
    if "'" in line and not set(line) & set('"$`\\!'):
        return f'"{line}"'
    return shlex.quote(line) if "'" in line else f"'{line}'"


def replay(engine: str, source: Case | CaseSequence) -> str:
    """The command that runs exactly this case, or these in order."""
    option = "" if engine == OWN else f"--engine={shlex.quote(engine)} "
    return f"pytest {option}" + " ".join(f"--case {quoted(str(c))}" for c in cases_of(source))


def block(mismatch: Mismatch) -> str:
    """Everything about one failure, and the line that replays it."""
    line = str(mismatch.case)
    rows = [
        ("case", line),
        ("operands", operand_summary(mismatch.case)),
        *mismatch.details,
        *_in_order(mismatch),
        ("replay", replay(mismatch.engine, mismatch.source)),
    ]
    width = max(len(name) for name, _ in rows)
    body = "\n".join(f"  {name:<{width}}  {text}" for name, text in rows if text)
    return f"{type(mismatch).__name__}: {mismatch.headline}\n{body}"


def _in_order(mismatch: Mismatch) -> list[tuple[str, str]]:
    """The sequence of calls that a failure needs."""
    if mismatch.sequence is None:
        return []
    cases = enumerate(mismatch.sequence.cases, 1)
    return [("in order" if i == 1 else "", f"{i}. {case}") for i, case in cases]


def versions() -> str:
    """The versions on which a verdict depends."""
    found = [f"Python {platform.python_version()}"]
    for name in ("numpy", "torch", "hypothesis"):
        found.append(f"{name} {version(name)}" if find_spec(name) else f"no {name}")
    return ", ".join(found)


OTHERWISE = {
    "not_judged": "calls not judged: torch has no kernel for what the engine computes",
    "known": "calls that fail as a known shortcoming of the engine",
    "deviates": "calls on which the engine differs from torch by design (deviations.txt)",
}
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
