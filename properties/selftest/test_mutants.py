"""Every mutant of the engine is killed, or stands among the equivalents with the reason why."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import engine
import oracle
from properties.cases.line import parse
from properties.comparison.engine import Engine
from properties.comparison.mismatch import ArgumentModified

from .mutation.gate import ALGORITHMS, OWN_CHOICE, CaseCheck, gate
from .mutation.mutants import PACKAGE, TOP, Copies, Mutant, Source, in_order, mutations

SHARDS = 16  # work for xdist to spread
FILE = Path(__file__).with_name("mutation") / "equivalents.txt"


def explained() -> list[tuple[str, str]]:
    """Each line of the file of equivalents, with the comment above its group."""
    found, reason = [], ""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if not line:
            reason = ""
        elif line.startswith("#"):
            reason += line.removeprefix("#")
        else:
            found.append((line, reason.strip()))
    return found


EQUIVALENTS = {line for line, _ in explained()}

# Modules that decide only how work is chosen and cut. Any cut gives the same result, which
# test_algorithms shows by drawing the limits at random, so that most of their mutants change
# nothing but speed: they are not run. What a module cuts wrongly is killed.
# The same holds of the lines that ask `plan` for a size.
CHOICES = {f"algorithms.{name}" for name in ("limits", "plan", "products", "rules", "unfolded")}
ASKS = re.compile(r"(m|most|n, c, most|samples, rows) = (part|for_\w+)\(")


def is_choice(mutant: Mutant) -> bool:
    return mutant.module in CHOICES or bool(ASKS.match(mutant.source))


def killers(mutants: list[Mutant]) -> dict[str, str]:
    """What killed each mutant; empty for one that survived."""
    return dict(zip(map(str, mutants), gate().killers(mutants), strict=True))


@pytest.mark.parametrize("shard", range(SHARDS), ids=lambda i: f"shard {i}")
def test_every_mutant_is_killed_unless_it_is_equivalent(shard: int) -> None:
    mutants = [mutant for mutant in gate().copies.mutants if not is_choice(mutant)]
    share = mutants[shard::SHARDS]
    found = killers(share)
    lived = [m for m in share if not found[str(m)]]
    assert [str(m) for m in lived if str(m) not in EQUIVALENTS] == [], (
        "survived, and nobody says why"
    )
    stale = {m: killer for m, killer in found.items() if killer and m in EQUIVALENTS}
    assert stale == {}, "said to be equivalent, and yet killed"


def test_every_equivalent_exists() -> None:
    assert sorted(EQUIVALENTS - {*map(str, Copies().mutants)}) == [], "no such mutant: stale"


def test_every_equivalent_has_its_reason_and_stands_once() -> None:
    assert all(reason for _, reason in explained())
    assert len(EQUIVALENTS) == len(explained())


def test_the_right_engine_passes_every_check() -> None:
    assert gate().found_wrong[OWN_CHOICE] == []
    assert len(gate().checks) > 2500


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_passes_every_check_but_those_of_the_largest_sizes(algorithm: str) -> None:
    assert [wrong for wrong in gate().found_wrong[algorithm] if "F1.largest" not in wrong] == []


def test_every_module_has_mutants_unless_it_only_collects_others() -> None:
    sources = gate().copies.sources
    modules = {m.module for m in gate().copies.mutants}
    assert {name for name, source in sources.items() if not source.is_package} <= modules


@pytest.mark.parametrize("module", ["definition", "algorithms.im2col"])
def test_each_mutant_of_an_algorithm_is_run_with_it(module: str) -> None:
    mutants = [m for m in gate().copies.mutants if m.module == module and m.lines]
    chosen = {"definition": "definition"}.get(module, OWN_CHOICE)
    assert {gate().candidates(mutant)[0] for mutant in mutants} == {chosen}


# ---- An engine with packages inside ----

PACKAGES = {
    "__init__": "from .compute import total",
    "compute": "from . import algorithms\ndef total(): return algorithms.total()",
    "algorithms/__init__": "from . import fast\nfrom ..sizes import ONE\n"
    "def total(): return ONE + fast.one()",
    "algorithms/fast": "from .limits import LIMIT\nfrom ..sizes import ONE\n"
    "def one(): return min(ONE, LIMIT)",
    "algorithms/limits": "LIMIT = 5",
    "algorithms/slow": "from .. import sizes\ndef one(): return sizes.ONE",
    "sizes": "ONE = 1",
}


@pytest.fixture
def nested(tmp_path: Path) -> Copies:
    """Copies of a small engine with a package in it."""
    (tmp_path / "algorithms").mkdir()
    for name, code in PACKAGES.items():
        (tmp_path / f"{name}.py").write_text(code)
    return Copies(tmp_path)


def test_a_package_inside_is_loaded_after_what_it_imports(nested: Copies) -> None:
    order = [*nested.sources]
    assert {*order} == {name.replace("/__init__", "").replace("/", ".") for name in PACKAGES}
    assert order.index("algorithms.limits") < order.index("algorithms.fast")
    assert order.index("algorithms.fast") < order.index("algorithms") < order.index("compute")
    assert nested.right[TOP].total() == 2


@pytest.mark.parametrize(
    ("module", "anew"),
    [
        ("algorithms.limits", {"algorithms.limits", "algorithms.fast", "algorithms", "compute"}),
        ("algorithms.slow", {"algorithms.slow", "algorithms", "compute"}),
        ("algorithms", {"algorithms", "compute"}),
        ("compute", {"compute"}),
    ],
)
def test_what_depends_on_a_module_is_loaded_anew(
    nested: Copies, module: str, anew: set[str]
) -> None:
    assert nested.depending(module) == anew | {TOP}


def test_a_mutant_in_a_package_leaves_the_right_copy_as_it_was(nested: Copies) -> None:
    mutant = nested.sources["algorithms.fast"].rewritten("def one", "def one(): return 7")
    modules = nested.of(mutant)
    assert (modules[TOP].total(), nested.right[TOP].total()) == (8, 2)
    assert modules["sizes"] is nested.right["sizes"]
    assert mutant.function == "algorithms.fast"


def test_modules_that_import_each_other_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from .b import x")
    (tmp_path / "b.py").write_text("from .a import y")
    with pytest.raises(ValueError, match="import each other: a, b"):
        in_order([Source(path, tmp_path) for path in sorted(tmp_path.glob("*.py"))])


# ---- Mutants made by hand ----

PRODUCT = (
    "algorithms.col2im",
    "columns = product_over(filters)(kernels, gy.reshape(n, groups, filters, prod(y)))",
)
BY_HAND = {
    "a-check-left-out": ("checks", "if groups < 1:", "pass", "groups"),
    "a-wrong-order": (
        "padding",
        "x = x.take(place, axis)",
        "x = x.take(place[::-1], axis)",
        " in ",
    ),
    "a-loop": (*PRODUCT, "while True: pass", "Overdue in"),
    "a-crash": (*PRODUCT, "import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    "8-GiB": (*PRODUCT, "columns = np.ones((1 << 30, 1))", "MemoryError in"),
}


@pytest.mark.parametrize(("module", "line", "code", "kind"), BY_HAND.values(), ids=BY_HAND)
def test_a_mutant_made_by_hand_is_killed(module: str, line: str, code: str, kind: str) -> None:
    mutant = gate().copies.sources[module].rewritten(line, code)
    found = gate().killers([mutant, mutant])
    assert all(kind in killer for killer in found)
    assert len(found) == 2


def test_an_equivalent_made_by_hand_survives() -> None:
    source, same = gate().copies.sources[PRODUCT[0]], PRODUCT[1].replace("= ", "= 1 * (") + ")"
    mutant = source.rewritten(PRODUCT[1], same)
    assert gate().killers([mutant]) == [""]


def computing(conv1d: Any) -> Any:
    return SimpleNamespace(engine=Engine("by hand", SimpleNamespace(conv1d=conv1d)))


def test_a_mutant_that_writes_to_its_operands_spoils_no_later_check() -> None:
    case = parse("conv1d((1, 1, 2), (1, 1, 1), data='ramp')")
    check = CaseCheck(case, Engine("torch", oracle))
    with pytest.raises(ArgumentModified):
        check(computing(lambda _, weight, **options: np.copyto(weight, 7)))
    check(computing(engine.conv1d))


def test_mutants_leave_the_engine_as_it_was() -> None:
    source = Source(PACKAGE / "algorithms" / "band.py")
    before = ast.dump(source.tree)
    codes = {source.mutated(mutant) for mutant in source.mutants}
    assert ast.dump(source.tree) == before
    assert len(codes) > 250


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("a < b", {"a <= b", "a >= b"}),
        ("a <= b < c", {"a < b < c", "a > b < c", "a <= b <= c", "a <= b >= c"}),
        ("a - b", {"a + b", "a", "b"}),
        ("a << b", {"a >> b", "a", "b"}),
        ("a and b", {"a or b", "a", "b"}),
        ("not a", {"a"}),
        ("True", {"False"}),
        ("3", {"4", "2"}),
        ("'same'", {"'sam'", "'ame'"}),
        ("f'got {a}'", {"f'got {a}x'"}),
        ("a if b else c", {"a if True else c", "a if False else c"}),
        ("f(a, b, key=c)", {"f(b, a, key=c)", "f(a, b)", "a"}),
        ("a.copy()", {"a"}),
        ("(a, b, c)", {"(b, a, c)", "(a, c, b)"}),
        ("{a, b}", {"{a}", "{b}"}),
        ("g.stride", {"g.dilation"}),
        ("[a for a in b if c]", set()),
    ],
)
def test_an_expression_is_changed_in_every_way(code: str, changed: set[str]) -> None:
    node = ast.parse(code, mode="eval").body
    assert {ast.unparse(new) for _, new in mutations(node)} == changed
