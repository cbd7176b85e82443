"""Calls from two threads at once against one engine: each must give what it gives alone.

Every case runs alone first, and then several times in a thread of its own while the others run in
theirs. Left alone, Python changes threads far too seldom for a small call to be interrupted. So in
all rounds but one the threads take turns: line by line, or the first is interrupted once, at a line
that the text of the cases determines, until the others have ended. The order of all lines is then
the same each time, and a failure is the same again. In the last round they run freely, and at the
same time wherever NumPy releases Python's lock. Results are looked at when all calls have returned,
so that a buffer which the calls share shows however late it is overwritten.
"""

from __future__ import annotations

import ctypes
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from ..cases.sequence import CaseSequence
from .compare import Comparison, values_of
from .engine import Engine, Layers
from .mismatch import GlobalStateChanged, Mismatch, Status, Verdict
from .outcome import Outcome, Results, is_array
from .sequence import Excused
from .surroundings import changed, surroundings
from .watchdog import Overdue

TRIES = 10  # to stop a thread; one that waits in a call for ever costs nothing
GOLDEN = 0.6180339887  # multiples of it are spread evenly between integers
HERE = str(Path(__file__).parent)  # code that no thread is interrupted in
INTERRUPTIONS = 6  # rounds in which the first thread is interrupted once
FREELY = 4  # calls of one thread in the round without turns
WAIT = 0.1  # seconds for a turn to come: the other thread may wait for what this one holds
TICK = 0.02  # seconds between two looks at threads that run


def compare_at_once(
    sequence: CaseSequence,
    engine: Engine,
    reference: Engine,
    excused: Excused = lambda mismatch: None,
) -> list[Verdict]:
    """The verdict on each case, or the first `Mismatch`, which names the sequence."""
    try:
        callers = _callers(sequence, reference)
        verdicts = [caller.alone(engine, excused) for caller in callers]
        ready = [caller for caller in callers if caller.is_ready]
        if len(ready) > 1:
            _run(ready, engine, zlib.crc32(str(sequence).encode()))
            for caller in ready:
                caller.check(engine)
    except Mismatch as mismatch:
        mismatch.sequence = sequence
        raise
    return verdicts


@dataclass
class _Caller:
    """One case, and what its calls gave."""

    comparison: Comparison
    operands: Mapping[str, Any]
    layers: Layers
    outcome: Outcome = field(default_factory=Outcome)  # of the call alone
    is_ready: bool = False  # to be called at once with others: what it gives alone is right
    outcomes: list[Outcome] = field(default_factory=list)

    def results(self, engine: Engine) -> Results:
        comparison = self.comparison
        call = engine.prepared(comparison.case, self.operands, self.layers)
        return call.results(self.operands, comparison.grad_output)

    def alone(self, engine: Engine, excused: Excused) -> Verdict:
        """The verdict on the call alone."""
        case = self.comparison.case
        self.outcome = engine.attempt(case, self.operands, lambda: self.results(engine))
        try:
            verdict = self.comparison.verdict_on(engine, self.outcome)
        except Mismatch as mismatch:
            if (expected := excused(mismatch)) is None:
                raise
            return expected
        self.is_ready = verdict.status in {Status.AGREED, Status.REJECTED}
        return verdict

    def repeat(self, engine: Engine, times: int) -> None:
        """In its thread: call, until one raises what it does not raise alone."""
        for _ in range(times):
            try:
                self.outcomes.append(Outcome(self.results(engine)))
            except BaseException as error:  # noqa: BLE001 - whatever it raises is its outcome
                self.outcomes.append(Outcome(error=error))
                if self.outcome.error is None:
                    return

    def check(self, engine: Engine) -> None:
        """Compare every call with the reference; most gave the same bits as the one alone."""
        for outcome in self.outcomes:
            if _bits(outcome) == _bits(self.outcome) and outcome.error is None:
                continue
            try:
                self.comparison.verdict_on(engine, outcome)
            except Mismatch as mismatch:
                mismatch.headline += ", at once with another call"
                raise


def _callers(sequence: CaseSequence, reference: Engine) -> list[_Caller]:
    """Arrays that two cases declare alike and fill alike are one, and so are their layers."""
    arrays: dict[Any, Any] = {}
    layers: dict[Any, Layers] = {}
    callers = []
    for case in sequence.cases:
        comparison = Comparison.of(case, reference)
        operands = {
            name: arrays.setdefault((name, case.operands[name], value.tobytes()), value)
            if is_array(value)
            else value
            for name, value in comparison.operands.items()
        }
        loaded = tuple(id(operands.get(name)) for name in ("weight", "bias"))
        callers.append(_Caller(comparison, operands, layers.setdefault(loaded, {})))
    return callers


def _bits(outcome: Outcome) -> dict[str, bytes | str]:
    return {k: v.tobytes() if is_array(v) else repr(v) for k, v in outcome.values.items()}


def _interruption(line: int) -> Callable[[int, int], bool]:
    """Of the first thread, once, before so many lines of it have run."""
    return lambda at, seen: (at, seen) == (0, line)


def _run(callers: Sequence[_Caller], engine: Engine, seed: int) -> None:
    """Let every caller call in a thread; what hangs, or is left changed, is a fault."""
    before = surroundings()
    by_line = _Turns(len(callers), lambda at, seen: True)
    _in_threads(callers, engine, by_line)
    for n in range(INTERRUPTIONS):
        line = int(by_line.lines[0] * ((seed + n) * GOLDEN % 1))
        _in_threads(callers, engine, _Turns(len(callers), _interruption(line + 1)))
    _in_threads(callers, engine, None)
    if parts := changed(before):
        headline = f"left {', '.join(parts)} changed, at once with another call"
        raise GlobalStateChanged(callers[0].comparison.case, engine, headline)


def _in_threads(callers: Sequence[_Caller], engine: Engine, turns: _Turns | None) -> None:
    """One round; threads that do not end are stopped."""

    # Not Thread.join: a signal that interrupts it makes Python 3.11 take the thread for ended.
    ended = [Event() for _ in callers]

    def run(at: int) -> None:
        try:
            with turns.taken(at) if turns else nullcontext():
                callers[at].repeat(engine, 1 if turns else FREELY)
        finally:
            ended[at].set()

    threads = [Thread(target=run, args=(at,), daemon=True) for at in range(len(callers))]
    case, operands = callers[0].comparison.case, callers[0].operands
    calls = partial(_run_to_their_end, threads, ended)
    outcome = engine.attempt(case, operands, calls, len(callers))
    for thread, end in zip(threads, ended, strict=True) if outcome.hung else ():
        _stop(thread, end)
    values_of(case, engine, outcome)


def _run_to_their_end(threads: Sequence[Thread], ended: Sequence[Event]) -> Results:
    for thread in threads:
        thread.start()
    for end in ended:
        while not end.wait(TICK):  # a wait without end might not see the signal
            pass
    return {}


class _Turns:
    """Lets one thread run at a time, until `ends(thread, line)` of the lines of Python that it ran.

    If a turn does not come, because the thread whose turn it is waits for another, all run freely.
    """

    def __init__(self, threads: int, ends: Callable[[int, int], bool]) -> None:
        self.lines = [0] * threads
        self._ends = ends
        self._turn = [Lock() for _ in range(threads)]  # locked: it is not the thread's turn
        for lock in self._turn:
            lock.acquire()
        self._running = [*range(threads)]
        self._freely = False

    @contextmanager
    def taken(self, at: int) -> Iterator[None]:
        """In a thread: take turns with the others in the block."""
        if at:
            self._wait(at)
        sys.settrace(self._tracer(at))
        try:
            yield
        finally:
            sys.settrace(None)
            self._running.remove(at)
            for other in self._running[:1]:
                self._give(other)

    def _tracer(self, at: int) -> Callable[[Any, str, Any], Any]:
        def tracer(frame: Any, event: str, argument: Any) -> Any:
            if self._freely or frame.f_code.co_filename.startswith(HERE):
                return None
            if event == "line":
                self.lines[at] += 1
                if self._ends(at, self.lines[at]):
                    self._pass_on(at)
            return tracer

        return tracer

    def _pass_on(self, at: int) -> None:
        later = [other for other in self._running if other > at]
        for other in (later or self._running)[:1]:
            if other != at:
                self._give(other)
                self._wait(at)

    def _wait(self, at: int) -> None:
        self._freely |= not self._turn[at].acquire(timeout=WAIT)

    def _give(self, at: int) -> None:
        with suppress(RuntimeError):  # it did not wait for the turn that it has
            self._turn[at].release()


def _stop(thread: Thread, end: Event) -> None:
    """End what Python code a thread runs: it would take time from all that follows."""
    overdue = ctypes.py_object(Overdue)
    for _ in range(TRIES):
        if end.is_set():
            return
        if thread.ident is not None:  # else it is about to start, or never will
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), overdue)
        end.wait(TICK)
