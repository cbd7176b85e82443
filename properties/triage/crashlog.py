"""What outlives a process that dies: the cases that it judged, and the failures that it found.

A case is written to shared memory before the engine sees it, and the time at which a call must
have returned, and the function that is called, when it begins. A failure is written to a file as
soon as it is found, so that neither a crash nor Ctrl-C loses it.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections import deque
from pathlib import Path
from typing import Any

from ..cases.case import Case
from ..cases.sequence import CaseSequence

FOUND = "found"  # the name of the file for failures
CALL = struct.Struct("dd")  # when the present call must have returned, and the seconds it has
BEAT = struct.Struct("I")  # the number of cases, modulo 2**32
NEWER = CALL.size + BEAT.size  # the byte that says which half of the ring is written to
FUNCTION = struct.Struct("48s")  # the function of the engine that is called
PART = struct.Struct("800s")  # the line of a call that is a part of what is judged
RING = NEWER + 1 + FUNCTION.size + PART.size
EARLIER = 20_000  # cases that a process keeps for itself, some 3 MB
HALF = 1 << 15  # some 400 cases
SIZE = RING + 2 * HALF


class CrashLog:
    """The part of one process; the cases stand in a ring of two halves.

    Parameters
    ----------
    found : Path or None
        The file for failures, the same for all processes of a run.
    memory : Path or None
        The file to which the memory is mapped; None: only children of this process share it.
    """

    def __init__(self, found: Path | None = None, memory: Path | None = None) -> None:
        self.found = found
        self.judged: deque[str] = deque(maxlen=EARLIER)  # lines, by this process alone
        self._half = self._at = self._cases = 0
        if memory is None:
            self._memory = mmap.mmap(-1, SIZE)
            return
        with memory.open("w+b") as file:
            file.truncate(SIZE)
            self._memory = mmap.mmap(file.fileno(), SIZE)

    def close(self) -> None:
        self._memory.close()

    def at(self, source: Case | CaseSequence) -> None:
        """Note the case, or sequence, that the engine is about to see."""
        self._cases = (self._cases + 1) % (1 << 32)
        BEAT.pack_into(self._memory, CALL.size, self._cases)
        self.part_is("")
        self.judged.append(str(source))
        line = f"{self.judged[-1]}\n\0".encode()
        if self._at + len(line) > HALF:
            self._half, self._at = 1 - self._half, 0
        start = RING + self._half * HALF + self._at
        if len(line) <= HALF:
            self._memory[start : start + len(line)] = line
            self._memory[NEWER] = self._half
            self._at += len(line) - 1  # the next line overwrites the end

    def until(self, deadline: float, seconds: float) -> None:
        """Note when the call that begins must have returned, and zeros when it has."""
        CALL.pack_into(self._memory, 0, deadline, seconds)

    def enter(self, function: str) -> None:
        """Note the function of the engine that is called."""
        FUNCTION.pack_into(self._memory, NEWER + 1, function.encode())

    def part_is(self, call: Case | str) -> None:
        """Note the call that begins, a part of what is judged; none that is too long."""
        line = str(call).encode()
        kept = line if len(line) <= PART.size else b""
        PART.pack_into(self._memory, NEWER + 1 + FUNCTION.size, kept)

    @property
    def function(self) -> str:
        """What `enter` noted."""
        return self._text(FUNCTION, NEWER + 1)

    @property
    def part(self) -> str:
        """What `part_is` noted."""
        return self._text(PART, NEWER + 1 + FUNCTION.size)

    def _text(self, kind: struct.Struct, at: int) -> str:
        (text,) = kind.unpack_from(self._memory, at)
        return str(text.rstrip(b"\0").decode(errors="replace"))

    @property
    def call(self) -> tuple[float, float]:
        """What `until` noted."""
        deadline, seconds = CALL.unpack_from(self._memory)
        return deadline, seconds

    @property
    def beat(self) -> int:
        """A number that is another one after each case."""
        return int(BEAT.unpack_from(self._memory, CALL.size)[0])

    @property
    def recent(self) -> list[str]:
        """The lines of the last cases, the latest at the end."""
        return lines(self._memory[:])

    def keep(self, found: dict[str, Any]) -> None:
        """Write down a failure; a later one of the same kind and op takes its place."""
        self.write({**found, "of": f"{found['kind']} {os.getpid()} {found['op']}"})

    def write(self, entry: dict[str, Any]) -> None:
        """Append to the file of the run."""
        if self.found is not None:
            with self.found.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")

    def written_since(self, start: int) -> tuple[list[dict[str, Any]], int]:
        """What any process has appended after so many bytes, and how many there are now."""
        if self.found is None or not self.found.is_file():
            return [], start
        return written(self.found, start)


def written(found: Path, start: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The entries of whole lines after so many bytes of a file, and where they end."""
    with found.open("rb") as file:
        file.seek(start)
        text, _, _ = file.read().rpartition(b"\n")
    entries = [json.loads(line) for line in text.splitlines()]
    return entries, start + len(text) + bool(entries)


def lines(memory: bytes) -> list[str]:
    """The lines in the memory of a `CrashLog`, the latest at the end."""
    newer = memory[NEWER]
    starts = [RING + half * HALF for half in (1 - newer, newer)]
    halves = [memory[start : start + HALF].partition(b"\0")[0] for start in starts]
    return b"".join(halves).decode(errors="replace").splitlines()


def kept(found: Path) -> list[dict[str, Any]]:
    """The failures that any process wrote down."""
    entries = written(found)[0] if found.is_file() else []
    latest = {entry["of"]: entry for entry in entries if "of" in entry}
    settled = [entry for entry in entries if entry.get("settled")]
    return [*settled, *(entry for entry in latest.values() if not entry.get("settled"))]
