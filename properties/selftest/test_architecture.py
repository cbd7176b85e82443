"""The directions of dependency, and what every test must do, read from the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine
import oracle
import properties

PACKAGES = {p.__name__: Path(p.__path__[0]) for p in (engine, oracle, properties)}
ROOT = PACKAGES["properties"].parent
SOURCES = {
    f"{name}/{path.relative_to(folder).as_posix()}": path
    for name, folder in PACKAGES.items()
    for path in sorted(folder.rglob("*.py"))
}
ENGINE = [name for name in SOURCES if name.startswith("engine/")]
ORACLE = [name for name in SOURCES if name.startswith("oracle/")]
HARNESS = [name for name in SOURCES if name.startswith("properties/")]
TESTS = [name for name in HARNESS if Path(name).name.startswith("test_")]

# Where an engine comes in: `loading` finds what is asked for, `session` our own by its definition.
DOORS = {"properties/comparison/loading.py", "properties/session/session.py"}
# The rooms of the harness, from the bottom up: each imports only from those below it.
FLOORS = (
    {"cases", "entry"},
    {"generation", "comparison"},
    {"shrinking"},
    {"metamorphic", "statistics", "triage"},
    {"session"},
    {"survey", "gate"},
    {"plugin"},
    {"benchmark", "merge"},
)
BELOW = {room: set().union(*FLOORS[:floor]) for floor, rooms in enumerate(FLOORS) for room in rooms}


def tree(name: str) -> ast.Module:
    return ast.parse(SOURCES[name].read_text(encoding="utf-8"))


def imported(name: str) -> Iterator[str]:
    """The modules that a file imports, by their whole names."""
    package = [*Path(name).parent.parts]
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def foreign(name: str) -> set[str]:
    """Imports from neither the package itself nor the standard library."""
    packages = {module.partition(".")[0] for module in imported(name)}
    return packages - {Path(name).parts[0], *sys.stdlib_module_names}


def room(name: str) -> str:
    """The package or module directly in `properties` to which a file belongs."""
    return Path(name).parts[1].removesuffix(".py")


def rooms_used(name: str) -> set[str]:
    """The other rooms that a file imports from."""
    modules = [module.split(".") for module in imported(name)]
    return {m[1] for m in modules if m[0] == "properties" and len(m) > 1} - {room(name)}


# What judges any engine; tests of our own engine alone may reach for it, and for torch.
ROOMS = [name for name in HARNESS if room(name) in BELOW]
JUDGES = [*ROOMS, "properties/test_engine.py", "properties/test_metamorphic.py"]


def functions(name: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree(name)) if isinstance(node, ast.FunctionDef)]


def length(function: ast.FunctionDef) -> int:
    """Lines of code: without signature, docstring and decorators."""
    body = function.body[ast.get_docstring(function) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body and body[-1].end_lineno else 0


@pytest.mark.parametrize("name", ENGINE)
def test_the_engine_needs_numpy_alone(name: str) -> None:
    assert foreign(name) <= {"numpy"}


@pytest.mark.parametrize("name", ORACLE)
def test_the_oracle_needs_torch_and_numpy_alone(name: str) -> None:
    assert foreign(name) <= {"numpy", "torch"}


@pytest.mark.parametrize("name", ROOMS)
def test_imports_run_downwards(name: str) -> None:
    assert rooms_used(name) <= BELOW[room(name)]


def test_every_module_of_the_harness_stands_in_a_room() -> None:
    others = {room(name) for name in HARNESS} - BELOW.keys()
    assert [name for name in others if not name.startswith(("test_", "selftest", "__init__"))] == []


@pytest.mark.parametrize("name", JUDGES)
def test_an_engine_is_reached_through_its_doors_alone(name: str) -> None:
    assert "engine" not in foreign(name) or name in DOORS


@pytest.mark.parametrize("name", JUDGES)
def test_the_harness_reaches_torch_through_the_oracle_alone(name: str) -> None:
    assert "torch" not in foreign(name)


@pytest.mark.parametrize("name", [*ENGINE, *ORACLE])
def test_nothing_that_is_judged_knows_its_judges(name: str) -> None:
    assert foreign(name).isdisjoint({"properties", "pytest", "hypothesis"})


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import numpy as np
import engine
print(engine.conv1d(np.ones((1, 1, 3)), np.ones((1, 1, 2))).tolist())
"""


def test_the_engine_works_where_torch_is_absent() -> None:
    assert run(WITHOUT_TORCH) == "[[[2.0, 2.0]]]"


@pytest.mark.parametrize("module", ["torch", "oracle", "properties", "hypothesis", "pytest"])
def test_importing_the_engine_imports_no(module: str) -> None:
    assert run(f"import engine, sys; print({module!r} in sys.modules)") == "False"


@pytest.mark.parametrize("name", ENGINE)
def test_no_function_of_the_engine_is_longer_than_30_lines(name: str) -> None:
    assert [f"{f.name}: {length(f)} lines" for f in functions(name) if length(f) > 30] == []


@pytest.mark.parametrize("name", ENGINE)
def test_the_engine_rejects_by_name_and_never_by_assert(name: str) -> None:
    raised = [node.exc for node in ast.walk(tree(name)) if isinstance(node, ast.Raise) and node.exc]
    called = [getattr(getattr(e, "func", e), "id", "") for e in raised]
    assert {"Exception", "AssertionError"}.isdisjoint(called)
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree(name)))


@pytest.mark.parametrize("name", ENGINE)
def test_the_engine_never_uses_as_strided(name: str) -> None:
    assert "as_strided(" not in SOURCES[name].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ENGINE)
def test_options_are_named_wherever_they_are_made(name: str) -> None:
    calls = [n for n in ast.walk(tree(name)) if isinstance(n, ast.Call)]
    made = [call for call in calls if called(call).endswith("Options")]
    assert [ast.unparse(call) for call in made if call.args] == []


def called(node: ast.AST) -> str:
    """The last name of the function that `node` calls."""
    function = node.func if isinstance(node, ast.Call) else None
    return str(getattr(function, "attr", getattr(function, "id", "")))


def is_a_check(node: ast.AST) -> bool:
    """pytest.raises, or a function that asserts by its name, such as NumPy's."""
    return called(node) == "raises" or called(node).startswith("assert_")


# The decorators that make a test of a predicate, whose verdict is then counted.
PROPERTIES = {"for_all", "for_each", "within_budget", "against_baseline"}


def shows_something(test: ast.FunctionDef) -> bool:
    """It asserts, expects an exception, returns a verdict to @for_all, or yields to @relation."""
    marks = {called(mark) for mark in test.decorator_list}
    if "relation" in marks:  # which compares the two sides of every pair
        return any(isinstance(n, (ast.Yield, ast.YieldFrom)) and n.value for n in ast.walk(test))
    judged = bool(marks & PROPERTIES)
    returns = [n for n in ast.walk(test) if isinstance(n, ast.Return) and n.value is not None]
    asserts = [n for n in ast.walk(test) if isinstance(n, ast.Assert) or is_a_check(n)]
    return bool(returns if judged else asserts)


def every_test() -> list[tuple[str, ast.FunctionDef]]:
    return [(n, f) for n in TESTS for f in functions(n) if f.name.startswith("test_")]


EACH_TEST = pytest.mark.parametrize(
    "test", [f for _, f in every_test()], ids=[f"{Path(n).stem}.{f.name}" for n, f in every_test()]
)


@EACH_TEST
def test_every_test_asserts_raises_or_judges(test: ast.FunctionDef) -> None:
    assert shows_something(test)


@EACH_TEST
def test_no_test_has_a_loop_a_branch_or_a_try(test: ast.FunctionDef) -> None:
    machinery = (ast.For, ast.While, ast.If, ast.Try)
    assert not any(isinstance(node, machinery) for node in ast.walk(test))


@EACH_TEST
def test_no_test_is_longer_than_10_lines(test: ast.FunctionDef) -> None:
    assert length(test) <= 10


def test_no_two_tests_of_a_file_share_a_name() -> None:
    names = [(n, f.name) for n, f in every_test()]
    assert len({*names}) == len(names)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("def test(): assert x", True),
        ("def test():\n with pytest.raises(E): f()", True),
        ("@for_all(cases)\ndef test(case): return judge(case)", True),
        ("def test(): np.testing.assert_equal(x, y)", True),
        ("@relation(CONV)\ndef test(e): yield left, right", True),
        ("@relation(CONV)\ndef test(e): yield from sides", True),
        ("def test(): x == y", False),
        ("def test(): return x == y", False),
        ("@for_all(cases)\ndef test(case): judge(case)", False),
        ("@for_all(cases)\ndef test(case): return", False),
        ("def test(e): yield left, right", False),
        ("@relation(CONV)\ndef test(e): return left, right", False),
        ("@relation(CONV)\ndef test(e): yield", False),
    ],
)
def test_a_test_that_shows_nothing_is_told_apart(source: str, shown: bool) -> None:
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert shows_something(function) is shown
