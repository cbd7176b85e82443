"""The flight recorder: which case a worker was at when its process died, and an end to loops.

Every case is written to shared memory before the engine sees it, which costs 0.2 µs. A timer
raises in an engine that does not return; it cannot reach a loop inside one C call.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


def dies(call: Callable[[], object]) -> bool:
    """Whether `call` ends its process: tried in a copy of this one."""
    if not hasattr(os, "fork"):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other threads hold is not used in the copy
        child = os.fork()
    if child == 0:
        faulthandler.disable()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with suppress(BaseException):
            call()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


class Overdue(BaseException):
    """Raised inside an engine that takes too long; its `except Exception` does not stop this."""


# Processor time, so that a busy machine is no reason to alarm, and for what waits forever, real.
_TIMERS = (("ITIMER_PROF", "SIGPROF", 1), ("ITIMER_REAL", "SIGALRM", 60))


class Timer:
    """Raises `Overdue` in the main thread; elsewhere, and on Windows, it does nothing."""

    def __init__(self) -> None:
        self._installed = False

    @contextmanager
    def running(self, seconds: float) -> Iterator[None]:
        """Raise `Overdue` in the block, and nowhere after it."""
        try:
            self.start(seconds)
            yield
        finally:
            self.stop()

    def start(self, seconds: float) -> None:
        """Allow so much processor time, and sixty times as much real time."""
        if threading.current_thread() is not threading.main_thread():
            return
        for timer, name, factor in _TIMERS:
            if hasattr(signal, timer):
                if not self._installed:
                    signal.signal(getattr(signal, name), _overdue)
                signal.setitimer(getattr(signal, timer), seconds * factor)
        self._installed = True

    def stop(self) -> None:
        if self._installed:
            for timer, _, _ in _TIMERS:
                signal.setitimer(getattr(signal, timer), 0)


def _overdue(signum: int, frame: Any) -> None:
    raise Overdue
