"""The small scope is enumerated whole."""

from __future__ import annotations

from functools import cache
from itertools import combinations, product
from typing import Any

import pytest

from properties.cases.case import Case
from properties.cases.operation import OPS, per_axis
from properties.generation.exhaustive import (
    DILATIONS,
    STRIDES,
    TAPS,
    covering,
    one_axis,
    pairs_on_two_axes,
)


def settings_of(case: Case) -> list[tuple[str, int]]:
    """The value of each parameter on each axis."""
    given = {**OPS[case.op].arguments, **case.arguments}
    names = ("stride", "dilation", "padding")
    values = {name: per_axis(given[name], 2) for name in names}
    values["taps"] = case.operands["weight"].shape[2:]
    return [(f"{name} {axis}", v[axis]) for name, v in values.items() for axis in (0, 1)]


@cache
def met(op: str) -> set[frozenset[tuple[str, int]]]:
    return {
        frozenset(p) for case in pairs_on_two_axes([op]) for p in combinations(settings_of(case), 2)
    }


PARAMETERS = {"stride": STRIDES, "dilation": DILATIONS, "padding": range(5), "taps": TAPS}
EVERY = [(f"{name} {axis}", PARAMETERS[name]) for name in PARAMETERS for axis in (0, 1)]


@pytest.mark.parametrize("op", ["conv2d", "conv_transpose2d"])
@pytest.mark.parametrize(("one", "other"), [*combinations(EVERY, 2)])
def test_every_two_values_of_two_parameters_meet(
    op: str, one: tuple[Any, ...], other: tuple[Any, ...]
) -> None:
    wanted = {frozenset({(one[0], a), (other[0], b)}) for a, b in product(one[1], other[1])}
    assert wanted - met(op) == set()


def test_every_geometry_of_one_axis_is_there_once() -> None:
    lines = [str(case) for case in one_axis(tuple(OPS))]
    assert len(set(lines)) == len(lines) == 3024 + 3 * 3024 + 8640


def test_a_covering_array_of_two_values_is_small() -> None:
    assert len([*covering([(0, 1)] * 4)]) <= 6
