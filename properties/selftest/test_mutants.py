"""Every mutant of the engine is killed, or stands among the equivalents with the reason why."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from .mutation.gate import gate
from .mutation.mutants import PACKAGE, Copies, Mutant, Source, mutations

SHARDS = 16  # work for xdist to spread
FILE = Path(__file__).with_name("equivalents.txt")


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


def killers(mutants: list[Mutant]) -> dict[str, str]:
    """What killed each mutant; empty for one that survived."""
    return dict(zip(map(str, mutants), gate().verdicts(mutants), strict=True))


@pytest.mark.parametrize("shard", range(SHARDS), ids=lambda i: f"shard {i}")
def test_every_mutant_is_killed_unless_it_is_equivalent(shard: int) -> None:
    mutants = gate().copies.mutants
    share = mutants[shard * len(mutants) // SHARDS : (shard + 1) * len(mutants) // SHARDS]
    found = killers(share)
    lived = [mutant for mutant, killer in found.items() if not killer]
    assert [m for m in lived if m not in EQUIVALENTS] == [], "survived, and nobody says why"
    stale = {m: killer for m, killer in found.items() if killer and m in EQUIVALENTS}
    assert stale == {}, "said to be equivalent, and yet killed"


def test_every_equivalent_exists() -> None:
    assert sorted(EQUIVALENTS - {*map(str, Copies().mutants)}) == [], "no such mutant: stale"


def test_every_equivalent_has_its_reason_and_stands_once() -> None:
    assert all(reason for _, reason in explained())
    assert len(EQUIVALENTS) == len(explained())


def test_the_right_engine_passes_every_check() -> None:
    assert gate().found_wrong == []
    assert len(gate().checks) > 2500


def test_every_module_has_mutants() -> None:
    modules = {m.module for m in gate().copies.mutants}
    assert modules == {*gate().copies.sources} - {"__init__"}


PRODUCT = ("im2col", "y: Array = kernels @ columns")
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
    "8-GiB": (*PRODUCT, "y = np.ones((1 << 30, 1))", "MemoryError in"),
}


@pytest.mark.parametrize(("module", "line", "code", "kind"), BY_HAND.values(), ids=BY_HAND)
def test_a_mutant_made_by_hand_is_killed(module: str, line: str, code: str, kind: str) -> None:
    mutant = gate().copies.sources[module].rewritten(line, code)
    verdicts = gate().verdicts([mutant, mutant])
    assert all(kind in verdict for verdict in verdicts)
    assert len(verdicts) == 2


def test_an_equivalent_made_by_hand_survives() -> None:
    mutant = gate().copies.sources["im2col"].rewritten(PRODUCT[1], "y = 1 * (kernels @ columns)")
    assert gate().verdicts([mutant]) == [""]


def test_mutants_leave_the_engine_as_it_was() -> None:
    source = Source(PACKAGE / "im2col.py")
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
