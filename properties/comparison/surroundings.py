"""The state of the whole process, which a call must leave as it found it."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np

from .watchdog import is_ours, reinstall

PRINTED = "standard output or error"
_SIGNALS = {
    name: getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGALRM", "SIGPROF", "SIGSEGV", "SIGCHLD")
    if hasattr(signal, name)
}
# The function behind signal.getsignal, which makes an enum of a number at ten times the cost.
_handler = getattr(sys.modules.get("_signal"), "getsignal", signal.getsignal)
MT19937_BYTES = 4 * 624 + 4  # its key and its position, at `state_address`


def _numpy_random() -> bytes:
    """The state of NumPy's global generator; `get_state` copies it in 24 µs, this in 0.2."""
    generator = np.random.mtrand._rand._bit_generator
    if type(generator) is not np.random.MT19937:
        return repr(generator.state).encode()
    return ctypes.string_at(generator.ctypes.state_address, MT19937_BYTES)


def _threads() -> int | None:
    """How many threads torch computes with; None where it is not loaded."""
    torch: Any = sys.modules.get("torch")
    return torch.get_num_threads() if hasattr(torch, "get_num_threads") else None


def _set_threads(number: int) -> None:
    sys.modules["torch"].set_num_threads(number)


def _set_filters(filters: Any) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _environment() -> dict[Any, Any]:
    """All variables, as they are kept: to decode each takes ten times as long as to copy them."""
    return dict(os.environ._data)  # type: ignore[attr-defined]


def _set_environment(values: Mapping[Any, Any]) -> None:
    decode = os.environ.decodevalue
    os.environ.clear()
    os.environ.update({decode(name): decode(value) for name, value in values.items()})


def _set_error_state(values: Mapping[str, Any]) -> None:
    np.seterr(**values)


def _leave(value: Any) -> None:
    """A generator goes on from where it is: nothing that is compared depends on it."""


def _handlers() -> dict[str, Any]:
    """Who receives signals; our own timer is set when it is first needed."""
    found = {name: _handler(number) for name, number in _SIGNALS.items()}
    return {k: None if is_ours(handler) else handler for k, handler in found.items()}


def _set_handlers(handlers: Mapping[str, Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for name, handler in handlers.items():
            signal.signal(_SIGNALS[name], signal.SIG_DFL if handler is None else handler)
    reinstall()


class _Counted:
    """A text stream that passes on what is written to it, and counts it."""

    letters = 0  # of all such streams

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> Any:
        _Counted.letters += len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def listening() -> Iterator[None]:
    """Count what Python code prints in the block: what other processes print is not its doing."""
    out: Any = _Counted(sys.stdout)
    err: Any = _Counted(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        yield


# name: how to read it, and how to bring it back
_PARTS: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "NumPy's error state": (np.geterr, _set_error_state),
    "NumPy's print options": (np.get_printoptions, lambda value: np.set_printoptions(**value)),
    "NumPy's random state": (_numpy_random, _leave),
    "Python's random state": (random.getstate, _leave),
    "the warnings filter": (lambda: tuple(warnings.filters), _set_filters),
    "the environment variables": (_environment, _set_environment),
    "the working directory": (os.getcwd, os.chdir),
    "torch's number of threads": (_threads, _set_threads),
    "the signal handlers": (_handlers, _set_handlers),
    PRINTED: (lambda: _Counted.letters, _leave),
}


def surroundings() -> list[Any]:
    """What `changed` compares with."""
    return [read() for read, _ in _PARTS.values()]


def changed(before: list[Any], kept: Collection[str] = ()) -> tuple[str, ...]:
    """The parts that are not as they were; they are brought back, but for those that are `kept`.

    What could not be read before, such as torch's threads where torch was not loaded, says nothing.
    """
    now = surroundings()
    if now == before:
        return ()
    names = []
    for (name, (_, restore)), old, new in zip(_PARTS.items(), before, now, strict=True):
        if old != new and old is not None and name not in kept:
            names.append(name)
            restore(old)
    return tuple(names)
