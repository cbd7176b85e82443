"""What a comparison ends in: a verdict, or a mismatch of some kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Self

from ..cases.case import Case
from ..cases.operation import OUTPUT
from ..cases.sequence import CaseSequence
from .engine import Engine


class Status(StrEnum):
    """What a verdict says."""

    AGREED = "agreed"
    REJECTED = "rejected"  # by both
    DEVIATES = "deviates"  # from torch, by design
    NOT_CLAIMED = "not claimed"  # the engine does not offer it
    NOT_JUDGED = "not judged"  # torch has no kernel for what the engine computes
    KNOWN = "known"  # to fail: a shortcoming of the engine that it has declared
    FAILED = "failed"


class Failure(NamedTuple):
    """A failure in a word: its kind, the calls at fault, what to run to see it, and how."""

    kind: str
    calls: tuple[str, ...]
    source: str
    headline: str


@dataclass(frozen=True)
class Verdict:
    """The answer on one case."""

    status: Status
    ratios: Mapping[str, float] = field(default_factory=dict)  # worst error ÷ bound per result
    statistical: float = 0.0  # the worst error ÷ what random rounding hardly passes
    known: tuple[str, ...] = ()  # the lines of the shortcomings that excused a failure
    failures: tuple[Failure, ...] = ()  # that are recorded, not raised


class Mismatch(AssertionError):
    """A failed comparison; each kind is a class, so that Hypothesis keeps the kinds apart."""

    def __init__(
        self, case: Case, engine: Engine, headline: str, *details: tuple[str, str]
    ) -> None:
        self.case = case
        self.calls: tuple[Case, ...] = (case,)  # at fault; in a relation, others
        self.sequence: CaseSequence | None = None  # with which alone the case fails
        self.engine = engine.spec
        self.headline = headline
        self.details = details
        self.recent: tuple[str, ...] = ()  # the lines of what the process judged until then
        self.function = ""  # of the engine: which raised, hung, or gave a wrong result
        self.result = OUTPUT  # the result that differs
        self.wrong: Any = None  # where it differs: an array of bools
        self.explanation: tuple[tuple[str, str], ...] = ()  # more rows of its block
        self.map: tuple[str, ...] = ()  # a picture of where a result differs
        self.origin = ""  # the line of what showed this failure first, where it is another one
        self.fault: tuple[str, str] | None = None  # a known one: the name of its kind, its line
        self.shown = ""  # the name of the kind as which it showed first, where it is another one
        self.depends = False  # on earlier calls, or on chance: it does not show alone
        self.once = False  # nothing was found that shows it again
        self.settled = False  # whether it is the smallest failure of its fault
        super().__init__(f"{type(self).__name__}: {headline}\n  {case}")

    def inside(self, function: str) -> Self:
        """The same failure, of this function of the engine."""
        self.function = function
        return self

    @property
    def source(self) -> Case | CaseSequence:
        """What to run in order to see the failure again."""
        return self.sequence or self.case

    def __reduce__(self) -> tuple[Any, ...]:
        """To be sent from process to process: `args` are not what `__init__` takes."""
        return _received, (type(self), self.args, self.__dict__)


def in_a_word(mismatch: Mismatch) -> Failure:
    kind, raised = type(mismatch).__name__, dict(mismatch.details).get("raised", "")
    told = f"{mismatch.headline}: {raised}" if raised else mismatch.headline
    return Failure(kind, tuple(map(str, mismatch.calls)), str(mismatch.source), told)


def _received(kind: type[Mismatch], args: tuple[Any, ...], state: dict[str, Any]) -> Mismatch:
    mismatch = kind.__new__(kind, *args)
    mismatch.__dict__.update(state)
    return mismatch


class ShapeMismatch(Mismatch):
    """A result has another shape than torch's."""


class DtypeMismatch(Mismatch):
    """A result has another dtype than torch's, or is no array."""


class ValueMismatch(Mismatch):
    """The output is wrong where it must be exact, or more than `MARGIN` times beyond its bound."""


class MarginalValueMismatch(Mismatch):
    """The output is beyond its bound, but by no more than `MARGIN` times."""


class GradientMismatch(Mismatch):
    """A gradient is wrong as in `ValueMismatch`, is missing, or is one of nothing."""


class MarginalGradientMismatch(Mismatch):
    """A gradient is beyond its bound, but by no more than `MARGIN` times."""


class AcceptedInvalid(Mismatch):
    """The engine computed what torch rejects."""


class RejectedValid(Mismatch):
    """The engine rejected what torch computes."""


class WrongError(Mismatch):
    """Errors are held to torch's exactly, and its type or the argument it blames is another."""


class ArgumentModified(Mismatch):
    """The call wrote to memory of its arguments."""


class MemoryShared(Mismatch):
    """A result shares memory with an argument."""


class GlobalStateChanged(Mismatch):
    """The call left the state of the process changed, such as NumPy's error state."""


class NotRepeatable(Mismatch):
    """A later call gave another result, or changed an earlier one: state is kept."""


class EngineCrash(Mismatch):
    """The engine raised what is no rejection, or ended its process."""


class OutOfMemory(Mismatch):
    """The engine raised MemoryError on a call for which torch's memory sufficed."""


class EngineHang(Mismatch):
    """The engine did not return."""


class RelationBroken(Mismatch):
    """The two sides of a metamorphic relation differ."""


MARGIN = 10
KINDS = tuple(kind.__name__ for kind in Mismatch.__subclasses__())


def mismatches(error: BaseException | None) -> list[Mismatch]:
    """Every mismatch in `error`, which may be a group of several kinds."""
    if isinstance(error, Mismatch):
        return [error]
    if isinstance(error, BaseExceptionGroup):
        return [m for e in error.exceptions for m in mismatches(e)]
    return []
