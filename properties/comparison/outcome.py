"""What a call did: its results, or the error that it raised, and how it behaved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# The types of errors by which an engine rejects a call; NotImplementedError is one of them.
REJECTIONS = (TypeError, ValueError, RuntimeError)

Operands = Mapping[str, Any]
Results = dict[str, Any]  # the output and the gradients, by name
Run = Callable[[Operands, Any], Results]  # from operands and the gradient of the output


@dataclass(frozen=True)
class Outcome:
    """What one engine did with one case."""

    values: Mapping[str, Any] = field(default_factory=dict)  # output and gradients, by name
    error: BaseException | None = None
    hung: str = ""  # within how long the call did not return
    function: str = ""  # of the engine, in which it raised or hung
    modified: tuple[str, ...] = ()  # operands that the call wrote to
    shared: tuple[str, ...] = ()  # operands whose memory a result shares
    unstable: str = ""  # how a repeated call differed
    changed: tuple[str, ...] = ()  # parts of the process's state that the call left changed

    @property
    def not_claimed(self) -> bool:
        return isinstance(self.error, NotImplementedError)


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def is_numeric(value: Any) -> bool:
    """Whether it is an array that can be negated and compared."""
    return is_array(value) and value.dtype.kind in "iufc"


def bits(value: Any) -> bytes:
    """The bytes of an array; none of what is no array."""
    return value.tobytes() if is_array(value) else b""


def described(value: Any) -> str:
    """The dtype, or the type of what is no array, and the shape if there is one."""
    try:
        return f"{getattr(value, 'dtype', type(value).__name__)} {np.shape(value)}"
    except Exception:  # noqa: BLE001 - whatever an engine's own class makes of it
        return type(value).__name__


def widen(value: Any) -> Any:
    """An array in the dtype of the reference: float64, complex128 or int64."""
    if not is_array(value):
        return value
    return value.astype({"f": np.float64, "c": np.complex128}.get(value.dtype.kind, np.int64))


def one_line(error: BaseException) -> str:
    """An error in one line."""
    try:
        first = str(error).strip().partition("\n")[0]
    except Exception:  # noqa: BLE001 - a foreign class may have no text
        first = "without a text"
    return f"{type(error).__name__}: {first[:200]}"
