"""The space: what it holds, and what it never holds."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import given as drawing
from hypothesis import seed as seeded

import engine
import oracle
from properties.cases.case import DTYPES, LAYOUTS, RULES, Case, Operand
from properties.cases.data import arrays, widest
from properties.cases.files import CORPUS, read_cases
from properties.cases.line import parse
from properties.cases.operation import OPS, border, per_axis, positions, terms_by_result
from properties.comparison.compare import Comparison, blamed
from properties.comparison.engine import Engine
from properties.generation import sampling
from properties.generation.budget import BLOCKS, ELEMENTS, WORK, tall
from properties.generation.geometry import Axis, Geometry, read
from properties.generation.invalid import SPOILERS, Spoiler, batched
from properties.generation.neighbours import (
    ONE_IN,
    cut,
    is_within_budget,
    neighbour,
    valid_case,
)
from properties.generation.strategies import cases, reading
from properties.generation.valid import build, weighted

TORCH = Engine("torch", oracle, "")
OURS = Engine("engine", engine, "")
MANY = 4500

Wanted = Callable[[Case], bool]


def our_error(case: Case) -> Exception | None:
    try:
        OURS.results(case, arrays(case).operands)
    except Exception as error:  # noqa: BLE001 - what it raises is the answer
        return error
    return None


def torchs_error(case: Case) -> Exception | None:
    """In the dtype of the reference, where torch lacks no kernel; unlike dtypes stay."""
    error = Comparison.of(case, TORCH).expected.error
    assert error is None or isinstance(error, Exception)
    return error


def is_accepted(case: Case) -> bool:
    return torchs_error(case) is None


def is_rejected(case: Case) -> bool:
    return torchs_error(case) is not None


def of(predicate: Callable[..., bool], *values: Any) -> Wanted:
    """A wish about a case alone, from one about a case and some values."""
    return lambda case: predicate(case, *values)


def argument(case: Case, name: str) -> Any:
    return case.arguments.get(name, OPS[case.op].arguments.get(name))


def given(case: Case, name: str) -> tuple[int, ...]:
    """An argument, one value per axis; a string as padding counts as 0, as does what is not."""
    value = argument(case, name)
    return per_axis(0 if value is None or isinstance(value, str) else value, OPS[case.op].axes)


def taps(case: Case) -> tuple[int, ...]:
    weight = case.operands.get("weight")
    return tuple(weight.shape[2:]) if weight else given(case, "kernel_size")


def size(case: Case) -> tuple[int, ...]:
    """Of what the windows visit."""
    if case.op == "fold":
        return given(case, "output_size")
    if OPS[case.op].is_transposed:
        return reached(case)
    return case.shapes["input"][-OPS[case.op].axes :]


def reached(case: Case) -> tuple[int, ...]:
    """The size of a transposed convolution's result."""
    if chosen := argument(case, "output_size"):
        return tuple(chosen[-OPS[case.op].axes :])
    names = ("stride", "padding", "dilation", "output_padding")
    rows = zip(*[given(case, k) for k in names], strict=True)
    axes = zip(places(case), taps(case), rows, strict=True)
    return tuple((y - 1) * s - 2 * p + d * (k - 1) + e + 1 for y, k, (s, p, d, e) in axes)


def places(case: Case) -> tuple[int, ...]:
    """Of the window, per axis."""
    op = OPS[case.op]
    if op.is_transposed:
        return case.shapes["input"][-op.axes :]
    return positions(op, size(case), taps(case), {**op.arguments, **case.arguments})


def batch(case: Case) -> int | None:
    shape = case.operands["input"].shape
    rank = 3 if case.op == "fold" else OPS[case.op].axes + 2
    return shape[0] if len(shape) == rank else None


def rests(case: Case) -> list[tuple[int, int]]:
    """(stride, elements beyond the last window) of every axis."""
    rows = zip(*[given(case, k) for k in ("stride", "padding", "dilation")], strict=True)
    return [
        (s, x + 2 * p - d * (k - 1) - 1 - (y - 1) * s)
        for x, k, y, (s, p, d) in zip(size(case), taps(case), places(case), rows, strict=True)
    ]


def k_of(case: Case) -> int:
    return terms_by_result(OPS[case.op], case.shapes, case.arguments)["output"]


def family(case: Case) -> str:
    return OPS[case.op].family


def is_same(case: Case) -> bool:
    return case.arguments.get("padding") == "same"


def multiplier(case: Case) -> int:
    """Filters a channel of a depthwise convolution; 0 if it is none."""
    groups = int(case.arguments.get("groups", 1))
    if groups == 1 or OPS[case.op].is_transposed:
        return 0
    weight = case.operands["weight"].shape
    return weight[0] // groups if weight[1] == 1 else 0


def groups(case: Case) -> int:
    return int(case.arguments.get("groups", 1))


def mode(case: Case) -> str:
    return str(argument(case, "padding_mode") or "zeros")


def pairs(case: Case, *names: str) -> list[tuple[int, ...]]:
    """The values of some arguments, axis by axis."""
    return [*zip(*[given(case, name) for name in names], strict=True)]


def borders(case: Case) -> list[tuple[int, int, int]]:
    """What padding adds before and after each axis, and the axis's size."""
    op = OPS[case.op]
    before, after = border(op, taps(case), {**op.arguments, **case.arguments})
    return [*zip(before, after, size(case), strict=True)]


def form(case: Case, name: str) -> type:
    return type(case.arguments.get(name))


# ---- Valid by construction, invalid by one fault ----


@cache
def valid_sample() -> list[Case]:
    return [*itertools.islice(sampling.cases(1), MANY)]


@cache
def invalid_sample() -> list[Case]:
    return [*itertools.islice(sampling.invalid_cases(1), MANY)]


def test_torch_accepts_every_valid_case() -> None:
    assert [case for case in valid_sample() if not is_accepted(case)] == []


def test_torch_rejects_every_invalid_case() -> None:
    assert [case for case in invalid_sample() if not is_rejected(case)] == []


@pytest.mark.parametrize("op", OPS)
def test_only_an_invalid_case_blames(op: str) -> None:
    blames = {case.blame for case in invalid_sample() if case.op == op}
    assert {case.blame for case in valid_sample()} == {None}
    assert blames == {fault.blame for fault in SPOILERS[OPS[op].family]}


@pytest.mark.parametrize("op", OPS)
def test_every_op_is_drawn_as_often_as_another(op: str) -> None:
    share = sum(case.op == op for case in valid_sample()) / MANY
    assert 0.7 < share * len(OPS) < 1.3


def test_most_cases_are_distinct() -> None:
    assert len({*map(str, valid_sample())}) > 0.9 * MANY


def test_integers_are_drawn_only_where_they_have_a_range() -> None:
    drawn = [case for case in valid_sample() if case.rule == "integers"]
    assert min(map(widest, drawn)) >= 1


@pytest.mark.parametrize("op", OPS)
def test_only_the_ops_and_dtypes_that_are_asked_for_are_drawn(op: str) -> None:
    drawn = [*itertools.islice(sampling.cases(1, (op,), ("int8", "float16")), 200)]
    assert {case.op for case in drawn} == {op}
    assert {case.dtype for case in drawn} == {
        d for d in ("int8", "float16") if np.dtype(d).kind in OPS[op].kinds
    }


def test_a_seed_determines_the_sample() -> None:
    assert [*itertools.islice(sampling.cases(1), 20)] == valid_sample()[:20]
    assert [*itertools.islice(sampling.cases(2), 20)] != valid_sample()[:20]


def spoiled(family: str, fault: Spoiler, n: int = 200) -> list[Case]:
    """Cases of a family with `fault` alone in them."""
    uniform = Random(family + fault.name).random
    ops = [op for op in OPS if OPS[op].family == family]

    def choose(limit: int) -> int:
        return int(limit * uniform())

    bases = [batched(build(choose, ops, weighted(DTYPES))) for _ in range(n)]
    return [replace(fault.plant(choose, base), blame=fault.blame) for base in bases]


ROWS = [(family, fault) for family, faults in SPOILERS.items() for fault in faults]
EACH_FAULT = pytest.mark.parametrize(
    ("family", "fault"), ROWS, ids=[f"{family}: {fault.name}" for family, fault in ROWS]
)


def test_every_family_has_its_faults() -> None:
    assert {op.family for op in OPS.values()} == {*SPOILERS}


@pytest.mark.parametrize("family", SPOILERS)
def test_the_faults_of_a_family_have_names_of_their_own(family: str) -> None:
    assert len({fault.name for fault in SPOILERS[family]}) == len(SPOILERS[family])


@EACH_FAULT
def test_torch_rejects_each_fault(family: str, fault: Spoiler) -> None:
    assert [case for case in spoiled(family, fault) if not is_rejected(case)] == []


@EACH_FAULT
def test_the_engine_rejects_each_fault_and_blames_its_argument(family: str, fault: Spoiler) -> None:
    errors = [(case, our_error(case)) for case in spoiled(family, fault)]
    assert [case for case, error in errors if error is None] == []
    assert [case for case, error in errors if error and blamed(error) != fault.blame] == []


def is_heard(case: Case, error: Exception | None) -> bool:
    """Whether torch's error says something of the call, not of a kernel that it lacks.

    All that it lacks in the dtype of the reference are kernels for integers; in layers
    NotImplementedError tells that a padding mode knows no such rank.
    """
    return OPS[case.op].is_layer or not isinstance(error, NotImplementedError)


@EACH_FAULT
def test_the_engine_raises_what_code_that_catches_torchs_error_would_catch(
    family: str, fault: Spoiler
) -> None:
    errors = [(case, torchs_error(case), our_error(case)) for case in spoiled(family, fault)]
    heard = [e for e in errors if is_heard(*e[:2])]
    assert len(heard) > len(errors) / 2
    assert [case for case, theirs, ours in heard if not isinstance(ours, type(theirs))] == []


# ---- Sizes: a heavy tail under a budget ----


@cache
def geometries() -> list[Geometry]:
    """What a dev run draws of one property, about."""
    drawn = itertools.islice(sampling.cases(2), 5 * MANY)
    return [geometry for case in drawn if (geometry := read(case))]


def values(geometry: Geometry, name: str) -> tuple[int, ...]:
    """A quantity of a geometry, on each axis if it has one there."""
    return geometry.each(name) if hasattr(Axis, name) else (getattr(geometry, name) or 0,)


def is_tall(geometry: Geometry, name: str) -> bool:
    worded = geometry.word == "same" and name == "padding"
    return not worded and max(values(geometry, name)) > ONCE[name][geometry.op.axes - 1]


# The largest value that was ever drawn while maxima were set by hand, on one, two and three axes.
ONCE = {
    "batch": (3, 3, 3),
    "groups": (4, 4, 4),
    "channels": (11, 5, 3),
    "filters": (3, 3, 3),
    "taps": (7, 5, 3),
    "places": (6, 4, 3),
    "stride": (3, 3, 3),
    "dilation": (3, 3, 3),
    "padding": (4, 4, 4),
}


def test_no_case_costs_more_than_the_budget() -> None:
    assert [geometry for geometry in geometries() if not is_within_budget(geometry)] == []


def test_some_cases_use_most_of_the_budget() -> None:
    assert max(geometry.work for geometry in geometries()) > 0.9 * WORK
    assert max(geometry.elements for geometry in geometries()) > 0.9 * ELEMENTS


def test_one_case_in_five_to_two_in_five_has_something_tall() -> None:
    tall_ones = sum(any(is_tall(g, name) for name in ONCE) for g in geometries())
    assert 0.2 < tall_ones / len(geometries()) < 0.4


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("name", ONCE)
def test_no_maximum_decides_how_large_a_quantity_is(name: str, axes: int) -> None:
    found = [g for g in geometries() if g.op.axes == axes and is_tall(g, name)]
    assert max(max(values(g, name)) for g in found) > 2 * ONCE[name][axes - 1]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_remainders_of_blocks_are_reached(block: int, beside: int) -> None:
    drawn = [g.channels for g in geometries()]
    assert sum(n >= block and n % block == beside % block for n in drawn) >= 3


SHAPES: dict[str, Callable[[Geometry], bool]] = {
    "padding beyond the input": lambda g: any(p > x for p, x in both(g, "padding", "size")),
    "a tall kernel beyond its input": lambda g: any(
        k > max(x, 7) for k, x in both(g, "taps", "size")
    ),
    "all axes alike, and tall": lambda g: (
        g.op.axes > 1 and len({*g.axes}) == 1 and is_tall(g, "places")
    ),
    "one axis tall, another small": lambda g: max(g.each("places")) > 8 * min(g.each("places")),
    "many groups, depthwise": lambda g: g.groups > 16 and g.channels == 1 and g.filters > 1,
    "a deep sum": lambda g: g.channels * g.axes[0].taps > 1000,
    "a long sum over places": lambda g: (g.batch or 1) * g.axes[0].places > 500,
    "a stride beyond the kernel": lambda g: g.axes[0].stride > g.axes[0].taps + 16,
    "a tall rest": lambda g: max(g.each("rest")) > 16,
}


def both(geometry: Geometry, *names: str) -> list[tuple[int, ...]]:
    return [*zip(*map(geometry.each, names), strict=True)]


@pytest.mark.parametrize("shape", SHAPES)
def test_sizes_reach(shape: str) -> None:
    assert sum(map(SHAPES[shape], geometries())) >= 3


def test_a_tall_value_has_every_octave_as_likely() -> None:
    choose = sampling.choosing(1)
    octaves = Counter(tall(choose, 1, 1023).bit_length() for _ in range(10_000))
    assert {*octaves} == {*range(1, 11)}
    assert 700 < min(octaves.values()) < max(octaves.values()) < 1300


@pytest.mark.parametrize(("least", "most"), [(1, 1), (1, 2), (3, 5), (7, 64), (1, 1000)])
def test_a_tall_value_stays_between_its_bounds(least: int, most: int) -> None:
    choose = sampling.choosing(1)
    drawn = {tall(choose, least, most) for _ in range(2000)}
    assert (min(drawn), max(drawn)) == (least, most)


@pytest.mark.parametrize("op", OPS)
def test_the_simplest_choices_make_the_simplest_case(op: str) -> None:
    case = build(lambda n: 0, (op,), weighted(DTYPES))
    sizes = {*itertools.chain(*case.shapes.values())}
    assert (sizes, case.data, case.dtype) == ({1}, "ones", "float32")
    assert {*case.arguments} <= {"kernel_size", "output_size"}


# ---- Neighbours of the corpus ----


@cache
def neighbours() -> list[Case]:
    choose = sampling.choosing(3)
    return [neighbour(choose, tuple(OPS), weighted(DTYPES)) for _ in range(MANY)]


def geometry_of(line: str) -> Geometry:
    geometry = read(parse(line))
    assert geometry
    return geometry


def readable_corpus() -> list[tuple[Case, Geometry]]:
    return [(case, geometry) for case in read_cases(CORPUS) if (geometry := read(case))]


def test_torch_accepts_every_neighbour() -> None:
    assert [case for case in neighbours() if not is_accepted(case)] == []


def test_no_neighbour_costs_more_than_the_budget() -> None:
    found = [read(case) for case in neighbours()]
    assert [g for g in found if g and not is_within_budget(g)] == []


def test_a_geometry_says_all_of_the_shapes_that_it_was_read_from() -> None:
    assert [case for case, geometry in readable_corpus() if geometry.shapes != case.shapes] == []
    assert len(readable_corpus()) > 200


def test_a_layer_cut_to_the_budget_keeps_its_steps() -> None:
    layer = geometry_of("conv2d((1, 256, 56, 56), (512, 256, 3, 3), stride=2, padding=1)")
    small = cut(layer)
    assert is_within_budget(small)
    assert {(a.taps, a.stride, a.padding) for a in small.axes} == {(3, 2, 1)}


def test_a_cut_ends_where_a_border_that_is_a_copy_wants_its_places_back() -> None:
    line = "Conv1d((1, 1, 9000), (1, 1, 300), padding='same', dilation=60, padding_mode='reflect')"
    assert is_within_budget(cut(geometry_of(line)))


def test_one_case_in_so_many_is_a_neighbour() -> None:
    drawn = (("unfold",), ("float32",))
    built = valid_case(lambda n: 0, *drawn)
    first = iter([ONE_IN - 1])
    last = valid_case(lambda n: next(first, 0), *drawn)
    assert str(built) == "unfold((1, 1, 1, 1), kernel_size=1)"
    assert str(last) == str(neighbour(lambda n: 0, *drawn)) != str(built)


# ---- Hypothesis draws the same cases, and as independently ----


@cache
def hypothesis_sample(seed: int) -> list[Case]:
    drawn: list[Case] = []
    plan = settings(max_examples=1000, database=None, deadline=None, phases=[Phase.generate])

    @plan
    @seeded(seed)
    @drawing(cases())
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    return drawn


def test_hypothesis_draws_no_case_twice_but_the_simplest() -> None:
    lines = [*map(str, hypothesis_sample(1))]
    assert len({*lines}) > 0.99 * len(lines)


def test_hypothesis_draws_ones_no_more_often_than_they_stand_in_the_menu() -> None:
    share = sum(case.rule == "ones" for case in hypothesis_sample(1)) / 1000
    plain = sum(case.rule == "ones" for case in valid_sample()) / MANY
    assert share < 1.5 * plain


def test_a_tape_is_read_to_its_end_and_then_gives_the_simplest() -> None:
    choose = reading(bytes([5, 1, 4]))
    assert [choose(n) for n in (16, 1, 1000, 16, 1000)] == [5, 0, 260, 0, 0]


# ---- The boundaries are reached ----


BOUNDARIES: dict[str, Wanted] = {
    "everything 1": lambda c: {*size(c), *taps(c), *places(c)} == {1},
    "exact fit of several strides": lambda c: any(
        s > 1 and rest == 0 and y > 1 for (s, rest), y in zip(rests(c), places(c), strict=True)
    ),
    "stride - 1 elements left over": lambda c: any(s > 2 and r == s - 1 for s, r in rests(c)),
    "one element left over": lambda c: any(s > 2 and rest == 1 for s, rest in rests(c)),
    "exact fit of a dilated kernel": lambda c: any(
        d > 1 and k > 1 and rest == 0
        for d, k, (_, rest) in zip(given(c, "dilation"), taps(c), rests(c), strict=True)
    ),
    "kernel as large as the padded input": lambda c: any(
        p and k > 1 and d * (k - 1) + 1 == x + 2 * p
        for x, k, p, d in zip(
            size(c), taps(c), given(c, "padding"), given(c, "dilation"), strict=True
        )
    ),
    "kernel larger than the input": lambda c: all(
        k > x for k, x in zip(taps(c), size(c), strict=True)
    ),
    "padding of at least the kernel": lambda c: any(
        p >= d * (k - 1) + 1
        for p, k, d in zip(given(c, "padding"), taps(c), given(c, "dilation"), strict=True)
    ),
    "stride longer than the kernel": lambda c: any(
        s > k and y > 1 for s, k, y in zip(given(c, "stride"), taps(c), places(c), strict=True)
    ),
    "one place": lambda c: {*places(c)} == {1} and max(taps(c)) > 1,
    "no padding": lambda c: {*given(c, "padding")} == {0} and not is_same(c) and max(size(c)) > 1,
    "padding on one axis of several": lambda c: (
        0 in given(c, "padding") and any(given(c, "padding"))
    ),
    "size-1 axis beside others": lambda c: 1 in size(c) and max(size(c)) > 1,
    "no two axes alike": lambda c: c.op == "conv3d" and len({*size(c)}) == len({*taps(c)}) == 3,
    "every argument unlike on two axes": lambda c: all(
        len({*given(c, name)}) > 1 for name in ("stride", "padding", "dilation")
    ),
    "no samples": lambda c: batch(c) == 0,
    "no samples and groups and bias": lambda c: (
        batch(c) == 0 and groups(c) > 1 and "bias" in c.operands
    ),
    "three samples": lambda c: batch(c) == 3,
    "unbatched": lambda c: batch(c) is None,
    "unbatched with groups": lambda c: batch(c) is None and groups(c) > 1,
    "same": is_same,
    "same with an even kernel": lambda c: is_same(c) and any(k % 2 == 0 for k in taps(c)),
    "same with an even, dilated kernel": lambda c: (
        is_same(c)
        and any(k % 2 == 0 and d == 3 for k, d in zip(taps(c), given(c, "dilation"), strict=True))
    ),
    "valid with a stride": lambda c: (
        c.arguments.get("padding") == "valid" and max(given(c, "stride")) > 1
    ),
    "depthwise": lambda c: multiplier(c) == 1,
    "depthwise with two filters a channel": lambda c: multiplier(c) == 2,
    "groups of several channels and filters": lambda c: (
        c.arguments.get("groups", 1) == 3
        and c.operands["weight"].shape[1] > 1
        and c.operands["weight"].shape[0] // 3 > 1
    ),
    "bias with groups": lambda c: "bias" in c.operands and groups(c) > 1,
    "no bias": lambda c: "bias" not in c.operands,
    "more than 64 terms": lambda c: k_of(c) > 64,
    "one term": lambda c: k_of(c) == 1,
    "unlike layouts": lambda c: len({v.layout for v in c.operands.values()}) == 3,
    **{f"{op}": of(lambda c, op: c.op == op, op) for op in OPS},
    **{f"in {dtype}": of(lambda c, dtype: c.dtype == dtype, dtype) for dtype in DTYPES},
    **{f"data {rule}": of(lambda c, rule: c.rule == rule, rule) for rule in RULES},
    **{
        f"{name} {layout}": of(
            lambda c, name, layout: c.operands.get(name, Operand(())).layout == layout, name, layout
        )
        for name in ("input", "weight", "bias")
        for layout in LAYOUTS
    },
    **{
        f"{name} as {kind.__name__}": of(lambda c, name, kind: form(c, name) is kind, name, kind)
        for name in ("stride", "padding", "dilation")
        for kind in (int, tuple, list, np.int64)
    },
    "groups as int64": lambda c: form(c, "groups") is np.int64,
    "one value for several axes": lambda c: (
        c.op == "conv3d" and form(c, "stride") is tuple and len(c.arguments["stride"]) == 1
    ),
    "a tuple of NumPy integers": lambda c: (
        form(c, "stride") is tuple and type(c.arguments["stride"][0]) is np.int64
    ),
}


MODES = ("reflect", "replicate", "circular")
# Where a family has boundaries of its own: (family, boundary) -> wanted.
OF_FAMILY: dict[tuple[str, str], Wanted] = {
    **{
        (family, f"output padding {name}"): wanted
        for family in ("conv_transpose", "ConvTranspose")
        for name, wanted in {
            "of the stride - 1": lambda c: any(
                e == s - 1 > 1 and d < s
                for e, s, d in pairs(c, "output_padding", "stride", "dilation")
            ),
            "of the dilation - 1": lambda c: any(
                e == d - 1 > 1 and s < d
                for e, s, d in pairs(c, "output_padding", "stride", "dilation")
            ),
            "smaller than dilation but not than stride": lambda c: any(
                s <= e < d for e, s, d in pairs(c, "output_padding", "stride", "dilation")
            ),
            "smaller than stride but not than dilation": lambda c: any(
                d <= e < s for e, s, d in pairs(c, "output_padding", "stride", "dilation")
            ),
            "on one axis of several": lambda c: (
                0 in given(c, "output_padding") and any(given(c, "output_padding"))
            ),
        }.items()
    },
    **{
        (family, name): wanted
        for family in ("conv_transpose", "ConvTranspose", "fold")
        for name, wanted in {
            "gaps between windows": lambda c: any(
                y > 1 and s > d * (k - 1) + 1
                for y, k, (s, d) in zip(
                    places(c), taps(c), pairs(c, "stride", "dilation"), strict=True
                )
            ),
            "windows overlap": lambda c: all(
                y > 1 and k > s
                for y, k, s in zip(places(c), taps(c), given(c, "stride"), strict=True)
            ),
            "windows meet without overlap": lambda c: any(
                y > 1 and k == s > 1 and d == 1
                for y, k, (s, d) in zip(
                    places(c), taps(c), pairs(c, "stride", "dilation"), strict=True
                )
            ),
            "cropped": lambda c: max(given(c, "padding")) > 0,
            "one element left": lambda c: {*size(c)} == {1} and max(places(c)) > 1,
            "stride and dilation without a common divisor": lambda c: (
                (2, 3) in pairs(c, "stride", "dilation")
            ),
            "stride and dilation alike": lambda c: any(
                s == d > 1 for s, d in pairs(c, "stride", "dilation")
            ),
        }.items()
    },
    **{
        ("Conv", f"{mode_} {name}"): of(
            lambda c, mode_, wanted: mode(c) == mode_ and wanted(c), mode_, wanted
        )
        for mode_ in MODES
        for name, wanted in {
            "without padding": lambda c: not is_same(c) and {*given(c, "padding")} == {0},
            "with padding": lambda c: max(given(c, "padding")) > 0,
            "on one axis of several": lambda c: (
                0 in given(c, "padding") and any(given(c, "padding"))
            ),
            "same": is_same,
            "same with an even kernel": lambda c: any(lo != hi for lo, hi, _ in borders(c)),
            "valid": lambda c: argument(c, "padding") == "valid",
            "unbatched": lambda c: batch(c) is None,
            "no samples": lambda c: batch(c) == 0,
            "with groups": lambda c: groups(c) > 1,
            "with stride and dilation": lambda c: (
                max(given(c, "stride")) > 1 and max(given(c, "dilation")) > 1
            ),
        }.items()
    },
    ("Conv", "reflected up to the last element"): lambda c: (
        mode(c) == "reflect" and any(max(lo, hi) == x - 1 > 0 for lo, hi, x in borders(c))
    ),
    ("Conv", "wrapped around once"): lambda c: (
        mode(c) == "circular" and any(max(lo, hi) == x for lo, hi, x in borders(c))
    ),
    ("Conv", "more replicas than elements"): lambda c: (
        mode(c) == "replicate" and any(max(lo, hi) > x for lo, hi, x in borders(c))
    ),
    **{
        ("ConvTranspose", f"output size {name}"): of(
            lambda c, wanted: "output_size" in c.arguments and wanted(c), wanted
        )
        for name, wanted in {
            "of the least": lambda c: all(rest == 0 for _, rest in rests(c)),
            "of the most": lambda c: any(s > 1 and rest == s - 1 for s, rest in rests(c)),
            "with padding": lambda c: max(given(c, "padding")) > 0,
            "with dilation": lambda c: max(given(c, "dilation")) > 1,
            "unbatched": lambda c: batch(c) is None,
        }.items()
    },
    **{
        (family, name): wanted
        for family in SPOILERS
        for name, wanted in {
            "no samples": lambda c: batch(c) == 0,
            "unbatched": lambda c: batch(c) is None,
            "every step unlike on two axes": lambda c: all(
                len({*given(c, name)}) > 1 for name in ("stride", "padding", "dilation")
            ),
            "integers": lambda c: c.rule == "integers",
            "special": lambda c: c.rule == "special",
            "complex reals": lambda c: c.rule == "reals" and "complex" in c.dtype,
            "float16 reals": lambda c: c.rule == "reals" and c.dtype == "float16",
        }.items()
    },
    **{
        (family, name): wanted
        for family in ("conv", "conv_transpose", "Conv", "ConvTranspose")
        for name, wanted in {
            "groups of unlike channels and filters": lambda c: (
                groups(c) > 1
                and len({groups(c), *c.operands["weight"].shape[:2]}) == 3
                and c.operands["weight"].shape[1] > 1
            ),
            "bias with groups": lambda c: "bias" in c.operands and groups(c) > 1,
            "no samples and groups": lambda c: batch(c) == 0 and groups(c) > 1,
        }.items()
    },
}


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_sample_reaches(boundary: str) -> None:
    assert sum(map(BOUNDARIES[boundary], valid_sample())) >= 3


@pytest.mark.parametrize(("family", "boundary"), OF_FAMILY, ids=": ".join)
def test_the_sample_of_a_family_reaches(family: str, boundary: str) -> None:
    drawn = [case for case in valid_sample() if OPS[case.op].family == family]
    assert sum(map(OF_FAMILY[family, boundary], drawn)) >= 3
