"""What every function of the engine promises, whatever it computes."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.grad as torchs_gradients

import engine
from engine import algorithms, definition, functional
from engine.arguments import ConvOptions, TransposedOptions, WindowOptions, for_output
from engine.compute import Algorithm
from engine.geometry import Geometry

ARRAYS = {"x": (2, 4, 5, 6), "w": (6, 2, 3, 2), "b": (6,), "gy": (2, 6, 3, 5), "wt": (4, 3, 3, 2)}
ARRAYS |= {"gyt": (2, 6, 7, 7), "columns": (2, 24, 15)}

# name, function, operands by the names above: 2-d calls with two groups.
CALLS: list[tuple[str, Callable[..., Any], list[str]]] = [
    ("conv2d", partial(engine.conv2d, groups=2), ["x", "w", "b"]),
    ("padded", partial(engine.conv2d, groups=2, padding=1), ["x", "w", "b"]),
    ("conv_transpose2d", partial(engine.conv_transpose2d, groups=2), ["x", "wt", "b"]),
    ("cropped", partial(engine.conv_transpose2d, groups=2, padding=1), ["x", "wt", "b"]),
    ("pointwise", partial(engine.unfold, kernel_size=1), ["x"]),
    ("unfold", partial(engine.unfold, kernel_size=(3, 2)), ["x"]),
    ("fold", partial(engine.fold, output_size=(5, 6), kernel_size=(3, 2)), ["columns"]),
    ("conv2d_input", partial(engine.grad.conv2d_input, ARRAYS["x"], groups=2), ["w", "gy"]),
    (
        "conv2d_weight",
        lambda x, gy: engine.grad.conv2d_weight(x, ARRAYS["w"], gy, groups=2),
        ["x", "gy"],
    ),
    ("conv2d_bias", engine.grad.conv2d_bias, ["gy"]),
    (
        "conv_transpose2d_input",
        partial(engine.grad.conv_transpose2d_input, ARRAYS["x"], groups=2),
        ["wt", "gyt"],
    ),
    (
        "conv_transpose2d_weight",
        lambda x, gy: engine.grad.conv_transpose2d_weight(x, ARRAYS["wt"], gy, groups=2),
        ["x", "gyt"],
    ),
]
calls = pytest.mark.parametrize(
    ("call", "names"), [pytest.param(call, names, id=name) for name, call, names in CALLS]
)


def operands(names: list[str], dtype: str = "f8") -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.integers(-8, 9, ARRAYS[name]).astype(dtype) for name in names]


def unaligned(array: Any) -> Any:
    buffer = np.empty(array.nbytes + 1, np.uint8)
    result = buffer[1:].view(array.dtype).reshape(array.shape)
    result[...] = array
    return result


def read_only(array: Any) -> Any:
    result = array.copy()
    result.flags.writeable = False
    return result


def channels_last(array: Any) -> Any:
    order = (0, *range(2, array.ndim), 1)[: array.ndim]
    return np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))


def every_other(array: Any) -> Any:
    return np.repeat(array, 2, axis=-1)[..., ::2]


class Derived(np.ndarray):
    """A subclass of ndarray that is a plain array in all that counts."""


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "Fortran": np.asfortranarray,
    "channels-last": channels_last,
    "reversed": lambda a: np.flip(np.flip(a).copy()),
    "strided": every_other,
    "read-only": read_only,
    "unaligned": unaligned,
    "big-endian": lambda a: a.astype(">f8"),
    "little-endian": lambda a: a.astype("<f8"),
    "subclass": lambda a: a.view(Derived),
}


@calls
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_layout_changes_a_value(call: Any, names: list[str], layout: str) -> None:
    plain = operands(names)
    result = call(*map(LAYOUTS[layout], plain))
    np.testing.assert_array_equal(result, call(*plain))
    assert type(result) is np.ndarray
    assert result.dtype == np.dtype("=f8")
    assert result.dtype.isnative


@calls
def test_broadcast_arrays_are_arrays(call: Any, names: list[str]) -> None:
    views = [np.broadcast_to(np.float64(2), ARRAYS[name]) for name in names]
    np.testing.assert_array_equal(call(*views), call(*[view.copy() for view in views]))


@calls
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16", "i1", "u2", "i4", "i8", "u8"])
def test_the_result_has_the_dtype_is_contiguous_and_shares_nothing(
    call: Any, names: list[str], dtype: str
) -> None:
    arrays = operands(names, dtype)
    result = call(*arrays)
    assert result.dtype == dtype
    assert result.flags.c_contiguous
    assert result.flags.writeable
    assert not any(np.shares_memory(result, array) for array in [*arrays, call(*arrays)])


@calls
def test_no_argument_is_modified(call: Any, names: list[str]) -> None:
    arrays, before = operands(names), operands(names)
    call(*arrays)
    np.testing.assert_equal(arrays, before)


@calls
def test_threads_get_the_same_bits(call: Any, names: list[str]) -> None:
    arrays = operands(names, "f4")
    expected = call(*arrays).tobytes()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: call(*arrays).tobytes(), range(32)))
    assert set(results) == {expected}


@calls
def test_nan_and_infinity_pass_without_a_warning(call: Any, names: list[str]) -> None:
    arrays = [np.full(ARRAYS[name], np.inf, "f2") for name in names]
    assert not np.isfinite(call(*arrays)).any()


@calls
def test_an_overflow_passes_without_a_warning(call: Any, names: list[str]) -> None:
    arrays = [np.full(ARRAYS[name], 6e4, "f2") for name in names]
    assert call(*arrays).dtype == "f2"


@pytest.mark.parametrize("dtype", [np.longdouble, np.clongdouble, bool, object, "m8[s]", "U1"])
def test_a_dtype_without_a_kernel_is_not_implemented(dtype: Any) -> None:
    x = np.zeros((1, 1, 1), dtype)
    with pytest.raises(NotImplementedError, match=r"conv1d\(\) input: expected float16"):
        engine.conv1d(x, x)


@pytest.mark.parametrize("step", ["stride", "dilation"])
@pytest.mark.parametrize("name", ["conv1d", "conv_transpose1d"])
def test_a_step_that_is_never_taken_may_be_huge(name: str, step: str) -> None:
    x, w = np.full((1, 1, 1), 2.0), np.full((1, 1, 1), 3.0)
    assert getattr(engine, name)(x, w, **{step: 2**62}).tolist() == [[[6.0]]]


class Step(IntEnum):
    TWO = 2


def test_a_subclass_of_int_is_an_integer() -> None:
    x, w = np.arange(5.0).reshape(1, 1, 5), np.ones((1, 1, 1))
    assert engine.conv1d(x, w, stride=Step.TWO).tolist() == [[[0.0, 2.0, 4.0]]]
    theirs = torch.nn.functional.conv1d(torch.tensor(x), torch.tensor(w), stride=Step.TWO)
    assert theirs.shape[-1] == 3


@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_complex_gradients_are_autograds(kind: str) -> None:
    x, w = (a + 1j * np.flip(a) for a in operands(["x", {"conv": "w"}.get(kind, "wt")]))
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, w)]
    result = getattr(torch.nn.functional, f"{kind}2d")(*leaves, groups=2)
    gy = result.detach().resolve_conj().numpy()
    expected = torch.autograd.grad(result, leaves, torch.tensor(gy))
    gx = getattr(engine.grad, f"{kind}2d_input")(x.shape, w, gy, groups=2)
    gw = getattr(engine.grad, f"{kind}2d_weight")(x, w.shape, gy, groups=2)
    np.testing.assert_array_equal(gx, expected[0].resolve_conj())
    np.testing.assert_array_equal(gw, expected[1].resolve_conj())


CONV = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
TRANSPOSED = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
AXES = [1, 2, 3]


SINGLE = {"unfold": ["kernel_size", "dilation", "padding", "stride"]}
SINGLE["fold"] = ["output_size", *SINGLE["unfold"]]


@pytest.mark.parametrize(
    ("name", "argument"), [(name, argument) for name in SINGLE for argument in SINGLE[name]]
)
def test_fold_and_unfold_take_no_tuple_of_one_integer(name: str, argument: str) -> None:
    options = {"output_size": 1} if name == "fold" else {}
    call = {**options, "kernel_size": 1, argument: (3,)}
    with pytest.raises(engine.ArgumentError, match=f"{argument}: .* of length 2, got"):
        getattr(engine, name)(np.ones((1, 1, 1)), **call)
    with pytest.raises((RuntimeError, TypeError)):
        getattr(torch.nn.functional, name)(torch.ones(1, 1, 1), **call)


def parameters(function: Any) -> list[tuple[str, Any]]:
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


def required(*names: str) -> list[tuple[str, Any]]:
    return [(name, inspect.Parameter.empty) for name in names]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize(("kind", "options"), [("conv", CONV), ("conv_transpose", TRANSPOSED)])
def test_functions_have_torchs_signatures(axes: int, kind: str, options: dict[str, int]) -> None:
    name = f"{kind}{axes}d"
    expected = [*required("input", "weight"), ("bias", None), *options.items()]
    assert parameters(getattr(engine, name)) == expected
    arrays = [torch.ones([1] * (axes + 2))] * 2
    by_name = dict(expected[2:])
    assert getattr(torch.nn.functional, name)(*arrays, *by_name.values()).shape == arrays[0].shape
    assert getattr(torch.nn.functional, name)(*arrays, **by_name).shape == arrays[0].shape


@pytest.mark.parametrize("name", ["unfold", "fold"])
def test_fold_and_unfold_have_torchs_signatures(name: str) -> None:
    torchs = getattr(torch.nn.functional, name)
    assert parameters(getattr(engine, name)) == parameters(torchs)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("operand", ["input", "weight"])
def test_gradients_have_torchs_signatures(axes: int, operand: str) -> None:
    name = f"conv{axes}d_{operand}"
    assert parameters(getattr(engine.grad, name)) == parameters(getattr(torchs_gradients, name))


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize(
    ("operand", "names"),
    [("input", ["input_size", "weight"]), ("weight", ["input", "weight_size"])],
)
def test_transposed_gradients_take_the_options_of_the_call(
    axes: int, operand: str, names: list[str]
) -> None:
    function = getattr(engine.grad, f"conv_transpose{axes}d_{operand}")
    assert parameters(function) == [*required(*names, "grad_output"), *TRANSPOSED.items()]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (ConvOptions(), CONV),
        (TransposedOptions(), TRANSPOSED),
        (
            WindowOptions(kernel_size=2),
            {"kernel_size": 2, "dilation": 1, "padding": 0, "stride": 1},
        ),
    ],
)
def test_options_have_torchs_defaults(options: Any, expected: dict[str, int]) -> None:
    assert options._asdict() == expected


SIZES: dict[str, Any] = dict.fromkeys(Geometry._fields, (1,))
FROZEN = [ConvOptions(), TransposedOptions(), WindowOptions(kernel_size=1), Geometry(**SIZES)]


@pytest.mark.parametrize("value", FROZEN, ids=lambda value: type(value).__name__)
def test_options_and_geometries_are_constant(value: Any) -> None:
    with pytest.raises(AttributeError):  # of which FrozenInstanceError is one
        value.stride = 2
    assert not hasattr(value, "__dict__")


def test_a_large_bias_leaves_numpys_buffer_as_it_was() -> None:
    before = np.getbufsize()
    engine.conv1d(np.ones((1, 1, 20_000)), np.ones((1, 1, 1)), np.ones(1))
    assert np.getbufsize() == before


def test_a_folded_image_is_contiguous_without_its_border() -> None:
    image = engine.fold(np.ones((4, 9)), output_size=2, kernel_size=2, padding=1)
    assert image.shape == (1, 2, 2)
    assert image.flags.c_contiguous


REJECTED_GRADIENTS = [
    (
        "unfold_input",
        ((1, 0, 3, 3), np.ones((1, 4, 4)), 2),
        "input_size: expected no axis of size 0",
    ),
    ("unfold_input", ((1, 3, 3), [1.0], 2), "grad_output: expected a numpy.ndarray"),
    ("unfold_input", ((1, 3, 3), np.ones((4, 3)), 2), "grad_output: expected (4, 4), the shape of"),
    ("unfold_input", ((3, 3), np.ones((4, 4)), 2), "input_size: expected 3 or 4 integers"),
    ("fold_input", ((5, 4), np.ones((1, 3, 3)), 3, 2), "input_size: expected a multiple of 4 taps"),
    ("fold_input", ((4, 4), None, 3, 2), "grad_output: expected a numpy.ndarray"),
    (
        "fold_input",
        ((4, 4), np.ones((1, 2, 3)), 3, 2),
        "grad_output: expected (1, 3, 3), the shape",
    ),
    ("fold_input", ((4,), np.ones((1, 3, 3)), 3, 2), "input_size: expected 2 or 3 integers"),
]


@pytest.mark.parametrize(("name", "given", "message"), REJECTED_GRADIENTS)
def test_gradients_of_windows_are_checked_like_their_calls(
    name: str, given: Any, message: str
) -> None:
    with pytest.raises((engine.ArgumentError, engine.ArgumentTypeError)) as found:
        getattr(engine.grad, name)(*given)
    assert str(found.value).startswith(f"{name}() {message}")


def test_a_bool_gradient_of_the_output_is_a_mismatch_of_dtypes() -> None:
    with pytest.raises(engine.ArgumentError, match="expected float64, the dtype of the first"):
        engine.grad.conv1d_weight(X, W.shape, X.astype(bool))


class Used(Exception):
    """An algorithm was asked for something."""


def algorithm_without(part: str) -> Any:
    """The definition, but for a part that raises."""

    def used(*operands: Any) -> Any:
        raise Used

    return SimpleNamespace(**{**vars(definition), part: used})


X, W, LAYER = np.ones((1, 1, 3)), np.ones((1, 1, 1)), {"dtype": "f8"}


def with_layer(kind: str, method: str) -> Callable[[Any], Any]:
    """A method's call on a layer of the class `kind` with another algorithm."""

    def call(algorithm: Any) -> Any:
        layer = type(kind, (getattr(engine, kind),), {"algorithm": algorithm})(1, 1, 1, **LAYER)
        return getattr(layer, method)(*[X] * (2 if method == "backward" else 1))

    return call


CONV_CALLS: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (functional._conv, (X, W, None, ConvOptions()), "forward"),
    (functional._conv_transpose, (X, W, None, TransposedOptions()), "input_gradient"),
    (engine.grad._conv_input, (X.shape, W, X, ConvOptions()), "input_gradient"),
    (engine.grad._conv_weight, (X, W.shape, X, ConvOptions()), "weight_gradient"),
    (engine.grad._conv_transpose_input, (X.shape, W, X, TransposedOptions()), "forward"),
    (engine.grad._conv_transpose_weight, (X, W.shape, X, TransposedOptions()), "weight_gradient"),
]
LAYER_CALLS = [
    ("Conv1d", "forward", "forward"),
    ("Conv1d", "backward", "input_gradient"),
    ("Conv1d", "backward", "weight_gradient"),
    ("ConvTranspose1d", "forward", "input_gradient"),
    ("ConvTranspose1d", "backward", "forward"),
    ("ConvTranspose1d", "backward", "weight_gradient"),
]


@pytest.mark.parametrize(("call", "operands", "part"), CONV_CALLS)
def test_a_function_computes_by_the_algorithm_that_is_passed(
    call: Any, operands: Any, part: str
) -> None:
    assert call(1, *operands, algorithm=definition).size == call(1, *operands).size
    with pytest.raises(Used):
        call(1, *operands, algorithm=algorithm_without(part))


@pytest.mark.parametrize("taps", [1, 3])
def test_the_definition_knows_windows_without_a_place(taps: int) -> None:
    x, w, options = np.ones((0, 1, 0)), np.ones((1, 1, taps)), TransposedOptions()
    result = functional._conv_transpose(1, x, w, None, options, algorithm=definition)
    assert result.shape == (0, 1, taps - 1)


@pytest.mark.parametrize("algorithm", [definition, algorithms])
def test_an_algorithm_gives_contiguous_results(algorithm: Algorithm) -> None:
    x, w = operands(["x", "w"])
    g = for_output("conv2d", 2, x, w, None, ConvOptions(padding=1, groups=2))[0]
    gy = algorithm.forward(g, x, w)
    results = [gy, algorithm.input_gradient(g, w, gy), algorithm.weight_gradient(g, x, gy)]
    assert [result.shape for result in results] == [g.output_shape, g.input_shape, g.weight_shape]
    assert all(result.flags.c_contiguous for result in results)


@pytest.mark.parametrize(("kind", "method", "part"), LAYER_CALLS)
def test_a_layer_computes_by_the_algorithm_of_its_class(kind: str, method: str, part: str) -> None:
    call = with_layer(kind, method)
    assert call(definition) is not None
    with pytest.raises(Used):
        call(algorithm_without(part))


ROOT = Path(engine.__file__).parents[1]
BLOCKED = "import sys; sys.modules['torch'] = None; import engine; print(len(engine.__all__))"
LISTED = "import sys, engine; print(sorted({name.split('.')[0] for name in sys.modules}))"


def python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_the_engine_does_not_need_torch() -> None:
    output = python(BLOCKED)
    assert int(output) == len(engine.__all__)


@pytest.mark.parametrize("package", ["torch", "hypothesis", "pytest", "properties", "oracle"])
def test_the_engine_imports_only_numpy(package: str) -> None:
    output = python(LISTED)
    assert f"'{package}'" not in output
    assert "'numpy'" in output


def test_the_table_of_deviations_has_three_columns_throughout() -> None:
    table = [line for line in (engine.__doc__ or "").splitlines() if line.startswith("|")]
    assert len(table) > 10
    assert {line.count("|") for line in table} == {4}
