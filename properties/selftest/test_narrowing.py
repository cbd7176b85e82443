"""--data, --layouts and --errors=ignore narrow all that is drawn, and nothing else changes."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from properties.cases.case import Case
from properties.cases.layouts import words
from properties.cases.line import parse
from properties.cases.partial import traits
from properties.cases.sequence import cases_of
from properties.generation import sampling
from properties.generation.narrowing import EVERYTHING, Narrowing
from properties.generation.sequences import sequences
from properties.session.options import Options
from properties.statistics.features import possible

PLAIN = Narrowing(layouts=("contiguous",))
WIDE = parse("conv1d(float32(2, 3, 4, layout='swapped+order:2,1,0'), (1, 3, 2), data='reals:3')")


def drawn(narrowing: Narrowing, n: int = 500) -> list[Case]:
    return [*islice(narrowing.fitting(sampling.cases(0)), n)]


def layouts(case: Case) -> list[str]:
    return [trait for trait in traits(case) if "layout" in trait]


def test_contiguous_alone_leaves_no_odd_layout() -> None:
    assert not any(map(layouts, drawn(PLAIN)))
    assert any(map(layouts, drawn(EVERYTHING)))


@pytest.mark.parametrize("name", ["fortran", "step", "order", "swapped", "field", "readonly"])
def test_a_layout_alone_is_that_of_every_array(name: str) -> None:
    found = drawn(Narrowing(layouts=(name,)), 100)
    assert {words(v.layout) for case in found for v in case.operands.values()} == {(name,)}


@pytest.mark.parametrize("rules", [("special",), ("wrap",), ("integers", "reals"), ("ones",)])
def test_only_the_data_asked_for_are_drawn(rules: tuple[str, ...]) -> None:
    found = [case.rule for case in drawn(Narrowing(rules=rules), 200)]
    assert {*found} == {*rules}
    assert all(found.count(rule) > 20 for rule in rules)


def test_a_fitted_case_keeps_what_is_asked_for() -> None:
    fitted: Any = Narrowing(layouts=("contiguous", "swapped")).fitted(WIDE)
    assert str(fitted) == str(WIDE).replace("+order:2,1,0", "")


def test_without_invalid_calls_sequences_lose_them() -> None:
    valid = Narrowing(invalid=False)
    found = [case for s in islice(valid.fitting(sequences(0)), 200) for case in cases_of(s)]
    assert not any(case.blame for case in found)
    assert not [*islice(valid.fitting(islice(sampling.invalid_cases(0), 50)), 1)]


def test_what_a_sequence_declares_alike_stays_alike() -> None:
    case = parse("conv1d(float32(1, 1, 3, layout='swapped'), (1, 1, 1), data='reals:1')")
    other = parse(str(case).replace("reals:1", "reals:2"))
    narrowing = Narrowing(layouts=("order", "step", "crop"))
    first, second = (narrowing.fitted(c) for c in (case, other))
    assert isinstance(first, Case)
    assert isinstance(second, Case)
    assert first.operands == second.operands


def test_pairs_are_demanded_of_what_is_asked_for_alone() -> None:
    narrowed = Options(narrowing=Narrowing(rules=("reals",), layouts=("swapped",)))
    found = " ".join(possible(narrowed.features))
    assert "layout swapped" in found
    assert "layout crop" not in found
    assert "data integers" not in found
