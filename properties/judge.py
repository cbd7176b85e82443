"""The judge: what an engine did with a case, held against what a trusted engine did."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from .case import Case, Operand
from .data import arrays, dtype_of
from .ops import OPS, terms_by_result
from .outcome import Outcome
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
    """A value beyond its bound, but by no more than ten times."""


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

    status: str  # agreed, rejected, failed, not claimed, or not judged
    ratio: float = 0.0  # worst error ÷ bound


REJECTIONS = (TypeError, ValueError, RuntimeError)


def widen(value: Any) -> Any:
    """An array in the dtype of the reference: float64, complex128 or int64."""
    if not isinstance(value, np.ndarray):
        return value
    return value.astype({"f": np.float64, "c": np.complex128}.get(value.dtype.kind, np.int64))


def reference(case: Case, operands: dict[str, Any], trusted: Subject) -> Outcome:
    """What the trusted engine does, in a dtype in which its rounding does not matter.

    Arrays of unlike dtypes stay as they are: whether they may meet is the question then.
    """
    dtypes = {v.dtype.newbyteorder("=") for v in operands.values() if isinstance(v, np.ndarray)}
    wide = operands if len(dtypes) > 1 else {k: widen(v) for k, v in operands.items()}
    try:
        return Outcome(trusted.results(case, wide))
    except Exception as error:  # noqa: BLE001 - a rejection is an answer
        return Outcome(error=error)


def magnitudes(case: Case, operands: dict[str, Any], trusted: Subject) -> dict[str, Any]:
    """S: the same call on absolute values, the scale of all rounding errors."""
    positive = {
        k: np.abs(widen(v)) if isinstance(v, np.ndarray) else v for k, v in operands.items()
    }
    return trusted.results(case, positive)


def judge(case: Case, subject: Subject, trusted: Subject) -> Verdict:
    """The verdict on `case`, or a `Mismatch`."""
    operands = arrays(case)
    expected = reference(case, operands, trusted)
    got = subject.call(case, operands)
    if got.hung:
        raise EngineHang(case, subject, "did not return")
    if got.not_claimed and not subject.own:
        return Verdict("not claimed")
    if expected.error is not None:
        return _judge_rejection(case, subject, expected.error, got)
    if got.error is not None:
        kind = RejectedValid if isinstance(got.error, REJECTIONS) else EngineCrash
        raise kind(
            case,
            subject,
            f"raised on a call that {trusted.spec} accepts",
            ("raised", _told(got.error)),
        )
    _judge_conduct(case, subject, got)
    ratios = [
        _judge_value(case, subject, trusted, operands, name, y, expected.values[name])
        for name, y in got.values.items()
    ]
    if got.unstable:
        raise NotRepeatable(case, subject, got.unstable)
    return Verdict("agreed", max(ratios))


def _judge_rejection(case: Case, subject: Subject, error: Exception, got: Outcome) -> Verdict:
    told = ("torch raised", _told(error))
    missing_kernel = isinstance(error, NotImplementedError)  # says nothing about the call
    if got.error is None and missing_kernel:
        return Verdict("not judged")
    if got.error is None:
        shape = {k: np.shape(v) for k, v in got.values.items()}
        raise AcceptedInvalid(
            case, subject, "accepted a call that torch rejects", told, ("engine gave", str(shape))
        )
    if subject.own:
        came = ("engine raised", _told(got.error))
        if not missing_kernel and not isinstance(got.error, type(error)):
            wanted = f"expected {type(error).__name__} or a subclass"
            raise WrongError(case, subject, wanted, told, came)
        if case.blame and blamed(got.error) != case.blame:
            wanted = f"expected a message that blames {case.blame!r}"
            raise WrongError(case, subject, wanted, told, came)
    return Verdict("rejected")


def blamed(error: Exception) -> str | None:
    """The argument that one of our own messages blames: 'conv2d() stride: expected …, got …'."""
    match = re.match(r"\w+\(\) (\w+): expected .*, got ", str(error), re.DOTALL)
    return match and match[1]


def _told(error: Exception) -> str:
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first[:200]}"


def _judge_conduct(case: Case, subject: Subject, got: Outcome) -> None:
    if got.modified:
        raise ArgumentModified(case, subject, f"wrote to its argument {', '.join(got.modified)}")
    if got.shared:
        raise MemoryShared(
            case, subject, f"returned memory of its argument {', '.join(got.shared)}"
        )


def _judge_value(
    case: Case,
    subject: Subject,
    trusted: Subject,
    operands: dict[str, Any],
    name: str,
    y: Any,
    y64: Any,
) -> float:
    """The worst error ÷ bound of one result, at most 1."""
    dtype = np.dtype(dtype_of(case))
    sides = (
        ("engine", f"{name} {getattr(y, 'dtype', type(y).__name__)} {np.shape(y)}"),
        (trusted.spec, f"{name} {dtype} {y64.shape}"),
    )
    if np.shape(y) != y64.shape:
        raise ShapeMismatch(case, subject, f"{name} has another shape", *sides)
    if not isinstance(y, np.ndarray) or y.dtype != dtype:
        raise DtypeMismatch(case, subject, f"{name} has another type", *sides)
    if is_exact(case, subject.accumulator(dtype.name)):
        with np.errstate(over="ignore"):
            exact = y64.astype(dtype)
        if np.array_equal(y, exact):
            return 0.0
        ratio = np.where((y == exact) | (np.isnan(y) & np.isnan(exact)), 0.0, np.inf)
        allowed = np.zeros(y.shape)
    else:
        ratio, allowed = ratios(case, subject, trusted, operands, name, y, y64)
        if not (ratio > 1).any():
            return float(ratio.max(initial=0.0))
    raise _value_mismatch(case, subject, name, sides, (y, y64, ratio, allowed))


def ratios(
    case: Case,
    subject: Subject,
    trusted: Subject,
    operands: dict[str, Any],
    name: str,
    y: Any,
    y64: Any,
) -> tuple[Any, Any]:
    """error ÷ bound and the bound, per element."""
    dtype = dtype_of(case)
    accumulator = subject.accumulator(dtype)
    shapes = {k: v.shape for k, v in operands.items() if isinstance(v, np.ndarray)}
    k = terms_by_result(OPS[case.op], shapes, case.arguments)[name]
    with np.errstate(all="ignore"):
        scale = magnitudes(case, operands, trusted)[name]
        allowed = bound(k, dtype, accumulator, y64, scale)
        return excess(widen(y), y64, allowed, scale, dtype, accumulator), allowed


def _value_mismatch(
    case: Case, subject: Subject, name: str, sides: Any, found: tuple[Any, Any, Any, Any]
) -> Mismatch:
    y, y64, ratio, allowed = found
    worst = np.unravel_index(np.argmax(ratio), ratio.shape)
    factor = float(ratio[worst])
    kind = MarginalValueMismatch if factor <= 10 else ValueMismatch
    how = (
        f"by {factor:.3g} × the allowed error" if np.isfinite(factor) else "where it must be exact"
    )
    error = np.abs(widen(y)[worst] - y64[worst])
    return kind(
        case,
        subject,
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


def own_ratio(case: Case, trusted: Subject) -> float:
    """torch's own worst error ÷ bound in the case's dtype, by the same measure."""
    operands = arrays(case)
    try:
        got = trusted.results(case, operands)
    except NotImplementedError:
        return 0.0
    expected = reference(case, operands, trusted).values
    return max(
        float(ratios(case, trusted, trusted, operands, name, y, expected[name])[0].max(initial=0.0))
        for name, y in got.items()
    )
