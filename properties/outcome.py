"""What a call did, and what it should have done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """What one engine did with one case."""

    values: Mapping[str, Any] = field(default_factory=dict)  # output and gradients, by name
    error: Exception | None = None
    hung: bool = False
    modified: tuple[str, ...] = ()  # operands that the call wrote to
    shared: tuple[str, ...] = ()  # operands whose memory a result shares
    unstable: str = ""  # how a repeated call differed

    @property
    def not_claimed(self) -> bool:
        return isinstance(self.error, NotImplementedError)


def root(array: Any) -> Any:
    """The array that owns the memory of `array`."""
    return array if array.base is None else array.base


def memory(operands: Mapping[str, Any]) -> dict[str, bytes]:
    """The bytes behind every array, those that a view skips included."""
    return {k: root(v).tobytes() for k, v in operands.items() if isinstance(v, np.ndarray)}


def same(a: Any, b: Any) -> bool:
    """Equal in shape and value; nan equals nan."""
    return a.shape == b.shape and bool(((a == b) | (np.isnan(a) & np.isnan(b))).all())


def told_of(error: Exception) -> str:
    """An error in one line."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first[:200]}"
