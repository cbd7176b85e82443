"""Balls: results with a radius within which the true value lies, as in interval arithmetic.

A relation says that two expressions in results of one engine are equal. Each result is a ball
around what the engine computed, and an operation on balls gives a ball that holds the true value
if its operands do. So the two sides of a relation must overlap: |difference of the midpoints| ≤
sum of the radii. On integers in range all radii are 0, and the comparison is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cases.case import Case
from .compare import Comparison
from .engine import Engine
from .mismatch import RelationBroken
from .outcome import widen
from .tolerance import dot_error, is_exact, is_in_exact_range, radius, radius_if_exact


@dataclass(frozen=True)
class Ball:
    """For each element a midpoint, and a radius within which the true value lies.

    Examples
    --------
    >>> a, b = Ball(np.array([1.0]), np.array([0.5])), Ball(np.array([3.0]), np.array([0.25]))
    >>> (a - b).midpoint, (a - b).radius
    (array([-2.]), array([0.75]))
    >>> a.dot(np.array([4.0])).midpoint
    array([4.])
    """

    midpoint: Any  # float64, complex128 or int64; Python's integers where sums may be wider
    radius: Any
    calls: str = ""  # the calls that it comes from, for a failure's block; "" for mere data

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(np.shape(self.midpoint))

    def rearranged(self, how: Callable[..., Any], *arguments: Any) -> Ball:
        """`how(array, *arguments)` of both; it may move elements, or bring in zeros."""
        return Ball(how(self.midpoint, *arguments), how(self.radius, *arguments), self.calls)

    def __getitem__(self, index: Any) -> Ball:
        return Ball(self.midpoint[index], self.radius[index], self.calls)

    def __add__(self, other: Any) -> Ball:
        other = other if isinstance(other, Ball) else exactly(other)
        calls = f"{self.calls} + {other.calls or 'data'}" if self.calls else other.calls
        with np.errstate(all="ignore"):
            return Ball(self.midpoint + other.midpoint, self.radius + other.radius, calls)

    def __sub__(self, other: Ball) -> Ball:
        calls = f"{self.calls} - {other.calls}"
        with np.errstate(all="ignore"):
            return Ball(self.midpoint - other.midpoint, self.radius + other.radius, calls)

    def dot(self, array: Any) -> Ball:
        """Σ self · array, not conjugated: the real part, then the imaginary one if there is one.

        Integers stay exact: modulo 2**64, or where they stand as floats, in Python's integers.
        Where the sum overflows in float64 nothing is known of it: the radius is infinite.
        """
        a, b = self.midpoint.ravel(), widen(array).ravel()
        calls = f"⟨{self.calls or 'data'}, data⟩"
        if a.dtype.kind == "i":
            return Ball(np.array([a @ b]), np.zeros(1), calls)
        if not self.radius.any() and _is_integral(a) and _is_integral(b):
            exact = _exact_dot(a, b)
            return Ball(exact, np.zeros(exact.shape), calls)
        with np.errstate(all="ignore"):
            total = np.sum(a * b)
            error = float((self.radius.ravel() * np.abs(b)).sum() + dot_error(a, b))
        parts = [total.real, total.imag] if a.dtype.kind == "c" else [total]
        radius = np.inf if np.isnan(error) else error
        return Ball(np.array(parts), np.full(len(parts), radius), calls)


def exactly(array: Any) -> Ball:
    """What is known without the engine: its radius is 0."""
    midpoint = widen(np.asarray(array))
    return Ball(midpoint, np.zeros(midpoint.shape))


def around(y: Any, name: str, engine: Engine, call: Comparison, terms: int | None = None) -> Ball:
    """The ball around `y`, the result of that name that `engine` gave for `call`.

    `terms` is its number of terms where that is smaller than `call` knows, such as for a kernel
    with zeros between its taps.
    """
    case, k, midpoint = call.case, terms or call.terms[name], widen(y)
    accumulator = engine.accumulator(case.dtype)
    arrays = [v for v in (*call.operands.values(), call.grad_output) if v is not None]
    if transform := call.transform(engine, name):
        error = transform.bound(case.dtype, accumulator, midpoint)
    elif is_exact(case, k, accumulator) and is_in_exact_range(case, k, arrays):
        error = radius_if_exact(k, case.dtype, accumulator, midpoint)
    else:
        error = radius(k, case.dtype, accumulator, midpoint, call.scales[name])
    return Ball(midpoint, error, str(case))


def joined(balls: Sequence[Ball], axis: int) -> Ball:
    """The balls one after another along `axis`."""
    calls = ", ".join(ball.calls for ball in balls)
    midpoints = np.concatenate([ball.midpoint for ball in balls], axis)
    return Ball(midpoints, np.concatenate([ball.radius for ball in balls], axis), calls)


def compare_balls(case: Case, engine: Engine, equation: str, left: Ball, right: Ball) -> None:
    """Nothing if both sides of `equation` overlap in every element, else `RelationBroken`."""
    sides = (("left", left.calls), ("right", right.calls or "computed from the data"))
    if left.shape != right.shape:
        shapes = ("shapes", f"{left.shape} and {right.shape}")
        headline = f"{equation}: the sides differ in shape"
        raise RelationBroken(case, engine, headline, *sides, shapes)
    wrong = np.atleast_1d(_is_apart(left, right, case.dtype))
    if not wrong.any():
        return
    gap, allowed = np.atleast_1d(_gap(left, right), _allowed(left, right))
    at = np.unravel_index(np.argmax(np.where(wrong, gap, -1)), wrong.shape)
    a, b = (np.atleast_1d(side.midpoint)[at] for side in (left, right))
    error = f"error {abs(a - b):.6g}, allowed {allowed[at]:.6g}"
    details = (
        ("differs", f"{int(wrong.sum())} of {wrong.size} elements"),
        ("worst", f"at {tuple(map(int, at))}: left {a}, right {b}, {error}"),
    )
    raise RelationBroken(case, engine, f"{equation}: the sides differ", *sides, *details)


def _is_apart(left: Ball, right: Ball, dtype: str) -> Any:
    """Whether two balls do not overlap, per element; integers are compared modulo 2**bits."""
    if left.midpoint.dtype.kind == "i":
        return (left.midpoint - right.midpoint).astype(dtype) != 0
    allowed = _allowed(left, right)
    alike = (_gap(left, right) <= allowed) | (left.midpoint == right.midpoint)
    if object not in (left.midpoint.dtype, right.midpoint.dtype):
        alike |= np.isnan(left.midpoint) & np.isnan(right.midpoint)
    return ~alike.astype(bool)


def _gap(left: Ball, right: Ball) -> Any:
    """|difference of the midpoints|; inf where it is nan."""
    with np.errstate(all="ignore"):
        gap = np.abs(left.midpoint - right.midpoint).astype(np.float64)
    return np.where(np.isnan(gap), np.inf, gap)


def _allowed(left: Ball, right: Ball) -> Any:
    return np.broadcast_to(left.radius + right.radius, left.shape)


def _is_integral(a: Any) -> bool:
    """Whether `a` holds integers of at most 64 bits, and so no inf and no nan."""
    return bool(((a == np.rint(a)) & (np.abs(a) <= 2.0**64)).all())


def _exact_dot(a: Any, b: Any) -> Any:
    """The real and, for complex, the imaginary part of Σ a · b in Python's integers."""
    ar, ai, br, bi = (
        np.array([int(v) for v in part], object) for part in (a.real, a.imag, b.real, b.imag)
    )
    parts = [ar @ br - ai @ bi, ar @ bi + ai @ br]
    return np.array(parts[: 1 + (a.dtype.kind == "c")], object)
