"""The state of the whole process, which a call must leave as it found it."""

from __future__ import annotations

import ctypes
import os
import random
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

MT19937_BYTES = 4 * 624 + 4  # its key and its position, at `state_address`


def _numpy_random() -> bytes:
    """The state of NumPy's global generator; `get_state` copies it in 24 µs, this in 0.2."""
    generator = np.random.mtrand._rand._bit_generator
    if type(generator) is not np.random.MT19937:
        return repr(generator.state).encode()
    return ctypes.string_at(generator.ctypes.state_address, MT19937_BYTES)


def _threads() -> int:
    """How many threads torch computes with, where it is loaded."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else 0


def _set_threads(number: int) -> None:
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(number)


def _set_filters(filters: Any) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _set_environment(values: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)


def _set_error_state(values: Mapping[str, Any]) -> None:
    np.seterr(**values)


def _leave(value: Any) -> None:
    """A generator goes on from where it is: nothing that is compared depends on it."""


# name: how to read it, and how to bring it back
_PARTS: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "NumPy's error state": (np.geterr, _set_error_state),
    "NumPy's print options": (np.get_printoptions, lambda value: np.set_printoptions(**value)),
    "NumPy's random state": (_numpy_random, _leave),
    "Python's random state": (random.getstate, _leave),
    "the warnings filter": (lambda: tuple(warnings.filters), _set_filters),
    "the environment variables": (lambda: dict(os.environ), _set_environment),
    "the working directory": (os.getcwd, os.chdir),
    "torch's number of threads": (_threads, _set_threads),
}


def surroundings() -> list[Any]:
    """What `changed` compares with."""
    return [read() for read, _ in _PARTS.values()]


def changed(before: list[Any]) -> tuple[str, ...]:
    """The parts that are not as they were; they are brought back."""
    now = surroundings()
    if now == before:
        return ()
    names = []
    for (name, (_, restore)), old, new in zip(_PARTS.items(), before, now, strict=True):
        if old != new:
            names.append(name)
            restore(old)
    return tuple(names)
