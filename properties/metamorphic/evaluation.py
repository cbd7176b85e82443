"""What a metamorphic relation starts from, and how two sides of it are compared.

A relation says that two expressions in results of the engine are equal. Each result stands within
a derived bound of the true one, so two sides may differ by the sum of their bounds; on integers
in range the bounds are 0. The scale S comes from our engine's definition: no torch is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cases.case import Case, Operand
from ..cases.data import BITS, arrays, widest_range
from ..cases.edit import natural, plain
from ..cases.operation import OPS, OUTPUT, PER_AXIS, Shapes, border, output_shape, terms_by_result
from ..comparison.ball import Ball
from ..comparison.compare import REJECTION_TYPES
from ..comparison.mismatch import (
    DtypeMismatch,
    EngineCrash,
    EngineHang,
    RejectedValid,
    RelationBroken,
    ShapeMismatch,
    Verdict,
)
from ..comparison.outcome import one_line, widen
from ..comparison.tolerance import bound, is_exact, largest, unit_roundoff
from ..session.session import Session


class NotClaimed(Exception):
    """The engine does not offer a call that the relation needs."""


class Evaluation:
    """A suitable case: its arrays, its arguments one value per axis, and calls of the engine."""

    def __init__(self, case: Case, session: Session, origin: Case, equation: str) -> None:
        self.case, self.session, self.op = case, session, OPS[case.op]
        self.origin, self.equation = origin, equation  # what a failure names
        self.filled = arrays(case)
        self.operands, self.arguments = self.filled.operands, plain(case)
        self.x, self.w = self.operands["input"], self.operands.get("weight")
        self.b = self.operands.get("bias")

    def __getattr__(self, name: str) -> Any:
        """An argument, as `self.stride`."""
        try:
            return self.__dict__["arguments"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def channel(self) -> int:
        """The axis of channels, counted from the end."""
        return -self.op.axes - 1

    @property
    def kernel(self) -> tuple[int, ...]:
        return self.w.shape[2:]

    @property
    def size(self) -> tuple[int, ...]:
        return self.x.shape[-self.op.axes :]

    @property
    def border(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return border(self.op, self.kernel, self.arguments)

    @property
    def terms(self) -> int:
        """The number of products in one element of the output."""
        shapes = {k: v.shape for k, v in self.operands.items()}
        return terms_by_result(self.op, shapes, self.arguments)[OUTPUT]

    @property
    def output_shape(self) -> tuple[int, ...]:
        return output_shape(self.op, {k: v.shape for k, v in self.operands.items()}, self.arguments)

    def gy(self, shape: tuple[int, ...]) -> Any:
        """More data of the case's rule."""
        return self.filled.grad_output(shape)

    def call(self, op: str = "", *, terms: int | None = None, **changed: Any) -> Ball:
        """The engine's output for the case, with some operands and arguments changed."""
        case, operands = self.derived(op or self.case.op, changed) if changed or op else self._as_is
        return self.results(case, operands, None, terms)[OUTPUT]

    def with_gradients(self, gy: Any) -> dict[str, Ball]:
        return self.results(*self._as_is, gy)

    @property
    def _as_is(self) -> tuple[Case, dict[str, Any]]:
        return self.case, self.operands

    def derived(self, name: str, changed: dict[str, Any]) -> tuple[Case, dict[str, Any]]:
        op = OPS[name]
        given = {**self.operands, **self.arguments, **changed}
        operands = {k: given[k] for k in op.operands if given.get(k) is not None}
        arguments = {k: given[k] for k in op.arguments if k in given}
        for key in {*PER_AXIS} & {*arguments}:
            if isinstance(arguments[key], tuple):
                arguments[key] = natural(arguments[key])
        arguments = {k: v for k, v in arguments.items() if v != op.arguments[k]}
        declared = {k: Operand(v.shape, v.dtype.name) for k, v in operands.items()}
        return Case(name, declared, arguments, self.case.data), operands

    def results(
        self, case: Case, operands: dict[str, Any], gy: Any, terms: int | None = None
    ) -> dict[str, Ball]:
        """The engine's results of one call, each with its bound."""
        engine = self.session.engine
        got = engine.call(case, operands, gy)
        if got.hung:
            raise EngineHang(self.origin, engine, "did not return", ("call", str(case)))
        if got.not_claimed and not engine.strict:
            raise NotClaimed
        if got.error is not None:
            kind = RejectedValid if isinstance(got.error, REJECTION_TYPES) else EngineCrash
            told = (("call", str(case)), ("raised", one_line(got.error)))
            raise kind(self.origin, engine, "raised on a valid call", *told)
        shapes = {k: v.shape for k, v in operands.items()}
        counts = terms_by_result(OPS[case.op], shapes, case.arguments)
        scales = _Scales(self.session, case, operands, gy)
        for name, value in got.values.items():
            self._check_type(case, name, value, shapes)
        return {
            name: Ball(widen(y), self._allowed(name, y, terms or counts[name], scales), str(case))
            for name, y in got.values.items()
        }

    def _check_type(self, case: Case, name: str, value: Any, shapes: Shapes) -> None:
        shape = shapes.get(name.removeprefix("grad_")) or output_shape(
            OPS[case.op], shapes, case.arguments
        )
        dtype = np.dtype(case.dtype)
        got = f"{name} {getattr(value, 'dtype', type(value).__name__)} {np.shape(value)}"
        told = (("call", str(case)), ("engine", got), ("expected", f"{name} {dtype} {shape}"))
        if np.shape(value) != shape:
            raise ShapeMismatch(
                self.origin, self.session.engine, f"{name} has another shape", *told
            )
        if getattr(value, "dtype", None) != dtype:
            raise DtypeMismatch(self.origin, self.session.engine, f"{name} has another type", *told)

    def _allowed(self, name: str, y: Any, k: int, scales: _Scales) -> Any:
        """How far each element of a result of `k` terms may be from the true one."""
        dtype = self.case.dtype
        accumulator = self.session.engine.accumulator(dtype)
        exact = is_exact(self.case, k, accumulator)
        if exact and (k == 0 or scales.magnitude <= scales.widest(k)):
            if dtype != "float16":
                return np.zeros(y.shape)
            magnitude = np.abs(widen(y))  # summed exactly, then rounded to 11 bits
            return np.where(magnitude >= 2048, 2.0**-11 * magnitude / (1 - 2.0**-11), 0.0)
        with np.errstate(all="ignore"):
            scale = scales.of(name)
            allowed = bound(k, dtype, accumulator, 0.0, scale)
            if dtype != accumulator:
                u = unit_roundoff(dtype)
                allowed = allowed + u / (1 - u) * (np.abs(widen(y)) + allowed)
            ceiling = min(largest(dtype), largest(accumulator))
            allowed = np.where(scale + allowed >= ceiling, np.inf, allowed)  # it may overflow
            return np.where(np.isfinite(scale), allowed, 0.0)

    def broken(self, headline: str, *details: tuple[str, str]) -> RelationBroken:
        headline = f"{self.equation}: {headline}"
        return RelationBroken(self.origin, self.session.engine, headline, *details)

    def compare(self, left: Ball, right: Ball) -> None:
        """Nothing, if both sides are equal within their bounds."""
        sides = (("left", left.calls), ("right", right.calls or "computed from the data"))
        if left.value.shape != right.value.shape:
            shapes = f"{left.value.shape} and {right.value.shape}"
            raise self.broken("the sides differ in shape", *sides, ("shapes", shapes))
        wrong, allowed = np.atleast_1d(*self._wrong(left, right))
        if wrong.any():
            at = np.unravel_index(np.argmax(np.where(wrong, _excess(left, right), -1)), wrong.shape)
            a, b = (np.atleast_1d(side.value)[at] for side in (left, right))
            worst = f"at {tuple(map(int, at))}: left {a}, right {b}, error {abs(a - b):.6g}"
            count = f"{int(wrong.sum())} of {wrong.size} elements"
            worst = f"{worst}, allowed {allowed[at]:.6g}"
            raise self.broken("the sides differ", *sides, ("differs", count), ("worst", worst))

    def _wrong(self, left: Ball, right: Ball) -> tuple[Any, Any]:
        """Whether each element differs by more than is allowed, and how much that is."""
        allowed = np.broadcast_to(left.allowed + right.allowed, left.value.shape)
        if left.value.dtype.kind == "i":  # modulo 2**bits
            return (left.value - right.value).astype(self.case.dtype) != 0, allowed
        with np.errstate(all="ignore"):
            gap = _excess(left, right)
            alike = (gap <= allowed) | (left.value == right.value) | (allowed == np.inf)
        if object not in (left.value.dtype, right.value.dtype):
            alike |= np.isnan(left.value) & np.isnan(right.value)
        return ~alike.astype(bool), allowed


def _excess(left: Ball, right: Ball) -> Any:
    with np.errstate(all="ignore"):
        gap = np.abs(left.value - right.value).astype(np.float64)
    return np.where(np.isnan(gap), np.inf, gap)


@dataclass
class _Scales:
    """What bounds the results of one call: the widest operand, and S."""

    session: Session
    case: Case
    operands: dict[str, Any]
    gy: Any

    @property
    def magnitude(self) -> int:
        values = [widen(v) for v in (*self.operands.values(), self.gy) if v is not None]
        return max(int(np.abs(p).max(initial=0)) for v in values for p in (v.real, v.imag))

    def widest(self, k: int) -> int:
        """The widest operand with which sums of `k` terms are exact."""
        dtype = self.case.dtype
        if np.dtype(dtype).kind in "iu":
            return 1 << 64
        if "weight" in self.operands:
            return widest_range(max(1, k), dtype)
        top = 65504 if dtype == "float16" else (1 << BITS[dtype]) - 1
        return top // max(1, k)  # sums of elements, not of products

    def of(self, name: str) -> Any:
        """S of a result: the same call on absolute values, by the definition."""
        positive = {k: np.abs(widen(v)) for k, v in self.operands.items()}
        gy = None if self.gy is None else np.abs(widen(self.gy))
        return self.session.definition.results(self.case, positive, gy)[name]


Sides = Iterator[tuple[Ball, Ball]]


def verdict(equation: Callable[[Evaluation], Sides], premise: Evaluation) -> Verdict:
    """Whether all that `equation` calls equal is."""
    seen = Verdict("not claimed")
    for left, right in equation(premise):
        premise.compare(left, right)
        seen = Verdict("agreed")
    return seen
