"""Each line that a run claims is derived from what it did, and holds by simulation."""

from __future__ import annotations

import random

import pytest

from properties.cases.case import Case
from properties.cases.line import parse
from properties.comparison.mismatch import Status, Verdict
from properties.statistics.claims import MISSED, claims, rarest_found, rounded_up
from properties.statistics.statistics import Scope, Statistics, escape


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (1.40e-7, "1.4e-07"),
        (1.41e-7, "1.5e-07"),
        (5.96e-8, "6.0e-08"),
        (9.99e-8, "1.0e-07"),
        (0, "0"),
    ],
)
def test_a_probability_is_rounded_up(probability: float, shown: str) -> None:
    assert rounded_up(probability) == shown


@pytest.mark.parametrize("n", [1, 10, 300, 8000])
def test_the_rarest_fault_that_is_named_is_missed_as_rarely_as_said(n: int) -> None:
    m = rarest_found(n)
    assert (1 - 1 / m) ** n <= MISSED
    assert (1 - 1 / (m + 1)) ** n > MISSED


def test_a_fault_that_shows_on_one_case_in_m_is_missed_as_often_as_claimed() -> None:
    draw, n = random.Random(0), 300
    m = rarest_found(n)
    missed = sum(all(draw.random() >= 1 / m for _ in range(n)) for _ in range(4000))
    assert missed / 4000 <= 1.5 * MISSED


def vanishing(dtype: str, runs: int) -> float:
    """How often (x - a)·(x - b), a fault of degree 2 with two roots in range, is zero."""
    case = parse(f"conv1d({dtype}(1, 1, 40), {dtype}(1, 1, 40), data='integers:0')")
    values = round(2 / escape(case))
    draw = random.Random(1)
    return sum(draw.randrange(values) in (0, values - 1) for _ in range(runs)) / runs


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_a_fault_of_degree_two_escapes_as_often_as_claimed(dtype: str) -> None:
    case = parse(f"conv1d({dtype}(1, 1, 40), {dtype}(1, 1, 40), data='integers:0')")
    assert vanishing(dtype, 4000) == pytest.approx(escape(case), rel=0.15)


CASE = parse("conv1d(float64(2, 1, 3), float64(2, 1, 2), data='integers:1')")


def counted(*names: str) -> str:
    """The claim of a scope of one case, of which these results were compared."""
    statistics = Statistics()
    statistics.expect("one axis", [CASE])
    statistics.complete("one axis", CASE, Verdict(Status.AGREED, dict.fromkeys(names, 0.0)))
    return next(claims(statistics))


def test_an_engine_without_gradients_claims_values_alone() -> None:
    assert "values alone of 1 geometries" in counted("output")
    assert "values and gradients of 1 geometries" in counted("output", "grad_input")


def test_a_scope_that_was_not_finished_is_not_called_complete() -> None:
    statistics = Statistics(scopes={"one axis conv1d": Scope(accepted=3, whole=4)})
    assert next(claims(statistics)).startswith("3 of 4: ")


def drawn(case: Case, *, independently: bool) -> list[str]:
    statistics = Statistics()
    statistics.cover(case, independently=independently)
    return [line for line in claims(statistics) if line.startswith("sampled")]


def test_only_independent_cases_are_called_sampled() -> None:
    assert drawn(CASE, independently=False) == []
    assert drawn(CASE, independently=True)[0].startswith("sampled: 1 valid cases")
