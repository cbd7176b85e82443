"""Balls hold the true value, and are no wider than rounding makes them."""

from typing import Any

import numpy as np
import pytest

import engine
from properties.cases.case import Case
from properties.cases.data import arrays, widest_range
from properties.cases.line import parse
from properties.comparison.ball import Ball, around, compare_balls, exactly, joined
from properties.comparison.compare import Comparison
from properties.comparison.engine import Engine
from properties.comparison.mismatch import RelationBroken
from properties.comparison.outcome import Outcome
from properties.comparison.tolerance import (
    is_in_exact_range,
    largest,
    radius,
    radius_if_exact,
    unit_roundoff,
)

OURS = Engine("engine", engine)
FLOATING = ("float16", "float32", "float64", "complex64", "complex128")
CASE = parse("conv1d((1, 1, 2), (1, 1, 1))")
HALF = parse("conv1d(float16(1, 1, 2), float16(1, 1, 1))")


def ball(midpoint: Any, radius: Any) -> Ball:
    return Ball(np.array(midpoint), np.array(radius), "call")


def overlaps(left: Ball, right: Ball, case: Case = CASE) -> bool:
    try:
        compare_balls(case, OURS, "a = b", left, right)
    except RelationBroken:
        return False
    return True


BALL = ball([1.0, 2.0], [0.5, 0.25])


# ---- Propagation ----


def test_a_sum_and_a_difference_add_the_radii() -> None:
    a, b = ball([1.0, 2.0], [0.5, 0.0]), ball([3.0, 5.0], [0.25, 1.0])
    assert (a + b).midpoint.tolist() == [4, 7]
    assert (a - b).midpoint.tolist() == [-2, -3]
    assert (a + b).radius.tolist() == (a - b).radius.tolist() == [0.75, 1]


@pytest.mark.parametrize("moved", [BALL[::-1], BALL.rearranged(np.flip)])
def test_the_radius_moves_with_its_element(moved: Ball) -> None:
    assert moved.midpoint.tolist() == [2, 1]
    assert moved.radius.tolist() == [0.25, 0.5]


def test_joined_balls_stand_one_after_another() -> None:
    whole = joined([BALL, BALL[:1]], 0)
    assert whole.midpoint.tolist() == [1, 2, 1]
    assert whole.radius.tolist() == [0.5, 0.25, 0.5]


def test_a_dot_product_weighs_each_radius() -> None:
    found = BALL.dot(np.array([-4.0, 8.0]))
    assert found.midpoint.tolist() == [12]
    assert found.radius == pytest.approx(4, rel=1e-12)
    assert found.radius > 4  # it was itself rounded


def test_a_dot_product_of_integers_is_exact_beyond_float64() -> None:
    wide = exactly(np.array([2.0**53, 1.0])).dot(np.array([2.0**53, 1.0]))
    assert wide.midpoint.tolist() == [2**106 + 1]
    assert wide.radius.tolist() == [0]


def test_a_dot_product_of_complex_integers_is_not_conjugated() -> None:
    found = exactly(np.array([1 + 2j])).dot(np.array([3 + 4j]))
    assert found.midpoint.tolist() == [-5, 10]


@pytest.mark.parametrize("high", [1e300, 1.5e300, 1e300 + 1e300j])
@pytest.mark.parametrize("error", [0.0, 1e280, np.inf])
def test_of_a_dot_product_that_overflows_nothing_is_known(high: complex, error: float) -> None:
    total = ball([high, 1.0], [error, 0.0]).dot(np.array([high, 0.0]))
    assert np.isinf(total.radius).all()
    assert overlaps(total, exactly(np.zeros(total.shape)))


def test_an_infinite_radius_stays_infinite_beside_a_factor_of_0() -> None:
    assert np.isinf(ball([1.0], [np.inf]).dot(np.zeros(1)).radius)


def test_what_is_known_without_the_engine_has_radius_0() -> None:
    assert exactly(np.ones((2, 3), np.float16)).radius.tolist() == [[0] * 3] * 2


# ---- Comparison ----


@pytest.mark.parametrize(
    ("left", "right", "alike"),
    [
        (ball([0.0], [0.5]), ball([0.75], [0.25]), True),
        (ball([0.0], [0.5]), ball([0.76], [0.25]), False),
        (ball([np.nan], [0.0]), ball([np.nan], [0.0]), True),
        (ball([np.inf], [0.0]), ball([np.inf], [0.0]), True),
        (ball([np.inf], [0.0]), ball([-np.inf], [0.0]), False),
        (ball([np.nan], [1.0]), ball([1.0], [1.0]), False),
        (ball([np.nan], [np.inf]), ball([1.0], [0.0]), True),  # it may overflow
        (ball([1.0, 1.0], [0.0, 0.0]), ball([1.0], [0.0]), False),
    ],
)
def test_two_balls_are_alike_if_they_overlap(left: Ball, right: Ball, alike: bool) -> None:
    assert overlaps(left, right) is alike


@pytest.mark.parametrize(("other", "alike"), [(-255, True), (0, False)])
def test_integers_are_compared_modulo_their_range(other: int, alike: bool) -> None:
    case = parse("conv1d(uint8(1, 1, 1), uint8(1, 1, 1))")
    assert overlaps(exactly(np.array([1])), exactly(np.array([other])), case) is alike


# ---- Radii ----


@pytest.mark.parametrize(
    ("y", "expected"),
    [(2047.0, 0.0), (2048.0, 1.0), (-4096.0, 2.0), (np.inf, 0.0), (np.nan, 0.0)],
)
def test_an_exact_sum_is_rounded_to_half_from_2048_on(y: float, expected: float) -> None:
    assert radius_if_exact(9, "float16", "float32", np.array(y)) == expected


@pytest.mark.parametrize("dtype", FLOATING[1:])
def test_an_exact_sum_in_its_own_dtype_has_radius_0(dtype: str) -> None:
    assert radius_if_exact(9, dtype, dtype, np.array([1e9, np.inf])).tolist() == [0, 0]


def test_what_sums_nothing_has_radius_0() -> None:
    assert radius_if_exact(0, "float16", "float32", np.array([4096.0])).tolist() == [0]


@pytest.mark.parametrize("z", [2049.0, 4099.0, 1.0 + 2**-11, 3.3e-8, 2.0**-14 * 0.9999, 65519.0])
def test_the_radius_of_a_rounded_result_holds_what_was_rounded(z: float) -> None:
    y = np.array(z).astype(np.float16).astype(np.float64)
    assert np.abs(y - z) <= radius(1, "float16", "float32", y, 0.0)


def test_the_radius_grows_with_the_rounding_to_a_narrower_dtype() -> None:
    narrow, wide = (radius(9, d, "float32", 1.0, 1.0) for d in ("float16", "float32"))
    assert narrow - wide == pytest.approx(unit_roundoff("float16"), rel=1e-3)


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize(("part", "infinite"), [(1.0, True), (0.9, False)])
def test_a_radius_is_infinite_where_a_sum_may_overflow(
    part: float, infinite: bool, dtype: str
) -> None:
    assert np.isinf(radius(9, dtype, dtype, np.inf, part * largest(dtype))) == infinite


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_a_result_that_must_be_finite_has_a_finite_radius(wrong: float) -> None:
    assert np.isfinite(radius(1, "float16", "float32", wrong, 1.0))


@pytest.mark.parametrize("scale", [np.inf, np.nan])
def test_a_radius_is_0_where_an_operand_is_not_finite(scale: float) -> None:
    assert radius(9, "float32", "float32", np.nan, scale) == 0


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("k", [1, 9, 100])
def test_the_exact_range_of_products_ends_where_the_data_rule_ends(k: int, dtype: str) -> None:
    case, most = parse(f"conv1d({dtype}(1, 1, 2), {dtype}(1, 1, 1))"), widest_range(k, dtype)
    assert is_in_exact_range(case, k, [np.array([-most], np.float64)])
    assert not is_in_exact_range(case, k, [np.array([most + 1], np.float64)])


@pytest.mark.parametrize(
    ("dtype", "most"), [("float16", 65504 // 4), ("float32", (2**24 - 1) // 4)]
)
def test_the_exact_range_of_sums_is_wider_than_that_of_products(dtype: str, most: int) -> None:
    case = parse(f"fold({dtype}(1, 4, 1), output_size=2, kernel_size=2)")
    assert is_in_exact_range(case, 4, [np.array([-most], np.float64)])
    assert not is_in_exact_range(case, 4, [np.array([most + 1], np.float64)])


def test_every_integer_is_in_range_of_an_integer_dtype() -> None:
    case = parse("conv1d(int8(1, 1, 2), int8(1, 1, 1))")
    assert is_in_exact_range(case, 9, [np.array([2**62])])


@pytest.mark.parametrize("wrong", [np.inf, np.nan, 2050.0])
def test_a_wrong_result_widens_no_ball_until_it_fits(wrong: float) -> None:
    call = Comparison(HALF, OURS, arrays(HALF).operands, None, Outcome())
    y = np.array([[[1, wrong]]], np.float16)
    found = around(y, "output", OURS, call)
    assert not overlaps(found, exactly(np.ones((1, 1, 2))), HALF)
