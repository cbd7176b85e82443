"""Files of cases: one line a case, blank lines and # comments between."""

from __future__ import annotations

from pathlib import Path

from .case import Case
from .line import parse

CORPUS = Path(__file__).parents[1] / "corpus.txt"
FORMER = "# ---- Former failures ----"
OTHERS = "# Faults of torch itself"  # the heading before which they stand


def read_lines(path: Path) -> list[str]:
    lines = map(str.strip, path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def read_cases(path: Path) -> list[Case]:
    """The cases of a file; a malformed line is a `CaseError`."""
    return [parse(without_comment(line)[0]) for line in read_lines(path)]


def without_comment(line: str) -> tuple[str, str]:
    """A case's line and the comment after it; a # in quotes begins none.

    Examples
    --------
    >>> without_comment("conv1d((1, 1, 1), (1, 1, 1))  # ValueMismatch")
    ('conv1d((1, 1, 1), (1, 1, 1))', 'ValueMismatch')
    """
    marks = (at for at, letter in enumerate(line) if letter == "#")
    at = next((at for at in marks if line[:at].count("'") % 2 == 0), len(line))
    return line[:at].strip(), line[at + 1 :].strip()


def kept(case: str, why: str, path: Path = CORPUS) -> bool:
    """Add a line to the former failures of a corpus; False if it stands somewhere already."""
    text = path.read_text(encoding="utf-8")
    known = {without_comment(line)[0] for line in text.splitlines()}
    if case in known:
        return False
    before, mark, after = text.partition(OTHERS)
    if FORMER not in before:
        before += f"{FORMER}\n\n"
    entry = f"# {why}\n{case}\n\n"
    path.write_text(f"{before}{entry}{mark}{after}", encoding="utf-8")
    return True
