"""Shrinking: every start ends in one line, the one that a person would write."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import islice
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest

from properties.cases.case import Case, Operand
from properties.cases.files import CORPUS, read_cases
from properties.cases.line import parse
from properties.cases.operation import OPS, work
from properties.cases.sizes import formed, read, write
from properties.generation import sampling
from properties.shrinking import moves, order, smallest

from .test_generation import (
    Wanted,
    batch,
    form,
    given,
    groups,
    is_accepted,
    is_rejected,
    is_same,
    k_of,
    mode,
    multiplier,
    pairs,
    places,
    size,
    taps,
)

MANY = 5000
SEEDS = pytest.mark.parametrize("seed", range(3))
RESNET = parse("conv2d((1, 64, 56, 56), (64, 64, 3, 3), padding=1, data='reals:2')")


def relatives(line: str) -> tuple[str, ...]:
    """The ops of the same family as that of `line`: a shrinker stays among them."""
    return tuple(op for op in OPS if OPS[op].family == OPS[parse(line).op].family)


def both(valid: Wanted, wanted: Wanted) -> Wanted:
    """A failure of a kind: what is wanted shows only in a call that is `valid`."""
    return lambda case: valid(case) and wanted(case)


def minimal(drawn: Iterator[Case], fails: Wanted) -> str:
    """The line of the smallest case that `fails`, from the first drawn that does."""
    return str(smallest(next(filter(fails, islice(drawn, MANY))), fails))


def layouts(case: Case) -> list[str]:
    return [v.layout for v in case.operands.values()]


def counted(fails: Wanted) -> tuple[list[Case], Wanted]:
    """The cases that `fails` is asked about, and `fails`."""
    asked: list[Case] = []
    return asked, lambda case: asked.append(case) or fails(case)  # type: ignore[func-returns-value]


ROWS: list[tuple[str, Wanted]] = [
    # operations
    ("conv1d((1, 1, 1), (1, 1, 1))", lambda c: True),
    ("conv2d((1, 1, 1, 1), (1, 1, 1, 1))", lambda c: c.op == "conv2d"),
    ("conv3d((1, 1, 1, 1, 1), (1, 1, 1, 1, 1))", lambda c: c.op == "conv3d"),
    ("conv_transpose1d((1, 1, 1), (1, 1, 1))", lambda c: True),
    ("Conv1d((1, 1, 1), (1, 1, 1))", lambda c: OPS[c.op].is_layer),
    ("ConvTranspose1d((1, 1, 1), (1, 1, 1))", lambda c: OPS[c.op].is_layer),
    ("Conv2d((1, 1, 1, 1), (1, 1, 1, 1))", lambda c: c.op == "Conv2d"),
    ("unfold((1, 1, 1, 1), kernel_size=1)", lambda c: True),
    ("fold((1, 1, 1), output_size=1, kernel_size=1)", lambda c: True),
    # operands
    ("conv1d((3, 1, 1), (1, 1, 1))", lambda c: batch(c) == 3),
    ("conv1d((0, 1, 1), (1, 1, 1))", lambda c: batch(c) == 0),
    ("conv1d((1, 1), (1, 1, 1))", lambda c: batch(c) is None),
    ("unfold((1, 1, 1), kernel_size=1)", lambda c: batch(c) is None),
    ("fold((2, 1, 1), output_size=1, kernel_size=1)", lambda c: batch(c) == 2),
    ("conv1d((1, 1, 1), (1, 1, 1), bias=(1,))", lambda c: "bias" in c.operands),
    ("conv_transpose1d((1, 1, 1), (1, 1, 1), bias=(1,))", lambda c: "bias" in c.operands),
    (
        "conv1d((1, 2, 1), (2, 1, 1), bias=(2,), groups=2)",
        lambda c: "bias" in c.operands and groups(c) > 1,
    ),
    # groups
    ("conv1d((1, 3, 1), (3, 1, 1), groups=3)", lambda c: groups(c) == 3),
    ("conv1d((1, 2, 1), (4, 1, 1), groups=2)", lambda c: multiplier(c) == 2),
    ("conv1d((1, 1, 1), (3, 1, 1))", lambda c: c.operands["weight"].shape[0] > 2),
    (
        "conv_transpose1d((1, 3, 1), (3, 2, 1), groups=3)",
        lambda c: groups(c) == 3 and c.operands["weight"].shape[1] == 2,
    ),
    # steps
    (
        "conv2d((1, 1, 1, 1), (1, 1, 1, 1), stride=(1, 2))",
        lambda c: c.op == "conv2d" and given(c, "stride")[1] > 1,
    ),
    (
        "conv2d((1, 1, 1, 1), (1, 1, 1, 1), padding=(0, 1))",
        lambda c: c.op == "conv2d" and given(c, "padding")[1] > 0,
    ),
    (
        "conv2d((1, 1, 1, 1), (1, 1, 1, 1), stride=(1, 2), dilation=(1, 2))",
        lambda c: all(len({*given(c, k)}) > 1 for k in ("stride", "dilation")),
    ),
    (
        "conv1d((1, 1, 3), (1, 1, 2), dilation=2)",
        lambda c: given(c, "dilation")[0] == 2 and taps(c)[0] == 2,
    ),
    (
        "conv1d((1, 1, 3), (1, 1, 1), stride=2)",
        lambda c: given(c, "stride")[0] > 1 and places(c)[0] > 1,
    ),
    ("conv_transpose1d((1, 1, 1), (1, 1, 1), stride=2)", lambda c: given(c, "stride")[0] > 1),
    (
        "conv_transpose2d((1, 1, 1, 1), (1, 1, 1, 1), stride=(1, 2))",
        lambda c: c.op == "conv_transpose2d" and given(c, "stride")[1] > 1,
    ),
    (
        "conv_transpose1d((1, 1, 1), (1, 1, 1), output_padding=1, dilation=2)",
        lambda c: bool(batch(c)) and any(e >= s for e, s in pairs(c, "output_padding", "stride")),
    ),
    (
        "conv_transpose1d((1, 1, 1), (1, 1, 1), stride=2, output_padding=1)",
        lambda c: bool(batch(c)) and any(e >= d for e, d in pairs(c, "output_padding", "dilation")),
    ),
    (
        "ConvTranspose1d((1, 1, 1), (1, 1, 1), output_size=(1,))",
        lambda c: "output_size" in c.arguments,
    ),
    # padding
    ("conv1d((1, 1, 1), (1, 1, 1), padding='same')", is_same),
    (
        "conv1d((1, 1, 1), (1, 1, 2), padding='same')",
        lambda c: is_same(c) and taps(c)[0] % 2 == 0,
    ),
    (
        "conv1d((1, 1, 1), (1, 1, 1), padding='valid')",
        lambda c: c.arguments.get("padding") == "valid",
    ),
    ("Conv1d((1, 1, 1), (1, 1, 1), padding_mode='reflect')", lambda c: mode(c) == "reflect"),
    (
        "Conv1d((1, 1, 1), (1, 1, 1), padding=1, padding_mode='circular')",
        lambda c: mode(c) == "circular" and given(c, "padding")[0] > 0,
    ),
    (
        "Conv1d((1, 1, 2), (1, 1, 1), padding=1, padding_mode='reflect')",
        lambda c: mode(c) == "reflect" and given(c, "padding")[0] > 0,
    ),
    # sizes
    ("conv2d((1, 1, 4, 1), (1, 1, 4, 1))", lambda c: c.op == "conv2d" and taps(c)[0] > 3),
    ("conv1d((1, 1, 65), (1, 1, 65))", lambda c: k_of(c) > 64),
    ("conv_transpose1d((1, 1, 1), (1, 1, 65))", lambda c: k_of(c) > 64),
    ("unfold((1, 1, 1, 1), kernel_size=1, stride=(1, 2))", lambda c: given(c, "stride")[1] > 1),
    ("unfold((1, 1, 1, 3), kernel_size=(1, 3))", lambda c: taps(c)[1] == 3 == size(c)[1]),
    ("unfold((1, 2, 1, 1), kernel_size=1)", lambda c: c.operands["input"].shape[-3] > 1),
    ("fold((1, 2, 1), output_size=(1, 2), kernel_size=(1, 2))", lambda c: taps(c)[1] > 1),
    (
        "fold((1, 2, 2), output_size=(1, 3), kernel_size=(1, 2))",
        lambda c: taps(c)[1] > 1 and places(c)[1] > 1 and given(c, "stride")[1] == 1,
    ),
    (
        "fold((1, 1, 3), output_size=1, kernel_size=1, padding=(0, 1))",
        lambda c: given(c, "padding")[1] > 0,
    ),
    # forms
    ("conv1d((1, 1, 1), (1, 1, 1), stride=[1])", lambda c: form(c, "stride") is list),
    ("conv1d((1, 1, 1), (1, 1, 1), stride=int64(1))", lambda c: form(c, "stride") is np.int64),
    ("conv1d((1, 1, 1), (1, 1, 1), groups=int64(1))", lambda c: form(c, "groups") is np.int64),
    ("unfold((1, 1, 1, 1), kernel_size=[1, 1])", lambda c: form(c, "kernel_size") is list),
    # dtypes, layouts, data
    ("conv1d(float16(1, 1, 1), float16(1, 1, 1))", lambda c: c.dtype == "float16"),
    ("conv1d(complex64(1, 1, 1), complex64(1, 1, 1))", lambda c: "complex" in c.dtype),
    ("fold(float64(1, 1, 1), output_size=1, kernel_size=1)", lambda c: c.dtype != "float32"),
    (
        "conv1d(int8(1, 1, 1), int8(1, 1, 1), data='wrap:0')",
        lambda c: c.dtype == "int8" and c.rule == "wrap",
    ),
    (
        "conv1d(float32(1, 1, 1, layout='reversed'), (1, 1, 1))",
        lambda c: c.operands["input"].layout == "reversed",
    ),
    (
        "conv1d((1, 1, 1), float32(1, 1, 1, layout='strided'))",
        lambda c: c.operands["weight"].layout == "strided",
    ),
    (
        "conv1d((1, 1, 1), float32(1, 1, 1, layout='fortran'))",
        lambda c: {*layouts(c)} != {"contiguous"},
    ),
    ("conv1d((1, 1, 1), (1, 1, 1), data='reals:0')", lambda c: c.rule == "reals"),
    ("conv1d((1, 1, 1), (1, 1, 1), data='special:0')", lambda c: c.rule == "special"),
    ("conv1d((1, 1, 1), (1, 1, 1), data='integers:0')", lambda c: ":" in c.data),
    ("unfold((1, 1, 1, 1), kernel_size=1, data='ramp')", lambda c: c.data != "ones"),
]


@SEEDS
@pytest.mark.parametrize(("line", "wanted"), ROWS, ids=[line for line, _ in ROWS])
def test_a_case_shrinks_to_the_line_that_a_person_would_write(
    line: str, wanted: Wanted, seed: int
) -> None:
    drawn = sampling.cases(seed, relatives(line))
    assert minimal(drawn, both(is_accepted, wanted)) == line


@pytest.mark.parametrize(
    ("op", "function"), [("Conv3d", "conv1d"), ("ConvTranspose2d", "conv_transpose1d")]
)
def test_a_layer_shrinks_to_its_function(op: str, function: str) -> None:
    found = minimal(sampling.cases(0, (op,)), both(is_accepted, lambda c: "bias" in c.operands))
    assert found == f"{function}((1, 1, 1), (1, 1, 1), bias=(1,))"


@SEEDS
@pytest.mark.parametrize(
    "line",
    [
        "conv1d(None, (1, 1, 1), blame='input')",
        "conv1d((1, 1, 1), (1, 1, 1), bias=0, blame='bias')",
        "conv1d((1, 1, 1), (1, 1, 1), stride=0, blame='stride')",
        "conv1d((1, 1, 1), (1, 1, 1), padding=-1, blame='padding')",
        "conv1d((1, 1, 1), (1, 1, 1), dilation=0, blame='dilation')",
        "conv1d((1, 1, 1), (1, 1, 1), groups=0, blame='groups')",
        "conv_transpose1d((1, 1, 1), None, blame='weight')",
        "conv_transpose1d((1, 1, 1), (1, 1, 1), output_padding=1, blame='output_padding')",
        "Conv1d((1, 1, 1), (1, 1, 1), padding_mode=0, blame='padding_mode')",
        "ConvTranspose1d((1, 1, 1), (1, 1, 1), output_size=0, blame='output_size')",
        "unfold(None, kernel_size=1, blame='input')",
        "unfold((1, 1, 1, 1), kernel_size=0, blame='kernel_size')",
        "fold((1, 1, 1), output_size=1, kernel_size=1, stride=0, blame='stride')",
    ],
)
def test_an_invalid_case_shrinks_to_its_fault_alone(line: str, seed: int) -> None:
    drawn = sampling.invalid_cases(seed, relatives(line))
    wanted = both(is_rejected, lambda c: c.blame == parse(line).blame)
    assert minimal(drawn, wanted) == line


def of_rank(name: str, *ranks: int) -> Wanted:
    """Blamed for the number of its axes."""
    return lambda c: c.blame == name and name in c.shapes and len(c.shapes[name]) in ranks


def channels_above(case: Case) -> int:
    """How many channels the input has more than the weight is for."""
    return case.shapes["input"][1] - case.shapes["weight"][1] * groups(case)


def one_dtype(case: Case) -> bool:
    return len({v.dtype for v in case.operands.values() if isinstance(v, Operand)}) == 1


@SEEDS
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            "conv2d((1, 1, 1, 1), (1, 1, 1), blame='weight')",
            lambda c: c.op == "conv2d" and of_rank("weight", 1, 3, 5)(c),
        ),
        (
            "conv1d((1, 1, 1), (1, 1, 1), bias=(), blame='bias')",
            of_rank("bias", 0),
        ),
        (
            "conv1d((1, 1, 1), (1, 1, 0), blame='weight')",
            lambda c: of_rank("weight", 3)(c) and c.shapes["weight"][2] == 0,
        ),
        (
            "conv1d((1, 2, 1), (1, 1, 1), blame='input')",
            lambda c: c.op == "conv1d" and of_rank("input", 3)(c) and channels_above(c) > 0,
        ),
        (
            "conv1d((1, 1, 1), (1, 1, 2), blame='weight')",
            lambda c: (
                c.op == "conv1d" and of_rank("weight", 3)(c) and one_dtype(c) and places(c)[0] < 1
            ),
        ),
        (
            "fold((1, 1, 2), output_size=1, kernel_size=1, blame='input')",
            lambda c: of_rank("input", 3)(c) and c.shapes["input"][2] > 1 == taps(c)[1],
        ),
        (
            "fold((1, 1, 1), output_size=1, kernel_size=(1, 2), blame='input')",
            lambda c: of_rank("input", 3)(c) and taps(c)[1] > 1,
        ),
        (
            "conv1d((1, 1, 1), (1, 1, 1), stride=0, padding='same', blame='stride')",
            lambda c: c.blame == "stride" and is_same(c),
        ),
    ],
)
def test_a_case_of_irregular_shape_shrinks_too(line: str, wanted: Wanted, seed: int) -> None:
    drawn = sampling.invalid_cases(seed, relatives(line))
    assert minimal(drawn, both(is_rejected, wanted)) == line


# ---- What no row of the table draws ----


@pytest.mark.parametrize(
    ("line", "layout"),
    [
        ("conv1d(float32(1, 1, 1, layout='fortran'), (1, 1, 1))", "order:2,0,1"),
        ("conv1d(float32(1, 1, 1, layout='fortran'), (1, 1, 1))", "strided:16"),
    ],
)
def test_a_layout_with_parameters_shrinks_to_a_plainer_one(line: str, layout: str) -> None:
    start = Case(
        "conv1d", {"input": Operand((2, 3, 4), layout=layout), "weight": Operand((3,) * 3)}
    )
    found = smallest(start, lambda c: layouts(c)[0] != "contiguous")
    assert str(found) == line


@pytest.mark.parametrize(
    ("data", "rule"), [("ones", ""), ("ramp", "ramp"), ("integers:0", ":"), ("sparse:0", "sparse")]
)
def test_a_rule_that_is_not_listed_shrinks_to_a_plainer_one(data: str, rule: str) -> None:
    start = replace(parse("conv1d((2, 3, 4), (3, 3, 3))"), data="sparse:77")
    assert smallest(start, lambda c: rule in c.data).data == data


def is_possible(case: Case) -> bool:
    """Whether the windows fit, told from the shapes alone: torch would take long."""
    if case.op == "fold" and case.shapes["input"][-1] != prod(places(case)):
        return False
    return 0 not in (case.output_shape or (0,)) and 0 not in case.shapes["input"]


LARGE: list[tuple[str, str, Wanted]] = [
    ("conv1d((1, 1, 1), (1, 1, 1))", str(RESNET), lambda c: True),
    ("conv2d((1, 1, 1, 1), (1, 1, 1, 1))", str(RESNET), lambda c: c.op == "conv2d"),
    ("conv1d((1, 1, 65), (1, 1, 65))", str(RESNET), lambda c: k_of(c) > 64),
    ("conv1d((1, 1, 513), (1, 1, 513))", str(RESNET), lambda c: k_of(c) > 512),
    ("conv1d((1, 1, 50), (1, 1, 1))", str(RESNET), lambda c: places(c)[-1] > 49),
    (
        "conv2d((1, 1, 1, 1), (1, 1, 1, 1), padding=(0, 1), data='reals:0')",
        str(RESNET),
        lambda c: c.op == "conv2d" and given(c, "padding")[1] > 0 and c.rule == "reals",
    ),
    ("conv1d((1, 1, 1), (33, 1, 1))", str(RESNET), lambda c: c.shapes["weight"][0] > 32),
    (
        "conv1d((1, 2, 1), (2, 1, 1), stride=2, groups=2)",
        "conv2d((1, 96, 112, 112), (96, 1, 3, 3), stride=2, padding=1, groups=96)",
        lambda c: groups(c) > 1 and given(c, "stride")[-1] > 1,
    ),
    (
        "conv1d((1, 1, 1), (1, 1, 1), stride=9)",
        "conv2d((1, 3, 224, 224), (96, 3, 4, 4), bias=(96,), stride=16, data='integers:22')",
        lambda c: given(c, "stride")[-1] > 8,
    ),
    (
        "conv_transpose1d((1, 1, 1), (1, 1, 101))",
        "conv_transpose2d((2, 16, 100, 300), (16, 8, 101, 105), stride=(7, 16))",
        lambda c: taps(c)[-1] > 100,
    ),
    (
        "fold((1, 1, 300), output_size=(1, 300), kernel_size=1)",
        "fold((1, 18, 89400), output_size=(300, 300), kernel_size=(3, 3), padding=(1, 0))",
        lambda c: size(c)[1] > 299,
    ),
]


@pytest.mark.parametrize(("line", "start", "wanted"), LARGE)
def test_a_large_case_shrinks_in_a_few_hundred_evaluations(
    line: str, start: str, wanted: Wanted
) -> None:
    asked, fails = counted(both(is_possible, wanted))
    assert str(smallest(parse(start), fails)) == line
    assert len(asked) <= 400


def test_the_evaluations_of_a_layer_of_a_network_soon_cost_little() -> None:
    asked, fails = counted(both(is_possible, lambda c: k_of(c) > 64))
    smallest(RESNET, fails)
    costs = sum(work(OPS[case.op], case.operands) for case in asked)
    assert costs < work(OPS[RESNET.op], RESNET.operands) / 10


def test_the_search_ends_at_its_limit() -> None:
    asked, fails = counted(lambda c: False)
    smallest(RESNET, fails, limit=20)
    assert len(asked) == 20


@pytest.mark.parametrize("seed", range(5))
def test_the_search_ends_where_failures_are_flaky(seed: int) -> None:
    uniform = Random(seed).random
    found = smallest(RESNET, lambda c: uniform() < 0.5)
    assert order(found) < order(RESNET)


# ---- The order ----


@cache
def drawn_cases() -> list[Case]:
    cases = [*islice(sampling.cases(1), 25), *islice(sampling.invalid_cases(1), 25)]
    return [*cases, *read_cases(CORPUS)[::20]]


def numbers(key: object) -> list[int]:
    """All numbers in the order of a case but for the letters of its line."""
    parts: Any = key if isinstance(key, (tuple, list)) else [key]
    nested = [numbers(part) if isinstance(part, (tuple, list)) else [part] for part in parts]
    return [n for part in nested for n in part if not isinstance(n, str)]


def test_every_move_leads_to_a_strictly_simpler_case() -> None:
    pairs = [(order(simpler), order(case)) for case in drawn_cases() for simpler in moves(case)]
    assert len(pairs) > 10_000
    assert [pair for pair in pairs if not pair[0] < pair[1]] == []


def test_two_cases_are_equally_simple_only_if_they_are_one() -> None:
    assert len({str(order(case)) for case in drawn_cases()}) == len({*map(str, drawn_cases())})


def test_the_order_has_a_least_case_below_every_other() -> None:
    assert {min(numbers(order(case))) >= 0 for case in drawn_cases()} == {True}


def test_a_move_leads_to_a_case_that_its_line_gives_again() -> None:
    lines = {str(simpler) for case in drawn_cases()[::3] for simpler in moves(case)}
    assert [line for line in lines if str(parse(line)) != line] == []


def test_the_sizes_of_every_valid_case_give_it_again() -> None:
    valid = [*islice(sampling.cases(2), 1000)]
    sizes = [read(case) for case in valid]
    assert None not in sizes
    assert [write(*pair, pair[1]) for pair in zip(valid, sizes, strict=True)] == valid  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("like", "values", "wanted"),
    [
        ("2", (3,), "3"),
        ("2", (3, 4), "(3, 4)"),
        ("(2, 1)", (3, 3), "3"),
        ("(2,)", (3, 3), "(3,)"),
        ("[2, 2]", (3, 4), "[3, 4]"),
    ],
)
def test_a_changed_argument_keeps_its_form(like: str, values: tuple[int, ...], wanted: str) -> None:
    assert repr(formed(ast.literal_eval(like), values)) == wanted


@pytest.mark.parametrize("values", [(256,), (-1,)])
def test_a_changed_argument_that_does_not_fit_its_kind_is_a_plain_integer(
    values: tuple[int, ...],
) -> None:
    assert repr(formed(np.uint8(200), (255,))) == "np.uint8(255)"
    assert type(formed(np.uint8(200), values)) is int
