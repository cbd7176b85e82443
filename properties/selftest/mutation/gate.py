"""The gate that every mutant has to fail: cases whose outcome is known, and our engine's tests.

Everything that does not depend on the mutant is computed once: the arrays, what torch makes of
them, and which lines of the engine each check runs. A mutant is run through those checks alone
that run one of its lines, the check that killed the mutant before it first.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import io
import itertools
import os
import resource
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import oracle
import properties
from properties.cases.case import DTYPES, Case
from properties.cases.files import CORPUS, read_cases
from properties.cases.operation import OPS, work
from properties.comparison.compare import Comparison
from properties.comparison.deviations import is_excused
from properties.comparison.engine import Engine
from properties.comparison.loading import by_definition
from properties.comparison.mismatch import EngineHang, Mismatch
from properties.comparison.watchdog import Overdue, Timer
from properties.generation import sampling

from .mutants import TOP, Copies, Modules, Mutant, installed

LARGEST = 3e7  # multiply-adds of a case: what is larger only costs time
SEED, VALID, INVALID = 0, 60, 60  # cases of each op
PATIENCE = 2.0  # seconds of processor time for one test; the slowest of them takes 0.05
DEADLINE = 60  # seconds of real time for one mutant, after which its process is ended
ON_IMPORT = ("", 0)  # the line that every check runs
ROOM = 4 << 30  # bytes that a mutant may allocate

# Which algorithm computes: the engine's own choice, or a module that is passed to it. A mutant is
# run where most checks run its lines, so that code which is never chosen is checked all the same.
OWN_CHOICE = ""
ALGORITHMS = (OWN_CHOICE, "definition")

# The tests of our engine alone are those that import it.
TESTS = tuple(
    path
    for path in sorted(Path(properties.__file__).parent.glob("test_*.py"))
    if "\nimport engine\n" in path.read_text(encoding="utf-8")
)
# Those that ask another process, those of torch or of the table of calls alone, what cases of
# layers check as well, and those of memory, to which the tracing of lines adds.
ELSEWHERE = {
    "test_a_layer_takes_no_more_than_2_mib",
    "test_the_memory_does_not_grow_with_the_batch",
    "test_value_and_gradients_are_torchs",
    "test_the_engine_does_not_need_torch",
    "test_the_engine_imports_only_numpy",
    "test_torch_accepts_what_the_engine_rejects",
    "test_torch_has_no_such_name_or_argument_or_dtype",
    "test_the_table_has_every_verdict",
    "test_each_row_has_an_id_and_a_call_of_its_own",
    "test_an_argument_is_blamed_where_the_engine_rejects_and_only_there",
}


def computing_by(modules: Modules, algorithm: str) -> Engine:
    """A copy of our engine that computes by one of `ALGORITHMS`, held to all that ours is."""
    if algorithm == OWN_CHOICE:
        return Engine("engine", modules[TOP], strict=True)
    with installed(modules):
        engine = by_definition(modules[TOP])
    engine.strict = True
    return engine


class CaseCheck:
    """One case: it kills what differs from torch, whose outcome is computed beforehand."""

    def __init__(self, case: Case, reference: Engine) -> None:
        self.comparison = Comparison.of(case, reference)
        self.name = str(case)

    def __call__(self, mutant: MutatedEngine) -> None:
        try:
            self.comparison.verdict(mutant.engine)
        except Mismatch as mismatch:
            if not is_excused(mismatch, mutant.engine):
                self._renew()
                raise

    def _renew(self) -> None:
        """Compute all anew: a mutant that is wrong may have written to its operands."""
        self.comparison = Comparison.of(self.comparison.case, self.comparison.reference)


class TestCheck:
    """One call of a test function, from its module executed anew upon the mutant."""

    __test__ = False

    def __init__(self, path: Path, index: int, name: str) -> None:
        self.path, self.index, self.name = path, index, name

    def __call__(self, mutant: MutatedEngine) -> None:
        mutant.tests(self.path)[self.index][1]()


Check = CaseCheck | TestCheck


class MutatedEngine:
    """One copy of the engine: what cases call, and what the tests import."""

    def __init__(self, modules: Modules, algorithm: str = OWN_CHOICE) -> None:
        self.modules, self.algorithm = modules, algorithm
        self.engine = computing_by(modules, algorithm)
        self._tests: dict[Path, list[tuple[str, Callable[[], None]]]] = {}

    def tests(self, path: Path) -> list[tuple[str, Callable[[], None]]]:
        if path not in self._tests:
            namespace: dict[str, Any] = {"__name__": f"properties.{path.stem}"}
            namespace["__file__"] = str(path)
            exec(_code(path), namespace)
            self._tests[path] = [*_calls(namespace)]
        return self._tests[path]

    @cached_property
    def alarm(self) -> Timer:
        return Timer()

    def killed_by(self, check: Check) -> str:
        """What `check` finds wrong, if anything; a busy machine stalls once, a loop again."""
        found = self._tried(check)
        if found.startswith((Overdue.__name__, EngineHang.__name__)):
            self.engine = computing_by(self.modules, self.algorithm)  # as patient as at first
            return self._tried(check)
        return found

    def _tried(self, check: Check) -> str:
        try:
            if isinstance(check, TestCheck):
                self.alarm.start(PATIENCE)
            check(self)
        except (Exception, Overdue, pytest.fail.Exception) as error:  # noqa: BLE001 - it was noticed
            return f"{type(error).__name__} in {check.name}"
        finally:
            self.alarm.stop()
        return ""


@lru_cache
def _code(path: Path) -> Any:
    return compile(path.read_text(encoding="utf-8"), str(path), "exec")


def _calls(namespace: dict[str, Any]) -> Iterator[tuple[str, Callable[[], None]]]:
    """Every test of a module with every set of its parameters."""
    for name, function in namespace.items():
        if name.startswith("test_") and callable(function) and name not in ELSEWHERE:
            marks = [m for m in getattr(function, "pytestmark", []) if m.name == "parametrize"]
            for sets in itertools.product(*[[*_sets(*mark.args)] for mark in marks]):
                given = {k: v for one in sets for k, v in one.items()}
                yield f"{name}{list(given.values())!r:.80}", _call(function, given)


def _sets(names: str | Sequence[str], values: Any) -> Iterator[dict[str, Any]]:
    keys = [names] if isinstance(names, str) else names
    for value in values:
        row = getattr(value, "values", None)
        row = row if isinstance(row, tuple) else (value,) if len(keys) == 1 else value
        yield dict(zip(keys, row, strict=True))


def _call(function: Any, given: dict[str, Any]) -> Callable[[], None]:
    if "capsys" not in function.__code__.co_varnames[: function.__code__.co_argcount]:
        return lambda: function(**given)

    def run() -> None:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            function(**given, capsys=SimpleNamespace(readouterr=lambda: read(out)))

    def read(out: io.StringIO) -> Any:
        printed = out.getvalue()
        out.seek(0)
        out.truncate()
        return SimpleNamespace(out=printed)

    return run


@contextlib.contextmanager
def as_in_a_run() -> Iterator[None]:
    """Warnings are errors, and torch computes with its native kernels."""
    with oracle.native_kernels(), warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel", UserWarning)
        yield


def chosen_cases() -> Iterator[Case]:
    """The corpus without its largest layers, and a sample of every op, valid and invalid."""
    for case in read_cases(CORPUS):
        if work(OPS[case.op], case.operands) <= LARGEST:
            yield case
    for number, op in enumerate(OPS):
        for source, count in ((sampling.cases, VALID), (sampling.invalid_cases, INVALID)):
            yield from itertools.islice(source(SEED + number, (op,), DTYPES), count)


class Gate:
    """All checks, which lines of the engine each runs, and what each costs."""

    def __init__(self) -> None:
        self.copies = Copies()
        self.costs: dict[int, float] = {}
        self.found_wrong: dict[str, list[str]] = {}
        with as_in_a_run():
            self.checks = [*self._cases(), *self._tests()]
            self.runs = {name: self._lines(name) for name in ALGORITHMS}

    def _cases(self) -> Iterator[Check]:
        reference = Engine("torch", oracle, "")
        for case in {str(c): c for c in chosen_cases()}.values():
            yield CaseCheck(case, reference)

    def _tests(self) -> Iterator[Check]:
        right = MutatedEngine(self.copies.right)
        with installed(right.modules):
            for path in TESTS:
                for i, (name, _) in enumerate(right.tests(path)):
                    yield TestCheck(path, i, f"{path.stem}::{name}")

    def _lines(self, algorithm: str) -> dict[tuple[str, int], set[int]]:
        """The checks that run a line of a module, but for those that find the engine wrong."""
        found: dict[tuple[str, int], set[int]] = {}
        right = MutatedEngine(self.copies.right, algorithm)
        self.found_wrong[algorithm] = []
        with installed(right.modules):
            for i, check in enumerate(self.checks):
                start = time.perf_counter()
                with traced({s.path: n for n, s in self.copies.sources.items()}) as lines:
                    wrong = right.killed_by(check)
                self.costs.setdefault(i, time.perf_counter() - start)
                if wrong:
                    self.found_wrong[algorithm].append(wrong)
                for line in () if wrong else (ON_IMPORT, *lines):
                    found.setdefault(line, set()).add(i)
        return found

    def candidates(self, mutant: Mutant) -> tuple[str, set[int]]:
        """The algorithm with which most checks may see a difference, and these checks."""
        lines = [(mutant.module, line) for line in mutant.lines] or [ON_IMPORT]
        found = {
            name: set[int]().union(*[checks.get(line, ()) for line in lines])
            for name, checks in self.runs.items()
        }
        return max(found.items(), key=lambda item: len(item[1]))

    def killer(self, mutant: Mutant, order: list[int]) -> str:
        """What killed `mutant`, or an empty text; this check becomes the first of `order`."""
        algorithm, checks = self.candidates(mutant)
        try:
            modules = self.copies.of(mutant)
        except Exception as error:  # noqa: BLE001 - not even importable
            return f"{type(error).__name__} on import"
        with installed(modules):
            mutated = MutatedEngine(modules, algorithm)
            for place, i in enumerate(order):
                if i in checks and (killer := mutated.killed_by(self.checks[i])):
                    order.insert(0, order.pop(place))
                    return killer
        return ""

    def killers(self, mutants: Sequence[Mutant]) -> list[str]:
        """What killed each mutant, each run in a process that may die of it."""
        found: list[str] = []
        while len(found) < len(mutants):
            found += self._in_a_process(mutants[len(found) :])
        return found

    def _in_a_process(self, mutants: Sequence[Mutant]) -> list[str]:
        """The killers of the mutants up to that of which the process dies, if it does."""
        reader, writer = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.12 warns of threads; xdist's only wait
            gc.freeze()  # so that the child does not collect, and so copy, what it shares
            child = os.fork()
        if child == 0:
            os.close(reader)
            self._work(mutants, writer)
        os.close(writer)
        found = [*_received(reader, child)]
        os.close(reader)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            found.append(f"{signal.Signals(os.WTERMSIG(status)).name}, which ended its process")
        elif status:
            raise RuntimeError(f"the gate itself failed at {mutants[len(found)]}")
        return found

    def _work(self, mutants: Sequence[Mutant], writer: int) -> None:
        """Write the killer of each mutant, and end this process at once."""
        status = 1
        faulthandler.disable()  # some mutants crash, as expected
        try:
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
            order = sorted(self.costs, key=lambda i: self.costs[i])
            with as_in_a_run():
                for mutant in mutants:
                    os.write(writer, self.killer(mutant, order).replace("\n", " ").encode() + b"\n")
            status = 0
        except BaseException:  # noqa: BLE001 - printed, and then this process ends
            traceback.print_exc()
        finally:
            os._exit(status)


def _received(reader: int, child: int) -> Iterator[str]:
    """The lines that a process writes; it is ended if it writes nothing for too long."""
    rest = b""
    while True:
        if not select.select([reader], [], [], DEADLINE)[0]:
            os.kill(child, signal.SIGKILL)
        data = os.read(reader, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from (line.decode() for line in lines)


@contextlib.contextmanager
def traced(paths: dict[str, str]) -> Iterator[set[tuple[str, int]]]:
    """The lines of `paths` that run meanwhile."""
    lines: set[tuple[str, int]] = set()

    def enter(frame: Any, event: str, arg: Any) -> Any:
        module = paths.get(frame.f_code.co_filename)
        if module is None:
            return None

        def step(frame: Any, event: str, arg: Any) -> Any:
            if event == "line":
                lines.add((module, frame.f_lineno))
            return step

        return step(frame, "line", None)

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield lines
    finally:
        sys.settrace(before)


@lru_cache
def gate() -> Gate:
    """One gate for all tests of a process."""
    return Gate()
