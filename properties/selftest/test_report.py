"""What a person reads of a run, beside its failures."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import engine
from oracle import shipped
from properties.cases.line import parse
from properties.comparison.deviations import FILE, deviations, is_excused
from properties.comparison.engine import Engine
from properties.comparison.loading import load
from properties.comparison.mismatch import (
    EngineCrash,
    GradientMismatch,
    Mismatch,
    RelationBroken,
    ShapeMismatch,
    Status,
    ValueMismatch,
    Verdict,
)
from properties.session.options import Options
from properties.session.report import summary
from properties.session.session import Session
from properties.statistics.statistics import Statistics

CASE = parse("conv1d((2, 1, 3), (1, 1, 3), padding=1, data='special:7')")


def counted(*statistical: float) -> Statistics:
    statistics = Statistics()
    for ratio in statistical:
        statistics.add(CASE, Verdict(Status.AGREED, {"output": 0.5}, ratio), 0.1)
    return statistics


def reported(statistics: Statistics) -> list[str]:
    return [line for line in summary(statistics) if "16·u·S" in line]


def test_errors_beyond_the_statistical_bound_are_counted_with_the_worst_case() -> None:
    (line,) = reported(counted(0.5, 3.0, 40.0, 2.0))
    assert line.startswith("3 errors, within the bound, are beyond 16·u·S")
    assert line.endswith(f"40 × in {CASE}")


def test_errors_below_it_are_not_mentioned() -> None:
    assert reported(counted(0.9)) == []


def test_counts_of_two_processes_are_added() -> None:
    both = counted(3.0)
    both.merge(counted(7.0).dump())
    assert reported(both)[0].startswith("2 errors")
    assert "7 × in" in reported(both)[0]


def test_the_gradients_that_an_engine_lacks_are_named() -> None:
    forward = Engine("forward", SimpleNamespace(conv1d=engine.conv1d, fold=engine.fold))
    assert forward.gradients_not_offered == ["conv1d_input", "conv1d_weight", "fold_input"]
    assert Engine("engine", engine).gradients_not_offered == []


def test_a_layer_without_backward_is_named() -> None:
    class Conv1d:
        pass

    assert Engine("e", SimpleNamespace(Conv1d=Conv1d)).gradients_not_offered == ["Conv1d.backward"]


def mismatch(engine: Engine, line: str = str(CASE)) -> Mismatch:
    return ValueMismatch(parse(line), engine, "output is wrong")


def test_what_is_known_of_torch_as_shipped_is_excused_there_alone() -> None:
    known = Engine("oracle.shipped", shipped)
    other = Engine("other", SimpleNamespace(conv1d=engine.conv1d))
    assert is_excused(mismatch(known), known)
    assert not is_excused(mismatch(other), other)


@pytest.mark.parametrize("rule", ["reals:7", "ramp", "integers:0"])
def test_other_data_are_not_excused(rule: str) -> None:
    known = Engine("oracle.shipped", shipped)
    assert not is_excused(mismatch(known, str(CASE).replace("special:7", rule)), known)


def test_what_is_known_of_torch_as_shipped_is_a_list_of_its_own() -> None:
    listed = set(map(str, deviations(shipped.deviations)))
    assert "ValueMismatch: ...(data='special')" in listed
    assert listed.isdisjoint(map(str, deviations(FILE)))


BEYOND = parse("conv1d((1, 1, 2), (1, 1, 20), padding=9)")


@pytest.mark.parametrize("kind", [EngineCrash, GradientMismatch, RelationBroken])
def test_a_list_of_another_engine_excuses_deaths_and_relations_too(kind: type[Mismatch]) -> None:
    known = Engine("oracle.shipped", shipped)
    verdict = Session(known, Options(known.ops)).excused(kind(BEYOND, known, "as its list says"))
    assert verdict is not None
    assert verdict.status is Status.DEVIATES


def test_a_list_of_another_engine_excuses_nothing_else() -> None:
    known = Engine("oracle.shipped", shipped)
    unlisted = ShapeMismatch(BEYOND, known, "of which it says nothing")
    assert Session(known, Options(known.ops)).excused(unlisted) is None


def test_the_list_of_our_own_engine_excuses_only_what_differs_from_torch() -> None:
    ours = load("engine")
    listed = ShapeMismatch(parse("conv1d((1, 0, 1), (1, 0, 1))"), ours, "as its list says")
    assert is_excused(listed, ours)
    assert Session(ours, Options(ours.ops)).excused(listed) is None
