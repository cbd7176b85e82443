"""Processes in which an engine may do what it likes: exit, crash, wait, or never return.

This process never calls the engine. It is the fork server: each child starts as a copy of it,
with the engine as it was loaded. A child answers requests through a pipe until it is told to end,
and is watched from here: its death, and a call that passes its deadline, become failures of the
case at which they happened.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import os
import pickle
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NoReturn

import numpy as np

from ..cases.data import arrays
from ..cases.line import parse, parse_source
from ..cases.sequence import CaseSequence, cases_of
from ..comparison.engine import IMPATIENCE, PATIENCE, Engine
from ..comparison.mismatch import EngineCrash, EngineHang, Mismatch
from ..comparison.stage import STAGE
from ..comparison.watchdog import rounded_down
from ..triage.crashlog import CrashLog
from .session import Elsewhere, Predicate, Result, Session, Source

CAN_FORK = hasattr(os, "fork")
GRACE = 0.2  # of a call's time, in which after its end the timer in the process may do its part
SILENCE = 300.0  # seconds in which a child that is in no call of the engine must answer
LOST = 5.0  # seconds that calls which hang may cost one search
TICK = 0.05
TINY = "conv1d((1, 1, 2), (1, 1, 1))"
PR_SET_PDEATHSIG = 1

Serve = Callable[["Channel"], None]


@dataclass(frozen=True)
class Death:
    """How a child ended before it answered."""

    how: str
    hung: bool
    recent: tuple[str, ...]  # the lines of its last cases
    function: str = ""  # of the engine, that was called last
    part: str = ""  # the line of that call, where it is a part of what was judged

    @property
    def kind(self) -> type[Mismatch]:
        return EngineHang if self.hung else EngineCrash

    def mismatch(self, engine: Engine) -> Mismatch | None:
        """The failure of what was judged last, if anything was."""
        if not self.recent:
            return None
        source = parse_source(self.recent[-1])
        found = self.kind(cases_of(source)[-1], engine, self.how)
        found.sequence = source if isinstance(source, CaseSequence) else None
        found.recent, found.function = self.recent, self.function
        if self.part:
            found.details += (("call", self.part),)
        return found

    @property
    def alone(self) -> bool:
        """Whether its last case was its only one."""
        return len(self.recent) == 1


class Channel:
    """A child's end of its pipe; a copy of the child that an engine made does not use it."""

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
        beat, changed = self.crashlog.beat, time.monotonic()
        while True:
            try:
                if self._connection.poll(TICK):
                    return self._connection.recv()
            except (EOFError, OSError):
                return self._death(self._status())
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return self._last_words(status)
            if beat != self.crashlog.beat:
                beat, changed = self.crashlog.beat, time.monotonic()
            deadline, seconds = self.crashlog.call
            late = deadline and time.monotonic() > deadline + GRACE * seconds
            if late or time.monotonic() > changed + SILENCE:
                self.end()
                limit = f"within {rounded_down(seconds if late else SILENCE)} s"
                return self._dead(f"did not return {limit}", hung=True)

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
        """The wait status; a child that lives on behind a closed pipe is given a second."""
        patience = time.monotonic() + 1
        with suppress(ChildProcessError):
            while time.monotonic() < patience:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    return status
                time.sleep(0.001)
            os.kill(self.pid, signal.SIGKILL)
            return os.waitpid(self.pid, 0)[1]
        return 0

    def _death(self, status: int) -> Death:
        self.end()
        return self._dead(ending(status), hung=False)

    def _dead(self, how: str, *, hung: bool) -> Death:
        log = self.crashlog
        return Death(how, hung, tuple(log.recent), log.function, log.part)


def ending(status: int) -> str:
    """What a wait status says, for a headline."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        known = {member.value: member.name for member in signal.Signals}
        return f"the process was killed by {known.get(number, number)} in this call"
    return f"the process ended with exit code {os.waitstatus_to_exitcode(status)} in this call"


def _live(serve: Serve, connection: Connection, crashlog: CrashLog) -> NoReturn:
    """The life of a child; nothing of it returns to what the parent was doing."""
    try:
        with suppress(OSError):
            os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's Ctrl-C ends the parent, it us
        _die_with_parent()
        faulthandler.disable()
        gc.freeze()  # a collection that walks through all of the parent's objects takes a second
        serve(Channel(connection, crashlog))
    except BaseException:  # noqa: BLE001 - whatever it is, the parent's frames must not see it
        os._exit(1)
    os._exit(0)


def _die_with_parent() -> None:
    """Also where the parent is killed; elsewhere than on Linux at the next message only."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def settle_in(session: Session, channel: Channel) -> None:
    """Make `session` that of a child: what the engine does shows in its part of the crash log."""
    session.crashlog, session.alone, session.elsewhere = channel.crashlog, None, None
    STAGE.note, STAGE.note_call = channel.crashlog.enter, channel.crashlog.part_is
    for engine in session.engines:
        engine.isolated = True
        engine.timer.note = channel.crashlog.until


class Judge:
    """A child that judges case after case, and is replaced when it dies."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._child: Child | None = None
        self._predicate: Predicate | None = None

    def __call__(self, predicate: Predicate, source: Source) -> Result:
        if self._child is None or predicate is not self._predicate:
            self.close()
            self._predicate, self._child = predicate, self._forked(predicate)
        self._child.send(source)
        result = self._child.receive()
        if isinstance(result, Death):
            self.close()
            result = result.mismatch(self._session.engine)
        if isinstance(result, EngineHang):
            self._session.engine.patience = IMPATIENCE  # of the children to come
        return result  # type: ignore[no-any-return]

    def _forked(self, predicate: Predicate) -> Child:
        crashlog, session = CrashLog(self._session.found), self._session

        def serve(channel: Channel) -> None:
            settle_in(session, channel)
            while True:
                channel.send(_result(session, predicate, channel.receive()))

        return Child(serve, crashlog)

    def close(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child.crashlog.close()
            self._child = None


class Sparing:
    """A judge that does not judge a call again that hung.

    When such calls have cost too much, it says nothing about others any more.
    """

    def __init__(self, judge: Elsewhere) -> None:
        self._judge = judge
        self._hung: dict[str, Mismatch] = {}
        self.left = LOST  # seconds that calls which hang may still cost

    def __call__(self, predicate: Predicate, source: Source) -> Result:
        if self._hung and (known := self._hung.get(str(source))):
            return known
        if self.left < 0:
            return None
        start = time.monotonic()
        result = self._judge(predicate, source)
        if isinstance(result, EngineHang):
            self._hung[str(source)] = result
            self.left -= time.monotonic() - start
        return result


def here(session: Session) -> Elsewhere:
    """Judge in this process."""

    def judge(predicate: Predicate, source: Source) -> Result:
        try:
            return predicate(source, session)
        except EngineHang as mismatch:
            mismatch.recent = session.recent
            return mismatch

    return judge


class Isolation:
    """The fork server: it judges one case, or sequence, in a process that has judged no other.

    The first hangs are waited for in full, the first failure and what it shrinks to.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._warm = False
        self._waits = 2 if session.engine.patience == PATIENCE else 0

    def __call__(self, predicate: Predicate, source: Source) -> Result:
        self.warm_up()
        judge, engine = Judge(self._session), self._session.engine
        if self._waits:
            engine.patience = PATIENCE
        try:
            result = judge(predicate, source)
        finally:
            judge.close()
        self._waits -= isinstance(result, EngineHang) and self._waits > 0
        return result

    def warm_up(self) -> None:
        """Load torch here, once, for all children: its first call costs 0.3 s."""
        if not self._warm:
            self._warm = True
            with suppress(ImportError):
                self._session.oracle.results(  # untimed: what it imports must not be interrupted
                    parse(TINY), arrays(parse(TINY)).operands, np.ones((1, 1, 2))
                )


def _result(session: Session, predicate: Predicate, source: Source) -> Result:
    """What `predicate` returns or raises, fit to be sent."""
    try:
        return session.judged(predicate, source)
    except BaseException as error:  # noqa: BLE001 - it is raised again where it is received
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # noqa: BLE001 - whatever a foreign class makes of it
            return RuntimeError(repr(error))
        return error
