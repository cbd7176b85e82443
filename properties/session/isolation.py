"""Processes in which an engine may do what it likes: exit, crash, wait, or never return.

This process never calls the engine. It is the fork server: each child starts as a copy of it,
with the engine as it was loaded. A child answers requests through a pipe until it is told to end,
and is watched from here: its death, and a call that passes its deadline, become failures of the
case at which they happened.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from ..cases.case import Case
from ..cases.line import parse
from ..comparison.engine import IMPATIENCE, PATIENCE, Engine
from ..comparison.mismatch import EngineCrash, EngineHang, Mismatch, Verdict
from .crashlog import CrashLog

CAN_FORK = hasattr(os, "fork")
GRACE = 0.5  # seconds after a deadline in which the timer inside the process may do its part
SILENCE = 300.0  # seconds in which a child that is in no call of the engine must answer
TICK = 0.05
PR_SET_PDEATHSIG = 1

Serve = Callable[["Channel"], None]


@dataclass(frozen=True)
class Death:
    """How a child ended before it answered."""

    how: str
    hung: bool
    recent: tuple[str, ...]  # the lines of its last cases

    @property
    def kind(self) -> type[Mismatch]:
        return EngineHang if self.hung else EngineCrash

    def mismatch(self, engine: Engine) -> Mismatch:
        """The failure of the last case; without one there is a `LookupError`."""
        if not self.recent:
            raise LookupError("the process was at no case")
        found = self.kind(parse(self.recent[-1]), engine, self.how)
        found.recent = self.recent
        return found


class Channel:
    """A child's end of its pipe; a copy of the child that an engine makes does not get to use it."""

    def __init__(self, connection: Connection, crashlog: CrashLog) -> None:
        self.connection, self.crashlog = connection, crashlog
        self._pid = os.getpid()

    def send(self, message: Any) -> None:
        if os.getpid() != self._pid:
            os._exit(0)
        self.connection.send(message)

    def receive(self) -> Any:
        """The next message; where there is none any more, the process ends."""
        if os.getpid() != self._pid:
            os._exit(0)
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            os._exit(0)


class Child:
    """A copy of this process that runs `serve`, in a process group of its own."""

    def __init__(self, serve: Serve, crashlog: CrashLog) -> None:
        self.crashlog = crashlog
        self._connection, theirs = Pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what other threads hold is not used in the copy
            self.pid = os.fork()
        if self.pid == 0:
            self._connection.close()
            _live(serve, theirs, crashlog)
        theirs.close()
        with suppress(OSError):
            os.setpgid(self.pid, self.pid)  # here too: whoever comes first

    def send(self, message: Any) -> None:
        with suppress(OSError):  # it is dead: `receive` says so
            self._connection.send(message)

    def receive(self) -> Any:
        """The child's next message, or its `Death`."""
        silent = time.monotonic() + SILENCE
        while True:
            try:
                if self._connection.poll(TICK):
                    return self._connection.recv()
            except (EOFError, OSError):
                return self._death(self._status())
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return self._last_words(status)
            deadline, seconds = self.crashlog.call
            now = time.monotonic()
            if (deadline and now > deadline + GRACE) or now > silent:
                limit = seconds if deadline else SILENCE
                self.end()
                return Death(f"did not return within {limit:g} s", True, self._recent())

    def end(self) -> None:
        """End the child and all that it started."""
        with suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        self._status()
        self._connection.close()

    def _last_words(self, status: int) -> Any:
        """What the child sent before it ended."""
        with suppress(EOFError, OSError):
            if self._connection.poll():
                return self._connection.recv()
        return self._death(status)

    def _status(self) -> int:
        with suppress(ChildProcessError):
            return os.waitpid(self.pid, 0)[1]
        return 0

    def _death(self, status: int) -> Death:
        self.end()
        return Death(ending(status), False, self._recent())

    def _recent(self) -> tuple[str, ...]:
        return tuple(self.crashlog.recent)


def ending(status: int) -> str:
    """What a wait status says, for a headline."""
    if os.WIFSIGNALED(status):
        return f"the process was killed by {signal.Signals(os.WTERMSIG(status)).name} in this call"
    return f"the process ended with exit code {os.waitstatus_to_exitcode(status)} in this call"


def _live(serve: Serve, connection: Connection, crashlog: CrashLog) -> NoReturn:
    """The life of a child; nothing of it returns to what the parent was doing."""
    try:
        with suppress(OSError):
            os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's Ctrl-C ends the parent, it us
        _die_with_parent()
        faulthandler.disable()
        serve(Channel(connection, crashlog))
    except BaseException:  # noqa: BLE001 - whatever it is, the parent's frames must not see it
        os._exit(1)
    os._exit(0)


def _die_with_parent() -> None:
    """Also where the parent is killed; elsewhere than on Linux at the next message only."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
