"""Whatever an engine does, its case fails, by the right name, and this process lives on."""

from __future__ import annotations

import collections
import ctypes
import itertools
import os
import signal
import sys
import threading
import time
import unittest
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import engine
from properties.cases.case import Case
from properties.cases.line import parse
from properties.cases.sequence import CaseSequence
from properties.comparison.engine import IMPATIENCE, Engine
from properties.comparison.mismatch import (
    EngineCrash,
    EngineHang,
    Mismatch,
    OutOfMemory,
    ShapeMismatch,
    Status,
    Verdict,
)
from properties.comparison.stage import STAGE
from properties.comparison.watchdog import Overdue, Timer
from properties.session.confirmation import called, confirmed, settled
from properties.session.earlier_calls import likeness
from properties.session.isolated_run import IsolatedRun
from properties.session.isolation import CAN_FORK, Death, Isolation, Judge, Sparing
from properties.session.options import Options
from properties.session.session import Session, in_order
from properties.test_engine import test_the_engine_equals_the_oracle as equals_the_oracle
from properties.triage.crashlog import HALF, CrashLog

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="this platform has no fork")

HOLDS = parse("conv1d((1, 1, 1), (1, 1, 1))")
FAILS = parse("conv1d((1, 3, 1), (3, 1, 1), groups=3)")
LARGE = parse("conv1d((2, 6, 7), (3, 2, 2), stride=2, groups=3, data='integers:5')")


def raises(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


def fork_that_returns_twice() -> None:
    if os.fork():
        os._exit(3)


def exit_of_a_thread() -> None:
    threading.Thread(target=os._exit, args=(4,)).start()
    time.sleep(60)


def loop() -> None:
    while True:
        pass


def stubborn_loop() -> None:
    while True:
        with suppress(BaseException):
            loop()


def deaf_sleep() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    time.sleep(60)


def deadlock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


CRASHES: dict[str, tuple[Callable[[], Any], str]] = {
    "os._exit(0)": (lambda: os._exit(0), "ended with exit code 0 in this call"),
    "os._exit(7)": (lambda: os._exit(7), "ended with exit code 7 in this call"),
    "null pointer": (lambda: ctypes.string_at(0), "was killed by SIGSEGV in this call"),
    "abort": (os.abort, "was killed by SIGABRT in this call"),
    "SIGKILL": (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL"),
    "SIGTERM to its group": (lambda: os.killpg(0, signal.SIGTERM), "was killed by SIGTERM"),
    "another program": (lambda: os.execv("/bin/true", ["true"]), "ended with exit code 0"),
    "fork": (fork_that_returns_twice, "ended with exit code 3"),
    "a thread exits": (exit_of_a_thread, "ended with exit code 4"),
    "closed pipes": (lambda: os.closerange(3, 256), "ended with exit code 1"),
    "sys.exit": (sys.exit, "raised SystemExit"),
    "KeyboardInterrupt": (raises(KeyboardInterrupt()), "raised KeyboardInterrupt"),
    "GeneratorExit": (raises(GeneratorExit()), "raised GeneratorExit"),
    "pytest.skip": (lambda: pytest.skip("no"), "raised Skipped"),
    "pytest.exit": (lambda: pytest.exit("no"), "raised on a valid call"),
    "SkipTest": (raises(unittest.SkipTest("no")), "raised on a valid call"),
}

HANGS: dict[str, Callable[[], Any]] = {
    "a loop": loop,
    "a loop that swallows every exception": stubborn_loop,
    "a loop in C": lambda: collections.deque(itertools.count(), maxlen=0),
    "a sleep": lambda: time.sleep(60),
    "a sleep with signals blocked": deaf_sleep,
    "a deadlock": deadlock,
    "an event": lambda: threading.Event().wait(),
    "a pause": signal.pause,
    "a stopped process": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "an empty pipe": lambda: os.read(os.pipe()[0], 1),
    "a wait that keeps the interpreter's lock": lambda: ctypes.PyDLL(None).usleep(60_000_000),
}


def acting(act: Callable[[], Any]) -> Session:
    """A session whose engine does `act` where there are three groups."""

    def conv1d(input: Any, weight: Any, bias: Any = None, groups: int = 1, **rest: Any) -> Any:
        y = engine.conv1d(input, weight, bias, groups=groups, **rest)
        if groups == 3:
            act()
        return y

    return session_of(conv1d)


def session_of(conv1d: Callable[..., Any]) -> Session:
    judged = Engine("planted", SimpleNamespace(conv1d=conv1d))
    judged.patience = IMPATIENCE
    return Session(judged, Options(judged.ops), CrashLog())


def equals(case: Case, session: Session) -> Verdict:
    return session.against_oracle(case, repeat=False)


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize(("act", "headline"), CRASHES.values(), ids=CRASHES)
def test_a_crash_fails_at_its_case_and_says_how(act: Callable[[], Any], headline: str) -> None:
    found = Isolation(acting(act))(equals, FAILS)
    assert type(found) is EngineCrash
    assert headline in found.headline
    assert found.case == FAILS


@pytest.mark.parametrize("act", HANGS.values(), ids=HANGS)
def test_a_call_that_does_not_return_fails_at_its_case(act: Callable[[], Any]) -> None:
    found = Isolation(acting(act))(equals, FAILS)
    assert type(found) is EngineHang
    assert found.headline.startswith("did not return within 0.")
    assert found.case == FAILS


def test_a_lack_of_memory_is_a_kind_of_its_own() -> None:
    assert type(Isolation(acting(raises(MemoryError())))(equals, FAILS)) is OutOfMemory


def test_what_holds_gives_its_verdict() -> None:
    verdict = Isolation(acting(loop))(equals, HOLDS)
    assert isinstance(verdict, Verdict)
    assert verdict.status is Status.AGREED


def test_an_ordinary_failure_comes_back_as_it_was_raised() -> None:
    session = session_of(lambda input, weight, **rest: np.zeros(3, input.dtype))  # noqa: A006
    found = Isolation(session)(equals, HOLDS)
    assert type(found) is ShapeMismatch
    assert found.details


def breaks(case: Case, session: Session) -> Verdict:
    raise ZeroDivisionError


def test_an_error_of_a_predicate_comes_back() -> None:
    assert isinstance(Isolation(session_of(engine.conv1d))(breaks, HOLDS), ZeroDivisionError)


def test_a_judge_goes_on_after_a_death() -> None:
    judge = Judge(acting(lambda: os._exit(0)))
    results = [judge(equals, case) for case in (HOLDS, FAILS, HOLDS)]
    judge.close()
    assert [isinstance(result, Verdict) for result in results] == [True, False, True]


def test_a_call_that_hung_is_not_judged_again() -> None:
    judge = Judge(acting(loop))
    sparing = Sparing(judge)
    first, second = (sparing(equals, FAILS) for _ in range(2))
    judge.close()
    assert first is second is not None


def isolated(session: Session) -> Session:
    """Judging elsewhere, as a careful run does."""
    session.alone, session.elsewhere = Isolation(session), Judge(session)
    return session


def failure(session: Session, case: Case) -> Mismatch:
    with pytest.raises(Mismatch) as caught:
        session.check(equals, case)
    return caught.value


def settled_in(session: Session, case: Case) -> Mismatch:
    """The smallest failure that `case` leads to."""
    found = settled(session, equals, failure(session, case))
    session.elsewhere and session.elsewhere.close()  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("act", [lambda: os._exit(0), os.abort, loop])
def test_what_ends_its_process_is_shrunk_like_any_other(act: Callable[[], Any]) -> None:
    assert settled_in(isolated(acting(act)), LARGE).case == FAILS


def remembering() -> Session:
    """A session whose engine keeps the stride from call to call, for inputs of one shape."""
    kept: dict[Any, Any] = {}

    def conv1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, **rest: Any) -> Any:
        return engine.conv1d(input, weight, bias, kept.setdefault(input.shape, stride), **rest)

    return session_of(conv1d)


OTHERS = [parse(f"conv1d((1, 1, {n}), (1, 1, 1))") for n in range(1, 40)]
FIRST, SECOND = (parse(f"conv1d((1, 1, 50), (1, 1, 1), stride={s})") for s in (2, 3))


def after_others() -> Mismatch:
    """A failure of SECOND, after FIRST and many more."""
    session = remembering()
    session.alone = Isolation(remembering())
    for case in (*OTHERS, FIRST, *OTHERS):
        session.check(equals, case)
    return confirmed(session, equals, failure(session, SECOND))


def test_a_failure_after_other_calls_carries_the_shortest_sequence() -> None:
    found = after_others()
    assert found.headline == "output has another shape, only after other calls"
    assert isinstance(found.source, CaseSequence)
    assert len(found.source.cases) == 2
    assert found.source.cases[0].arguments.get("stride") != found.case.arguments.get("stride")


def test_a_failure_that_nothing_repeats_is_still_reported() -> None:
    session = session_of(engine.conv1d)
    session.alone = Isolation(session)
    found = confirmed(session, equals, EngineCrash(HOLDS, session.engine, "raised"))
    assert found.headline == "raised, seen once: not alone, and not after the calls before it"
    assert found.case == HOLDS


def struck() -> Session:
    """A session whose engine keeps a stride of 2, which no variation of SECOND has."""
    kept: dict[Any, Any] = {}

    def conv1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, **rest: Any) -> Any:
        if stride == 2:
            kept[input.shape] = stride
        return engine.conv1d(input, weight, bias, kept.get(input.shape, stride), **rest)

    return session_of(conv1d)


def test_a_call_much_like_the_failing_one_is_found_however_long_ago() -> None:
    session = struck()
    session.alone, session.crashlog = Isolation(struck()), CrashLog()
    collections.deque((session.check(equals, case) for case in (FIRST, *60 * OTHERS)), maxlen=0)
    assert str(FIRST) not in session.recent
    found = confirmed(session, equals, failure(session, SECOND))
    assert found.headline == "output has another shape, only after other calls"


def test_what_nothing_shows_again_is_no_smallest_case() -> None:
    session = remembering()
    session.alone = Isolation(session_of(engine.conv1d))
    session.check(equals, FIRST)
    found = settled(session, equals, failure(session, SECOND))
    assert (found.settled, found.depends, found.case) == (False, True, SECOND)


def test_a_call_that_was_never_judged_is_found_as_a_variation() -> None:
    session = remembering()
    session.alone = Isolation(remembering())
    session.engine.namespace.conv1d(np.zeros((1, 1, 50)), np.zeros((1, 1, 1)), stride=2)
    session.check(equals, HOLDS)
    found = confirmed(session, equals, failure(session, SECOND))
    assert isinstance(found.source, CaseSequence)


def striding_twice() -> Session:
    """As `remembering`, and wrong at once where the stride is 3."""
    kept: dict[Any, Any] = {}

    def conv1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, **rest: Any) -> Any:
        y = engine.conv1d(input, weight, bias, kept.setdefault(input.shape, stride), **rest)
        return y if stride != 3 else y + 1

    return session_of(conv1d)


def test_a_call_that_fails_by_itself_is_not_what_another_one_needed() -> None:
    session = striding_twice()
    session.alone, session.crashlog = Isolation(striding_twice()), CrashLog()
    four = parse(str(SECOND).replace("3", "4"))
    with suppress(Mismatch):
        session.check(equals, SECOND)  # much like what fails next, and wrong by itself
    found = confirmed(session, equals, failure(session, four))
    assert isinstance(found.source, CaseSequence)
    assert found.case.arguments["stride"] != 3


def twice() -> Session:
    """A session whose engine takes an invalid call when it is made again."""
    seen: list[Any] = []

    def conv1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, **rest: Any) -> Any:
        if stride == 0:
            seen.append(weight)
        if len(seen) > 1 and stride == 0:
            return weight
        return engine.conv1d(input, weight, bias, stride, **rest)

    return session_of(conv1d)


def test_an_invalid_call_that_is_taken_when_it_is_made_again_is_found() -> None:
    case = parse("conv1d((1, 1, 1), (1, 1, 1), stride=0, blame='stride')")
    session = twice()
    session.alone, session.crashlog = Isolation(twice()), CrashLog()
    collections.deque((session.check(equals, c) for c in (case, *20 * OTHERS)), maxlen=0)
    found = confirmed(session, equals, failure(session, case))
    assert isinstance(found.source, CaseSequence)
    assert (len(found.source.cases), found.case.blame) == (2, "stride")


LIKE = "conv1d((1, 1, 4), (1, 1, 2), stride=2, data='ramp')"


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("conv1d((1, 1, 4), (1, 1, 2), stride=2)", 3),  # ends otherwise
        ("conv1d((1, 1, 4), (1, 1, 2), stride=2, data='ramp')", 5),
        ("conv1d((1, 1, 4), (1, 1, 2), stride=3, data='ramp')", 4),
        ("conv2d((1, 1, 4, 4), (1, 1, 2, 2), data='ramp')", 1),
    ],
)
def test_lines_are_alike_in_as_many_parts_as_they_share(line: str, parts: int) -> None:
    assert likeness(line, LIKE) == parts


def test_calls_at_once_that_fail_in_a_row_too_are_that_row() -> None:
    session = remembering()
    session.alone = Isolation(remembering())
    found = ShapeMismatch(SECOND, session.engine, "output has another shape")
    found.sequence = CaseSequence((FIRST, SECOND), at_once=True)
    smaller = settled(session, in_order, found)
    assert isinstance(smaller.source, CaseSequence)
    assert not smaller.source.at_once


def partly(case: Case, session: Session) -> Verdict:
    """A predicate of HOLDS that makes another call on the way."""
    STAGE.part(FAILS)
    return session.against_oracle(FAILS if case == HOLDS else case, repeat=False)


def test_a_death_in_a_part_of_what_is_judged_names_that_call() -> None:
    judge = Judge(acting(os.abort))
    found = judge(partly, HOLDS)
    judge.close()
    assert isinstance(found, EngineCrash)
    assert (found.case, called(found)) == (HOLDS, FAILS)


def test_a_death_of_a_known_fault_is_not_searched_again() -> None:
    session = acting(os.abort)
    session.triage.add(EngineCrash(FAILS, session.engine, "ends"))
    item: Any = SimpleNamespace(function=equals_the_oracle, nodeid="test[0]", location=("", 0, ""))
    run = IsolatedRun(SimpleNamespace(), session)  # type: ignore[arg-type]
    (report,) = run._known(item, Death("ends", hung=False, recent=(str(LARGE),)))
    assert report.convolutions[0]["fault"] == ("EngineCrash", str(FAILS))
    assert run._known(item, Death("ends", hung=False, recent=(str(HOLDS),))) == []


def test_the_next_case_has_no_part_of_the_one_before() -> None:
    log = CrashLog()
    log.at(HOLDS)
    log.part_is(FAILS)
    assert log.part == str(FAILS)
    log.at(HOLDS)
    assert log.part == ""


def test_a_part_that_is_too_long_is_not_noted() -> None:
    log = CrashLog()
    log.part_is(FAILS)
    log.part_is("conv1d(" + 1000 * " ")
    assert log.part == ""


def test_the_crash_log_keeps_the_latest_cases_in_order() -> None:
    log = CrashLog()
    collections.deque(map(log.at, 30 * OTHERS), maxlen=0)
    latest = [str(case) for case in 30 * OTHERS][-len(log.recent) :]
    assert log.recent == latest
    assert len("\n".join(latest)) > HALF / 2


def busy(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def swallowing(times: int) -> None:
    for _ in range(times):
        with suppress(Overdue):
            busy(3)
    busy(3)


def test_the_timer_raises_again_where_an_exception_is_swallowed() -> None:
    with pytest.raises(Overdue), Timer().running(0.05):
        swallowing(times=3)  # more often than there are timers


def test_a_sleep_may_take_five_times_as_long_as_a_loop() -> None:
    start = time.monotonic()
    with pytest.raises(Overdue, match=r"within 0\.5 s"), Timer().running(0.1):
        time.sleep(60)
    assert time.monotonic() - start < 5


def test_what_the_oracle_loads_is_not_interrupted() -> None:
    finished: list[bool] = []

    def slow(**operands: Any) -> None:
        busy(0.3)
        finished.append(True)

    session, oracle = session_of(engine.conv1d), Engine("slow", SimpleNamespace(conv1d=slow))
    session.oracle, oracle.patience = oracle, 0.01
    Isolation(session).warm_up()
    assert finished == [True]
