"""The judge: what an engine did with a case, held against what a trusted engine did."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .case import Case, Operand
from .data import arrays, dtype_of
from .ops import OPS, OUTPUT, terms_by_result
from .outcome import Outcome, told_of
from .subject import Subject
from .tolerance import bound, excess, is_exact


class Mismatch(AssertionError):
    """A failed verdict; each kind is a class, so that Hypothesis keeps the kinds apart."""

    def __init__(
        self, case: Case, subject: Subject, headline: str, *details: tuple[str, str]
    ) -> None:
        self.case = case
        self.engine = subject.spec
        self.headline = headline
        self.details = details
        super().__init__(f"{type(self).__name__}: {headline}\n  {case}")


class ShapeMismatch(Mismatch): ...


class DtypeMismatch(Mismatch): ...


class ValueMismatch(Mismatch): ...


class MarginalValueMismatch(Mismatch):
    """A value beyond its bound, but by no more than `MARGIN` times."""


class GradientMismatch(Mismatch): ...


class MarginalGradientMismatch(Mismatch):
    """A gradient beyond its bound, but by no more than `MARGIN` times."""


class AcceptedInvalid(Mismatch): ...


class RejectedValid(Mismatch): ...


class WrongError(Mismatch): ...


class ArgumentModified(Mismatch): ...


class MemoryShared(Mismatch): ...


class NotRepeatable(Mismatch): ...


class EngineCrash(Mismatch): ...


class EngineHang(Mismatch): ...


def mismatches(error: BaseException | None) -> list[Mismatch]:
    """Every mismatch in `error`, which may be a group of several kinds."""
    if isinstance(error, Mismatch):
        return [error]
    if isinstance(error, BaseExceptionGroup):
        return [m for e in error.exceptions for m in mismatches(e)]
    return []


@dataclass(frozen=True)
class Verdict:
    """What a case that did not fail showed."""

    status: str  # agreed, rejected, failed, deviates, not claimed, or not judged
    ratios: Mapping[str, float] = field(default_factory=dict)  # worst error ÷ bound per result


MARGIN = 10
REJECTIONS = (TypeError, ValueError, RuntimeError)


def widen(value: Any) -> Any:
    """An array in the dtype of the reference: float64, complex128 or int64."""
    if not isinstance(value, np.ndarray):
        return value
    return value.astype({"f": np.float64, "c": np.complex128}.get(value.dtype.kind, np.int64))


@dataclass
class Trial:
    """One case before the judge: its arrays, and what the trusted engine makes of them."""

    case: Case
    subject: Subject
    trusted: Subject
    operands: dict[str, Any]
    gy: Any  # the gradient of the output, or None where there are no gradients
    expected: Outcome

    @cached_property
    def scales(self) -> dict[str, Any]:
        """S of each result: the same call on absolute values."""
        positive = {k: np.abs(widen(v)) if _is_array(v) else v for k, v in self.operands.items()}
        gy = None if self.gy is None else np.abs(widen(self.gy))
        with np.errstate(all="ignore"):
            return self.trusted.results(self.case, positive, gy)

    @cached_property
    def terms(self) -> dict[str, int]:
        shapes = {k: v.shape for k, v in self.operands.items() if _is_array(v)}
        return terms_by_result(OPS[self.case.op], shapes, self.case.arguments)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def opened(case: Case, subject: Subject, trusted: Subject) -> Trial:
    """Fill the arrays of `case`, and ask the trusted engine in a dtype in which its rounding
    does not matter.

    Arrays of unlike dtypes stay as they are: whether they may meet is the question then.
    """
    filled = arrays(case)
    operands, gys = filled.operands, []

    def wide_gy(shape: tuple[int, ...]) -> Any:
        gys.append(filled.grad_output(shape))
        return widen(gys[0])

    dtypes = {v.dtype.newbyteorder("=") for v in operands.values() if _is_array(v)}
    wide = operands if len(dtypes) > 1 else {k: widen(v) for k, v in operands.items()}
    differentiable = OPS[case.op].has_gradients and all(d.kind in "fc" for d in dtypes)
    try:
        expected = Outcome(trusted.results(case, wide, wide_gy if differentiable else None))
    except Exception as error:  # noqa: BLE001 - a rejection is an answer
        expected = Outcome(error=error)
    return Trial(case, subject, trusted, operands, next(iter(gys), None), expected)


def judge(case: Case, subject: Subject, trusted: Subject, *, repeat: bool = True) -> Verdict:
    """The verdict on `case`, or a `Mismatch`; without `repeat` the engine is called only once."""
    return verdict(opened(case, subject, trusted), repeat=repeat)


def verdict(trial: Trial, *, repeat: bool = True) -> Verdict:
    """The verdict on an opened trial, or a `Mismatch`."""
    case, subject, trusted = trial.case, trial.subject, trial.trusted
    got = subject.call(case, trial.operands, trial.gy, repeat=repeat)
    if got.hung:
        raise EngineHang(case, subject, "did not return")
    if got.not_claimed and not subject.own:
        return Verdict("not claimed")
    _judge_conduct(case, subject, got)
    if trial.expected.error is not None:
        return _judge_rejection(trial, trial.expected.error, got)
    if got.error is not None:
        kind = RejectedValid if isinstance(got.error, REJECTIONS) else EngineCrash
        headline = f"raised on a call that {trusted.spec} accepts"
        raise kind(case, subject, headline, ("raised", told_of(got.error)))
    if extra := got.values.keys() - trial.expected.values.keys():
        raise GradientMismatch(case, subject, f"gave a {', '.join(sorted(extra))} of nothing")
    ratios = {name: _judge_value(trial, name, y) for name, y in got.values.items()}
    if subject.own and (missing := trial.expected.values.keys() - got.values.keys()):
        raise GradientMismatch(case, subject, f"gave no {', '.join(sorted(missing))}")
    if got.unstable:
        raise NotRepeatable(case, subject, got.unstable)
    return Verdict("agreed", ratios)


def _judge_rejection(trial: Trial, error: Exception, got: Outcome) -> Verdict:
    case, subject = trial.case, trial.subject
    told = (f"{trial.trusted.spec} raised", told_of(error))
    missing_kernel = isinstance(error, NotImplementedError)  # says nothing about the call
    if got.error is None and missing_kernel:
        return Verdict("not judged")
    if got.error is None:
        shape = {k: np.shape(v) for k, v in got.values.items()}
        headline = f"accepted a call that {trial.trusted.spec} rejects"
        raise AcceptedInvalid(case, subject, headline, told, ("engine gave", str(shape)))
    if subject.own:
        came = ("engine raised", told_of(got.error))
        if not missing_kernel and not _is_a(got.error, type(error)):
            wanted = f"expected {type(error).__name__} or a subclass"
            raise WrongError(case, subject, wanted, told, came)
        if case.blame and blamed(got.error) != case.blame:
            wanted = f"expected a message that blames {case.blame!r}"
            raise WrongError(case, subject, wanted, told, came)
    return Verdict("rejected")


def _is_a(error: Exception, kind: type[Exception]) -> bool:
    """isinstance by name: a copy of the engine has classes of its own."""
    return kind.__name__ in [base.__name__ for base in type(error).__mro__]


def blamed(error: Exception) -> str | None:
    """The argument that one of our own messages blames: 'conv2d() stride: expected …, got …'."""
    match = re.match(r"\w+\(\) (\w+): expected .*, got ", str(error), re.DOTALL)
    return match and match[1]


def _judge_conduct(case: Case, subject: Subject, got: Outcome) -> None:
    if got.modified:
        raise ArgumentModified(case, subject, f"wrote to its argument {', '.join(got.modified)}")
    if got.shared:
        raise MemoryShared(
            case, subject, f"returned memory of its argument {', '.join(got.shared)}"
        )


def _judge_value(trial: Trial, name: str, y: Any) -> float:
    """The worst error ÷ bound of one result, at most 1."""
    case, subject, y64 = trial.case, trial.subject, trial.expected.values[name]
    dtype = np.dtype(dtype_of(case))
    sides = (
        ("engine", f"{name} {getattr(y, 'dtype', type(y).__name__)} {np.shape(y)}"),
        (trial.trusted.spec, f"{name} {dtype} {y64.shape}"),
    )
    if np.shape(y) != y64.shape:
        raise ShapeMismatch(case, subject, f"{name} has another shape", *sides)
    if not _is_array(y) or y.dtype != dtype:
        raise DtypeMismatch(case, subject, f"{name} has another type", *sides)
    if is_exact(case, trial.terms[name], subject.accumulator(dtype.name)):
        with np.errstate(over="ignore"):
            exact = y64.astype(dtype)
        if np.array_equal(y, exact):
            return 0.0
        ratio = np.where((y == exact) | (np.isnan(y) & np.isnan(exact)), 0.0, np.inf)
        allowed = np.zeros(y.shape)
    else:
        ratio, allowed = _ratios(trial, name, y)
    if not (ratio > 1).any():
        return float(ratio.max(initial=0.0))
    raise _value_mismatch(trial, name, sides, (y, y64, ratio, allowed))


def _ratios(trial: Trial, name: str, y: Any) -> tuple[Any, Any]:
    """error ÷ bound and the bound, per element."""
    dtype = dtype_of(trial.case)
    accumulator = trial.subject.accumulator(dtype)
    scale, y64 = trial.scales[name], trial.expected.values[name]
    with np.errstate(all="ignore"):
        allowed = bound(trial.terms[name], dtype, accumulator, y64, scale)
        return excess(widen(y), y64, allowed, scale, dtype, accumulator), allowed


def own_ratios(case: Case, trusted: Subject) -> dict[str, float]:
    """The trusted engine's own worst error ÷ bound in the case's dtype, by the same measure."""
    trial = opened(case, trusted, trusted)
    try:
        got = trusted.results(case, trial.operands, trial.gy)
    except NotImplementedError:
        return {}
    return {name: float(_ratios(trial, name, y)[0].max(initial=0.0)) for name, y in got.items()}


def _value_mismatch(
    trial: Trial, name: str, sides: Any, found: tuple[Any, Any, Any, Any]
) -> Mismatch:
    y, y64, ratio, allowed = found
    worst = np.unravel_index(np.argmax(ratio), ratio.shape)
    factor = float(ratio[worst])
    how = (
        f"by {factor:.3g} × the allowed error" if np.isfinite(factor) else "where it must be exact"
    )
    if not (np.isfinite(y[worst]) and np.isfinite(y64[worst])):
        how = "in what is inf or nan"
    with np.errstate(all="ignore"):
        error = np.abs(widen(y)[worst] - y64[worst])
    kinds = (ValueMismatch, MarginalValueMismatch)
    if name != OUTPUT:
        kinds = (GradientMismatch, MarginalGradientMismatch)
    return kinds[factor <= MARGIN](
        trial.case,
        trial.subject,
        f"{name} is wrong {how}",
        *sides,
        ("differs", f"{int((ratio > 1).sum())} of {ratio.size} elements"),
        (
            "worst",
            f"at {tuple(map(int, worst))}: engine {y[worst]}, {y64.dtype} reference {y64[worst]}, "
            f"error {error:.6g}, allowed {allowed[worst]:.6g}",
        ),
    )


def operand_summary(case: Case) -> str:
    """Shapes and dtypes of all operands, for the failure block."""
    return ", ".join(
        f"{k} {v.dtype} {v.shape}" for k, v in case.operands.items() if isinstance(v, Operand)
    )
