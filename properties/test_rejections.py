"""Every rejection, by its text. A line of `rejections.txt` is ``id | type | call | message``."""

from __future__ import annotations

from pathlib import Path

import pytest

import engine
from engine import errors, original
from properties.torch_cases import engine_names, outcome

NAMES = engine_names(engine)
TYPES = {**vars(errors), **vars(original)}
LINES = Path(__file__).with_name("rejections.txt").read_text(encoding="utf-8").splitlines()
ROWS = [[part.strip() for part in line.split(" | ")] for line in LINES]


@pytest.mark.parametrize(("kind", "call", "message"), [pytest.param(*r[1:], id=r[0]) for r in ROWS])
def test_a_rejection_says_what_was_expected_and_what_came(
    kind: str, call: str, message: str
) -> None:
    error = outcome(NAMES, call)
    assert type(error) is TYPES[kind]
    assert str(error) == message


def test_each_rejection_has_a_name_of_its_own() -> None:
    assert len({row[0] for row in ROWS}) == len(ROWS) > 100


@pytest.mark.parametrize("base", [RuntimeError, ValueError])
def test_an_unusable_value_is_what_torch_raises_from_functions_and_constructors(
    base: type[Exception],
) -> None:
    with pytest.raises(base, match="stride"):
        engine.Conv2d(1, 1, 1, stride=0)


def test_a_missing_kernel_for_a_dtype_is_not_implemented_as_in_torch() -> None:
    assert issubclass(errors.UnsupportedDtypeError, (NotImplementedError, TypeError))


def test_an_error_names_its_argument() -> None:
    with pytest.raises(engine.ArgumentError) as caught:
        engine.Conv2d(4, 4, 3, groups=3)
    assert caught.value.argument == "in_channels"
