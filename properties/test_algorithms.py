"""Each algorithm of the engine agrees with the definition, however its work is cut.

The sizes at which one algorithm ends and the next begins are lowered here, so that small cases
meet every tile, block and remainder. Data are integers: every order of summation is exact.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import chain
from random import Random
from runpy import run_path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

import engine
from engine import algorithms, definition
from engine.algorithms import (
    band,
    blocks,
    exact,
    im2col,
    limits,
    phases,
    plan,
    rules,
    unfolded,
    windows,
)
from engine.algorithms.threads import each
from engine.geometry import Geometry
from properties.benchmark import CASES
from properties.cases.data import arrays
from properties.cases.line import parse

PARTS = {
    "forward": ("input", "weight"),
    "input_gradient": ("weight", "output"),
    "weight_gradient": ("input", "output"),
}
each_part = pytest.mark.parametrize("part", PARTS)
# All that has a kernel of several rows is blocked.
BLOCKED: dict[str, Any] = {"TINY": 0, "FEW_BYTES": -1, "FEW_SAVED": -1, "SHORT_ROW": 0}


@contextmanager
def lowered(**sizes: Any) -> Iterator[None]:
    """Inside, other limits."""
    before = {name: getattr(limits, name) for name in sizes}
    vars(limits).update(sizes)
    forget()
    try:
        yield
    finally:
        vars(limits).update(before)
        forget()


def forget() -> None:
    """What was chosen under other limits is chosen anew."""
    choices = [vars(module).values() for module in (plan, rules, unfolded)]
    for choice in [*chain(*choices), windows.layout]:
        getattr(choice, "cache_clear", int)()


def geometry(
    x: tuple[int, ...], w: tuple[int, ...], groups: int = 1, **steps: tuple[Any, ...]
) -> Geometry:
    """The geometry of a convolution; a padding of two integers per axis may differ."""
    n = len(w) - 2
    s, d = steps.get("stride", (1,) * n), steps.get("dilation", (1,) * n)
    p = steps.get("padding", ((0, 0),) * n)
    axes = zip(x[2:], w[2:], s, d, p, strict=True)
    y = tuple((size + lo + hi - f * (k - 1) - 1) // t + 1 for size, k, t, f, (lo, hi) in axes)
    return Geometry(x[0], groups, w[1], w[0] // groups, x[2:], w[2:], s, p, d, y)


def drawn(r: Random) -> Geometry:
    """A small geometry of any kind; some with no sample, no channel or no filter."""
    n = r.choice([1, 2, 2, 3])
    groups, channels, filters = r.choice([1, 1, 2, 3]), r.choice([1, 2, 3, 5]), r.choice([1, 2, 5])
    k = tuple(r.choice([1, 2, 3, 4]) for _ in range(n))
    s, d = (tuple(r.choice([1, 1, 2, 3, 4]) for _ in range(n)) for _ in range(2))
    p = tuple((r.choice([0, 1, 4]), r.choice([0, 1, 4])) for _ in range(n))
    most = {1: 30, 2: 8, 3: 4}[n]
    least = [f * (t - 1) + 1 - lo - hi for t, f, (lo, hi) in zip(k, d, p, strict=True)]
    x = tuple(max(1, e) + r.randrange(most) for e in least)
    sizes = (channels * groups, filters * groups)
    batch = r.choice([1, 2, 3])
    shapes = ((batch, sizes[0], *x), (sizes[1], channels, *k))
    return geometry(*shapes, groups, stride=s, dilation=d, padding=p)


def drawn_limits(r: Random) -> dict[str, Any]:
    width = r.choice([1, 2, 4, 8])
    return {
        "BUFFER": r.choice([1, 64, 256, 1024, 4096, 1 << 20]),
        "PANEL": r.choice([1, 100, 1000, 1 << 20]),
        "SMALL_PRODUCT": r.choice([1, 100, 1000, 10**6]),
        "WIDTHS": r.choice([(2 * width, width), (64, 32), (3, 2), ()]),
        "WASTE": r.choice([1, 2, 7]),
        "FEW_FILTERS": r.choice([1, 2, 4, 99]),
        "WORTH_COPIES": r.choice([1, 48]),
        "WORTH_COLUMNS": r.choice([1, 5, 128, 128]),
        "FILTERS_OF_A_CHANNEL": r.choice([1, 3, 8]),
        "TOGETHER": r.choice([1, 2, 3, 4, 8]),
        "WIDEST": r.choice([1, 3, 64]),
        "TINY": r.choice([0, 0, 0, 300]),
        "FEW_BYTES": r.choice([-1, -1, -1, 2000]),
        "FEW_SAVED": r.choice([-1, -1, -1, 2000]),
        "ZEROS": r.choice([0, 1, 2, 99]),
        "SHORT_ROW": r.choice([0, 0, 3]),
        "FEW_ELEMENTS": r.choice([1, 100, 1 << 19]),
        "PLACES": r.choice([1, 3, 16, 448]),
        "MOST_PLACES": r.choice([1, 16, 2000]),
        "TABLE": r.choice([0, 1 << 11]),
        "SEGMENT": r.choice([1, 2, 3, 16]),
        "FEW_ZEROS": r.choice([0, 8, 99]),
        "FEWER_ZEROS": r.choice([0, 5, 99]),
        "MANY_BYTES": r.choice([0, 0, 1 << 19]),
    }


DTYPES = ("float32", "float32", "float64", "complex64", "int8", "int64", "uint64")


def filled(r: Random, shape: tuple[int, ...], dtype: str, special: bool = False) -> Any:
    """Integers, among them a few inf and nan if `special`."""
    random = np.random.default_rng(r.getrandbits(32))
    kind = np.dtype(dtype).kind
    values: Any = random.integers(0 if kind == "u" else -3, 4, shape)
    if kind == "c":
        values = values + 1j * random.integers(-3, 4, shape)
    result = values.astype(dtype)
    if special and kind == "f":
        chosen = random.integers(0, max(1, result.size), min(2, result.size))
        result.reshape(-1)[chosen] = random.choice([np.inf, -np.inf, np.nan], chosen.size)
    return result


def operands(r: Random, g: Geometry, part: str, dtype: str, special: bool = False) -> list[Any]:
    shapes = {"input": g.input_shape, "weight": g.weight_shape, "output": g.output_shape}
    return [filled(r, shapes[name], dtype, special) for name in PARTS[part]]


def assert_as_defined(g: Geometry, part: str, given: list[Any]) -> None:
    with np.errstate(all="ignore"):
        wanted, found = (getattr(a, part)(g, *given) for a in (definition, algorithms))
    np.testing.assert_array_equal(found, wanted, strict=True)


@each_part
@pytest.mark.parametrize("seed", range(250))
def test_any_cut_gives_what_the_definition_gives(seed: int, part: str) -> None:
    r = Random(seed)
    g, sizes, dtype = drawn(r), drawn_limits(r), r.choice(DTYPES)
    with lowered(**sizes):
        assert_as_defined(g, part, operands(r, g, part, dtype))


@each_part
@pytest.mark.parametrize("seed", range(100))
def test_inf_and_nan_reach_what_they_are_multiplied_with_and_no_more(seed: int, part: str) -> None:
    r = Random(seed)
    g, sizes = drawn(r), drawn_limits(r)
    with lowered(**sizes):
        assert_as_defined(g, part, operands(r, g, part, "float64", special=True))


@pytest.mark.parametrize("together", [2, 4])
def test_a_nan_meets_no_zero_of_a_toeplitz_matrix(together: int) -> None:
    g = geometry((1, 1, 6, 9), (1, 1, 3, 3))
    x, w = operands(Random(0), g, "forward", "float32")
    x[0, 0, 0, 0] = np.nan
    with lowered(**BLOCKED, TOGETHER=together):
        assert_as_defined(g, "forward", [x, w])


# Shapes of input and weight, groups, steps, and limits: each just below, at or above a boundary.
PAIR, ONE = ((1, 1), (1, 1)), (1, 1)
# Wherever there is one row of taps.
SEGMENTS = {"SEGMENT": 8, "FEW_ZEROS": 99, "FEWER_ZEROS": 99, "MANY_BYTES": 0}
BOUNDARIES: dict[str, tuple[Geometry, dict[str, Any]]] = {
    "a column beyond the tile": (geometry((1, 2, 5, 11), (3, 2, 3, 3)), {"WIDTHS": (8, 4)}),
    "whole tiles": (geometry((1, 2, 5, 10), (3, 2, 3, 3)), {"WIDTHS": (8, 4)}),
    "a row beyond those together": (geometry((1, 2, 8, 6), (2, 1, 3, 3), 2), {"TOGETHER": 5}),
    "fewer rows than together": (geometry((1, 2, 4, 6), (2, 1, 3, 3), 2), {"TOGETHER": 5}),
    "a row less than two slabs together": (
        geometry((1, 2, 7, 10), (2, 1, 3, 3), 2),
        {"TOGETHER": 3, "WIDTHS": (8, 4)},
    ),
    "together with a stride": (
        geometry((1, 2, 14, 7), (2, 1, 3, 3), 2, stride=(2, 2)),
        {"TOGETHER": 2},
    ),
    "blocks of rows together, and a rest": (
        geometry((1, 2, 9, 6), (2, 1, 3, 3), 2),
        {"BUFFER": 384, "TOGETHER": 2},
    ),
    "few filters of many channels": (
        geometry((1, 9, 7, 7), (2, 9, 3, 3), padding=PAIR),
        {"BUFFER": 4000},
    ),
    "few filters of a volume": (
        geometry((1, 4, 5, 7, 7), (2, 2, 3, 3, 3), 2, stride=(1, 2, 3), dilation=(2, 1, 2)),
        {"TOGETHER": 2},
    ),
    "few filters of wide rows": (
        geometry((1, 2, 5, 40), (2, 1, 3, 3), 2, padding=PAIR),
        {"BUFFER": 64, "WIDTHS": (8, 4)},
    ),
    "few filters whose taps stand apart": (
        geometry((1, 2, 20, 20), (2, 1, 3, 3), 2, dilation=(4, 6), stride=(2, 4)),
        {"TOGETHER": 2},
    ),
    "three filters together, of two tiles": (
        geometry((1, 2, 9, 11), (3, 2, 3, 3)),
        {"TOGETHER": 2, "WIDTHS": (8, 4)},
    ),
    "as many columns as are widest": (
        geometry((1, 2, 5, 20), (3, 2, 3, 3)),
        {"WIDTHS": (), "WIDEST": 8},
    ),
    "segments and a rest": (geometry((2, 4, 23), (4, 2, 3), 2, padding=((1, 1),)), SEGMENTS),
    "a row shorter than a segment": (geometry((1, 2, 5), (2, 1, 3), 2), SEGMENTS),
    "segments of a volume": (
        geometry(
            (2, 4, 4, 5, 50),
            (6, 2, 1, 1, 3),
            2,
            stride=(2, 1, 3),
            dilation=(1, 4, 2),
            padding=(ONE, (2, 0), (4, 1)),
        ),
        SEGMENTS,
    ),
    "blocks of segments": (
        geometry((1, 6, 3, 50), (6, 1, 1, 4), 6, padding=PAIR),
        {**SEGMENTS, "BUFFER": 512},
    ),
    "parts of a slab": (geometry((1, 8, 5, 9), (4, 8, 3, 3)), {"PANEL": 800, "WIDTHS": (8, 4)}),
    "blocks of rows": (geometry((1, 1, 12, 6), (4, 1, 3, 3)), {"BUFFER": 600}),
    "blocks of channels": (geometry((1, 9, 6, 6), (4, 9, 3, 3), padding=PAIR), {"BUFFER": 900}),
    "blocks of columns": (
        geometry((1, 2, 5, 40), (3, 2, 3, 3), padding=PAIR),
        {"BUFFER": 64, "WIDTHS": (8, 4), "MOST_PLACES": 7},
    ),
    "blocks of groups": (geometry((1, 6, 5, 5), (12, 1, 3, 3), 6), {"BUFFER": 500}),
    "products in parts": (geometry((1, 4, 6, 40), (32, 4, 3, 3)), {"SMALL_PRODUCT": 30_000}),
    "a dilation of rows beyond the output": (
        geometry((1, 1, 9, 9), (3, 1, 3, 3), dilation=(4, 1)),
        {},
    ),
    "a dilation of rows that the stride shares": (
        geometry((1, 1, 20, 9), (3, 1, 3, 3), dilation=(4, 2), stride=(2, 3)),
        {},
    ),
    "more stride than kernel": (geometry((1, 1, 9, 9), (2, 1, 2, 2), stride=(3, 4)), {}),
    "padding wider than the kernel": (
        geometry((1, 1, 3, 3), (2, 1, 2, 2), padding=((4, 0),) * 2),
        {},
    ),
    "two leading axes": (
        geometry((1, 2, 3, 3, 4, 5), (2, 2, 2, 2, 2, 2), padding=(ONE, (0, 1), ONE, (2, 0))),
        {"BUFFER": 2000},
    ),
    "no sample": (geometry((0, 2, 5, 5), (2, 2, 3, 3)), {}),
    "no channel": (geometry((1, 0, 5, 5), (2, 0, 3, 3)), {}),
    "no filter": (geometry((1, 2, 5, 5), (0, 2, 3, 3)), {}),
    "rows unfolded apart": (
        geometry((3, 2, 9, 5), (2, 2, 3, 3), stride=(2, 1), padding=PAIR),
        {"SHORT_ROW": 99, "FEW_ELEMENTS": 100, "TINY": 0},
    ),
    "samples unfolded apart": (
        geometry((3, 2, 4, 5), (3, 2, 3, 3), padding=PAIR),
        {"SHORT_ROW": 99, "FEW_ELEMENTS": 800, "TINY": 0},
    ),
    "one tap": (geometry((2, 3, 5, 5), (4, 3, 1, 1), stride=(2, 2), padding=PAIR), {}),
}


@each_part
@pytest.mark.parametrize("name", BOUNDARIES)
def test_the_boundaries_are_exact(name: str, part: str) -> None:
    g, sizes = BOUNDARIES[name]
    with lowered(**{**BLOCKED, **sizes}):
        assert_as_defined(g, part, operands(Random(0), g, part, "float32"))


# ---- What only the limits as they are lead to ----

LARGE = {
    "a band": geometry((1, 16, 60, 70), (16, 16, 3, 3), padding=PAIR),
    "rows of no whole tile": geometry((1, 16, 60, 45), (8, 16, 3, 3), padding=PAIR),
    "few filters": geometry((1, 8, 40, 56), (8, 1, 5, 5), 8, padding=((2, 2),) * 2),
    "short rows": geometry((1, 32, 60, 20), (48, 32, 3, 3), padding=PAIR),
    "one axis": geometry((2, 8, 1500), (8, 8, 9), padding=((4, 4),)),
    "a volume": geometry((1, 4, 3, 60, 64), (4, 4, 3, 3, 3), padding=(ONE,) * 3),
    "one axis, few filters": geometry((2, 16, 2500), (16, 1, 9), 16, padding=((4, 4),)),
}
BY = ["band", "band", "band", "im2col", "im2col", "band", "segments"]


@each_part
@pytest.mark.parametrize("name", LARGE)
def test_larger_convolutions_are_exact(name: str, part: str) -> None:
    assert_as_defined(LARGE[name], part, operands(Random(1), LARGE[name], part, "float32"))


@pytest.mark.parametrize(("name", "algorithm"), [*zip(LARGE, BY, strict=True)])
def test_larger_convolutions_are_computed_by(name: str, algorithm: str) -> None:
    assert rules.output_by(LARGE[name], np.dtype(np.float32)) == algorithm


ZERO, INF = np.array([1.0, 0.0, 1.0]), np.inf
REPEATED = {  # inf throughout, from one element in memory, and what it meets
    "the weight": ("forward", ZERO.reshape(1, 1, 3), np.broadcast_to(INF, (1, 1, 3))),
    "the weight of filters": (
        "input_gradient",
        np.broadcast_to(INF, (3, 1, 1)),
        ZERO.reshape(1, 3, 1),
    ),
    "the gradient": ("input_gradient", ZERO.reshape(3, 1, 1), np.broadcast_to(INF, (1, 3, 1))),
    "the gradient of places": (
        "weight_gradient",
        ZERO.reshape(1, 1, 3),
        np.broadcast_to(INF, (1, 1, 3)),
    ),
}


@pytest.mark.parametrize("algorithm", [definition, algorithms])
@pytest.mark.parametrize("name", REPEATED)
def test_a_sum_meets_each_element_of_an_operand_that_repeats_one(name: str, algorithm: Any) -> None:
    part, left, right = REPEATED[name]
    shapes = {"forward": (left, right), "input_gradient": (right[:, :1], left)}
    x, w = shapes.get(part, (left, left[..., :1]))
    with np.errstate(invalid="ignore"):  # 0·inf
        found = getattr(algorithm, part)(geometry(x.shape, w.shape), left, right)
    assert np.isnan(found).all()


@pytest.mark.parametrize("config", [{}, {"SIMD Extensions": {"baseline": ["SSE"]}}])
def test_a_processor_without_further_instructions_is_known(config: dict[str, Any]) -> None:
    with patch.object(np, "show_config", return_value=config):
        found = run_path(str(limits.__file__))
    assert (found["IS_DIRECT"], found["IS_INTEL"], found["WIDTHS"]) == (False, False, ())


# ---- Integers by way of floats ----


@pytest.mark.parametrize(
    ("terms", "largest", "carrier"),
    [
        (2**24 - 1, 1, "float32"),
        (2**24, 1, "float64"),
        (2**10, 2**7, "float64"),
        (2**53 - 1, 1, "float64"),
        (2**53, 1, "int64"),
        (1, 2**31, "int64"),
    ],
)
def test_integers_are_summed_where_no_sum_is_rounded(
    terms: int, largest: int, carrier: str
) -> None:
    x = np.array([0, -largest])
    assert exact.carrier(terms, x, -x) == carrier


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_integers_with_and_without_a_sign_are_summed_as_floats(dtype: str) -> None:
    x = np.ones(1, dtype)
    assert [a.dtype for a in exact.carried((1,), x, x)] == ["float32", "float32"]


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex128"])
def test_floats_are_summed_as_they_are(dtype: str) -> None:
    x = np.ones(1, dtype)
    assert exact.carried((1,), x, x) == (x, x)


def test_a_sum_that_no_float32_holds_is_exact_however_few_places_there_are() -> None:
    odd = np.full((1, 1, 3), 4095, "int32")  # three odd squares below 2²⁴: the sum is odd, above it
    assert engine.conv1d(odd, odd).item() == 3 * 4095**2


@pytest.mark.parametrize(("values", "largest"), [([-128, 5], 128), ([127, -5], 127), ([], 0)])
def test_the_largest_magnitude_may_be_that_of_no_element(values: list[int], largest: int) -> None:
    assert exact.magnitude(np.array(values, "int8")) == largest


@pytest.mark.parametrize(("large", "small"), [(2**20, 2**3), (2**40, 2**13 - 1)])
def test_sums_too_large_for_a_float_wrap_around(large: int, small: int) -> None:
    g = geometry((1, 3, 1), (1, 3, 1))
    x, w = np.array([large, 1, large]).reshape(1, 3, 1), np.array([[[small], [1], [small]]])
    assert algorithms.forward(g, x, w).tolist() == [[[2 * large * small + 1]]]


# ---- Parts of their own ----


@pytest.mark.parametrize(
    ("start", "step", "count", "wanted"),
    [
        (0, 1, 3, [1, 2, 3]),
        (-2, 1, 4, [0, 0, 1, 2]),
        (1, 2, 3, [2, 0, 0]),
        (-3, 2, 4, [0, 0, 2, 0]),
        (3, 1, 2, [0, 0]),
        (-5, 2, 2, [0, 0]),
        (-1, 3, 1, [0]),
    ],
)
def test_a_box_is_zero_outside_the_input(
    start: int, step: int, count: int, wanted: list[int]
) -> None:
    assert blocks.box(np.array([1, 2, 3]), (start,), (step,), (count,)).tolist() == wanted


@pytest.mark.parametrize(
    ("length", "pieces"), [(0, []), (3, [(0, 3)]), (7, [(0, 3), (3, 6), (6, 7)])]
)
def test_pieces_cover_the_length(length: int, pieces: list[tuple[int, int]]) -> None:
    assert [(piece.start, piece.stop) for piece in blocks.cut(length, 3)] == pieces


@pytest.mark.parametrize(
    ("values", "finite"),
    [([1.0, -2.0], True), ([1.0, np.nan], False), ([np.inf], False), ([-np.inf, 0.0], False)],
)
def test_what_is_not_finite_is_found(values: list[float], finite: bool) -> None:
    assert blocks.finite(np.array(values)) is finite
    assert blocks.finite(np.array([1, 2])) is True


def test_an_input_of_one_axis_is_one_row() -> None:
    g = geometry((1, 1, 9), (1, 1, 3), stride=(2,), padding=(ONE,), dilation=(2,))
    assert blocks.with_rows(g) == geometry(
        (1, 1, 1, 9), (1, 1, 1, 3), stride=(1, 2), padding=((0, 0), ONE), dilation=(1, 2)
    )
    image = geometry((1, 1, 3, 3), (1, 1, 1, 1))
    assert blocks.with_rows(image) is image


def test_a_block_reads_what_its_taps_meet_and_no_more() -> None:
    g = geometry((1, 1, 9, 20), (1, 1, 3, 3), stride=(1, 2), dilation=(1, 3))
    assert blocks.read(g, np.ones((9, 20)), (0, 0), 4, 5, 1).shape == (4, 4 * 2 + 2 * 3 + 1)


@pytest.mark.parametrize(
    ("sizes", "rows"),
    [
        ((10, 1, 4), [range(4), range(4, 8), range(8, 10)]),
        ((7, 2, 3), [range(0, 6, 2), range(6, 8, 2), range(1, 7, 2)]),
        ((2, 1, 1), [range(1), range(1, 2)]),
        ((1, 3, 4), [range(0, 1, 3)]),
    ],
)
def test_blocks_have_rows_of_one_problem(sizes: tuple[int, int, int], rows: list[range]) -> None:
    assert blocks.row_blocks(*sizes) == rows


@pytest.mark.parametrize(
    ("dilation", "stride", "wanted"), [(1, 3, (1, 3)), (4, 2, (2, 1)), (4, 6, (2, 3))]
)
def test_every_so_many_rows_are_a_problem_without_dilation(
    dilation: int, stride: int, wanted: tuple[int, int]
) -> None:
    g = geometry((1, 1, 20, 1), (1, 1, 1, 1), dilation=(dilation, 1), stride=(stride, 1))
    assert plan.undilated(g) == wanted


def test_a_toeplitz_matrix_has_the_rows_that_its_taps_cover() -> None:
    most = plan.Block(1, 1, 3, 1, stride=2, together=3, slab=6)
    matrix = band.by_row(np.array([[[[[1], [2]]]]]), most)
    assert matrix.tolist() == [[[[1, 2, 0, 0, 0, 0], [0, 0, 1, 2, 0, 0], [0, 0, 0, 0, 1, 2]]]]


def test_the_taps_of_a_phase_are_an_element_of_it_apart() -> None:
    g = geometry((1, 1, 20), (1, 1, 4), stride=(2,), dilation=(3,))
    assert blocks.met_by_phase(g, 0) == [(0, [(0, 0), (2, 3)]), (1, [(1, 1), (3, 4)])]


def test_phases_read_what_they_need_and_no_more() -> None:
    g = geometry((1, 1, 12), (1, 1, 5), stride=(2,), padding=((2, 1),))  # y has 6 elements
    even, odd = phases.phases(g, 0)
    assert (even.padding, even.kernel_size, even.output_size) == ((1, 1), 3, 6)
    assert (odd.padding, odd.kernel_size, odd.output_size) == ((0, 1), 2, 6)


@each_part
def test_integers_count_all_products_of_a_sum(part: str) -> None:
    shapes = {"input_gradient": ((1, 1, 13), (5, 1, 5)), "weight_gradient": ((5, 1, 5), (1, 1, 1))}
    g = geometry(*shapes.get(part, ((1, 5, 13), (1, 5, 5))))
    whole = operands(Random(0), g, part, "int64")
    given = [22_000_000 - abs(array) for array in whole]  # 25 products of 2^48.6 are above 2^53
    assert_as_defined(g, part, given)


def test_rows_alone_read_what_they_need_and_no_more() -> None:
    g = geometry((1, 1, 9), (1, 1, 3), stride=(2,), padding=((2, 3),), dilation=(2,))
    few = im2col.rows_of(g, slice(1, 3))  # x[0:5] and x[2:7]
    assert (few.padding, few.output_size) == (((0, -2),), (2,))
    assert im2col.rows_of(g, slice(0, 5)) is g


def test_only_phases_that_meet_a_tap_are_computed() -> None:
    g = geometry((1, 1, 6), (1, 1, 2), stride=(3,), padding=((1, 0),))
    assert [phase.places.start for phase in phases.phases(g, 0)] == [2, 0]


def test_a_phase_beyond_the_input_is_none() -> None:
    g = geometry((1, 1, 2), (1, 1, 3), stride=(5,), padding=((0, 1),))
    assert [phase.places.start for phase in phases.phases(g, 0)] == [0, 1]


# ---- Memory ----

MEMORY = 2 << 20  # bytes beyond operands and result


def peak(letter: str, part: str, batch: int = 1) -> int:
    """Bytes that a case of the benchmark takes at most, beyond operands and result."""
    case = parse(CASES[letter])
    given = arrays(case).operands
    x = np.repeat(given["input"], batch, 0)
    w, function = given["weight"], getattr(engine, case.op)
    gy = function(x, w, **case.arguments)
    calls = {
        "forward": lambda: function(x, w, given["bias"], **case.arguments),
        "input_gradient": lambda: gradient("input", x.shape, w, gy),
        "weight_gradient": lambda: gradient("weight", x, w.shape, gy),
    }

    def gradient(of: str, *operands: Any) -> Any:
        return getattr(engine.grad, f"{case.op}_{of}")(*operands, **case.arguments)

    tracemalloc.start()
    try:
        result = calls[part]()
        return tracemalloc.get_traced_memory()[1] - int(result.nbytes)
    finally:
        tracemalloc.stop()


@each_part
@pytest.mark.parametrize("letter", sorted({*CASES} - {"j", "k", "l"}))
def test_a_layer_takes_no_more_than_2_mib(letter: str, part: str) -> None:
    assert peak(letter, part) <= MEMORY


@each_part
@pytest.mark.parametrize("letter", ["b", "c", "e", "m"])
def test_the_memory_does_not_grow_with_the_batch(letter: str, part: str) -> None:
    assert peak(letter, part, batch=4) <= MEMORY


# ---- Threads: their number changes no bit, and what happens in one reaches the caller ----

SMALL = {"BUFFER": 1 << 11, "FEW_ELEMENTS": 1 << 8, "PLACES": 12}  # many blocks of small calls
LINES = [
    "conv2d((3, 4, 9, 17), (6, 2, 3, 3), bias=(6,), stride=2, padding=1, groups=2, data='reals:1')",
    "conv2d((2, 6, 14, 20), (6, 1, 5, 3), padding=2, groups=6, data='reals:2')",
    "conv1d((2, 8, 60), (5, 8, 1), data='reals:3')",
    "conv3d((1, 3, 6, 7, 8), (4, 3, 2, 2, 3), dilation=(1, 2, 1), data='reals:4')",
]


def one_thread_again(test: Callable[..., None]) -> Callable[..., None]:
    """`test`, after which there is one thread, however it is called."""

    @wraps(test)
    def tested(*given: Any, **named: Any) -> None:
        try:
            test(*given, **named)
        finally:
            engine.set_num_threads(1)

    return tested


def results(line: str, threads: int) -> list[bytes]:
    """The output and the gradients."""
    case = parse(line)
    filled, names = arrays(case), case.arguments
    x, w = filled.operands["input"], filled.operands["weight"]
    engine.set_num_threads(threads)
    y = getattr(engine, case.op)(**filled.operands, **names)
    gy = filled.grad_output(y.shape)
    by_input = getattr(engine.grad, f"{case.op}_input")(x.shape, w, gy, **names)
    by_weight = getattr(engine.grad, f"{case.op}_weight")(x, w.shape, gy, **names)
    return [array.tobytes() for array in (y, by_input, by_weight)]


@pytest.mark.parametrize("limits", [SMALL, {**SMALL, **BLOCKED}, {}])
@pytest.mark.parametrize("line", LINES)
@one_thread_again
def test_the_number_of_threads_changes_no_bit(line: str, limits: dict[str, Any]) -> None:
    with lowered(**limits):
        expected = results(line, 1)
        assert [results(line, threads) for threads in (2, 3)] == [expected, expected]


@one_thread_again
def test_blocks_are_computed_at_the_same_time() -> None:
    engine.set_num_threads(3)
    meeting = threading.Barrier(3, timeout=20)
    blocks: list[tuple[Any, ...]] = [(), (), ()]
    places: list[int] = []
    each(lambda: places.append(meeting.wait()), blocks)  # one thread would wait in vain
    assert sorted(places) == [0, 1, 2]


@pytest.mark.parametrize("threads", [1, 2])
@one_thread_again
def test_each_block_is_computed_once(threads: int) -> None:
    engine.set_num_threads(threads)
    seen: list[tuple[int, str]] = []
    each(lambda *block: seen.append(block), zip(range(50), "ab" * 25, strict=True))
    assert sorted(seen) == [*zip(range(50), "ab" * 25, strict=True)]


def asking(asked: set[int]) -> Iterator[tuple[int]]:
    """Four blocks, which note the threads that ask for them."""
    for block in range(4):
        asked.add(threading.get_ident())
        yield (block,)


@one_thread_again
def test_the_caller_alone_asks_for_blocks() -> None:
    engine.set_num_threads(2)
    meeting, asked = threading.Barrier(2, timeout=20), set[int]()

    def meet(block: int) -> None:
        meeting.wait()

    each(meet, asking(asked))
    assert asked == {threading.get_ident()}


@one_thread_again
def test_no_block_is_no_call() -> None:
    engine.set_num_threads(2)
    called: list[tuple[Any, ...]] = []
    each(lambda *block: called.append(block), [])
    assert called == []


@one_thread_again
def test_an_error_in_any_thread_reaches_the_caller() -> None:
    engine.set_num_threads(2)
    caller, meeting = threading.get_ident(), threading.Barrier(2, timeout=20)

    def fails_elsewhere(block: int) -> None:
        meeting.wait()
        assert threading.get_ident() == caller, "in a further thread"

    with pytest.raises(AssertionError, match="in a further thread"):
        each(fails_elsewhere, [(0,), (1,)])


@one_thread_again
def test_threads_have_the_callers_error_state() -> None:
    engine.set_num_threads(2)
    meeting, seen = threading.Barrier(2, timeout=20), []

    def look(block: int) -> None:
        meeting.wait()
        seen.append(np.geterr()["over"])

    with np.errstate(over="call"):
        each(look, [(0,), (1,)])
    assert seen == ["call", "call"]


@one_thread_again
def test_there_is_one_thread_at_first_and_as_many_as_are_set() -> None:
    assert engine.get_num_threads() == 1
    engine.set_num_threads(4)
    assert engine.get_num_threads() == 4


@pytest.mark.parametrize(
    ("number", "error", "text"),
    [
        (0, ValueError, "at least 1, got 0"),
        (-1, ValueError, "at least 1, got -1"),
        (2.0, TypeError, "an integer, got float"),
        (True, TypeError, "an integer, got bool"),
    ],
)
@one_thread_again
def test_a_number_that_cannot_be_set_is_rejected(
    number: Any, error: type[Exception], text: str
) -> None:
    engine.set_num_threads(2)
    with pytest.raises(error, match=f"^set_num_threads: expected {text}$"):
        engine.set_num_threads(number)
    assert engine.get_num_threads() == 2


def exit_by_threads() -> None:
    sys.exit(10 + engine.get_num_threads())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
@one_thread_again
def test_a_forked_process_has_one_thread() -> None:
    engine.set_num_threads(2)
    each(lambda block: None, [(0,), (1,)])
    child = multiprocessing.get_context("fork").Process(target=exit_by_threads)
    child.start()
    child.join()
    assert child.exitcode == 11
