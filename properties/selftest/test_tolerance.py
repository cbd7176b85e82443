"""The tolerance: wide enough for every order of summation, and no wider than it says."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import oracle
from properties.cases.data import widest, widest_range
from properties.cases.line import parse
from properties.comparison.compare import compare
from properties.comparison.engine import Engine
from properties.comparison.mismatch import MARGIN, MarginalValueMismatch, Mismatch, ValueMismatch
from properties.comparison.outcome import widen
from properties.comparison.tolerance import (
    bound,
    excess,
    is_exact,
    largest,
    least_subnormal,
    statistical_bound,
)

TORCH = Engine("torch", oracle, "")
ACCUMULATOR = {
    "float16": "float32",
    "float32": "float32",
    "float64": "float64",
    "complex64": "complex64",
    "complex128": "complex128",
}
EACH_DTYPE = pytest.mark.parametrize("dtype", ACCUMULATOR)

Order = Callable[[Any], Any]  # the sum of the terms, each step rounded to their dtype


def one_by_one(terms: Any) -> Any:
    return np.cumsum(terms)[-1]


def pairwise(terms: Any) -> Any:
    """Neighbours first, down to one."""
    while terms.size > 1:
        even = terms[: terms.size // 2 * 2]
        rest = terms[even.size :]
        terms = np.concatenate([even[::2] + even[1::2], rest])
    return terms[0]


def in_blocks(terms: Any) -> Any:
    """As a tiled algorithm does: tiles of 64 one by one, then their sums one by one."""
    return one_by_one(np.array([one_by_one(tile) for tile in np.split(terms, tiles(terms))]))


def tiles(terms: Any) -> list[int]:
    return [*range(64, terms.size, 64)]


ORDERS: dict[str, Order] = {
    "forward": one_by_one,
    "reverse": lambda t: one_by_one(t[::-1]),
    "small to large": lambda t: one_by_one(t[np.argsort(np.abs(t))]),
    "large to small": lambda t: one_by_one(t[np.argsort(np.abs(t))[::-1]]),
    "positive first": lambda t: one_by_one(t[np.argsort(-t.real)]),
    "pairwise": pairwise,
    "in blocks": in_blocks,
    "NumPy's": np.sum,
}


def some(dtype: str, kind: str, n: int) -> Any:
    """`n` values of magnitude 1/8 or less, so that no sum of them overflows float16."""
    bits = np.random.PCG64(n).random_raw(2 * n) >> np.uint64(11)
    parts = (bits.astype(np.float64) / 2**53 + 1) / 16
    values = parts[:n] + 1j * parts[n:] if "complex" in dtype else parts[:n]
    if kind == "alike":  # every step rounds the same way
        values[:] = 0.1 * (1 + 0.5j) if "complex" in dtype else 0.1
    if kind == "signed":
        values = values * (1 - 2.0 * (bits[:n] & np.uint64(1)))
    return values.astype(dtype)


def ratio(dtype: str, x: Any, w: Any, order: Order, accumulator: str = "") -> Any:
    """error ÷ bound of Σ x·w, summed in `order` in the accumulator and rounded to `dtype`."""
    sums = accumulator or ACCUMULATOR[dtype]
    got = order(x.astype(sums) * w.astype(sums)).astype(dtype)
    y = (widen(x) * widen(w)).sum()
    scale = (np.abs(widen(x)) * np.abs(widen(w))).sum()
    allowed = bound(x.size, dtype, sums, y, scale)
    return excess(widen(np.array(got)), y, allowed, scale, dtype, sums)


# ---- Not too tight ----


@EACH_DTYPE
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["positive", "signed", "alike"])
@pytest.mark.parametrize("k", [1, 2, 3, 9, 100, 10_000, 100_000])
def test_no_order_of_summation_leaves_the_bound(k: int, kind: str, order: str, dtype: str) -> None:
    x, w = some(dtype, kind, k), some(dtype, "positive", k)[::-1]
    assert ratio(dtype, x, w, ORDERS[order]) <= 1


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("k", [1, 100, 10_000])
def test_an_engine_that_declares_half_may_sum_in_half(k: int, order: str) -> None:
    x, w = some("float16", "positive", k), some("float16", "positive", k)[::-1]
    assert ratio("float16", x, w, ORDERS[order], "float16") <= 1


def test_an_engine_that_does_not_declare_half_may_not_sum_in_half() -> None:
    x = w = some("float16", "positive", 1000)
    got = one_by_one(x * w)
    y = (widen(x) * widen(w)).sum()
    allowed = bound(1000, "float16", "float32", y, y)
    assert excess(widen(np.array(got)), y, allowed, y, "float16", "float32") > 1


def test_the_bound_is_reached_where_every_step_loses_almost_half_a_unit() -> None:
    x = np.full(1001, 0.99 * 2.0**-24, np.float32)
    x[0] = 1
    assert one_by_one(x) == 1
    assert 0.97 < ratio("float32", x, np.ones_like(x), one_by_one) <= 1


@EACH_DTYPE
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("k", [1, 2, 7, 1000])
def test_products_that_underflow_stay_in_the_bound(k: int, order: str, dtype: str) -> None:
    tiny = least_subnormal(ACCUMULATOR[dtype])
    x = (some("float64", "signed", k) * 64).astype(np.float64)
    root = 2.0 ** np.floor(np.log2(tiny) / 2)
    x, w = (x * root).astype(ACCUMULATOR[dtype]), np.full(k, root * 0.7, ACCUMULATOR[dtype])
    y, scale = (widen(x) * widen(w)).sum(), (np.abs(widen(x)) * np.abs(widen(w))).sum()
    got = ORDERS[order](x * w).astype(dtype)
    allowed = bound(k, dtype, ACCUMULATOR[dtype], y, scale)
    assert excess(widen(np.array(got)), y, allowed, scale, dtype, ACCUMULATOR[dtype]) <= 1


@EACH_DTYPE
def test_a_result_may_round_to_a_subnormal_or_to_zero(dtype: str) -> None:
    tiny = least_subnormal(dtype)
    allowed = bound(1, dtype, ACCUMULATOR[dtype], 0.4 * tiny, 0.4 * tiny)
    assert told(dtype, 0.0, 0.4 * tiny, allowed) <= 1
    assert told(dtype, 0.0, 100 * tiny, bound(1, dtype, ACCUMULATOR[dtype], 100 * tiny, 0)) > 1


def told(dtype: str, got: Any, y: Any, allowed: Any, scale: Any = 1.0) -> float:
    found = excess(np.array(got), np.array(y), allowed, scale, dtype, ACCUMULATOR[dtype])
    return float(found)


@EACH_DTYPE
@pytest.mark.parametrize("got", [np.inf, -np.inf, np.nan])
def test_where_s_reaches_the_largest_number_a_sum_may_overflow(got: float, dtype: str) -> None:
    most = largest(ACCUMULATOR[dtype])
    assert told(dtype, got, 1.0, 1e-3, scale=most) == 0
    assert told(dtype, got, 1.0, 1e-3, scale=most * 0.999) > 1


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_a_sum_does_overflow_where_s_is_too_large(dtype: str) -> None:
    x = np.array([3e38, 3e38, -3e38, -3e38], dtype)
    with np.errstate(all="ignore"):
        assert not np.isfinite(one_by_one(x))
        assert ratio(dtype, x, np.ones(4, dtype), one_by_one) == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_half_rounds_to_inf_from_65520(sign: int) -> None:
    y = sign * 65520.0
    allowed = bound(1, "float16", "float32", y, 65520.0)
    with np.errstate(over="ignore"):
        assert np.isinf(np.array(y).astype(np.float16))
    assert told("float16", sign * np.inf, y, allowed, 65520.0) == 0
    assert told("float16", -sign * np.inf, y, allowed, 65520.0) > 1
    assert told("float16", np.nan, y, allowed, 65520.0) > 1


@pytest.mark.parametrize("accumulator", ["float32", "float16"])
def test_half_does_not_round_to_inf_from_what_it_holds(accumulator: str) -> None:
    y = 65519.0 if accumulator == "float32" else 65400.0
    allowed = bound(1, "float16", accumulator, y, y)
    assert excess(np.inf, y, allowed, 1.0, "float16", accumulator) > 1


def test_half_may_round_to_inf_where_the_sum_may_reach_65520() -> None:
    y = 65519.0
    assert told("float16", np.inf, y, bound(1000, "float16", "float32", y, y), y) == 0


def test_no_other_dtype_rounds_to_inf_from_65520() -> None:
    assert told("float32", np.inf, 65520.0, 1.0, 65520.0) > 1


# ---- Not vacuous ----


@EACH_DTYPE
@pytest.mark.parametrize("k", [1, 9, 1000])
@pytest.mark.parametrize("direction", [1, -1, 1j, 0.6 - 0.8j])
def test_an_error_counts_by_its_size_in_every_direction(
    direction: complex, k: int, dtype: str
) -> None:
    step: Any = direction if "complex" in dtype else np.sign(np.real(direction)) or 1.0
    y = np.array([0.0, 1000.0])
    allowed = bound(k, dtype, ACCUMULATOR[dtype], y, np.array([2.0, 3000.0]))
    got = y[0] + np.array([0.99, 1.01]) * step * allowed[0]
    assert told(dtype, got[0], y[0], allowed[0]) == pytest.approx(0.99)
    assert told(dtype, got[1], y[0], allowed[0]) == pytest.approx(1.01)


class Planted:
    """torch's result with an error of `factor` × the bound in one element."""

    def __init__(self, dtype: str, factor: Any) -> None:
        self.factor = factor
        self.accumulator = {"float16": "float16"}  # lest its own rounding hide the error
        self.sums = self.accumulator.get(dtype, dtype)
        self.dtype = dtype

    def conv1d(self, input: Any, weight: Any) -> Any:
        y = oracle.conv1d(widen(input), widen(weight))
        scale = oracle.conv1d(np.abs(widen(input)), np.abs(widen(weight)))
        allowed = bound(weight.size, self.dtype, self.sums, y, scale)
        y[0, 0, 2] *= 1 + self.factor * allowed[0, 0, 2] / np.abs(y[0, 0, 2])
        return y.astype(self.dtype)


def heard(dtype: str, factor: Any) -> Any:
    """The verdict on such an engine; K is so large that the result's own rounding is small."""
    case = parse(f"conv1d({dtype}(1, 1, 2005), {dtype}(1, 1, 2000), data='reals:1')")
    return compare(case, Engine("planted", Planted(dtype, factor), ""), TORCH)


@EACH_DTYPE
@pytest.mark.parametrize("sign", [1, -1])
def test_an_error_just_below_the_bound_passes_and_is_reported(sign: int, dtype: str) -> None:
    assert heard(dtype, 0.99 * sign).ratios["output"] == pytest.approx(0.99, abs=0.005)


@EACH_DTYPE
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("factor", [1.01, 2, MARGIN * 0.99])
def test_an_error_just_above_the_bound_in_one_element_fails(
    factor: float, sign: int, dtype: str
) -> None:
    with pytest.raises(MarginalValueMismatch) as caught:
        heard(dtype, factor * sign)
    assert dict(caught.value.details)["differs"] == "1 of 6 elements"
    assert f"at {(0, 0, 2)}: " in dict(caught.value.details)["worst"]


@EACH_DTYPE
@pytest.mark.parametrize("factor", [MARGIN * 1.01, np.inf, np.nan])
def test_an_error_far_above_the_bound_is_no_marginal_one(factor: float, dtype: str) -> None:
    with np.errstate(all="ignore"), pytest.raises(ValueMismatch):
        heard(dtype, factor)


@EACH_DTYPE
@pytest.mark.parametrize(
    ("got", "y", "agree"),
    [
        (np.nan, np.nan, True),
        (np.inf, np.inf, True),
        (-np.inf, -np.inf, True),
        (np.nan, 1.0, False),
        (1.0, np.nan, False),
        (0.0, np.nan, False),
        (np.inf, 1.0, False),
        (-np.inf, 1.0, False),
        (1.0, np.inf, False),
        (np.inf, -np.inf, False),
        (-np.inf, np.inf, False),
        (np.nan, np.inf, False),
        (np.inf, np.nan, False),
    ],
)
def test_inf_and_nan_must_be_where_they_belong(
    got: float, y: float, agree: bool, dtype: str
) -> None:
    scale = np.abs(y) * 2
    with np.errstate(all="ignore"):
        allowed = bound(3, dtype, ACCUMULATOR[dtype], y, scale)
        assert (told(dtype, got, y, allowed, scale) <= 1) is agree


def altered(change: Callable[[Any], Any]) -> Engine:
    """torch's own result, changed."""

    def conv1d(*operands: Any) -> Any:
        return change(oracle.conv1d(*operands))

    return Engine("altered", SimpleNamespace(conv1d=conv1d), "")


SPECIAL = parse("conv1d((1, 1, 40), (1, 1, 1), data='special:5')")


def replaced(find: Callable[[Any], Any], value: float) -> Callable[[Any], Any]:
    """Put `value` in the place of the first of those that `find` finds."""

    def change(y: Any) -> Any:
        y.flat[np.flatnonzero(find(y))[0]] = value
        return y

    return change


def test_torchs_own_inf_and_nan_pass() -> None:
    assert compare(SPECIAL, altered(lambda y: y), TORCH).status == "agreed"


@pytest.mark.parametrize(
    ("find", "value"),
    [
        (np.isnan, 0.0),
        (np.isnan, np.inf),
        (np.isposinf, -np.inf),
        (np.isposinf, np.nan),
        (np.isposinf, 3.4e38),
        (np.isfinite, np.nan),
        (np.isfinite, np.inf),
        pytest.param(lambda y: y == 1, 1 + 2**-20, id="1-a little more"),
    ],
)
def test_one_wrong_element_among_special_ones_fails(
    find: Callable[[Any], Any], value: float
) -> None:
    with pytest.raises(Mismatch, match="ValueMismatch"):
        compare(SPECIAL, altered(replaced(find, value)), TORCH)


# ---- Exact ----


@EACH_DTYPE
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("k", [1, 9, 1000, 50_000])
def test_at_the_ends_of_the_range_every_order_gives_the_same_bits(
    k: int, order: str, dtype: str
) -> None:
    sums, r = ACCUMULATOR[dtype], widest_range(k, dtype)
    unit = 1 + 1j if "complex" in dtype else 1
    terms = np.concatenate([np.full(k, unit * r, sums) * np.full(k, unit * r, sums), [unit * r]])
    total = unit * unit * r * r * k + unit * r
    assert r >= 1
    assert ORDERS[order](terms.astype(sums)) == total


@pytest.mark.parametrize("shift", [1, -1])
@pytest.mark.parametrize("data", ["ones", "ramp", "integers:1"])
def test_integers_that_are_off_by_one_fail(data: str, shift: int) -> None:
    case = parse(f"conv1d((1, 1, 40), (1, 1, 3), data={data!r})")
    change = replaced(np.isfinite, np.nan)
    with pytest.raises(ValueMismatch):
        compare(case, altered(change), TORCH)
    with pytest.raises(ValueMismatch):
        compare(case, altered(lambda y: y + np.sign(y) * np.float32(shift)), TORCH)


@pytest.mark.parametrize(
    ("line", "exact"),
    [
        ("conv1d((1, 1, 3), (1, 1, 2))", True),
        ("conv1d((1, 1, 3), (1, 1, 2), data='ramp')", True),
        ("conv1d((1, 1, 3), (1, 1, 2), data='integers:1')", True),
        ("conv1d((1, 1, 3), (1, 1, 2), data='reals:1')", False),
        ("conv1d((1, 1, 3), (1, 1, 2), data='special:1')", False),
        ("conv1d(int8(1, 1, 3), int8(1, 1, 2), data='wrap:1')", True),
        # no range is left: the sum of so many ones is not exact, and must not be held to be
        ("conv1d(float16(1, 1, 70000), float16(1, 1, 70000), data='integers:1')", False),
        ("conv1d(float16(1, 1, 70000), float16(1, 1, 70000))", False),
        ("conv1d((1, 1, 70000), (1, 1, 70000))", True),
    ],
)
def test_a_case_is_exact_by_its_rule_and_range(line: str, exact: bool) -> None:
    case = parse(line)
    dtype = case.operands["input"].dtype
    assert is_exact(case, 2, ACCUMULATOR.get(dtype, dtype)) is exact


def test_a_case_is_not_exact_in_an_accumulator_that_is_too_short() -> None:
    case = parse("conv1d(float16(1, 1, 3), float16(1, 1, 2), data='integers:1')")
    assert widest(case) >= 1
    assert is_exact(case, 2, "float32")
    assert not is_exact(case, 2, "float16")


def test_what_only_moves_is_exact_whatever_the_data() -> None:
    case = parse("unfold((1, 1, 3, 3), kernel_size=2, data='reals:1')")
    assert is_exact(case, 0, "float32")


# ---- The formula ----


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("k", [1, 1000])
def test_the_bound_grows_with_the_terms_and_with_s(k: int, dtype: str) -> None:
    def at(k: int, scale: float) -> float:
        return float(bound(k, dtype, dtype, 0.0, scale))

    steps = at(2 * k, 1.0) / at(k, 1.0)
    assert at(k, 8.0) == pytest.approx(8 * at(k, 1.0))
    assert steps == pytest.approx((2 * k + 4) / (k + 4) if "c" in dtype else (2 * k + 1) / (k + 1))


@pytest.mark.parametrize(
    ("dtype", "accumulator", "expected"),
    [
        ("float32", "float32", 10 * 2.0**-24),
        ("float64", "float64", 10 * 2.0**-52),  # the reference rounds as much
        ("float16", "float32", 10 * 2.0**-24 + 2.0**-11),  # and rounded once to half
        ("float16", "float16", 10 * 2.0**-11),
        ("complex64", "complex64", 52 * 2.0**-24),
        ("complex128", "complex128", 52 * 2.0**-52),
    ],
)
def test_the_bound_at_nine_terms_of_sum_one(dtype: str, accumulator: str, expected: float) -> None:
    assert bound(9, dtype, accumulator, 1.0, 1.0) == pytest.approx(expected, rel=1e-4)


# ---- What passes the statistical bound is reported ----

DEEP = "conv1d((1, 2304, 1), (8, 2304, 1), bias=(8,), data='reals:1')"


def in_tensor_float_32(input: Any, weight: Any, *given: Any, **named: Any) -> Any:
    """Operands rounded to 11 bits, and sums in float32."""
    rounded = [(v.view(np.uint32) & np.uint32(0xFFFFE000)).view("f4") for v in (input, weight)]
    return oracle.conv1d(*rounded, *given, **named)


def test_narrow_products_of_a_deep_sum_pass_the_bound_and_not_the_statistical_one() -> None:
    verdict = compare(
        parse(DEEP), Engine("narrow", SimpleNamespace(conv1d=in_tensor_float_32)), TORCH
    )
    assert verdict.ratios["output"] <= 1
    assert verdict.statistical > 10


@pytest.mark.parametrize("seed", range(20))
def test_right_sums_stay_far_below_the_statistical_bound(seed: int) -> None:
    deep = parse(DEEP.replace("reals:1", f"reals:{seed}"))
    assert (
        compare(deep, Engine("torch", SimpleNamespace(conv1d=oracle.conv1d)), TORCH).statistical
        < 0.5
    )


def worst_of_random_sums(order: Order, dtype: str) -> float:
    """The largest error ÷ statistical bound of 100 sums of 4,096 normal terms."""
    random = np.random.default_rng(0)
    ratios = []
    for _ in range(100):
        parts = random.normal(size=(2, 4096))
        terms = (parts[0] + 1j * parts[1] if dtype == "complex64" else parts[0]).astype(dtype)
        wide = terms.astype(np.complex128)
        allowed = statistical_bound(dtype, dtype, 0.0, np.abs(wide).sum())
        ratios.append(abs(complex(order(terms)) - wide.sum()) / allowed)
    return float(max(ratios))


@pytest.mark.parametrize("order", [one_by_one, pairwise, in_blocks])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_random_sums_in_any_fixed_order_stay_below_the_statistical_bound(
    order: Order, dtype: str
) -> None:
    assert worst_of_random_sums(order, dtype) < 1


def test_exact_data_have_no_statistical_bound() -> None:
    exact = parse(DEEP.replace("reals:1", "integers:1"))
    assert compare(exact, TORCH, TORCH).statistical == 0.0
