"""The gate before which mutants stand: cases whose outcome is known, and our engine's own tests.

Everything that does not depend on the mutant is computed once: the arrays, what torch makes of
them, and which lines of the engine each check runs. A mutant meets those checks alone that run
one of its lines, the check that killed the mutant before it first.
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
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

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

from .mutants import Copies, Mutant, installed

Modules = dict[str, ModuleType]

LARGEST = 3e7  # multiply-adds of a case: what is larger only costs time
SEED, VALID, INVALID = 0, 60, 60  # cases of each op
PATIENCE = 2.0  # seconds of processor time for one test; the slowest of them takes 0.05
DEADLINE = 60  # seconds of real time for one mutant, after which its process is ended
ON_IMPORT = ("", 0)  # the line that every check runs
ROOM = 4 << 30  # bytes that a mutant may allocate

TESTS = tuple(
    Path(properties.__file__).with_name(f"test_{name}.py")
    for name in (
        "rejections",
        "torch_cases",
        "layers",
        "original",
        "engine_contract",
        "engine_documentation",
    )
)
# Those that ask another process, those of the tables alone, and what cases of layers judge as well.
ELSEWHERE = {
    "test_value_and_gradients_are_torchs",
    "test_the_engine_does_not_need_torch",
    "test_the_engine_imports_only_numpy",
    "test_the_table_is_complete_and_unambiguous",
    "test_each_rejection_has_a_name_of_its_own",
}


class CaseCheck:
    """One case: killed is what is judged wrong, with torch's outcome known beforehand."""

    def __init__(self, case: Case, trusted: Engine) -> None:
        self.comparison = Comparison.of(case, trusted)
        self.name = str(case)

    def __call__(self, mutant: MutatedEngine) -> None:
        try:
            self.comparison.verdict(mutant.engine)
        except Mismatch as mismatch:
            if not is_excused(mismatch):
                raise


class TestCheck:
    """One call of a test function, from its module executed anew upon the mutant."""

    __test__ = False

    def __init__(self, path: Path, index: int, name: str) -> None:
        self.path, self.index, self.name = path, index, name

    def __call__(self, mutant: MutatedEngine) -> None:
        mutant.tests(self.path)[self.index][1]()


Check = CaseCheck | TestCheck


class MutatedEngine:
    """One copy of the engine, as a engine and as what the tests import."""

    def __init__(self, modules: Modules, defined: bool = False) -> None:
        self.modules, self.defined = modules, defined
        self.engine = self._engine()
        self._tests: dict[Path, list[tuple[str, Callable[[], None]]]] = {}

    def _engine(self) -> Engine:
        """The copy, or what it computes by its definition."""
        package = self.modules["__init__"]
        return by_definition(package) if self.defined else Engine("engine", package, strict=True)

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
            self.engine = self._engine()
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
        told = out.getvalue()
        out.seek(0)
        out.truncate()
        return SimpleNamespace(out=told)

    return run


@contextlib.contextmanager
def as_in_a_run() -> Iterator[None]:
    """Warnings are errors, and torch computes by its own kernels."""
    before = torch._C._get_mkldnn_enabled(), torch.backends.nnpack.set_flags(False)
    torch._C._set_mkldnn_enabled(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel", UserWarning)
        yield
    torch._C._set_mkldnn_enabled(before[0])
    torch.backends.nnpack.set_flags(*before[1])


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
        with as_in_a_run():
            right = MutatedEngine(self.copies.right)
            trusted = Engine("torch", oracle, "")
            cases = {str(c): c for c in chosen_cases()}
            self.checks: list[Check] = [CaseCheck(c, trusted) for c in cases.values()]
            with installed(self.copies.right):
                for path in TESTS:
                    for i, (name, _) in enumerate(right.tests(path)):
                        self.checks.append(TestCheck(path, i, f"{path.stem}::{name}"))
            self.costs: dict[int, float] = {}
            self.runs = {}
            for name in ("definition", "im2col"):
                self.found_wrong: list[str] = []
                with installed(self.copies.right):
                    mutated = MutatedEngine(self.copies.right, defined=name == "definition")
                self.runs[name] = self._lines(mutated)

    def _lines(self, right: MutatedEngine) -> dict[tuple[str, int], set[int]]:
        """The checks that run a line of a module, but for those that find the engine wrong."""
        found: dict[tuple[str, int], set[int]] = {}
        with installed(right.modules):
            for i, check in enumerate(self.checks):
                start = time.perf_counter()
                with traced({s.path: n for n, s in self.copies.sources.items()}) as lines:
                    wrong = right.killed_by(check)
                self.costs[i] = time.perf_counter() - start
                if wrong:
                    self.found_wrong.append(wrong)
                for line in () if wrong else (ON_IMPORT, *lines):
                    found.setdefault(line, set()).add(i)
        return found

    def candidates(self, mutant: Mutant) -> set[int]:
        """The checks that may see a difference."""
        checks = self.runs["definition" if mutant.module == "definition" else "im2col"]
        if not mutant.lines:
            return checks[ON_IMPORT]
        return set().union(*[checks.get((mutant.module, line), ()) for line in mutant.lines])

    def judge(self, mutant: Mutant, order: list[int]) -> str:
        """What killed `mutant`, or an empty text; its killer becomes the first of `order`."""
        may = self.candidates(mutant)
        try:
            modules = self.copies.of(mutant)
        except Exception as error:  # noqa: BLE001 - not even importable
            return f"{type(error).__name__} on import"
        with installed(modules):
            mutated = MutatedEngine(modules, defined=mutant.module == "definition")
            for place, i in enumerate(order):
                if i in may and (killer := mutated.killed_by(self.checks[i])):
                    order.insert(0, order.pop(place))
                    return killer
        return ""

    def verdicts(self, mutants: Sequence[Mutant]) -> list[str]:
        """What killed each mutant, judged in processes that may die of it."""
        found: list[str] = []
        while len(found) < len(mutants):
            found += self._in_a_process(mutants[len(found) :])
        return found

    def _in_a_process(self, mutants: Sequence[Mutant]) -> list[str]:
        """The verdicts up to the mutant of which the process dies, if it does."""
        reader, writer = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # Python 3.12 warns of threads; those of xdist only wait
            gc.freeze()  # lest the child collect, and so copy, what it shares
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
        """Judge, tell each verdict, and end this process without any ceremony."""
        status = 1
        faulthandler.disable()  # that some mutants crash is no news
        try:
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
            order = sorted(self.costs, key=lambda i: self.costs[i])
            with as_in_a_run():
                for mutant in mutants:
                    os.write(writer, self.judge(mutant, order).replace("\n", " ").encode() + b"\n")
            status = 0
        except BaseException:  # noqa: BLE001 - told, and then this process ends
            traceback.print_exc()
        finally:
            os._exit(status)


def _received(reader: int, child: int) -> Iterator[str]:
    """The lines that a process tells; it is ended if it says nothing for too long."""
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
