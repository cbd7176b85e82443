"""Every wrong engine of the gallery is caught, by the kind meant for it, at its minimal case."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings

import engine
from properties.cases.line import parse_source
from properties.cases.sequence import CaseSequence
from properties.comparison.engine import Engine
from properties.comparison.mismatch import (
    AcceptedInvalid,
    Mismatch,
    ShapeMismatch,
    ValueMismatch,
    Verdict,
    WrongError,
    mismatches,
)
from properties.session.for_all import Property
from properties.session.options import Options
from properties.session.session import Session
from properties.test_engine import test_the_engine_equals_the_oracle as equals
from properties.test_engine import test_the_engine_rejects_what_the_oracle_rejects as rejects

from .gallery import BASICS, GALLERY, Wrong

wrong_engines = pytest.mark.parametrize("wrong", BASICS, ids=lambda wrong: wrong.name)


@pytest.fixture(autouse=True)
def dev_budget() -> Iterator[None]:
    """The search of the dev profile, without remembering what it found."""
    before = settings.get_current_profile_name()
    settings.register_profile("gallery", settings.get_profile("dev"), database=None)
    settings.load_profile("gallery")
    yield
    settings.load_profile(before)


def found_by(searched: Property, session: Session) -> list[Mismatch]:
    """The failures of the first shard that has any."""
    for shard in range(searched.shards):
        try:
            searched.explore(shard, session)
        except (Mismatch, ExceptionGroup) as error:
            return mismatches(error)
    return []


def hunted(wrong: Wrong) -> dict[type[Any], str]:
    """The minimal case of each kind of failure that a dev run finds first."""
    judged = wrong.engine()
    session = Session(judged, Options(judged.ops))
    is_of_rejections = wrong.kind in (AcceptedInvalid, WrongError)
    found = found_by(rejects.property if is_of_rejections else equals.property, session)
    return {type(mismatch): str(mismatch.case) for mismatch in found}


@wrong_engines
def test_a_wrong_engine_is_caught_and_shrunk_to_its_minimal_case(wrong: Wrong) -> None:
    found = hunted(wrong)
    assert found.get(wrong.kind) == wrong.line


@pytest.mark.parametrize("wrong", GALLERY, ids=lambda wrong: wrong.name)
def test_the_smallest_case_alone_replays_the_failure(wrong: Wrong) -> None:
    judged = wrong.engine()
    session = Session(judged, Options(judged.ops))
    with pytest.raises(wrong.kind):
        replayed(wrong.line, session)


def replayed(line: str, session: Session) -> Verdict:
    source = parse_source(line)
    if isinstance(source, CaseSequence):
        return session.in_order(source)
    return session.against_oracle(source)


def two_faults(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, *rest: Any, **more: Any
) -> Any:
    y = engine.conv1d(input, weight, bias, stride, *rest, **more)
    y = y if bias is None else -y
    return y if stride == 1 else y[..., :0]


def test_every_kind_of_failure_is_reported_with_its_smallest_case() -> None:
    judged = Engine("two faults", SimpleNamespace(conv1d=two_faults))
    found = found_by(equals.property, Session(judged, Options(judged.ops)))
    assert {type(mismatch): str(mismatch.case) for mismatch in found} == {
        ShapeMismatch: "conv1d((1, 1, 1), (1, 1, 1), stride=2)",
        ValueMismatch: "conv1d((1, 1, 1), (1, 1, 1), bias=(1,))",
    }


def test_the_gallery_is_large() -> None:
    assert len(GALLERY) - len(BASICS) >= 55
