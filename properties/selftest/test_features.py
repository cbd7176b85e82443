"""What is counted of a case and of a sequence, and cases with what is rare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from properties.cases.case import DTYPES
from properties.cases.line import parse, parse_source
from properties.cases.sequence import CaseSequence
from properties.comparison.mismatch import Status
from properties.generation import sampling
from properties.generation.rare import wearing, with_rare_pairs
from properties.generation.sequences import VARIATIONS, sequences
from properties.session.options import Options
from properties.session.session import Session
from properties.statistics.features import (
    FEATURES,
    features,
    pairs,
    possible,
    two_features,
)

PLAIN = "conv1d((1, 1, 3), (1, 1, 2))"


@pytest.mark.parametrize(
    ("line", "feature"),
    [
        ("conv1d((1, 1, 9), (1, 1, 8))", ("tall", "taps")),
        ("conv1d((4, 1, 3), (1, 1, 2))", ("tall", "batch")),
        ("conv1d((1, 1, 3), (4, 1, 2))", ("tall", "filters")),
        ("conv1d((1, 1, 9), (1, 1, 2), padding=5)", ("tall", "padding")),
        ("conv1d((1, 1, 3), float32(1, 1, 2, layout='fortran'))", ("weight-layout", "fortran")),
        ("conv1d((1, 1, 3), (1, 1, 2), grad_output='swapped')", ("grad_output-layout", "swapped")),
        ("conv1d((1, 1, 3), (1, 1, 2), stride=[2])", ("argument", "list")),
        ("conv1d((1, 1, 3), (1, 1, 2), stride=(int8(2),))", ("argument", "NumPy")),
        ("conv1d((1, 1, 3), (1, 1, 2), None)", ("call", "by position")),
    ],
)
def test_a_case_has_the_feature(line: str, feature: tuple[str, str]) -> None:
    assert feature in {*features(parse(line))}
    assert feature not in {*features(parse(PLAIN))}


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        ("conv1d((1, 1, 3), (1, 1, 2), stride=2)", "stride"),
        ("conv1d((1, 1, 3), (1, 1, 2), dilation=2)", "dilation"),
        ("conv1d((1, 1, 3), (1, 1, 2), padding=1)", "padding"),
        ("conv1d((1, 1, 3), (1, 1, 2), data='ramp')", "data"),
        ("conv1d((2, 1, 3), (1, 1, 2))", "size"),
        ("conv1d((1, 1, 3), (1, 1, 2), bias=(1,))", "bias"),
        ("conv1d(float32(1, 1, 3, layout='fortran'), (1, 1, 2))", "layout"),
        ("conv1d(float64(1, 1, 3), float64(1, 1, 2))", "dtype"),
        ("conv1d((1, 1, 3), (1, 1, 2), stride=0, blame='stride')", "rejected"),
    ],
)
def test_a_sequence_has_the_kind_in_which_its_cases_differ(other: str, kind: str) -> None:
    sequence = parse_source(f"{PLAIN}; {other}")
    kinds = [name for pair in pairs(sequence) if (name := two_features(pair).get("sequence"))]
    assert {*kinds} == {kind}


def test_nothing_that_is_drawn_is_thought_impossible() -> None:
    seen = Counter(pair for case in islice(sampling.cases(0), 3000) for pair in pairs(case))
    seen.update(pair for sequence in islice(sequences(0), 1500) for pair in pairs(sequence))
    assert seen.keys() - {*possible()} == set()


@pytest.mark.parametrize("kind", VARIATIONS)
def test_every_kind_of_sequence_is_drawn(kind: str) -> None:
    drawn = islice(sequences(1), 400)
    assert any(f"sequence {kind}" in pair for sequence in drawn for pair in pairs(sequence))


def test_a_pair_names_its_features() -> None:
    assert two_features("call by name × dtype int8") == {"call": "by name", "dtype": "int8"}


RARE = {"bias-layout": "readonly", "dtype": "uint16"}


def met(wanted: dict[str, str]) -> Callable[[Any], bool]:
    return lambda case: {*wanted.items()} <= {*features(case)}


def test_cases_are_changed_to_have_what_is_rare() -> None:
    cases = islice(sampling.cases(2, ("conv1d",)), 200)
    changed = [*with_rare_pairs(sampling.choosing(2), cases, [RARE], features)]
    assert len(changed) == 200
    assert all(map(met(RARE), changed))


def test_cases_that_are_changed_are_valid() -> None:
    import engine  # noqa: PLC0415
    from properties.comparison.engine import Engine  # noqa: PLC0415

    session = Session(Engine("engine", engine, strict=True), Options())
    rare = [two_features(pair) for pair in possible()[::7]]
    cases = islice(sampling.cases(3), 150)
    changed = with_rare_pairs(sampling.choosing(3), cases, rare, features)
    assert {session.against_oracle(case).status for case in changed} == {Status.AGREED}


def test_a_rule_that_does_not_fill_the_dtype_gives_way() -> None:
    case = wearing(
        sampling.choosing(0), parse("conv1d((1, 1, 3), (1, 1, 2), data='reals:1')"), RARE
    )
    assert case.dtype == "uint16"
    assert case.rule != "reals"


def test_all_dtypes_and_kinds_of_sequence_are_counted() -> None:
    assert {*FEATURES["dtype"]} == {*DTYPES}
    assert {*FEATURES["sequence"]} == {*VARIATIONS}
    assert isinstance(next(sequences(0)), CaseSequence)
