"""The faults of a run: failures of all its processes, merged by kind and smallest case.

Several smallest cases may show one fault: where one simplifies another, where all need earlier
calls, or where the same is said of them.

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
from ..cases.sequence import CaseSequence, cases_of, is_at_once, is_in_order
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


NUMBERS = re.compile(r"\b\d+(, ?\d+)*,?")  # also those of a shape, but not that of a dtype
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
    """What is said of conduct, or by an error that a function raised, without its numbers."""
    rows = dict(map(tuple, fault.found["rows"]))
    conduct = fault.found["headline"] if fault.kind in CONDUCT else ""
    raised = rows.get("raised", "")
    if not raised.partition(": ")[2]:  # a bare assert says nothing
        raised = ""
    if not (fault.line and (raised or conduct)):
        return ()
    function = rows.get("function", "") if raised else ""
    return fault.kind, function, NUMBERS.sub("#", raised or conduct)


def _raises(fault: Fault) -> bool:
    return any(name == "raised" for name, _ in fault.found["rows"])


def _first(alike: list[Fault], fault: Fault | None) -> Fault | None:
    """The most telling of `alike`; None if that is `fault` itself."""
    first = min(alike, key=lambda one: one.rank, default=None)
    return None if first is fault else first


def property_of(test: str) -> str:
    return test.rpartition("::")[2].partition("[")[0]


@dataclass
class Faults:
    """What the reports of a run, and its file, say of failures."""

    known: dict[Key, Fault] = field(default_factory=dict)
    unsettled: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # with their tests
    given: dict[Key, Key] = field(default_factory=dict)  # faults that are one with another
    _ranked: list[Fault] | None = None

    def __bool__(self) -> bool:
        return bool(self.known or self.unsettled)

    def describe(self, found: dict[str, Any]) -> Fault:
        """The fault of a failure that is the smallest of its kind, known from now on."""
        key, self._ranked = (found["kind"], found["line"]), None
        return self.known.setdefault(key, Fault(*key, found))

    def add(self, test: str, found: dict[str, Any]) -> None:
        """One failure of a test: of a known fault, the smallest of one, or neither."""
        if found["settled"]:
            self._count(self.describe(found), test, found)
        else:
            self._ranked = None
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
        """All faults, most telling first."""
        if self._ranked is None:
            self._ranked = self._merged()
        return self._ranked

    def _merged(self) -> list[Fault]:
        """All faults, after what is not settled has found its own, and some are one."""
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

        All that needs earlier calls goes to the first such fault, and so does that of which the
        same is said. The first of a kind may go to another one by these, or if it is a death.
        """
        first: set[str] = set()
        for fault in sorted(self.known.values(), key=lambda fault: fault.rank):
            is_first = fault.kind not in first and fault.kind not in DEATHS
            simpler = None if is_first else self._simpler(fault)
            other = self._after_others(fault.found, fault) or self._same_words(fault) or simpler
            if other:
                self._give(fault, other)
            else:
                first.add(fault.kind)

    def _give(self, fault: Fault, other: Fault) -> None:
        """All that shows `fault` shows `other`."""
        del self.known[fault.kind, fault.line]
        self.given[fault.kind, fault.line] = other.kind, other.line
        other.tests |= fault.tests
        other.relations |= fault.relations
        shown = {fault.found["line"]: None, **fault.lines}
        other.lines |= shown
        elsewhere = {line for lines in fault.kinds.values() for line in lines}
        own = {fault.kind: [line for line in shown if line not in elsewhere]}
        for kind, lines in {**fault.kinds, **own}.items():
            if kind != other.kind and lines:
                other.kinds.setdefault(kind, []).extend(lines)

    def _after_others(self, found: dict[str, Any], fault: Fault | None = None) -> Fault | None:
        """The most telling fault, but `fault`, of what shows only after other calls, as `found`."""
        if not found["depends"] or is_at_once(parse_source(found["line"])):
            return None
        sort = sort_of(found["kind"])
        known = [fault for fault in self.known.values() if sort_of(fault.kind) == sort]
        alike = [fault for fault in known if fault.line and is_in_order(fault.source)]
        return _first(alike, fault)

    def _same_words(self, fault: Fault) -> Fault | None:
        """The most telling fault but `fault` whose error or headline has the same words."""
        words = _words(fault)
        alike = [other for other in self.known.values() if words and _words(other) == words]
        return _first(alike, fault)

    def _simpler(self, fault: Fault) -> Fault | None:
        """A fault whose case simplifies that of `fault`.

        It is one of another kind; or of the same kind, where each failure costs a process or the
        time of a call that hangs, so that shrinking ends early.
        """
        large = fault.source
        for other in self.known.values():
            kinds, small = {other.kind, fault.kind}, other.source
            deaths = kinds <= {*DEATHS} and not (_raises(fault) or _raises(other))
            may_be_one = deaths or (len(kinds) == 2 and kinds <= {*GENTLE})
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
    found: dict[str, str] = {}
    for fault in listed:
        found.setdefault(fault.found["line"], fault.kind)
    for fault in listed:
        others = {line: kind for kind, lines in fault.kinds.items() for line in lines}
        found |= {line: others.get(line, fault.kind) for line in fault.lines if line not in found}
    return found


def after_other_calls(faults: Iterable[Fault]) -> list[str]:
    """Lines of single calls that failed only because of calls before them."""
    lines: dict[bool, dict[str, None]] = {True: {}, False: {}}  # by whether the fault needs others
    for fault in faults:
        lines[is_in_order(fault.source)] |= {fault.found["line"]: None, **fault.lines}
    single = (line for line in lines[True] if isinstance(parse_source(line), Case))
    return [line for line in single if line not in lines[False]]


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
