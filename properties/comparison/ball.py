"""TODO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .outcome import widen


@dataclass(frozen=True)
class Ball:
    """A result, or what follows from some, and how far each element may be from the true one."""

    value: Any  # float64, complex128 or int64; Python integers where sums could be wider
    allowed: Any
    calls: str = ""

    def of(self, rearranged: Callable[[Any], Any]) -> Ball:
        return Ball(rearranged(self.value), rearranged(self.allowed), self.calls)

    def __getitem__(self, index: Any) -> Ball:
        return self.of(lambda a: a[index])

    def __add__(self, other: Any) -> Ball:
        other = other if isinstance(other, Ball) else exactly(other)
        calls = f"{self.calls} + {other.calls or 'data'}"
        with np.errstate(all="ignore"):
            return Ball(self.value + other.value, self.allowed + other.allowed, calls)

    def __sub__(self, other: Ball) -> Ball:
        calls = f"{self.calls} - {other.calls}"
        return Ball(self.value - other.value, self.allowed + other.allowed, calls)

    def dot(self, array: Any) -> Ball:
        """Σ value · array, not conjugated; its parts, so that integers stay exact."""
        a, b = self.value.ravel(), widen(array).ravel()
        calls = f"⟨{self.calls or 'data'}, data⟩"
        if a.dtype.kind == "i":
            return Ball(np.array([a @ b]), np.zeros(1), calls)
        allowed = (self.allowed.ravel() * np.abs(b)).sum()
        if allowed == 0 and _is_integral(a) and _is_integral(b):
            return Ball(np.array(_exact_dot(a, b), dtype=object), 0.0, calls)
        allowed += 4 * (a.size + 4) * 2.0**-53 * (np.abs(a) * np.abs(b)).sum()
        total = np.sum(a * b)
        parts = [total.real, total.imag] if a.dtype.kind == "c" else [total]
        return Ball(np.array(parts), np.full(len(parts), allowed), calls)


def exactly(value: Any) -> Ball:
    """What is known without the engine."""
    value = widen(value)
    return Ball(value, np.zeros(value.shape))


def joined(nears: list[Ball], axis: int) -> Ball:
    calls = ", ".join(near.calls for near in nears)
    values, allowed = ([getattr(n, k) for n in nears] for k in ("value", "allowed"))
    return Ball(np.concatenate(values, axis), np.concatenate(allowed, axis), calls)


def _is_integral(a: Any) -> bool:
    return bool((a == np.rint(a)).all())


def _exact_dot(a: Any, b: Any) -> list[int]:
    """The real and imaginary part of Σ a · b in Python's integers."""
    ar, ai, br, bi = ([int(v) for v in part] for part in (a.real, a.imag, b.real, b.imag))

    def dot(left: list[int], right: list[int]) -> int:
        return sum(x * y for x, y in zip(left, right, strict=True))

    return [dot(ar, br) - dot(ai, bi), dot(ar, bi) + dot(ai, br)][: 1 + (a.dtype.kind == "c")]
