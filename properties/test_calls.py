"""Each call of the table does in the engine what it does in torch, or differs as listed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch.nn import grad

import engine
import oracle
from engine import errors
from properties.comparison.calls import (
    VERDICTS,
    Row,
    are_alike,
    evaluated,
    names,
    read_rows,
    whole_error,
)

ENGINE = names(engine, engine.grad, dtypes=np, tensor=lambda array: array)
TORCH = names(torch.nn.functional, torch.nn, grad, dtypes=torch, tensor=oracle.tensor)


@pytest.fixture(autouse=True, scope="module")
def native() -> Iterator[None]:
    """torch's own kernels: one set of rules, and none that crashes."""
    with oracle.native_kernels():
        yield


def table(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in rows])


@table(read_rows("agrees"))
def test_what_both_accept_is_equal(row: Row) -> None:
    value, expected = evaluated(row.call, ENGINE), evaluated(row.call, TORCH)
    assert not isinstance(expected, Exception)
    assert are_alike(value, expected), value


@table(read_rows("computes"))
def test_the_engine_computes_what_torch_rejects(row: Row) -> None:
    assert isinstance(evaluated(row.call, TORCH), Exception)
    assert not isinstance(evaluated(row.call, ENGINE), Exception)


@table(read_rows("differs"))
def test_torch_drops_the_channels_of_an_empty_sum(row: Row) -> None:
    value, dropped = evaluated(row.call, ENGINE), evaluated(row.call, TORCH)
    assert value.shape != dropped.shape
    assert 0 in dropped.shape


@table(read_rows("rejects"))
def test_what_both_reject_has_torchs_type(row: Row) -> None:
    error, expected = evaluated(row.call, ENGINE), evaluated(row.call, TORCH)
    assert isinstance(expected, Exception)
    assert isinstance(error, type(expected)), repr(error)


@table(read_rows("retypes"))
def test_torch_rejects_with_another_type(row: Row) -> None:
    error, expected = evaluated(row.call, ENGINE), evaluated(row.call, TORCH)
    assert isinstance(expected, Exception)
    assert not isinstance(error, type(expected))


@table(read_rows("deviates"))
def test_torch_accepts_what_the_engine_rejects(row: Row) -> None:
    assert not isinstance(evaluated(row.call, TORCH), Exception)


@table(read_rows("own"))
def test_torch_has_no_such_name_or_argument_or_dtype(row: Row) -> None:
    assert isinstance(evaluated(row.call, TORCH), (NameError, AttributeError, TypeError))


@table(read_rows("rejects", "retypes", "deviates", "unsafe", "own"))
def test_a_rejection_names_its_argument(row: Row) -> None:
    error = evaluated(row.call, ENGINE)
    assert isinstance(error, Exception)
    assert getattr(error, "argument", "call") == row.argument


@table([row for row in read_rows() if row.error])
def test_a_rejection_says_what_was_expected_and_what_came(row: Row) -> None:
    assert whole_error(evaluated(row.call, ENGINE)) == row.error


def test_the_table_has_every_verdict() -> None:
    assert {row.verdict for row in read_rows()} == {*VERDICTS}


def test_each_row_has_an_id_and_a_call_of_its_own() -> None:
    rows = read_rows()
    assert len({row.id for row in rows}) == len({row.call for row in rows}) == len(rows) > 300


def test_an_argument_is_blamed_where_the_engine_rejects_and_only_there() -> None:
    accepted = [row for row in read_rows() if not row.argument]
    assert accepted == read_rows("agrees", "computes", "differs")
    assert not any(row.error for row in accepted)


@pytest.mark.parametrize("base", [RuntimeError, ValueError])
def test_an_unusable_value_is_what_torch_raises_from_functions_and_constructors(
    base: type[Exception],
) -> None:
    with pytest.raises(base, match="stride"):
        engine.Conv2d(1, 1, 1, stride=0)


def test_a_missing_kernel_for_a_dtype_is_not_implemented_as_in_torch() -> None:
    assert {NotImplementedError, TypeError} <= {*errors.UnsupportedDtypeError.__mro__}


def test_an_error_has_its_argument_as_an_attribute() -> None:
    with pytest.raises(engine.ArgumentError) as caught:
        engine.Conv2d(4, 4, 3, groups=3)
    assert caught.value.argument == "in_channels"
