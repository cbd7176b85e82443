"""Lazy layers take their channels from the first input, or from what they load, as torch.nn's."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest
import torch

import engine
from engine.errors import UninitializedError

PLAIN = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
OPTIONS: dict[str, Any] = {"stride": 2, "padding": 1, "groups": 2, "bias": True}
each = pytest.mark.parametrize("name", PLAIN)


def lazy(name: str, **options: Any) -> Any:
    return getattr(engine, f"Lazy{name}")(4, 3, **{**OPTIONS, **options})


def plain(name: str, channels: int = 6, **options: Any) -> Any:
    return getattr(engine, name)(channels, 4, 3, **{**OPTIONS, **options})


def ones(name: str, channels: int = 6) -> Any:
    return np.ones((2, channels, *[5] * int(name[-2])), np.float32)


def rng() -> Any:
    return np.random.default_rng(0)


@each
def test_the_first_call_makes_the_plain_layer_with_the_same_draws(name: str) -> None:
    layer, other = lazy(name, rng=rng()), plain(name, rng=rng())
    np.testing.assert_array_equal(layer(ones(name)), other(ones(name)))
    assert type(layer) is type(other)
    assert repr(layer) == repr(other)
    assert {*vars(layer)} == {*vars(other)}
    assert all((v == other.state_dict()[k]).all() for k, v in layer.state_dict().items())


@each
def test_signature_and_representation_are_torchs(name: str) -> None:
    ours, theirs = (getattr(module, f"Lazy{name}") for module in (engine, torch.nn))
    found, wanted = (inspect.signature(kind).parameters for kind in (ours, theirs))
    assert [*found][:-1] == [*wanted]
    assert [p.default for p in found.values()][:-1] == [p.default for p in wanted.values()]
    assert repr(lazy(name)) == repr(theirs(4, 3, **OPTIONS))


@each
def test_a_loaded_state_gives_the_shape_and_stays_at_the_first_call(name: str) -> None:
    layer, other = lazy(name), plain(name)
    assert layer.load_state_dict(other.state_dict()) == ([], [])
    assert type(layer).__name__ == f"Lazy{name}"
    assert layer.in_channels == 6
    np.testing.assert_array_equal(layer(ones(name)), other(ones(name)))
    assert type(layer) is type(other)


@each
def test_a_loaded_layer_can_load_another_state_of_its_shape(name: str) -> None:
    layer, other = lazy(name), plain(name)
    layer.load_state_dict(plain(name).state_dict())
    with pytest.raises(engine.ArgumentError, match="expected 'weight'"):
        layer.load_state_dict(plain(name, 8).state_dict())
    layer.load_state_dict(other.state_dict())
    np.testing.assert_array_equal(layer(ones(name)), other(ones(name)))


@each
@pytest.mark.parametrize("options", [{"device": "cuda"}, {"groups": 0}, {"stride": 0}])
def test_options_are_checked_as_by_the_plain_layer(name: str, options: Any) -> None:
    with pytest.raises(engine.ArgumentError, match=rf"^Lazy{name}\(\) {next(iter(options))}: "):
        lazy(name, **options)


@each
def test_parameters_have_the_dtype_that_was_given(name: str) -> None:
    assert lazy(name, dtype="float64")(ones(name).astype("float64")).dtype == "float64"


def test_what_is_not_in_a_state_is_drawn() -> None:
    layer, other = lazy("Conv2d", rng=rng()), plain("Conv2d", rng=rng())
    weight = np.ones_like(other.weight)
    assert layer.load_state_dict({"weight": weight}, strict=False) == (["bias"], [])
    assert (layer.weight == weight).all()
    assert (layer.bias == other.bias).all()


BAD_STATES: list[tuple[Any, type[Exception], str]] = [
    ({"weight": np.ones(3), "bias": np.ones(4)}, engine.ArgumentError, "(3,), not (4, 0, 3, 3)"),
    (
        {"weight": np.ones((5, 3, 3, 3)), "bias": np.ones(4)},
        engine.ArgumentError,
        "(5, 3, 3, 3), not (4, 3, 3, 3)",
    ),
    ({"weight": np.ones((4, 3, 3, 3))}, engine.ArgumentError, "missing 'bias'"),
    ({}, engine.ArgumentError, "expected 'weight', 'bias', got missing 'weight'; missing 'bias'"),
    ([], engine.ArgumentTypeError, "expected a mapping, got list"),
]


@pytest.mark.parametrize(("state", "error", "message"), BAD_STATES)
def test_a_state_that_does_not_fit_leaves_the_layer_as_it_was(
    state: Any, error: type[Exception], message: str
) -> None:
    layer = lazy("Conv2d")
    with pytest.raises(error) as found:
        layer.load_state_dict(state)
    assert str(found.value).endswith(message)
    assert str(found.value).startswith("LazyConv2d.load_state_dict() state_dict: expected ")
    assert layer(ones("Conv2d", 8)).shape == (2, 4, 3, 3)


def test_a_transposed_state_without_kernels_has_no_channels() -> None:
    with pytest.raises(engine.ArgumentError, match=r"\(3,\), not \(0, 2, 3\)$"):
        lazy("ConvTranspose1d").load_state_dict({"weight": np.ones(3), "bias": np.ones(4)})


def test_a_state_of_nothing_gives_no_shape() -> None:
    layer = lazy("Conv1d")
    assert layer.load_state_dict({}, strict=False) == (["weight", "bias"], [])
    assert repr(layer) == repr(lazy("Conv1d"))
    assert repr(layer.bias) == "<Uninitialized>"


def test_the_channels_of_a_transposed_state_are_a_multiple_of_groups() -> None:
    with pytest.raises(engine.ArgumentError, match="state_dict: expected a multiple of groups"):
        lazy("ConvTranspose1d").load_state_dict({"weight": np.ones((5, 2, 3)), "bias": np.ones(4)})


@pytest.mark.parametrize("bias", [True, False])
def test_a_state_without_shapes_is_passed_on(bias: bool) -> None:
    layer, other = lazy("Conv1d", bias=bias), lazy("Conv1d", bias=bias)
    assert [*layer.state_dict()] == ["weight", "bias"][: 1 + bias]
    assert layer.load_state_dict(other.state_dict()) == ([], [])
    assert {*map(repr, layer.state_dict().values())} == {"<Uninitialized>"}
    with pytest.raises(engine.ArgumentError, match="'weight' that is no array of numbers"):
        plain("Conv1d", bias=bias).load_state_dict(other.state_dict())


def test_names_count_where_nothing_is_copied() -> None:
    state = lazy("Conv1d", bias=False).state_dict()
    with pytest.raises(engine.ArgumentError, match="missing 'bias'"):
        lazy("Conv1d").load_state_dict(state)
    assert lazy("Conv1d").load_state_dict(state, strict=False) == (["bias"], [])


@pytest.mark.parametrize("call", ["forward", "backward"])
def test_methods_need_parameters_with_a_shape(call: str) -> None:
    layer, x = lazy("Conv1d"), ones("Conv1d")
    with pytest.raises(UninitializedError, match="no dtype yet: call the layer on an input"):
        getattr(layer, call)(*[x] * (1 + (call == "backward")))
    with pytest.raises(RuntimeError, match="no shape yet"):
        print(layer.weight.shape)
    with pytest.raises(RuntimeError, match="no _base yet"):
        print(layer.weight._base)
    assert issubclass(UninitializedError, ValueError)


REJECTED: list[tuple[Any, type[Exception], str]] = [
    (np.ones((6, 5), np.float32), RuntimeError, "LazyConv2d() input: expected 3 axes"),
    (np.ones((1, 5, 5, 5), np.float32), ValueError, "input: expected a multiple of groups = 2"),
    (None, TypeError, "input: expected a numpy.ndarray"),
]


@pytest.mark.parametrize(("input", "error", "message"), REJECTED)
def test_an_input_without_channels_leaves_the_layer_lazy(
    input: Any, error: type[Exception], message: str
) -> None:
    layer = lazy("Conv2d")
    with pytest.raises(error) as found:
        layer(input)
    assert message in str(found.value)
    assert repr(layer) == repr(lazy("Conv2d"))
    assert layer(ones("Conv2d")).shape == (2, 4, 3, 3)


def test_an_input_that_only_the_plain_layer_rejects_counts_as_the_first() -> None:
    layer = lazy("Conv2d", padding=0)
    with pytest.raises(engine.ArgumentError, match=r"^Conv2d\(\) "):
        layer(np.ones((6, 2, 2), np.float32))
    assert layer.in_channels == 6


def test_the_first_call_takes_the_options_of_a_call() -> None:
    layer = lazy("ConvTranspose2d")
    assert copy.deepcopy(layer)(ones("ConvTranspose2d")[0], (10, 9)).shape == (4, 10, 9)
    assert layer(ones("ConvTranspose2d")[0], output_size=(10, 9)).shape == (4, 10, 9)


def test_a_lazy_layer_can_be_copied() -> None:
    layer = lazy("Conv1d")
    other = copy.deepcopy(layer)
    layer(ones("Conv1d"))
    assert repr(other) == repr(lazy("Conv1d"))


@pytest.mark.parametrize(
    ("options", "blamed"),
    [({"dtype": int}, "dtype"), ({"rng": 1}, "rng"), ({"groups": 3}, "out_channels")],
)
def test_what_no_call_could_use_is_rejected_at_once(options: Any, blamed: str) -> None:
    with pytest.raises((ValueError, TypeError), match=rf"^LazyConv2d\(\) {blamed}: "):
        lazy("Conv2d", **options)
