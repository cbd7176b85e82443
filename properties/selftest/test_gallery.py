"""Every wrong engine of the gallery is caught, by the kind meant for it, at its minimal case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from properties.cases.line import parse
from properties.comparison.compare import compare
from properties.comparison.mismatch import Mismatch, mismatches
from properties.session.for_all import Property
from properties.session.options import Options
from properties.session.session import Session
from properties.test_engine import test_the_engine_equals_the_oracle as equals
from properties.test_engine import test_the_engine_rejects_what_the_oracle_rejects as rejects

from .gallery import GALLERY, Wrong

wrong_engines = pytest.mark.parametrize("wrong", GALLERY, ids=lambda wrong: wrong.name)


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
    engine = wrong.engine()
    session = Session(engine, Options(engine.ops))
    found = found_by(equals.property, session) or found_by(rejects.property, session)
    return {type(mismatch): str(mismatch.case) for mismatch in found}


@wrong_engines
def test_a_wrong_engine_is_caught_and_shrunk_to_its_minimal_case(wrong: Wrong) -> None:
    found = hunted(wrong)
    assert found.get(wrong.kind) == wrong.line


@wrong_engines
def test_the_minimal_case_alone_replays_the_failure(wrong: Wrong) -> None:
    engine = wrong.engine()
    session = Session(engine, Options(engine.ops))
    with pytest.raises(wrong.kind):
        compare(parse(wrong.line), engine, session.oracle)


def test_the_gallery_is_large() -> None:
    assert len(GALLERY) >= 30
