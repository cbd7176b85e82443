"""The comparison: what an engine did with a case, held against what the reference did.

    case -> arrays -> engine, in the case's dtype      -> outcome \
                                                                    compare -> verdict or Mismatch
                   -> reference, in float64 or as wide -> outcome /

Integer data are compared exactly, real data under the bound that `tolerance` derives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..cases.case import Case, Operand
from ..cases.data import arrays
from ..cases.operation import OPS, OUTPUT, terms_by_result
from .engine import Engine, Errors
from .mismatch import (
    MARGIN,
    AcceptedInvalid,
    ArgumentModified,
    DtypeMismatch,
    EngineCrash,
    EngineHang,
    GlobalStateChanged,
    GradientMismatch,
    MarginalGradientMismatch,
    MarginalValueMismatch,
    MemoryShared,
    Mismatch,
    NotRepeatable,
    OutOfMemory,
    RejectedValid,
    ShapeMismatch,
    Status,
    ValueMismatch,
    Verdict,
    WrongError,
)
from .normwise import transforms
from .outcome import REJECTIONS, Outcome, described, is_array, one_line, widen
from .stage import function_of
from .surroundings import PRINTED
from .tolerance import Transform, bound, excess, is_exact, statistical_bound

Detail = tuple[str, str]  # a row of a failure's block: its name and its text


def compare(case: Case, engine: Engine, reference: Engine, *, repeat: bool = True) -> Verdict:
    """The verdict on `case`, or a `Mismatch`; without `repeat` the engine is called only once."""
    return Comparison.of(case, reference).verdict(engine, repeat=repeat)


@dataclass
class Comparison:
    """One case: its arrays, and what the reference makes of them."""

    case: Case
    reference: Engine
    operands: dict[str, Any]
    grad_output: Any  # the gradient of the output, or None where there are no gradients
    expected: Outcome
    # By what an engine declares, and by result; made when asked for.
    transforms: dict[tuple[str, float], dict[str, Transform]] = field(default_factory=dict)

    @classmethod
    def of(cls, case: Case, reference: Engine) -> Comparison:
        """Fill the arrays of `case`, and ask the reference in a dtype in which its rounding
        does not matter.

        Arrays of unlike dtypes stay as they are: whether they may meet is the question then.
        """
        filled = arrays(case)
        operands = filled.operands
        dtypes = {v.dtype.newbyteorder("=") for v in operands.values() if is_array(v)}
        grad_output = None
        if all(dtype.kind in "fc" for dtype in dtypes):
            shape = case.output_shape
            grad_output = None if shape is None else filled.grad_output(shape)
        wide = operands if len(dtypes) > 1 else {k: widen(v) for k, v in operands.items()}
        try:
            expected = Outcome(reference.results(case, wide, widen(grad_output)))
        except Exception as error:  # noqa: BLE001 - a rejection is an answer
            expected = Outcome(error=error)
        return cls(case, reference, operands, grad_output, expected)

    @cached_property
    def scales(self) -> dict[str, Any]:
        """S of each result: the same call on absolute values."""
        positive = {k: np.abs(widen(v)) if is_array(v) else v for k, v in self.operands.items()}
        grad_output = None if self.grad_output is None else np.abs(widen(self.grad_output))
        with np.errstate(all="ignore"):
            return self.reference.results(self.case, positive, grad_output)

    def transform(self, engine: Engine, name: str) -> Transform | None:
        """What bounds one result of an engine with a normwise accuracy; None for any other."""
        declared = engine.accuracy.get(self.case.dtype)
        if declared is None or name == "grad_bias" or "weight" not in self.operands:
            return None
        accumulator, arrays = engine.accumulator(self.case.dtype), self.operands
        found = self.transforms.setdefault((accumulator, declared[1]), {})
        if not found:
            call = (self.case, arrays, self.grad_output)
            found |= transforms(*call, self.reference, accumulator, declared[1])
        return found[name]

    @cached_property
    def terms(self) -> dict[str, int]:
        """K, the number of terms, of each result."""
        shapes = {k: v.shape for k, v in self.operands.items() if is_array(v)}
        return terms_by_result(OPS[self.case.op], shapes, self.case.arguments)

    def verdict(self, engine: Engine, *, repeat: bool = True) -> Verdict:
        """Call `engine` and compare; without `repeat` it is called only once."""
        got = engine.observed_call(self.case, self.operands, self.grad_output, repeat=repeat)
        return self.verdict_on(engine, got)

    def verdict_on(self, engine: Engine, got: Outcome) -> Verdict:
        """Compare what `engine` did."""
        if got.not_claimed and not engine.strict:
            return Verdict(Status.NOT_CLAIMED)
        _check_conduct(self.case, engine, got)
        ended = got.hung or not isinstance(got.error, Exception | None)  # no way to reject a call
        if self.expected.error is not None and engine.errors is Errors.IGNORE:
            return Verdict(Status.NOT_JUDGED)
        if self.expected.error is not None and not ended:
            return self._compare_rejections(engine, got, self.expected.error)
        values = values_of(self.case, engine, got)
        names = [name for name in values if name in self.expected.values]
        ratios = {name: self._compare_values(engine, name, values[name]) for name in names}
        self._check_names(engine, values)
        if got.unstable:
            raise NotRepeatable(self.case, engine, got.unstable)
        statistical = max(
            (self._statistical(engine, name, values[name]) for name in names), default=0
        )
        return Verdict(Status.AGREED, ratios, statistical)

    def _compare_rejections(self, engine: Engine, got: Outcome, error: BaseException) -> Verdict:
        case = self.case
        expected = (f"{self.reference.spec} raised", one_line(error))
        missing_kernel = isinstance(error, NotImplementedError)  # says nothing about the call
        if got.error is None and missing_kernel:
            return Verdict(Status.NOT_JUDGED)
        if got.error is None:
            given = ", ".join(f"{k} {described(v)}" for k, v in got.values.items())
            headline = f"accepted a call that {self.reference.spec} rejects"
            raise AcceptedInvalid(case, engine, headline, expected, ("engine gave", given))
        if engine.errors is Errors.EXACT:
            came = ("engine raised", one_line(got.error))
            if not missing_kernel and not _is_a(got.error, type(error)):
                wanted = f"expected {type(error).__name__} or a subclass"
                raise WrongError(case, engine, wanted, expected, came).inside(got.function)
            argument = blamed(got.error)
            if case.blame and argument != case.blame and (argument or engine.strict):
                wanted = f"expected a message that blames {case.blame!r}"
                raise WrongError(case, engine, wanted, expected, came).inside(got.function)
        return Verdict(Status.REJECTED)

    def _check_names(self, engine: Engine, values: Mapping[str, Any]) -> None:
        """A gradient for each operand that has one, and none of anything else."""
        given, wanted = values.keys(), self.expected.values.keys()
        if extra := given - wanted:
            raise GradientMismatch(self.case, engine, f"gave a {_listed(extra)} of nothing")
        if engine.strict and (missing := wanted - given):
            raise GradientMismatch(self.case, engine, f"gave no {_listed(missing)}")

    def _compare_values(self, engine: Engine, name: str, y: Any) -> float:
        """The worst error ÷ bound of one result, at most 1."""
        y64, dtype = self.expected.values[name], np.dtype(self.case.dtype)
        sides = check_type(self.case, engine, name, y, (y64.shape, dtype, self.reference.spec))
        ratio, allowed = self.ratios(engine, name, y)
        if not (ratio > 1).any():
            return float(ratio.max(initial=0.0))
        raise self._value_mismatch(engine, name, sides, (y, y64, ratio, allowed))

    def ratios(self, engine: Engine, name: str, y: Any) -> tuple[Any, Any]:
        """error ÷ bound and the bound, per element of one result."""
        dtype, y64 = self.case.dtype, self.expected.values[name]
        accumulator = engine.accumulator(dtype)
        if transform := self.transform(engine, name):
            scale = transform.norms
            allowed = transform.bound(dtype, accumulator, y64)
            ratio = excess(widen(y), y64, allowed, scale, dtype, accumulator)
            return np.where(np.isinf(allowed), 0.0, ratio), allowed
        if is_exact(self.case, self.terms[name], accumulator):
            with np.errstate(over="ignore"):
                exact = y64.astype(dtype)
            alike = (y == exact) | (np.isnan(y) & np.isnan(exact))
            return np.where(alike, 0.0, np.inf), np.zeros(y.shape)
        scale = self.scales[name]
        with np.errstate(all="ignore"):
            allowed = bound(self.terms[name], dtype, accumulator, y64, scale)
            return excess(widen(y), y64, allowed, scale, dtype, accumulator), allowed

    def _statistical(self, engine: Engine, name: str, y: Any) -> float:
        """The worst error ÷ statistical bound of one result of data with mean zero."""
        case, accumulator, y64 = (
            self.case,
            engine.accumulator(self.case.dtype),
            self.expected.values[name],
        )
        if case.rule != "reals" or is_exact(case, self.terms[name], accumulator):
            return 0.0
        scale = self.scales[name]
        with np.errstate(all="ignore"):
            allowed = statistical_bound(case.dtype, accumulator, y64, scale)
            ratio = excess(widen(y), y64, allowed, scale, case.dtype, accumulator)
        return float(ratio.max(initial=0.0))

    def _value_mismatch(
        self, engine: Engine, name: str, sides: tuple[Detail, ...], found: tuple[Any, Any, Any, Any]
    ) -> Mismatch:
        y, y64, ratio, allowed = found
        worst = np.unravel_index(np.argmax(ratio), ratio.shape)
        factor = float(ratio[worst])
        how = (
            f"by {factor:.3g} × the allowed error"
            if np.isfinite(factor)
            else "where it must be exact"
        )
        if not (np.isfinite(y[worst]) and np.isfinite(y64[worst])):
            how = "in what is inf or nan"
        with np.errstate(all="ignore"):
            error = np.abs(widen(y)[worst] - y64[worst])
        kinds: tuple[type[Mismatch], type[Mismatch]] = (ValueMismatch, MarginalValueMismatch)
        if name != OUTPUT:
            kinds = (GradientMismatch, MarginalGradientMismatch)
        mismatch = kinds[factor <= MARGIN](
            self.case,
            engine,
            f"{name} is wrong {how}",
            *sides,
            ("differs", f"{int((ratio > 1).sum())} of {ratio.size} elements"),
            (
                "worst",
                f"at {tuple(map(int, worst))}: engine {y[worst]}, {y64.dtype} reference "
                f"{y64[worst]}, error {error:.6g}, allowed {allowed[worst]:.6g}",
            ),
        )
        mismatch.result, mismatch.wrong = name, ratio > 1
        return mismatch.inside(function_of(self.case, name))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def values_of(case: Case, engine: Engine, got: Outcome, *details: Detail) -> Mapping[str, Any]:
    """The results of a call that must succeed, by name, or the `Mismatch`."""
    if got.hung:
        hang = EngineHang(case, engine, f"did not return {got.hung}", *details)
        raise hang.inside(got.function)
    if got.error is not None:
        raise _raised(case, engine, got.error, *details).inside(got.function)
    return got.values


def _raised(case: Case, engine: Engine, error: BaseException, *details: Detail) -> Mismatch:
    """The failure of a valid call that raised."""
    details = (*details, ("raised", one_line(error)))
    if not isinstance(error, Exception):
        return EngineCrash(case, engine, f"raised {type(error).__name__}", *details)
    if isinstance(error, MemoryError):
        return OutOfMemory(case, engine, "ran out of memory on a valid call", *details)
    kind = RejectedValid if isinstance(error, REJECTIONS) else EngineCrash
    return kind(case, engine, "raised on a valid call", *details)


def check_type(
    case: Case,
    engine: Engine,
    name: str,
    y: Any,
    expected: tuple[tuple[int, ...], np.dtype[Any], str],
    *details: Detail,
) -> tuple[Detail, ...]:
    """Both sides' shape and dtype, for a failure's block; a `Mismatch` where they differ.

    `expected` is the shape, the dtype, and who says so.
    """
    shape, dtype, source = expected
    sides = (
        *details,
        ("engine", f"{name} {described(y)}"),
        (source, f"{name} {dtype} {shape}"),
    )
    found: Mismatch
    if not is_array(y) or isinstance(y, np.ma.MaskedArray):
        kind = "a masked array" if is_array(y) else f"a {type(y).__name__}, not a NumPy array"
        found = DtypeMismatch(case, engine, f"{name} is {kind}", *sides)
        raise found.inside(function_of(case, name))
    if y.shape != shape:
        found = ShapeMismatch(case, engine, f"{name} has another shape", *sides)
        raise found.inside(function_of(case, name))
    if y.dtype != dtype:
        found = DtypeMismatch(case, engine, f"{name} has another type", *sides)
        raise found.inside(function_of(case, name))
    return sides


def _check_conduct(case: Case, engine: Engine, got: Outcome) -> None:
    if got.modified:
        raise ArgumentModified(case, engine, f"wrote to its argument {', '.join(got.modified)}")
    if got.shared:
        raise MemoryShared(case, engine, f"returned memory of its argument {', '.join(got.shared)}")
    if got.changed:
        states = ", ".join(name for name in got.changed if name != PRINTED)
        told = [f"left {states} changed"] if states else []
        told += [f"printed to {PRINTED}"] if PRINTED in got.changed else []
        raise GlobalStateChanged(case, engine, " and ".join(told))


def _is_a(error: BaseException, kind: type[BaseException]) -> bool:
    """isinstance by name: a copy of the engine has classes of its own."""
    return kind.__name__ in [base.__name__ for base in type(error).__mro__]


def blamed(error: BaseException) -> str | None:
    """The argument that one of our own messages blames: 'conv2d() stride: expected …, got …'."""
    match = re.match(r"\w+\(\) (\w+): expected .*, got ", str(error), re.DOTALL)
    return match and match[1]


def reference_ratios(case: Case, reference: Engine) -> dict[str, float]:
    """The reference's own worst error ÷ bound in the case's dtype, by the same measure."""
    comparison = Comparison.of(case, reference)
    try:
        got = reference.results(case, comparison.operands, comparison.grad_output)
    except NotImplementedError:
        return {}
    return {
        name: float(comparison.ratios(reference, name, y)[0].max(initial=0.0))
        for name, y in got.items()
    }


def operand_summary(case: Case) -> str:
    """Shapes and dtypes of all operands, for a failure's block."""
    return ", ".join(
        f"{k} {v.dtype} {v.shape}" for k, v in case.operands.items() if isinstance(v, Operand)
    )
