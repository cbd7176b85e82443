"""What a metamorphic relation starts from, and how two sides of it are compared.

A relation says that two expressions in results of the engine are equal. Each result stands within
a derived bound of the true one, so two sides may differ by the sum of their bounds; on integers
in range the bounds are 0. The scale S comes from our engine's definition: no torch is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from .case import Case, Operand
from .court import Court
from .data import BITS, arrays, dtype_of, widest_range
from .judge import (
    REJECTIONS,
    DtypeMismatch,
    EngineCrash,
    EngineHang,
    Mismatch,
    RejectedValid,
    ShapeMismatch,
    Verdict,
    widen,
)
from .ops import (
    OPS,
    OUTPUT,
    Shapes,
    border,
    per_axis,
    positions,
    terms_by_result,
    transposed_size,
)
from .outcome import told_of
from .space import natural
from .suitable import PER_AXIS, plain
from .tolerance import bound, is_exact, largest, unit_roundoff


class RelationBroken(Mismatch):
    """Two sides of a metamorphic relation differ."""


class NotClaimed(Exception):
    """The engine does not offer a call that the relation needs."""


@dataclass(frozen=True)
class Near:
    """A result, or what follows from some, and how far each element may be from the true one."""

    value: Any  # float64, complex128 or int64; Python integers where sums could be wider
    allowed: Any
    calls: str = ""

    def of(self, rearranged: Callable[[Any], Any]) -> Near:
        return Near(rearranged(self.value), rearranged(self.allowed), self.calls)

    def __getitem__(self, index: Any) -> Near:
        return self.of(lambda a: a[index])

    def __add__(self, other: Any) -> Near:
        other = other if isinstance(other, Near) else exactly(other)
        calls = f"{self.calls} + {other.calls or 'data'}"
        with np.errstate(all="ignore"):
            return Near(self.value + other.value, self.allowed + other.allowed, calls)

    def __sub__(self, other: Near) -> Near:
        calls = f"{self.calls} - {other.calls}"
        return Near(self.value - other.value, self.allowed + other.allowed, calls)

    def dot(self, array: Any) -> Near:
        """Σ value · array, not conjugated; its parts, so that integers stay exact."""
        a, b = self.value.ravel(), widen(array).ravel()
        calls = f"⟨{self.calls or 'data'}, data⟩"
        if a.dtype.kind == "i":
            return Near(np.array([a @ b]), np.zeros(1), calls)
        allowed = (self.allowed.ravel() * np.abs(b)).sum()
        if allowed == 0 and _is_integral(a) and _is_integral(b):
            return Near(np.array(_exact_dot(a, b), dtype=object), 0.0, calls)
        allowed += 4 * (a.size + 4) * 2.0**-53 * (np.abs(a) * np.abs(b)).sum()
        total = np.sum(a * b)
        parts = [total.real, total.imag] if a.dtype.kind == "c" else [total]
        return Near(np.array(parts), np.full(len(parts), allowed), calls)


def exactly(value: Any) -> Near:
    """What is known without the engine."""
    value = widen(value)
    return Near(value, np.zeros(value.shape))


def joined(nears: list[Near], axis: int) -> Near:
    calls = ", ".join(near.calls for near in nears)
    values, allowed = ([getattr(n, k) for n in nears] for k in ("value", "allowed"))
    return Near(np.concatenate(values, axis), np.concatenate(allowed, axis), calls)


def _is_integral(a: Any) -> bool:
    return bool((a == np.rint(a)).all())


def _exact_dot(a: Any, b: Any) -> list[int]:
    """The real and imaginary part of Σ a · b in Python's integers."""
    ar, ai, br, bi = ([int(v) for v in part] for part in (a.real, a.imag, b.real, b.imag))

    def dot(left: list[int], right: list[int]) -> int:
        return sum(x * y for x, y in zip(left, right, strict=True))

    return [dot(ar, br) - dot(ai, bi), dot(ar, bi) + dot(ai, br)][: 1 + (a.dtype.kind == "c")]


class Premise:
    """A suitable case: its arrays, its arguments one value per axis, and calls of the engine."""

    def __init__(self, case: Case, court: Court, origin: Case, equation: str) -> None:
        self.case, self.court, self.op = case, court, OPS[case.op]
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
        return output_shape(self.case, {k: v.shape for k, v in self.operands.items()})

    def gy(self, shape: tuple[int, ...]) -> Any:
        """More data of the case's rule."""
        return self.filled.grad_output(shape)

    def call(self, op: str = "", *, terms: int | None = None, **changed: Any) -> Near:
        """The engine's output for the case, with some operands and arguments changed."""
        case, operands = self.derived(op or self.case.op, changed) if changed or op else self._as_is
        return self.results(case, operands, None, terms)[OUTPUT]

    def with_gradients(self, gy: Any) -> dict[str, Near]:
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
    ) -> dict[str, Near]:
        """The engine's results of one call, each with its bound."""
        subject = self.court.subject
        got = subject.once(case, operands, gy)
        if got.hung:
            raise EngineHang(self.origin, subject, "did not return", ("call", str(case)))
        if got.not_claimed and not subject.own:
            raise NotClaimed
        if got.error is not None:
            kind = RejectedValid if isinstance(got.error, REJECTIONS) else EngineCrash
            told = (("call", str(case)), ("raised", told_of(got.error)))
            raise kind(self.origin, subject, "raised on a valid call", *told)
        shapes = {k: v.shape for k, v in operands.items()}
        counts = terms_by_result(OPS[case.op], shapes, case.arguments)
        scales = _Scales(self.court, case, operands, gy)
        for name, value in got.values.items():
            self._check_type(case, name, value, shapes)
        return {
            name: Near(widen(y), self._allowed(name, y, terms or counts[name], scales), str(case))
            for name, y in got.values.items()
        }

    def _check_type(self, case: Case, name: str, value: Any, shapes: Shapes) -> None:
        shape = shapes.get(name.removeprefix("grad_")) or output_shape(case, shapes)
        dtype = np.dtype(dtype_of(case))
        got = f"{name} {getattr(value, 'dtype', type(value).__name__)} {np.shape(value)}"
        told = (("call", str(case)), ("engine", got), ("expected", f"{name} {dtype} {shape}"))
        if np.shape(value) != shape:
            raise ShapeMismatch(self.origin, self.court.subject, f"{name} has another shape", *told)
        if getattr(value, "dtype", None) != dtype:
            raise DtypeMismatch(self.origin, self.court.subject, f"{name} has another type", *told)

    def _allowed(self, name: str, y: Any, k: int, scales: _Scales) -> Any:
        """How far each element of a result of `k` terms may be from the true one."""
        dtype = dtype_of(self.case)
        accumulator = self.court.subject.accumulator(dtype)
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
        return RelationBroken(self.origin, self.court.subject, headline, *details)

    def compare(self, left: Near, right: Near) -> None:
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

    def _wrong(self, left: Near, right: Near) -> tuple[Any, Any]:
        """Whether each element differs by more than is allowed, and how much that is."""
        allowed = np.broadcast_to(left.allowed + right.allowed, left.value.shape)
        if left.value.dtype.kind == "i":  # modulo 2**bits
            return (left.value - right.value).astype(dtype_of(self.case)) != 0, allowed
        with np.errstate(all="ignore"):
            gap = _excess(left, right)
            alike = (gap <= allowed) | (left.value == right.value) | (allowed == np.inf)
        if object not in (left.value.dtype, right.value.dtype):
            alike |= np.isnan(left.value) & np.isnan(right.value)
        return ~alike.astype(bool), allowed


def _excess(left: Near, right: Near) -> Any:
    with np.errstate(all="ignore"):
        gap = np.abs(left.value - right.value).astype(np.float64)
    return np.where(np.isnan(gap), np.inf, gap)


@dataclass
class _Scales:
    """What bounds the results of one call: the widest operand, and S."""

    court: Court
    case: Case
    operands: dict[str, Any]
    gy: Any

    @property
    def magnitude(self) -> int:
        values = [widen(v) for v in (*self.operands.values(), self.gy) if v is not None]
        return max(int(np.abs(p).max(initial=0)) for v in values for p in (v.real, v.imag))

    def widest(self, k: int) -> int:
        """The widest operand with which sums of `k` terms are exact."""
        dtype = dtype_of(self.case)
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
        return self.court.definition.results(self.case, positive, gy)[name]


def output_shape(case: Case, shapes: Shapes) -> tuple[int, ...]:
    """The shape of a valid call's output."""
    op, x = OPS[case.op], shapes["input"]
    given = plain(replace(case, operands={k: Operand(v) for k, v in shapes.items()}))
    if op.family == "fold":
        wanted = per_axis(given["output_size"], op.axes)
        return (*x[:-2], x[-2] // prod(given["kernel_size"]), *wanted)
    if op.family == "unfold":
        k = given["kernel_size"]
        return (*x[:-3], x[-3] * prod(k), prod(positions(op, x[-2:], k, given)))
    w, size = shapes["weight"], x[-op.axes :]
    if op.is_transposed:
        filters = w[1] * given["groups"]
        return (*x[: -op.axes - 1], filters, *transposed_size(op, size, w[2:], given))
    return (*x[: -op.axes - 1], w[0], *positions(op, size, w[2:], given))


Sides = Iterator[tuple[Near, Near]]


def verdict(equation: Callable[[Premise], Sides], premise: Premise) -> Verdict:
    """Whether all that `equation` calls equal is."""
    seen = Verdict("not claimed")
    for left, right in equation(premise):
        premise.compare(left, right)
        seen = Verdict("agreed")
    return seen
