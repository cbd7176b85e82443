"""The space: what it holds, what it never holds, and what its cases shrink to."""

import itertools
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import find, settings

import engine
import oracle
from properties import sampling
from properties.case import DTYPES, LAYOUTS, RULES, Case, Operand
from properties.data import arrays, dtype_of, rule_of, shapes, widest
from properties.faults import FAULTS, Fault, spoil
from properties.judge import blamed, reference
from properties.ops import OPS, output_size, per_axis, terms_by_result
from properties.smaller import smallest
from properties.space import build, weighted
from properties.strategies import cases, invalid_cases
from properties.subject import Subject

TORCH = Subject("torch", oracle, "")
OURS = Subject("engine", engine, "")
MANY = 3000

Wanted = Callable[[Case], bool]


def our_error(case: Case) -> Exception | None:
    try:
        OURS.results(case, arrays(case))
    except Exception as error:  # noqa: BLE001 - what it raises is the answer
        return error
    return None


def torchs_error(case: Case) -> Exception | None:
    """In the dtype of the reference, where torch lacks no kernel; unlike dtypes stay."""
    return reference(case, arrays(case), TORCH).error


def is_accepted(case: Case) -> bool:
    return torchs_error(case) is None


def is_rejected(case: Case) -> bool:
    return torchs_error(case) is not None


def taps(case: Case) -> tuple[int, ...]:
    return case.operands["weight"].shape[2:]


def size(case: Case) -> tuple[int, ...]:
    return case.operands["input"].shape[-OPS[case.op].axes :]


def batch(case: Case) -> int | None:
    shape = case.operands["input"].shape
    return shape[0] if len(shape) == OPS[case.op].axes + 2 else None


def given(case: Case, name: str) -> tuple[int, ...]:
    """An argument, one value per axis; a string as padding counts as 0."""
    value = case.arguments.get(name, OPS[case.op].arguments[name])
    return per_axis(0 if isinstance(value, str) else value, OPS[case.op].axes)


def rests(case: Case) -> list[tuple[int, int]]:
    """(stride, elements beyond the last window) of every axis."""
    rows = zip(*[given(case, k) for k in ("stride", "padding", "dilation")], strict=True)
    return [
        (s, (x + 2 * p - d * (k - 1) - 1) % s)
        for x, k, (s, p, d) in zip(size(case), taps(case), rows, strict=True)
    ]


def k_of(case: Case) -> int:
    return terms_by_result(OPS[case.op], shapes(case), case.arguments)["output"]


def places(case: Case) -> tuple[int, ...]:
    return output_size(OPS[case.op], shapes(case), case.arguments)


def is_same(case: Case) -> bool:
    return case.arguments.get("padding") == "same"


def multiplier(case: Case) -> int:
    """Filters a channel of a depthwise convolution; 0 if it is none."""
    weight, groups = case.operands["weight"].shape, case.arguments.get("groups", 1)
    return weight[0] // groups if groups > 1 and weight[1] == 1 else 0


def form(case: Case, name: str) -> type:
    return type(case.arguments.get(name))


# ---- Shrinking ----


def minimal(strategy: Any, wanted: Wanted, *, valid: Wanted, seed: int) -> str:
    """The line of the smallest case that is `wanted`, found as a failure is."""
    search = settings(max_examples=20_000, database=None, deadline=None)
    found = find(strategy, wanted, settings=search, random=Random(seed))
    return str(smallest(found, lambda case: valid(case) and wanted(case)))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("conv1d((1, 1, 1), (1, 1, 1))", lambda c: True),
        ("conv2d((1, 1, 1, 1), (1, 1, 1, 1))", lambda c: c.op == "conv2d"),
        ("conv3d((1, 1, 1, 1, 1), (1, 1, 1, 1, 1))", lambda c: c.op == "conv3d"),
        ("conv1d((3, 1, 1), (1, 1, 1))", lambda c: batch(c) == 3),
        ("conv1d((0, 1, 1), (1, 1, 1))", lambda c: batch(c) == 0),
        ("conv1d((1, 1), (1, 1, 1))", lambda c: batch(c) is None),
        ("conv1d((1, 1, 1), (1, 1, 1), bias=(1,))", lambda c: "bias" in c.operands),
        (
            "conv1d((1, 3, 1), (3, 1, 1), groups=3)",
            lambda c: c.arguments.get("groups") == 3,
        ),
        (
            "conv1d((1, 2, 1), (2, 1, 1), bias=(2,), groups=2)",
            lambda c: "bias" in c.operands and "groups" in c.arguments,
        ),
        ("conv1d((1, 2, 1), (4, 1, 1), groups=2)", lambda c: multiplier(c) == 2),
        (
            "conv2d((1, 1, 1, 1), (1, 1, 1, 1), stride=(1, 2))",
            lambda c: c.op == "conv2d" and given(c, "stride")[1] > 1,
        ),
        (
            "conv2d((1, 1, 1, 1), (1, 1, 1, 1), padding=(0, 1))",
            lambda c: c.op == "conv2d" and given(c, "padding")[1] > 0,
        ),
        (
            "conv1d((1, 1, 3), (1, 1, 2), dilation=2)",
            lambda c: given(c, "dilation")[0] == 2 and taps(c)[0] == 2,
        ),
        ("conv2d((1, 1, 4, 1), (1, 1, 4, 1))", lambda c: c.op == "conv2d" and taps(c)[0] > 3),
        ("conv1d((1, 1, 1), (1, 1, 1), padding='same')", is_same),
        (
            "conv1d((1, 1, 1), (1, 1, 2), padding='same')",
            lambda c: is_same(c) and taps(c)[0] % 2 == 0,
        ),
        (
            "conv1d((1, 1, 1), (1, 1, 1), padding='valid')",
            lambda c: c.arguments.get("padding") == "valid",
        ),
        (
            "conv1d((1, 1, 1), (1, 1, 1), stride=[1])",
            lambda c: form(c, "stride") is list,
        ),
        (
            "conv1d((1, 1, 1), (1, 1, 1), stride=int64(1))",
            lambda c: form(c, "stride") is np.int64,
        ),
        ("conv1d(float16(1, 1, 1), float16(1, 1, 1))", lambda c: dtype_of(c) == "float16"),
        (
            "conv1d(int8(1, 1, 1), int8(1, 1, 1), data='wrap:0')",
            lambda c: dtype_of(c) == "int8" and rule_of(c) == "wrap",
        ),
        (
            "conv1d(float32(1, 1, 1, layout='reversed'), (1, 1, 1))",
            lambda c: c.operands["input"].layout == "reversed",
        ),
        (
            "conv1d((1, 1, 1), float32(1, 1, 1, layout='strided'))",
            lambda c: c.operands["weight"].layout == "strided",
        ),
        ("conv1d((1, 1, 1), (1, 1, 1), data='reals:0')", lambda c: rule_of(c) == "reals"),
        ("conv1d((1, 1, 1), (1, 1, 1), data='special:0')", lambda c: rule_of(c) == "special"),
        (
            "conv1d((1, 11, 6), (1, 11, 6))",
            lambda c: c.op == "conv1d" and k_of(c) > 64,
        ),
    ],
)
def test_a_case_shrinks_to_the_line_that_a_person_would_write(
    line: str, wanted: Wanted, seed: int
) -> None:
    assert minimal(cases(), wanted, valid=is_accepted, seed=seed) == line


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("line", "blame"),
    [
        ("conv1d(None, (1, 1, 1), blame='input')", "input"),
        ("conv1d((1, 1, 1), (1, 1, 1), bias=[1.0], blame='bias')", "bias"),
        ("conv1d((1, 1, 1), (1, 1, 1), stride=0, blame='stride')", "stride"),
        ("conv1d((1, 1, 1), (1, 1, 1), padding=-1, blame='padding')", "padding"),
        ("conv1d((1, 1, 1), (1, 1, 1), dilation=0, blame='dilation')", "dilation"),
        ("conv1d((1, 1, 1), (1, 1, 1), groups=0, blame='groups')", "groups"),
    ],
)
def test_an_invalid_case_shrinks_to_its_fault_alone(line: str, blame: str, seed: int) -> None:
    found = minimal(invalid_cases(), lambda c: c.blame == blame, valid=is_rejected, seed=seed)
    assert found == line


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


def test_only_an_invalid_case_blames() -> None:
    assert {case.blame for case in valid_sample()} == {None}
    assert {case.blame for case in invalid_sample()} == {fault.blame for fault in FAULTS}


def test_most_cases_are_distinct() -> None:
    assert len({*map(str, valid_sample())}) > 0.9 * MANY


def test_integers_are_drawn_only_where_they_have_a_range() -> None:
    drawn = [case for case in valid_sample() if rule_of(case) == "integers"]
    assert min(map(widest, drawn)) >= 1


@pytest.mark.parametrize("op", OPS)
def test_only_the_ops_and_dtypes_that_are_asked_for_are_drawn(op: str) -> None:
    drawn = [*itertools.islice(sampling.cases(1, (op,), ("int8", "float16")), 200)]
    assert {case.op for case in drawn} == {op}
    assert {dtype_of(case) for case in drawn} == {"int8", "float16"}


def test_a_seed_determines_the_sample() -> None:
    assert [*itertools.islice(sampling.cases(1), 20)] == valid_sample()[:20]
    assert [*itertools.islice(sampling.cases(2), 20)] != valid_sample()[:20]


def spoiled(fault: Fault, n: int = 200) -> list[Case]:
    """Cases with `fault` alone in them."""
    uniform = Random(fault.name).random

    def choose(limit: int) -> int:
        return int(limit * uniform())

    return [spoil(choose, [fault], build(choose, tuple(OPS), weighted(DTYPES))) for _ in range(n)]


EACH_FAULT = pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])


def test_the_faults_have_names_of_their_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@EACH_FAULT
def test_torch_rejects_each_fault(fault: Fault) -> None:
    assert [case for case in spoiled(fault) if not is_rejected(case)] == []


@EACH_FAULT
def test_the_engine_rejects_each_fault_and_blames_its_argument(fault: Fault) -> None:
    errors = [(case, our_error(case)) for case in spoiled(fault)]
    assert [case for case, error in errors if error is None] == []
    assert [case for case, error in errors if error and blamed(error) != fault.blame] == []


@EACH_FAULT
def test_the_engine_raises_what_code_that_catches_torchs_error_would_catch(fault: Fault) -> None:
    errors = [(case, torchs_error(case), our_error(case)) for case in spoiled(fault)]
    heard = [e for e in errors if not isinstance(e[1], NotImplementedError)]
    assert len(heard) > len(errors) / 2
    assert [case for case, theirs, ours in heard if not isinstance(ours, type(theirs))] == []


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
    "no samples and groups and bias": lambda c: batch(c) == 0 and {"groups"} <= {*c.arguments},
    "three samples": lambda c: batch(c) == 3,
    "unbatched": lambda c: batch(c) is None,
    "unbatched with groups": lambda c: batch(c) is None and "groups" in c.arguments,
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
        and c.operands["weight"].shape[0] == 6
    ),
    "bias with groups": lambda c: "bias" in c.operands and "groups" in c.arguments,
    "no bias": lambda c: "bias" not in c.operands,
    "more than 64 terms": lambda c: k_of(c) > 64,
    "one term": lambda c: k_of(c) == 1,
    "unlike layouts": lambda c: len({v.layout for v in c.operands.values()}) == 3,
    **{f"{op}": lambda c, op=op: c.op == op for op in OPS},
    **{f"in {dtype}": lambda c, dtype=dtype: dtype_of(c) == dtype for dtype in DTYPES},
    **{f"data {rule}": lambda c, rule=rule: rule_of(c) == rule for rule in RULES},
    **{
        f"{name} {layout}": lambda c, name=name, layout=layout: (
            c.operands.get(name, Operand(())).layout == layout
        )
        for name in ("input", "weight", "bias")
        for layout in LAYOUTS
    },
    **{
        f"{name} as {kind.__name__}": lambda c, name=name, kind=kind: form(c, name) is kind
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


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_sample_reaches(boundary: str) -> None:
    assert sum(map(BOUNDARIES[boundary], valid_sample())) >= 3
