"""Files of cases: one line a case, blank lines and # comments between."""

from __future__ import annotations

from pathlib import Path

from .case import Case
from .line import parse

CORPUS = Path(__file__).parents[1] / "corpus.txt"


def read_lines(path: Path) -> list[str]:
    lines = map(str.strip, path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def read_cases(path: Path) -> list[Case]:
    """The cases of a file; a malformed line is a `CaseError`."""
    return [parse(line) for line in read_lines(path)]
