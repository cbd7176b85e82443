"""Each call of the table does in the engine what it does in torch, or deviates as listed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import engine
from oracle import native_kernels
from properties.torch_cases import Row, alike, engine_names, outcome, rows, torch_names

ENGINE = engine_names(engine)
TORCH = torch_names()


@pytest.fixture(autouse=True, scope="module")
def native() -> Iterator[None]:
    """torch's own kernels: one set of rules, and none that crashes."""
    with native_kernels():
        yield


def table(*verdicts: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", [pytest.param(r, id=r.id) for r in rows(*verdicts)])


def is_random(row: Row) -> bool:
    """Layers draw their weights."""
    return row.expression.startswith("Conv")


@table("agrees")
def test_what_both_accept_is_equal(row: Row) -> None:
    value, expected = outcome(ENGINE, row.expression), outcome(TORCH, row.expression)
    assert not isinstance(expected, Exception)
    assert alike(value, expected, exact=not is_random(row)), value


@table("rejects")
def test_what_both_reject_has_torchs_type(row: Row) -> None:
    error, expected = outcome(ENGINE, row.expression), outcome(TORCH, row.expression)
    assert isinstance(expected, Exception)
    assert isinstance(error, type(expected)), repr(error)


@table("rejects", "deviates", "unsafe")
def test_a_rejection_names_its_argument(row: Row) -> None:
    error = outcome(ENGINE, row.expression)
    assert isinstance(error, Exception)
    assert getattr(error, "argument", "call") == row.argument


@table("deviates")
def test_torch_still_accepts_what_the_engine_rejects(row: Row) -> None:
    assert not isinstance(outcome(TORCH, row.expression), Exception)


@table("computes")
def test_torch_still_rejects_what_the_engine_computes(row: Row) -> None:
    assert isinstance(outcome(TORCH, row.expression), Exception)
    assert not isinstance(outcome(ENGINE, row.expression), Exception)


@table("differs")
def test_torch_still_drops_the_channels_of_an_empty_sum(row: Row) -> None:
    value, dropped = outcome(ENGINE, row.expression), outcome(TORCH, row.expression)
    assert value.shape != dropped.shape
    assert 0 in dropped.shape


def test_the_table_is_complete_and_unambiguous() -> None:
    verdicts = {"agrees", "rejects", "deviates", "computes", "differs", "unsafe"}
    assert {row.verdict for row in rows()} == verdicts
    assert len({row.id for row in rows()}) == len(rows()) == 374
