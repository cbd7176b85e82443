"""An end to calls that do not return: a timer in the process, and a deadline for who watches it.

The timer raises inside a call, which stops loops and waits in Python. It cannot reach a loop
inside one C call, nor an engine that swallows every exception: `Timer.note` publishes the
deadline, so that another process can end this one when it has passed.
"""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

REAL = 5  # seconds of real time for each second of processor time that a call may take
AGAIN = 0.25  # seconds until an exception that a callback of the interpreter swallowed is repeated


class Overdue(BaseException):
    """Raised inside an engine that takes too long; its `except Exception` does not stop this."""


def rounded_down(seconds: float) -> str:
    """So many seconds, for a headline; in tenths where it is less than one."""
    return f"{int(seconds)}" if seconds >= 1 else f"{int(10 * seconds) / 10}"


class Timer:
    """Raises `Overdue` in the main thread; elsewhere, and on Windows, it does nothing.

    Attributes
    ----------
    note : callable or None
        Receives the time, as `time.monotonic` counts, at which the call that begins must have
        returned, and the real seconds that it has; ``(0.0, 0.0)`` when it has returned.
    """

    def __init__(self) -> None:
        self.note: Callable[[float, float], None] | None = None

    @contextmanager
    def running(self, seconds: float) -> Iterator[None]:
        """Raise `Overdue` in the block, and nowhere after it.

        No garbage is collected meanwhile: that takes as long as the process is large, which is
        none of the engine's doing.
        """
        collects = gc.isenabled()
        gc.disable()
        try:
            self.start(seconds)
            yield
        finally:
            self.stop()
            if collects:
                gc.enable()

    def start(self, seconds: float) -> None:
        """Allow so much processor time, and `REAL` times as much real time.

        Processor time, so that a busy machine is no reason to alarm; real time for what waits.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        real = seconds * REAL
        if self.note:
            self.note(time.monotonic() + real, real)
        busy = f"{rounded_down(seconds)} s of processor time"
        _ALARM.limits = {"SIGPROF": busy, "SIGALRM": f"{rounded_down(real)} s"}
        _ALARM.set(ITIMER_PROF=seconds, ITIMER_REAL=real)

    def stop(self) -> None:
        if threading.current_thread() is threading.main_thread():
            _ALARM.clear()
            if self.note:
                self.note(0.0, 0.0)


class _Alarm:
    """The timers of this process, of which there is one of each kind."""

    def __init__(self) -> None:
        self.limits: dict[str, str] = {}  # empty: nothing is timed, so a late signal says nothing
        self.installed = False

    def set(self, **seconds: float) -> None:
        if not self.installed:
            for name in ("SIGPROF", "SIGALRM"):
                if hasattr(signal, name):
                    signal.signal(getattr(signal, name), self._overdue)
            self.installed = True
        for timer, after in seconds.items():
            if hasattr(signal, timer):
                signal.setitimer(getattr(signal, timer), after, AGAIN)

    def clear(self) -> None:
        self.limits = {}
        for timer in ("ITIMER_PROF", "ITIMER_REAL"):
            if self.installed and hasattr(signal, timer):
                signal.setitimer(getattr(signal, timer), 0)

    @property
    def handler(self) -> Any:
        return self._overdue

    def _overdue(self, signum: int, frame: Any) -> None:
        if limit := self.limits.get(signal.Signals(signum).name):
            raise Overdue(f"within {limit}")


_ALARM = _Alarm()


def is_ours(handler: Any) -> bool:
    """Whether a signal's handler is the timer's, or what stands there before the first timer."""
    return handler in (signal.SIG_DFL, _ALARM.handler)


def reinstall() -> None:
    """Let the timer's signals come to it again, which an engine may have taken."""
    _ALARM.installed = False
