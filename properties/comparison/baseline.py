"""Candidate and baseline on one case: which of them is right, and what has changed between them.

Both are given the same arrays and are held to the same reference. What has changed is a set of
`Change`s, each of a kind; a case may show several.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np

from ..cases.case import Case
from ..cases.operation import OUTPUT
from .compare import Comparison
from .engine import Engine
from .mismatch import Mismatch, Status, Verdict
from .outcome import Outcome, is_array

GRADIENTS = "gradients"  # the part of the results that is not the output

Excused = Callable[[Mismatch], Verdict | None]


class Kind(StrEnum):
    """Kinds of change, the gravest first."""

    BREAKS = "breaks"  # wrong, where the baseline is right
    REJECTS = "rejects"  # raises where the baseline computes, and neither is wrong
    ACCEPTS = "accepts"  # computes where the baseline raises, and neither is wrong
    BOTH_WRONG = "wrong in both"
    FIXES = "fixes"  # right, where the baseline is wrong
    TYPE = "shape or dtype"  # another one, where neither is wrong
    FINITE = "inf or nan"  # came or went
    BITS = "bits"  # another value, of the same type, finite or not as before
    ERROR = "error"  # another type of error
    MESSAGE = "message"  # another message of the same type of error


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was."""

    kind: Kind
    of: str = ""  # the kind of failure, or the part of the results
    was: str = ""
    now: str = ""

    @property
    def key(self) -> str:
        """What changes of one kind have in common."""
        return f"{self.kind}: {self.of}" if self.of else str(self.kind)


@dataclass(frozen=True)
class Side(Verdict):
    """What one of the two did."""

    wrong: str = ""  # the kind of its failure
    headline: str = ""  # of its failure
    error: str = ""  # what it raised: type and message
    offered: frozenset[str] = frozenset()  # the names of its results

    @property
    def raised(self) -> str:
        """The type of what it raised."""
        return self.error.partition(":")[0]


@dataclass(frozen=True)
class Distance:
    """How far apart the two results of one name are."""

    identical: bool  # the same type and the same bits
    alike: bool = True  # the same type
    finite: bool = True  # both are inf or nan in the same places
    ulps: int = (
        0  # the largest between elements that both are finite; of integers, their difference
    )


@dataclass(frozen=True)
class Contrast(Verdict):
    """Candidate and baseline on one case; as a verdict, the candidate's."""

    candidate: Side = Side(Status.FAILED)
    baseline: Side = Side(Status.FAILED)
    distances: Mapping[str, Distance] = field(default_factory=dict)  # of what both gave

    @classmethod
    def of(
        cls, candidate: Side, baseline: Side, distances: Mapping[str, Distance] | None = None
    ) -> Contrast:
        return cls(
            candidate.status,
            candidate.ratios,
            candidate=candidate,
            baseline=baseline,
            distances=distances or {},
        )

    def changes(self) -> Iterator[Change]:
        """All that is not as it was, and what is wrong as it was."""
        now, was = self.candidate, self.baseline
        judged = [*_judgement(now, was)]
        yield from judged
        yield from _errors(now, was)
        if not judged:
            yield from _rejection(now, was)
        if bool(now.wrong) == bool(was.wrong):
            for name, apart in self.distances.items():
                yield from _movement(OUTPUT if name == OUTPUT else GRADIENTS, apart)


def _judgement(now: Side, was: Side) -> Iterator[Change]:
    """Which of the two is wrong."""
    if now.wrong and was.wrong:
        of = now.wrong if now.wrong == was.wrong else f"{was.wrong}, now {now.wrong}"
        yield Change(Kind.BOTH_WRONG, of, was.headline, now.headline)
    elif now.wrong:
        yield Change(Kind.BREAKS, now.wrong, "right", now.headline)
    elif was.wrong:
        yield Change(Kind.FIXES, was.wrong, was.headline, "right")
    elif now.status is Status.NOT_CLAIMED and was.status is Status.AGREED:
        yield Change(Kind.BREAKS, "no longer claimed", "right", now.error)
    elif was.status is now.status is Status.AGREED and (lost := was.offered - now.offered):
        yield Change(Kind.BREAKS, "no longer offered", "right", f"no {', '.join(sorted(lost))}")


def _rejection(now: Side, was: Side) -> Iterator[Change]:
    """Which of the two raises, where neither is wrong: one that does not claim the call, say."""
    if now.error and was.offered:
        yield Change(Kind.REJECTS, "", "computed", now.error)
    elif now.offered and was.error:
        yield Change(Kind.ACCEPTS, "", was.error, "computes")


def _errors(now: Side, was: Side) -> Iterator[Change]:
    """Whether both raise, but not the same."""
    if now.error and was.error and now.error != was.error:
        kind = Kind.MESSAGE if now.raised == was.raised else Kind.ERROR
        yield Change(kind, "", was.error, now.error)


def _movement(part: str, apart: Distance) -> Iterator[Change]:
    """How a result, of this part of the results, has moved."""
    if apart.identical:
        return
    if not apart.alike:
        yield Change(Kind.TYPE, part)
    elif not apart.finite:
        yield Change(Kind.FINITE, part)
    else:
        yield Change(Kind.BITS, part, "", f"{apart.ulps:,} ulp away")


def contrast(
    case: Case,
    engines: tuple[Engine, ...],
    reference: Engine,
    excused: Excused = lambda mismatch: None,
    *,
    repeat: bool = True,
) -> Contrast:
    """What candidate and baseline, in this order, do with `case`.

    Without `repeat` each is called only once, and what later calls would show is not looked for.
    """
    comparison = Comparison.of(case, reference)
    sides: list[Side] = []
    values: list[dict[str, Any]] = []
    for engine in engines:
        side, got = _judged(comparison, engine, excused, repeat=repeat)
        sides.append(side)
        values.append({name: np.array(y) if is_array(y) else y for name, y in got.values.items()})
        if got.modified or got.hung:  # the other one must see what this one saw
            comparison = Comparison.of(case, reference)
    now, was = values
    apart = {name: distance(now[name], was[name]) for name in now if name in was}
    return Contrast.of(sides[0], sides[1], apart)


def one_side(case: Case, engine: Engine, reference: Engine, excused: Excused) -> Side:
    """What one of the two does with `case`."""
    return _judged(Comparison.of(case, reference), engine, excused, repeat=True)[0]


def of_death(death: Mismatch) -> Side:
    """The side of an engine that ended its process, or did not return."""
    return Side(Status.FAILED, wrong=type(death).__name__, headline=death.headline)


def _judged(
    comparison: Comparison, engine: Engine, excused: Excused, *, repeat: bool
) -> tuple[Side, Outcome]:
    case = comparison.case
    got = engine.observed_call(case, comparison.operands, comparison.grad_output, repeat=repeat)
    error = "" if got.error is None else f"{type(got.error).__name__}: {got.error}"
    error = _ADDRESS.sub("0x…", error).strip().replace("\n", " ⏎ ")
    did = partial(Side, error=error, offered=frozenset(got.values))
    try:
        verdict = comparison.verdict_on(engine, got)
    except Mismatch as mismatch:
        if (expected := excused(mismatch)) is None:
            kind = type(mismatch).__name__
            return did(Status.FAILED, wrong=kind, headline=mismatch.headline), got
        verdict = expected
    return did(verdict.status, verdict.ratios), got


_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")  # another one in each process


def distance(now: Any, was: Any) -> Distance:
    """How far apart two results are."""
    if not (is_array(now) and is_array(was)) or (now.shape, now.dtype) != (was.shape, was.dtype):
        return Distance(identical=False, alike=False)
    if now.tobytes() == was.tobytes():
        return Distance(identical=True)
    if now.dtype.kind not in "fciu":
        return Distance(identical=False)
    now, was = _real(now), _real(was)
    finite = np.isfinite(now) & np.isfinite(was)
    alike = (now == was) | (np.isnan(now) & np.isnan(was)) | finite
    ulps = _ordered(now[finite]), _ordered(was[finite])
    return Distance(identical=False, finite=bool(alike.all()), ulps=_furthest(*ulps))


def _real(y: Any) -> Any:
    """`y` in the machine's order of bytes, with a complex number's parts side by side."""
    native = np.ascontiguousarray(y, y.dtype.newbyteorder("="))
    return native.view(native.real.dtype) if native.dtype.kind == "c" else native


def _ordered(y: Any) -> Any:
    """Integers in the order of the floats: neighbours differ by 1, both zeros are 0."""
    if y.dtype.kind in "iu":
        return y
    bits = y.view(f"i{y.dtype.itemsize}")
    return np.where(bits < 0, np.iinfo(bits.dtype).min - bits, bits)


def _furthest(a: Any, b: Any) -> int:
    """The largest difference, which may need one bit more than the integers have."""
    if not a.size:
        return 0
    unsigned = np.dtype(f"u{a.dtype.itemsize}")
    return int((np.maximum(a, b).astype(unsigned) - np.minimum(a, b).astype(unsigned)).max())
