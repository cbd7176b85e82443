"""What a person reads: the failure block, the header, the summary."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from .judge import Mismatch, operand_summary
from .subject import OWN
from .tally import Row, Tally


def quoted(line: str) -> str:
    """`line` as one word of a POSIX shell."""
    if "'" in line and not set(line) & set('"$`\\!'):
        return f'"{line}"'
    return shlex.quote(line) if "'" in line else f"'{line}'"


def replay(engine: str, line: str) -> str:
    """The command that runs exactly this case."""
    option = "" if engine == OWN else f"--engine={shlex.quote(engine)} "
    return f"pytest {option}--case {quoted(line)}"


def block(mismatch: Mismatch) -> str:
    """Everything about one failure, and the line that replays it."""
    line = str(mismatch.case)
    rows = [
        ("case", line),
        ("operands", operand_summary(mismatch.case)),
        *mismatch.details,
        ("replay", replay(mismatch.engine, line)),
    ]
    width = max(len(name) for name, _ in rows)
    body = "\n".join(f"  {name:<{width}}  {text}" for name, text in rows if text)
    return f"{type(mismatch).__name__}: {mismatch.headline}\n{body}"


def versions() -> str:
    """The versions on which a verdict depends."""
    found = [f"Python {platform.python_version()}"]
    for name in ("numpy", "torch", "hypothesis"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


HEADINGS = ("op", "checked", "rejected", "not claimed", "error ÷ bound", "torch's", "cases/s")


def summary(tally: Tally) -> Iterable[str]:
    """One line per op: what was checked and how near to its bound the engine came."""
    yield "{:<18}{:>10}{:>10}{:>13}{:>15}{:>9}{:>9}".format(*HEADINGS)
    for op, row in sorted(tally.rows.items()):
        yield _line(op, row)


def _line(op: str, row: Row) -> str:
    share = row.rejected / row.checked if row.checked else 0.0
    rate = row.checked / row.seconds if row.seconds else 0.0
    return (
        f"{op:<18}{row.checked:>10,}{share:>10.1%}{row.not_claimed:>13,}"
        f"{row.worst:>15.3f}{row.worst_torch:>9.3f}{rate:>9,.0f}"
    )
