"""Shrinking: every start ends in one line, the one that a person would write."""

from collections.abc import Iterator

import numpy as np
import pytest

from properties.cases.case import Case
from properties.cases.line import parse
from properties.cases.operation import OPS
from properties.generation import sampling
from properties.shrinking import smallest

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
    return str(smallest(next(filter(fails, drawn)), fails))


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
        lambda c: batch(c) and any(e >= s for e, s in pairs(c, "output_padding", "stride")),
    ),
    (
        "conv_transpose1d((1, 1, 1), (1, 1, 1), stride=2, output_padding=1)",
        lambda c: batch(c) and any(e >= d for e, d in pairs(c, "output_padding", "dilation")),
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
        "fold((1, 1, 1), output_size=1, kernel_size=1, padding=(0, 1))",
        lambda c: given(c, "padding")[1] > 0,
    ),
    # forms
    ("conv1d((1, 1, 1), (1, 1, 1), stride=[1])", lambda c: form(c, "stride") is list),
    ("conv1d((1, 1, 1), (1, 1, 1), stride=int64(1))", lambda c: form(c, "stride") is np.int64),
    ("conv1d((1, 1, 1), (1, 1, 1), groups=int64(1))", lambda c: form(c, "groups") is np.int64),
    ("unfold((1, 1, 1, 1), kernel_size=(1,))", lambda c: form(c, "kernel_size") is tuple),
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
        "conv_transpose1d((1, 1, 1), (1, 1, 1), output_padding=-1, blame='output_padding')",
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
            "conv1d((1, 1, 1), (1, 0, 1), blame='weight')",
            lambda c: of_rank("weight", 3)(c) and c.shapes["weight"][1] == 0,
        ),
        (
            "conv1d((1, 2, 1), (1, 1, 1), blame='input')",
            lambda c: (
                of_rank("input", 3)(c) and c.shapes["input"][1] > 1 and 0 not in c.shapes["input"]
            ),
        ),
        (
            "conv1d((1, 1, 1), (1, 1, 2), blame='weight')",
            lambda c: (
                of_rank("weight", 3)(c) and taps(c)[0] > size(c)[0] and not any(given(c, "padding"))
            ),
        ),
        (
            "fold((1, 1, 2), output_size=1, kernel_size=1, blame='input')",
            of_rank("input", 3),
        ),
        (
            "fold((1, 1, 1), output_size=1, kernel_size=(1, 2), blame='input')",
            lambda c: of_rank("input", 3)(c) and taps(c)[1] > 1,
        ),
        (
            "conv1d((1, 1, 1), (1, 1, 1), stride=2, padding='same', blame='stride')",
            lambda c: (
                c.blame == "stride"
                and is_same(c)
                and form(c, "stride") in (int, tuple)
                and 0 < min(given(c, "stride")) < max(given(c, "stride")) + 1 < 5
            ),
        ),
    ],
)
def test_a_case_of_irregular_shape_shrinks_too(line: str, wanted: Wanted, seed: int) -> None:
    drawn = sampling.invalid_cases(seed, relatives(line))
    assert minimal(drawn, both(is_rejected, wanted)) == line
