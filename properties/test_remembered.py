"""A call that was accepted before is not checked in full again, and nothing else is accepted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import engine
from engine import remembered
from engine.arguments import ConvOptions, TransposedOptions
from engine.remembered import are_plain, form

X, W = np.arange(16.0).reshape(1, 1, 4, 4), np.ones((1, 1, 2, 2))


class Checked:
    """A check that counts its calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.check = remembered.remembered(self)

    def __call__(self, *given: Any) -> tuple[Any, ...]:
        self.calls.append(given)
        return (len(self.calls), *[o for o in given[2:5] if type(o) is not tuple])

    def ask(self, *operands: Any, name: str = "conv", axes: int = 1, **options: Any) -> Any:
        return self.check(name, axes, *operands, ConvOptions(**options))


SIGNAL, KERNEL, BIAS = np.ones((2, 3, 4)), np.ones((5, 3, 2)), np.ones(5)


def test_an_equal_call_is_checked_once() -> None:
    checked = Checked()
    first = checked.ask(SIGNAL, KERNEL, BIAS, stride=(1,))
    again = checked.ask(SIGNAL + 1, KERNEL + 1, BIAS + 1, stride=(1,))
    assert (first[0], again[0], len(checked.calls)) == (1, 1, 1)
    assert [operand.flat[0] for operand in again[1:]] == [2, 2, 2]


OTHERS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "shape": ((SIGNAL[:1], KERNEL, BIAS), {}),
    "shape of the weight": ((SIGNAL, KERNEL[:1], BIAS), {}),
    "dtype": ((SIGNAL.astype("f4"), KERNEL, BIAS), {}),
    "byte order": ((SIGNAL, KERNEL.astype(">f8"), BIAS), {}),
    "no bias": ((SIGNAL, KERNEL, None), {}),
    "name": ((SIGNAL, KERNEL, BIAS), {"name": "conv_transpose"}),
    "axes": ((SIGNAL, KERNEL, BIAS), {"axes": 2}),
    "stride": ((SIGNAL, KERNEL, BIAS), {"stride": 2}),
    "padding": ((SIGNAL, KERNEL, BIAS), {"padding": 1}),
    "dilation": ((SIGNAL, KERNEL, BIAS), {"dilation": 2}),
    "groups": ((SIGNAL, KERNEL, BIAS), {"groups": 2}),
    "a size in a tuple": ((SIGNAL, KERNEL, BIAS), {"stride": (1,)}),
    "a bool": ((SIGNAL, KERNEL, BIAS), {"stride": True}),
    "a float": ((SIGNAL, KERNEL, BIAS), {"stride": 1.0}),
    "a bool in a tuple": ((SIGNAL, KERNEL, BIAS), {"stride": (True,)}),
    "a subclass": ((SIGNAL.view(np.recarray), KERNEL, BIAS), {}),
    "sizes": (((2, 3, 4), KERNEL, BIAS), {}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_call_is_checked(name: str) -> None:
    checked, (operands, options) = Checked(), OTHERS[name]
    checked.ask(SIGNAL, KERNEL, BIAS)
    checked.ask(SIGNAL, KERNEL, BIAS, stride=(1,), padding=(0,))
    assert checked.ask(*operands, **options)[0] == len(checked.calls) == 3


def test_a_call_of_a_transposed_convolution_differs_by_each_option() -> None:
    checked = Checked()
    options: list[dict[str, Any]] = [
        {name: 2} for name in ("stride", "padding", "output_padding", "groups", "dilation")
    ]
    found = [checked.check("t", 1, X, W, None, TransposedOptions(**o))[0] for o in [{}, *options]]
    assert found == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("options", [{"stride": [1]}, {"stride": np.int64(1)}, {"groups": None}])
def test_what_is_not_plain_is_checked_each_time(options: Any) -> None:
    checked = Checked()
    assert [checked.ask(SIGNAL, KERNEL, BIAS, **options)[0] for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("operand", [1.0, [1.0], (1.0,), SIGNAL.view(np.recarray)])
def test_operands_that_are_not_plain_are_checked_each_time(operand: Any) -> None:
    checked = Checked()
    assert [checked.ask(operand, KERNEL, BIAS)[0] for _ in range(2)] == [1, 2]


def test_what_is_rejected_is_rejected_again() -> None:
    with pytest.raises(engine.ArgumentError):
        engine.conv2d(X, W, stride=0)
    with pytest.raises(engine.ArgumentError):
        engine.conv2d(X, W, stride=0)
    assert engine.conv2d(X, W, stride=1).shape == (1, 1, 3, 3)
    with pytest.raises(engine.ArgumentTypeError):
        engine.conv2d(X, W, stride=True)


@contextmanager
def room_for(calls: int) -> Iterator[None]:
    """Inside, so many calls are remembered."""
    before = remembered.MOST
    vars(remembered)["MOST"] = calls
    try:
        yield
    finally:
        vars(remembered)["MOST"] = before


def test_no_more_calls_are_remembered_than_memory_is_for() -> None:
    checked = Checked()
    with room_for(2):
        sizes = (1, 2, 1, 3, 3, 2, 1)
        found = [checked.ask(SIGNAL, KERNEL, BIAS, stride=s)[0] for s in sizes]
    assert found == [1, 2, 1, 3, 3, 4, 5]


def test_operands_get_their_batch_axis_again() -> None:
    checked = Checked()
    checked.ask(SIGNAL[0], KERNEL, None)
    g, x, w, b = checked.ask(SIGNAL[0], KERNEL, None)
    assert (g, x.shape, w.shape, b) == (1, (1, 3, 4), (5, 3, 2), None)


def test_sizes_are_no_operands() -> None:
    checked = Checked()
    checked.ask((2, 3, 4), KERNEL, SIGNAL)
    found = checked.ask((2, 3, 4), KERNEL, SIGNAL)
    assert [type(v).__name__ for v in found] == ["int", "ndarray", "ndarray"]
    assert len(checked.calls) == 1


@pytest.mark.parametrize(
    ("values", "plain"),
    [
        ((1, "same"), True),
        (((1, 2), 3), True),
        ((True,), False),
        (((1, True), 3), False),
        ((1, (1.0,)), False),
        ((None,), False),
        ((b"same",), False),
    ],
)
def test_values_are_plain_where_equal_ones_are_the_same(values: Any, plain: bool) -> None:
    assert are_plain(values) is plain


def test_the_form_of_an_operand_is_all_that_a_check_sees() -> None:
    assert form(W) == ((1, 1, 2, 2), np.dtype("f8"))
    assert form((1, 2)) == (1, 2)
    assert form(None) is None
    assert form([1]) is NotImplemented
