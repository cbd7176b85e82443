"""The faults of a run: failures of all its processes, merged by kind and smallest case.

Most telling first. A wrong result of a valid call, or an error there, says more than a call that
should have been rejected or two results that contradict each other; these say more than conduct,
and that more than what is near a bound. Among equals, what more tests show comes first, then the
smaller case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..cases.case import Case
from ..cases.line import parse_source
from ..cases.sequence import CaseSequence, cases_of, is_in_order
from ..shrinking import order, simplifies
from .triage import GENTLE, Key, sort_of

TIERS = (
    (
        *("ValueMismatch", "GradientMismatch", "ShapeMismatch", "DtypeMismatch"),
        *("RejectedValid", "EngineCrash", "EngineHang", "OutOfMemory"),
    ),
    ("AcceptedInvalid", "WrongError", "RelationBroken"),
    ("ArgumentModified", "MemoryShared", "NotRepeatable", "GlobalStateChanged"),
    ("MarginalValueMismatch", "MarginalGradientMismatch"),
)
CONDUCT = TIERS[2]
TIER = {kind: tier for tier, kinds in enumerate(TIERS) for kind in kinds}


NUMBERS = re.compile(r"\d+(, ?\d+)*,?")  # also those of a shape
RELATION = "RelationBroken"
DEATHS = ("EngineCrash", "EngineHang")  # kinds whose failures may end a process


@dataclass
class Fault:
    """A kind of failure and its smallest case, or a kind alone for what was not shrunk."""

    kind: str
    line: str  # empty: failures of this kind that were not shrunk
    found: dict[str, Any]  # as `report.described`
    tests: dict[str, None] = field(default_factory=dict)  # their names, in order
    lines: dict[str, None] = field(default_factory=dict)  # the cases at which it showed
    relations: dict[str, None] = field(default_factory=dict)  # that break where it shows
    kinds: dict[str, list[str]] = field(default_factory=dict)  # other kinds as which it shows

    @property
    def properties(self) -> list[str]:
        """The tests that show it, without what they are parametrized with."""
        return [*dict.fromkeys(property_of(test) for test in self.tests)]

    @cached_property
    def source(self) -> Case | CaseSequence:
        return parse_source(self.found["line"])

    @property
    def rank(self) -> tuple[Any, ...]:
        tier = rank_of(self.kind)
        size = [order(case) for case in cases_of(self.source)]
        return tier, not self.line, -len(self.tests), len(size), size


def rank_of(kind: str) -> int:
    return TIER.get(kind, len(TIERS))


def _words(fault: Fault) -> tuple[str, ...]:
    """What is said of conduct, or by an error that was raised, without its numbers."""
    raised = dict(map(tuple, fault.found["rows"])).get("raised", "")
    said = raised or (fault.found["headline"] if fault.kind in CONDUCT else "")
    if not (fault.line and said):
        return ()
    return fault.kind, NUMBERS.sub("#", said)


def property_of(test: str) -> str:
    return test.rpartition("::")[2].partition("[")[0]


@dataclass
class Faults:
    """What the reports of a run, and its file, say of failures."""

    known: dict[Key, Fault] = field(default_factory=dict)
    unsettled: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # with their tests

    def __bool__(self) -> bool:
        return bool(self.known or self.unsettled)

    def describe(self, found: dict[str, Any]) -> Fault:
        """The fault of a failure that is the smallest of its kind, known from now on."""
        key = found["kind"], found["line"]
        return self.known.setdefault(key, Fault(*key, found))

    def add(self, test: str, found: dict[str, Any]) -> None:
        """One failure of a test: of a known fault, the smallest of one, or neither."""
        if found["settled"]:
            self._count(self.describe(found), test, found)
        else:
            self.unsettled.append((test, found))

    def _count(self, fault: Fault, test: str, found: dict[str, Any]) -> None:
        if test:
            fault.tests[test] = None
        line = found["origin"] or found["line"]
        fault.lines[line] = None
        if found["shown"] != fault.kind:
            fault.kinds.setdefault(found["shown"], []).append(line)
        if found["shown"] == RELATION != fault.kind:
            fault.relations[property_of(test)] = None

    def ranked(self) -> list[Fault]:
        """All faults, most telling first, after what is not settled has found its own."""
        rest: dict[str, Fault] = {}
        for test, found in self.unsettled:
            fault = self._fault_of(found) or rest.setdefault(
                found["kind"], Fault(found["kind"], "", found)
            )
            self._count(fault, test, found)
        self.unsettled.clear()
        self.known |= {(kind, ""): fault for kind, fault in rest.items()}
        self._join()
        return sorted(self.known.values(), key=lambda fault: fault.rank)

    def _join(self) -> None:
        """Of each kind, all but the first fault go to one that is simpler, where they may be one.

        All that needs earlier calls goes to the first such fault. So do errors of the same words,
        which one line of an engine raises, and conduct of which the same is said.
        """
        first: set[str] = set()
        for fault in sorted(self.known.values(), key=lambda fault: fault.rank):
            is_first = fault.kind not in first and fault.kind not in DEATHS
            simpler = None if is_first else self._simpler(fault)
            other = self._after_others(fault.found) or self._same_words(fault) or simpler
            if other is None or other is fault:
                first.add(fault.kind)
            else:
                self._give(fault, other)

    def _give(self, fault: Fault, other: Fault) -> None:
        """All that shows `fault` shows `other`."""
        del self.known[fault.kind, fault.line]
        other.tests |= fault.tests
        other.lines |= (shown := {fault.found["line"]: None, **fault.lines})
        if fault.kind != other.kind:
            other.kinds.setdefault(fault.kind, []).extend(shown)

    def _after_others(self, found: dict[str, Any]) -> Fault | None:
        """The fault of what shows only after other calls, if `found` does: the most telling."""
        if not found["depends"]:
            return None
        sort = sort_of(found["kind"])
        known = [fault for fault in self.known.values() if sort_of(fault.kind) == sort]
        alike = [fault for fault in known if fault.line and is_in_order(fault.source)]
        return min(alike, key=lambda fault: fault.rank, default=None)

    def _same_words(self, fault: Fault) -> Fault | None:
        """The most telling fault of which the same is said, as of one argument or by one error."""
        words = _words(fault)
        if not words:
            return None
        alike = [other for other in self.known.values() if _words(other) == words]
        return min(alike, key=lambda fault: fault.rank)

    def _simpler(self, fault: Fault) -> Fault | None:
        """A fault whose case simplifies that of `fault`.

        It is one of another kind; or of the same kind, where each failure costs a process or the
        time of a call that hangs, so that shrinking ends early.
        """
        large = fault.source
        for other in self.known.values():
            kinds, small = {other.kind, fault.kind}, other.source
            may_be_one = (len(kinds) == 2 and kinds <= {*GENTLE}) or kinds <= {*DEATHS}
            if other is fault or not (may_be_one and other.line and fault.line):
                continue
            if isinstance(small, Case) and isinstance(large, Case) and simplifies(small, large):
                return other
        return None

    def _fault_of(self, found: dict[str, Any]) -> Fault | None:
        """The fault that a failure was found to have, else one whose case simplifies its case."""
        if found["fault"] is not None:
            return self.known.get(tuple(found["fault"]))
        if other := self._after_others(found):
            return other
        source = parse_source(found["line"])
        for (kind, line), fault in self.known.items():
            small = fault.source
            if not line or kind != found["kind"] or not isinstance(small, Case):
                continue
            if isinstance(source, Case) and simplifies(small, source):
                return fault
        return None

    @property
    def tests(self) -> int:
        """How many tests fail by them."""
        return len({test for fault in self.ranked() for test in fault.tests})


def lines_of(faults: Iterable[Fault]) -> dict[str, str]:
    """One line per fault, then all lines at which one showed, each with its kind."""
    listed = [*faults]
    found = {fault.found["line"]: fault.kind for fault in listed}
    for fault in listed:
        others = {line: kind for kind, lines in fault.kinds.items() for line in lines}
        found |= {line: others.get(line, fault.kind) for line in fault.lines if line not in found}
    return found


def as_json(fault: Fault) -> dict[str, Any]:
    return {
        **{k: fault.found[k] for k in ("kind", "headline", "op", "line", "rows", "map", "replay")},
        "settled": bool(fault.line),
        "tests": [*fault.tests],
        "properties": fault.properties,
        "relations": [*fault.relations],
        "kinds": {kind: [*dict.fromkeys(lines)] for kind, lines in fault.kinds.items()},
        "lines": [*fault.lines],
    }
