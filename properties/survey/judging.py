"""The answers of a survey: each cell's cases, judged in a process that the engine may end."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

from ..cases.case import Case
from ..cases.data import arrays
from ..cases.operation import GRADIENTS, OPS, OUTPUT, Op
from ..comparison.compare import Comparison
from ..comparison.deviations import is_excused
from ..comparison.engine import Engine
from ..comparison.mismatch import (
    AcceptedInvalid,
    ArgumentModified,
    EngineCrash,
    EngineHang,
    GlobalStateChanged,
    MemoryShared,
    Mismatch,
    NotRepeatable,
    OutOfMemory,
    RejectedValid,
    Status,
    Verdict,
)
from ..comparison.outcome import Operands, Outcome
from ..session.isolation import CAN_FORK, Isolation, Judge, Sparing, here
from ..session.session import Predicate, Result, Session
from .cells import CONDUCT, GRADIENT, Cell, bases, derived, plain_cell, questions

SECONDS = 45.0  # for the whole survey, of which each op has its share
PREFERRED = ("float32", "float64")  # in which all but the dtypes is surveyed


class Answer(StrEnum):
    """What an engine does with the cases of a cell."""

    AGREES = "agrees"
    DIFFERS = "differs"
    REJECTS = "rejects"
    ACCEPTS = "accepts"
    CRASHES = "crashes"
    HANGS = "hangs"
    DEVIATES = "differs by design"
    NOT_CLAIMED = "not claimed"
    NOT_OFFERED = "not offered"
    NOT_JUDGED = "not judged"


@dataclass
class Finding:
    """The answer of one cell, and the smallest case that shows it if it is not `AGREES`."""

    op: str
    of: str
    which: str
    answer: Answer
    case: str = ""
    why: str = ""
    shown: int = 0  # cases with this answer
    judged: int = 0  # cases

    @property
    def key(self) -> tuple[str, str]:
        return self.of, self.which


_OF_MISMATCH: dict[type[Mismatch], Answer] = {
    RejectedValid: Answer.REJECTS,
    AcceptedInvalid: Answer.ACCEPTS,
    EngineCrash: Answer.CRASHES,
    OutOfMemory: Answer.CRASHES,
    EngineHang: Answer.HANGS,
}
_OF_STATUS = {
    Status.AGREED: Answer.AGREES,
    Status.REJECTED: Answer.AGREES,
    Status.DEVIATES: Answer.DEVIATES,
    Status.NOT_CLAIMED: Answer.NOT_CLAIMED,
    Status.NOT_JUDGED: Answer.NOT_JUDGED,
}
_NO_TIME = "the survey's time was used up"


class Surveyor:
    """Surveys the ops of the engine of a session, one after another."""

    def __init__(self, session: Session, seconds: float) -> None:
        Isolation(session).warm_up()
        self._session = session
        self._until = time.monotonic() + seconds
        self._judge = Judge(session) if CAN_FORK else None
        self._result = Sparing(self._judge or here(session))

    def survey(self, op: Op) -> list[Finding]:
        """The findings of all cells of `op`, the plain call's first."""
        try:
            return [*self._findings(op)]
        finally:
            if self._judge:
                self._judge.close()

    def _findings(self, op: Op) -> Iterable[Finding]:
        dtypes = self._session.options.dtypes
        plain, dtype, sound = self._soundest(op)
        yield plain
        if not sound:
            return
        agreed = [plain_cell(op, sound, dtype)]
        for cell in questions(op, dtype, dtypes, sound):
            yield (found := self._of(cell))
            if found.answer is Answer.AGREES:
                agreed.append(cell)
        for cell in derived(op, agreed):
            is_offered = cell.of != GRADIENT or offers(self._session.engine, op, cell.which)
            unoffered = Finding(op.name, cell.of, cell.which, Answer.NOT_OFFERED)
            yield self._of(cell) if is_offered else unoffered

    def _soundest(self, op: Op) -> tuple[Finding, str, list[Any]]:
        """The dtype in which most plain calls agree, and these."""
        kinds = [d for d in self._session.options.dtypes if d in PREFERRED]
        found: list[tuple[Finding, str, list[Any]]] = []
        for dtype in kinds or self._session.options.dtypes[:1]:
            cell = plain_cell(op, bases(op), dtype)
            one_by_one = [self._of(replace(cell, cases=(case,))) for case in cell.cases]
            sound = [
                geometry
                for geometry, finding in zip(bases(op), one_by_one, strict=True)
                if finding.answer is Answer.AGREES
            ]
            plain = _first_of(one_by_one)
            if found and plain.answer is Answer.AGREES:
                plain = replace(plain, why=f"in {dtype}, where {found[0][1]} does not agree")
            found.append((plain, dtype, sound))
            if len(sound) == len(one_by_one):
                break
        return max(found, key=lambda each: len(each[2]))

    def _of(self, cell: Cell) -> Finding:
        """Judge the cases of `cell`: the first that fails is its answer, or else the first that
        does not agree."""
        predicate = _PREDICATES[cell.aspect]
        findings = []
        for case in cell.cases:
            answer, why = self._answer(predicate, case)
            findings.append(Finding(cell.op, cell.of, cell.which, answer, str(case), why, 1, 1))
            if answer in (Answer.HANGS, Answer.CRASHES):
                break
        return _first_of(findings)

    def _answer(self, predicate: Predicate, case: Case) -> tuple[Answer, str]:
        if time.monotonic() > self._until:
            return Answer.NOT_JUDGED, _NO_TIME
        try:
            result: Result = self._result(predicate, case)
        except Mismatch as mismatch:
            result = mismatch
        if result is None:
            return Answer.NOT_JUDGED, "calls that hang have used up their time"
        if isinstance(result, Mismatch):
            return _OF_MISMATCH.get(type(result), Answer.DIFFERS), reason(result)
        if isinstance(result, BaseException):
            raise result
        return _OF_STATUS[result.status], ""


_FIRST = (Answer.AGREES, Answer.NOT_JUDGED, Answer.NOT_CLAIMED, Answer.DEVIATES)


def _first_of(findings: list[Finding]) -> Finding:
    """What several cases say together, in the words of the smallest that says it."""
    failed = [f for f in findings if f.answer not in _FIRST]
    others = [f for f in findings if f.answer is not Answer.AGREES]
    told = [*failed, *others, *findings][0]
    alike = sum(f.answer is told.answer for f in findings)
    if told.answer is Answer.AGREES:
        told = replace(told, case="")
    return replace(told, shown=alike, judged=len(findings))


def reason(mismatch: Mismatch) -> str:
    """Why, in one line: the kind of failure, and what of its block says most."""
    told = dict(mismatch.details)
    names = [name for name in ("raised", "torch raised", "worst") if name in told]
    both = [f"{name}: {told[name]}" for name in ("engine", "torch") if name in told]
    return "; ".join([mismatch.headline, *([told[names[0]]] if names else both)])


def offers(engine: Engine, op: Op, gradient: str) -> bool:
    """Whether the engine has a function, or a layer a method, for a gradient."""
    namespace = engine.namespace
    if op.is_layer:
        return hasattr(getattr(namespace, op.name), "backward")
    grad = getattr(namespace, "grad", None)
    return hasattr(namespace, "gradients") or hasattr(grad, _function(op, gradient))


def _function(op: Op, gradient: str) -> str:
    """The name in torch.nn.grad's style of what computes a gradient."""
    operand = gradient.removeprefix("grad_")
    return f"conv{op.axes}d_bias" if operand == "bias" else f"{op.name}_{operand}"


class _Part:
    """A namespace of which one gradient is offered, so that others have no say."""

    def __init__(self, namespace: Any, function: str) -> None:
        self._namespace = namespace
        found = getattr(getattr(namespace, "grad", None), function, None)
        self.grad = SimpleNamespace(**({function: found} if found else {}))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._namespace, name)


def _offering(engine: Engine, op: Op, gradient: str) -> Engine:
    part = copy.copy(engine)
    if not op.is_layer:
        part.namespace = _Part(engine.namespace, _function(op, gradient))
    return part


def _excusing(comparison: Comparison, engine: Engine, got: Outcome) -> Verdict:
    """The verdict; an engine may differ as its list says."""
    try:
        return comparison.verdict_on(engine, got)
    except Mismatch as mismatch:
        if not is_excused(mismatch, engine):
            raise
        return Verdict(Status.DEVIATES)


def _about(comparison: Comparison, name: str) -> Comparison:
    """`comparison` with one result alone."""
    expected = comparison.expected
    if expected.error is not None:
        return comparison
    values = {k: v for k, v in expected.values.items() if k == name}
    return replace(comparison, expected=replace(expected, values=values))


def _given(comparison: Comparison) -> tuple[Operands, Any]:
    """Arrays for the engine alone: what it writes to must not change the reference's."""
    filled, gradient = arrays(comparison.case), comparison.grad_output
    return filled.operands, None if gradient is None else filled.grad_output(gradient.shape)


def output(case: Case, session: Session) -> Verdict:
    """The output alone: no gradient is asked for."""
    engine, comparison = session.engine, Comparison.of(case, session.oracle)
    operands, _ = _given(comparison)
    return _excusing(_about(comparison, OUTPUT), engine, engine.call(case, operands))


def _gradient(name: str) -> Predicate:
    def gradient(case: Case, session: Session) -> Verdict:
        comparison = Comparison.of(case, session.oracle)
        engine = _offering(session.engine, OPS[case.op], name)
        got = engine.call(case, *_given(comparison))
        if got.error is None and not got.hung and name not in got.values:
            return Verdict(Status.NOT_CLAIMED)
        only = replace(got, values={k: v for k, v in got.values.items() if k == name})
        return _excusing(_about(comparison, name), engine, only)

    return gradient


def _conduct(kind: type[Mismatch], headline: Callable[[Outcome], str]) -> Predicate:
    def conduct(case: Case, session: Session) -> Verdict:
        comparison = Comparison.of(case, session.oracle)
        given = comparison.operands, comparison.grad_output
        got = session.engine.observed_call(case, *given)
        if told := headline(got):
            raise kind(case, session.engine, told)
        return Verdict(Status.NOT_JUDGED if got.error or got.hung else Status.AGREED)

    return conduct


def _told(text: str, names: tuple[str, ...]) -> str:
    return f"{text} {', '.join(names)}" if names else ""


_CONDUCT: tuple[tuple[type[Mismatch], Callable[[Outcome], str]], ...] = (
    (ArgumentModified, lambda got: _told("wrote to its argument", got.modified)),
    (MemoryShared, lambda got: _told("returned memory of its argument", got.shared)),
    (NotRepeatable, lambda got: got.unstable),
    (GlobalStateChanged, lambda got: _told("changed", got.changed)),
)
_PREDICATES: dict[str, Predicate] = {
    OUTPUT: output,
    **{name: _gradient(name) for name in GRADIENTS},
    **{name: _conduct(*how) for name, how in zip(CONDUCT, _CONDUCT, strict=True)},
}
