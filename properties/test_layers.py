"""Layers have torch.nn's constructors, state and gradients, and no state of their own."""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import engine
from oracle import native_kernels

NAMES = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
AXES = {name: int(name[-2]) for name in NAMES}

# name, positional arguments, keyword arguments, size of the input: valid for both.
LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("Conv1d", (2, 4, 3), {}, (7,)),
    ("Conv2d", (2, 4, (3, 2), (2, 1), (1, 0), (1, 2)), {}, (6, 7)),
    ("Conv2d", (4, 6, 3, 1, "valid", 1, 2, False), {}, (5, 4)),
    ("Conv3d", (2, 2, 2), {"groups": 2, "stride": 2}, (3, 4, 5)),
    ("Conv2d", (2, 2, 2), {"padding": (1, 2), "padding_mode": "reflect"}, (3, 4)),
    ("ConvTranspose1d", (2, 4, 3), {"dilation": 3, "output_padding": 2}, (4,)),
    ("ConvTranspose2d", (4, 6, 3, (2, 3), 1, (1, 2), 2, False), {}, (3, 2)),
    ("ConvTranspose3d", (2, 2, 2), {"padding": 1}, (3, 4, 5)),
    *[
        (
            f"Conv{axes}d",
            (2, 2, kernel),
            {"padding": padding, "padding_mode": mode},
            (4, 5, 6)[:axes],
        )
        for axes, mode, (kernel, padding) in itertools.product(
            (1, 2, 3),
            ("zeros", "reflect", "replicate", "circular"),
            ((3, 2), (2, "same"), (1, 0)),
        )
    ],
]
layers = pytest.mark.parametrize(("name", "args", "options", "size"), LAYERS)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])


@pytest.fixture(autouse=True, scope="module")
def native() -> Iterator[None]:
    with native_kernels():
        yield


def integers(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    values = rng.integers(-8, 9, shape).astype(dtype)
    if values.dtype.kind == "c":
        values += (1j * rng.integers(-8, 9, shape)).astype(dtype)
    return values


def with_integers(layer: Any) -> Any:
    state = layer.state_dict()
    layer.load_state_dict({k: integers(v.shape, v.dtype, 1) for k, v in state.items()})
    return layer


def twin(layer: Any, name: str, args: Any, options: Any) -> Any:
    """torch's layer with the same parameters."""
    dtype = getattr(torch, layer.weight.dtype.name)
    other = getattr(torch.nn, name)(*args, **options, dtype=dtype)
    other.load_state_dict({k: torch.tensor(v) for k, v in layer.state_dict().items()})
    return other


@pytest.mark.parametrize("batch", [(), (0,), (1,), (3,)], ids=["unbatched", "empty", "one", "3"])
@dtypes
@layers
def test_value_and_gradients_are_torchs(
    name: str, args: Any, options: Any, size: Any, dtype: str, batch: Any
) -> None:
    layer = with_integers(getattr(engine, name)(*args, **options, dtype=dtype))
    other = twin(layer, name, args, options)
    x = integers((*batch, args[0], *size), dtype)
    leaf = torch.tensor(x, requires_grad=True)
    expected = other(leaf)
    gy = integers(tuple(expected.shape), dtype, 2)
    expected.backward(torch.tensor(gy))
    wanted = [expected.detach(), leaf.grad, other.weight.grad, getattr(other.bias, "grad", None)]
    assert_equal([layer(x), *layer.backward(x, gy)], wanted)


def assert_equal(actual: list[Any], expected: list[Any]) -> None:
    for value, wanted in zip(actual, expected, strict=True):
        assert (value is None) == (wanted is None)
        np.testing.assert_array_equal(value, wanted if wanted is None else wanted.resolve_conj())
        assert value is None or value.dtype == wanted.numpy().dtype


@layers
def test_repr_and_attributes_are_torchs(name: str, args: Any, options: Any, size: Any) -> None:
    layer = getattr(engine, name)(*args, **options)
    other = getattr(torch.nn, name)(*args, **options)
    assert repr(layer) == repr(other)
    assert attributes(layer) == attributes(other)
    assert layer.weight.shape == tuple(other.weight.shape)


def attributes(layer: Any) -> dict[str, Any]:
    names = "in_channels out_channels kernel_size stride padding dilation groups transposed"
    return {n: getattr(layer, n) for n in [*names.split(), "output_padding", "padding_mode"]}


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_is_torchs_and_rng(name: str) -> None:
    mine = inspect.signature(getattr(engine, name)).parameters
    torchs = inspect.signature(getattr(torch.nn, name)).parameters
    defaults = {p.name: p.default for p in torchs.values()}
    assert {p.name: p.default for p in mine.values()} == {**defaults, "rng": None}
    assert list(mine) == [*torchs, "rng"]
    assert mine["rng"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_uniform_within_torchs_bound(name: str, dtype: str) -> None:
    layer = getattr(engine, name)(8, 16, 3, groups=2, dtype=dtype, rng=np.random.default_rng(0))
    fan_in = layer.weight[0].size
    values = np.concatenate([layer.weight.ravel(), layer.bias]).view("f4") * np.sqrt(fan_in)
    counts, _ = np.histogram(values, bins=4, range=(-1, 1))
    assert counts.sum() == values.size
    assert counts.min() > 0.8 * values.size / 4


@dtypes
def test_the_weight_is_drawn_first_and_then_the_bias(dtype: str) -> None:
    layer = engine.Conv1d(2, 3, 4, dtype=dtype, rng=np.random.default_rng(7))
    other = engine.Conv1d(2, 3, 4, bias=False, dtype=dtype, rng=np.random.default_rng(7))
    np.testing.assert_array_equal(layer.weight, other.weight)
    assert layer.weight.dtype == dtype
    assert layer.bias is not None
    assert np.unique(layer.bias).size == 3


def weight_after_seed() -> Any:
    np.random.seed(0)
    return engine.Conv1d(2, 3, 4).weight


def test_without_rng_two_layers_differ() -> None:
    assert not np.array_equal(weight_after_seed(), weight_after_seed())


@pytest.mark.parametrize("dtype", [">f4", "<f4"])
def test_parameters_are_of_the_native_byte_order(dtype: str) -> None:
    layer = engine.Conv1d(2, 3, 4, dtype=dtype)
    assert layer.weight.dtype.isnative
    assert layer.bias is not None
    assert layer.bias.dtype == np.dtype("f4")


def test_more_weights_than_memory_are_a_memory_error() -> None:
    with pytest.raises(MemoryError):
        engine.Conv1d(2**47, 1, 1)


def test_no_input_channels_give_a_bias_of_zeros_and_that_result() -> None:
    layer = engine.Conv1d(0, 2, 1)
    np.testing.assert_array_equal(layer.bias, [0, 0])
    layer.load_state_dict({"weight": layer.weight, "bias": np.array([3, 4])})
    np.testing.assert_array_equal(layer(np.ones((1, 0, 1), "f4")), [[[3.0], [4.0]]])


def test_same_padding_of_an_even_kernel_puts_the_extra_element_right() -> None:
    layer = engine.Conv1d(1, 1, 2, padding="same", bias=False)
    layer.load_state_dict({"weight": np.array([[[1, 10]]])})
    np.testing.assert_array_equal(layer(np.ones((1, 3), "f4")), [[11, 11, 1]])


@pytest.mark.parametrize("length", [1, 2, 3], ids=["sizes", "with-channels", "whole-shape"])
@pytest.mark.parametrize("size", [11, 12])
def test_output_size_replaces_output_padding(length: int, size: int) -> None:
    layer = with_integers(engine.ConvTranspose1d(2, 4, 3, stride=2, output_padding=1))
    other = twin(layer, "ConvTranspose1d", (2, 4, 3, 2), {})
    x = integers((2, 5), "f4") if length == 2 else integers((1, 2, 5), "f4")
    wanted = [99] * (length - 1) + [size]
    expected = other(torch.tensor(x), output_size=wanted).detach().numpy()
    np.testing.assert_array_equal(layer.forward(x, wanted), expected)
    assert layer.backward(x, expected, wanted).input.shape == x.shape


def test_depthwise_is_a_convolution_with_a_group_for_each_channel() -> None:
    layer = engine.DepthwiseConv2d(3, (2, 1), 2, 1, (2, 1), dtype="f8", depth_multiplier=2)
    other = engine.Conv2d(3, 6, (2, 1), 2, 1, (2, 1), groups=3, dtype="f8")
    other.load_state_dict(layer.state_dict())
    x = integers((2, 3, 5, 5), "f8")
    np.testing.assert_array_equal(layer(x), other(x))
    assert repr(layer) == "Depthwise" + repr(other)


def test_depthwise_takes_the_options_of_a_convolution() -> None:
    plain = inspect.signature(engine.Conv2d).parameters
    own = inspect.signature(engine.DepthwiseConv2d).parameters
    options = {k: p.default for k, p in plain.items() if k not in {"out_channels", "groups"}}
    assert {k: p.default for k, p in own.items()} == {**options, "depth_multiplier": 1}
    assert [k for k in own if k in options] == [*options]


@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_draws_as_the_convolution_does(multiplier: int) -> None:
    rng, same = np.random.default_rng(0), np.random.default_rng(0)
    layer = engine.DepthwiseConv2d(1, 2, depth_multiplier=multiplier, rng=rng)
    np.testing.assert_array_equal(layer.weight, engine.Conv2d(1, multiplier, 2, rng=same).weight)
    assert layer.depth_multiplier == multiplier


@layers
def test_calls_change_nothing(name: str, args: Any, options: Any, size: Any) -> None:
    layer = getattr(engine, name)(*args, **options)
    before = copy.deepcopy(vars(layer))
    x = integers((2, args[0], *size), "f4")
    first = layer(x)
    layer.backward(x, first)
    np.testing.assert_array_equal(layer.forward(x), first)
    np.testing.assert_equal(vars(layer), before)


def test_float16_gradients_are_rounded_once() -> None:
    layer = engine.Conv1d(1, 1, 1, padding=2, padding_mode="replicate", dtype="f2", bias=False)
    layer.load_state_dict({"weight": np.ones((1, 1, 1))})
    gy = np.array([[1, 2048, 1, 1, 1]], np.float16)
    gradient = layer.backward(np.zeros((1, 1), np.float16), gy).input
    np.testing.assert_array_equal(gradient, np.array([[2052]], np.float16))


def test_float16_gradients_that_overflow_are_inf_and_warn_of_nothing() -> None:
    layer = engine.Conv1d(1, 1, 1, dtype="f2", bias=False)
    layer.load_state_dict({"weight": np.full((1, 1, 1), 60000)})
    large = np.full((1, 1), 60000, np.float16)
    gradients = layer.backward(large, large)
    assert np.isinf(gradients.input).all()
    assert np.isinf(gradients.weight).all()


def test_torchs_state_dict_is_taken_as_it_is_and_given_back() -> None:
    other = torch.nn.Conv2d(4, 6, 3, groups=2)
    layer = engine.Conv2d(4, 6, 3, groups=2)
    assert layer.load_state_dict(other.state_dict()) == ([], [])
    back = other.load_state_dict({k: torch.tensor(v) for k, v in layer.state_dict().items()})
    assert not back.missing_keys
    np.testing.assert_array_equal(layer.weight, other.weight.detach())


@pytest.mark.parametrize("dtype", ["float16", "float64", "int64", ">f8"])
def test_loaded_values_are_cast_copies(dtype: str) -> None:
    layer = engine.Conv1d(1, 1, 2, bias=False)
    values = np.array([[[1, 2]]], dtype)
    layer.load_state_dict({"weight": values})
    values += 1
    np.testing.assert_array_equal(layer.weight, np.array([[[1, 2]]], "f4"))
    assert layer.weight.dtype == np.dtype("f4")


def test_bools_are_numbers_to_load() -> None:
    layer = engine.Conv1d(1, 1, 2, bias=False)
    layer.load_state_dict({"weight": np.array([[[True, False]]])})
    np.testing.assert_array_equal(layer.weight, np.array([[[1, 0]]], "f4"))


def test_a_loaded_parameter_is_contiguous() -> None:
    layer = engine.Conv1d(2, 3, 4, bias=False)
    layer.load_state_dict({"weight": np.ones((3, 2, 4), order="F")})
    assert layer.weight.flags.c_contiguous


NO_NUMBERS = {
    "ragged": [[1], [1, 2]],
    "with-a-graph": torch.ones(1, 1, 1, requires_grad=True),
    "bfloat16": torch.ones(1, 1, 1, dtype=torch.bfloat16),
    "object": None,
}


@pytest.mark.parametrize("value", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_is_no_array_of_numbers_is_not_loaded(value: Any) -> None:
    layer = engine.Conv1d(1, 1, 1, bias=False)
    with pytest.raises(engine.ArgumentError, match="'weight' that is no array of numbers"):
        layer.load_state_dict({"weight": value})


def test_a_state_dict_is_a_copy() -> None:
    layer = engine.Conv1d(1, 1, 2)
    assert not np.shares_memory(layer.state_dict()["weight"], layer.weight)


def test_without_strict_names_may_differ() -> None:
    layer = engine.Conv1d(1, 1, 1)
    keys = layer.load_state_dict({"bias": np.array([5]), "other": 1}, strict=False)
    assert keys == (["weight"], ["other"])
    np.testing.assert_array_equal(layer.bias, [5.0])


def test_a_failed_load_leaves_the_layer_as_it_was() -> None:
    layer = engine.Conv1d(1, 1, 1)
    before = layer.state_dict()
    with pytest.raises(engine.ArgumentError, match="'weight' of shape"):
        layer.load_state_dict({"weight": np.ones((1, 1, 2)), "bias": np.ones(1)})
    np.testing.assert_equal(layer.state_dict(), before)
