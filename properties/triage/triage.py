"""From failures to faults: what a process knows of them, and the time that is left to shrink.

A fault is a kind of failure and the smallest case to which failures of this kind lead. What one
process finds, the others of the run read from one file, so that none shrinks to a fault that is
known: where the smallest case of a known fault is a simplification of the case that fails now, in
every respect, and fails in the same way under the same property, shrinking could have led there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any

from ..cases.case import Case
from ..cases.line import parse_source
from ..cases.sequence import CaseSequence, is_in_order
from ..comparison.mismatch import Mismatch, RelationBroken
from ..shrinking import simplifies
from .crashlog import CrashLog

ALL = 20.0  # seconds in which a process shrinks failures of the corpus and of enumerations
ONE = 10.0  # seconds for one failure
WAITING = 15  # seconds of real time that count as one: a machine may be that busy
MEMORY = 20_000  # verdicts that are remembered

# Kinds of failure of a valid call that leave the process alive.
GENTLE = ("ValueMismatch", "GradientMismatch", "ShapeMismatch", "DtypeMismatch", "RejectedValid")

# Kinds as which one fault may show: those, and what breaks a relation.
ONE_SORT = {*GENTLE, RelationBroken.__name__}

Key = tuple[str, str]  # a fault: the name of its kind, and its smallest case
Source = Case | CaseSequence


def has_raised(found: Mismatch) -> bool:
    """Whether the engine raised an exception, so that its process lived on."""
    return "raised" in dict(found.details)


def sort_of(kind: str) -> str:
    """The same for all kinds as which one fault may show."""
    return GENTLE[0] if kind in ONE_SORT else kind


class Stopwatch:
    """So many seconds of processor time; a wait, as for another process, counts less."""

    def __init__(self, seconds: float = inf) -> None:
        self._busy, self._real, self._seconds = time.process_time(), time.monotonic(), seconds

    @property
    def spent(self) -> float:
        busy = time.process_time() - self._busy
        return max(busy, (time.monotonic() - self._real) / WAITING)

    @property
    def is_over(self) -> bool:
        return self.spent >= self._seconds


@dataclass
class Triage:
    """The faults that this process knows, the verdicts of its searches, and the time left."""

    crashlog: CrashLog | None = None
    left: float = ALL
    faults: dict[Key, Source] = field(default_factory=dict)
    verdicts: dict[Key, Mismatch | None] = field(default_factory=dict)  # by property and case
    explained: dict[Key, Any] = field(default_factory=dict)  # the rows and picture of a failure
    _read: int = 0  # bytes of the shared file

    def candidates(self, found: Mismatch) -> list[tuple[Key, Case]]:
        """Known faults to which `found` may lead: first those of its own kind.

        A relation may break by any of `GENTLE`. And one fault may show as several kinds: where
        a fault of this kind is known, but does not simplify this case, one of another kind may.
        """
        self._update()
        if isinstance(found.source, CaseSequence):
            return []
        kind = type(found).__name__
        known = [(key, case) for key, case in self.faults.items() if isinstance(case, Case)]
        alike = [(key, case) for key, case in known if key[0] == kind]
        others = [(key, case) for key, case in known if key[0] in GENTLE and key[0] != kind]
        if kind == RelationBroken.__name__ or (alike and kind in GENTLE):
            alike += others
        return [(key, case) for key, case in alike if simplifies(case, found.case)]

    def after_others(self, found: Mismatch) -> Key | None:
        """The fault that is known of what shows only after other calls, as `found` does."""
        self._update()
        sort = sort_of(type(found).__name__)
        known = (key for key, source in self.faults.items() if is_in_order(source))
        return next((key for key in known if sort_of(key[0]) == sort), None)

    def death(self, found: Mismatch) -> Key | None:
        """A fault of this kind that ends its process too, at a case that simplifies this one."""
        keys = [key for key, _ in self.candidates(found) if key[0] == type(found).__name__]
        return next((key for key in keys if key not in self._raised), None)

    def add(self, found: Mismatch) -> None:
        self._add((type(found).__name__, str(found.source)), found.source, has_raised(found))

    def _add(self, key: Key, source: Source, raised: bool) -> None:
        self.faults[key] = source
        if raised:
            self._raised.add(key)

    def remember(self, key: Key, found: Mismatch | None) -> None:
        if len(self.verdicts) < MEMORY:
            self.verdicts[key] = found

    @contextmanager
    def shrinking(self, found: Mismatch, *, limited: bool) -> Iterator[Stopwatch]:
        """The time that there is; meanwhile others wait that find the same kind."""
        watch = Stopwatch(min(ONE, self.left) if limited else ONE)
        claim = {"kind": type(found).__name__, "pid": os.getpid()}
        self._write({"begins": claim})
        try:
            yield watch
        finally:
            self._write({"ends": claim})
            if limited:
                self.left -= watch.spent

    def wait(self, found: Mismatch) -> None:
        """Until no other process shrinks a failure of this kind, but not for ever."""
        until = time.monotonic() + ONE
        while time.monotonic() < until and self._is_claimed(type(found).__name__):
            time.sleep(0.05)

    def _is_claimed(self, kind: str) -> bool:
        self._update()
        return any(of == kind and pid != os.getpid() and _is_alive(pid) for of, pid in self._claims)

    def _update(self) -> None:
        """Read what other processes have written since."""
        if self.crashlog is None:
            return
        entries, self._read = self.crashlog.written_since(self._read)
        for entry in entries:
            self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        if begins := entry.get("begins"):
            self._claims.add((begins["kind"], begins["pid"]))
        elif ends := entry.get("ends"):
            self._claims.discard((ends["kind"], ends["pid"]))
        elif entry.get("settled"):
            key, raised = (entry["kind"], entry["line"]), "raised" in dict(entry["rows"])
            self._add(key, parse_source(entry["line"]), raised)

    def _write(self, entry: dict[str, Any]) -> None:
        if self.crashlog is not None:
            self.crashlog.write(entry)

    def __post_init__(self) -> None:
        self._claims: set[tuple[str, int]] = set()
        self._raised: set[Key] = set()  # faults at which the engine raises an exception


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
