"""What outlives a process that dies: the case that it was at, and the failures that it found.

A case is written to shared memory before the engine sees it, which costs 0.2 µs. A failure is
written to a file as soon as it is found, so that neither a crash nor Ctrl-C loses it.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path

from ..cases.case import Case
from ..cases.sequence import CaseSequence
from ..comparison.mismatch import Mismatch
from .report import block

SIZE = 4096


class CrashLog:
    """One process's part of a run's folder."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._found = folder / "found"
        with (folder / worker).open("w+b") as file:
            file.truncate(SIZE)
            self._memory = mmap.mmap(file.fileno(), SIZE)

    def at(self, case: Case | CaseSequence) -> None:
        """Note the case that the engine is about to see."""
        encoded = str(case).encode()[: SIZE - 1] + b"\0"
        self._memory[: len(encoded)] = encoded

    def keep(self, mismatch: Mismatch) -> None:
        """Write down a failure; a later one of the same kind and op takes its place."""
        kind = f"{type(mismatch).__name__} {os.getpid()} {mismatch.case.op}"
        with self._found.open("a", encoding="utf-8") as file:
            file.write(json.dumps([kind, block(mismatch), str(mismatch.source)]) + "\n")


def last_case(folder: Path, worker: str) -> str:
    """The line of the last case that a worker was at; empty if there was none."""
    path = folder / worker
    if not path.is_file():
        return ""
    return path.read_bytes().partition(b"\0")[0].decode(errors="replace")


def kept(folder: Path) -> dict[str, str]:
    """The failures that any process wrote down: from the block to the case's line."""
    file = folder / "found"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    latest = {kind: (text, case) for kind, text, case in map(json.loads, lines)}
    return dict(latest.values())
