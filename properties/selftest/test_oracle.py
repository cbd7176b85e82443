"""The oracle: guarded, exact on integers, torch's own gradients, and without side effects."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import oracle
from properties.cases.data import arrays
from properties.cases.line import parse
from properties.cases.operation import OPS, OUTPUT
from properties.comparison.engine import Engine

TORCH = Engine("torch", oracle, "")
FUNCTIONS = [name for name, op in OPS.items() if not op.is_layer]
CALLS = [
    "conv1d((2, 4, 5), (2, 2, 2), bias=(2,), padding=1, groups=2, data='integers:1')",
    "conv2d((1, 2, 4, 5), (3, 2, 2, 3), bias=(3,), padding='same', data='reals:2')",
    "conv3d((1, 1, 3, 3, 3), (2, 1, 2, 2, 2), bias=(2,), stride=2, data='reals:3')",
    "conv_transpose1d((1, 2, 3), (2, 1, 2), bias=(1,), stride=2, data='reals:4')",
    "conv_transpose2d((2, 2, 3, 3), (2, 1, 2, 2), bias=(2,), groups=2, data='integers:5')",
    "conv_transpose3d((1, 1, 2, 2, 2), (1, 1, 2, 2, 2), bias=(1,), padding=1, data='reals:6')",
    "Conv2d((1, 2, 4, 4), (2, 2, 3, 3), bias=(2,), padding=1, padding_mode='reflect')",
    "ConvTranspose2d((1, 1, 2, 2), (1, 1, 2, 2), bias=(1,), stride=2, output_size=(5, 5))",
    "fold((1, 4, 4), output_size=3, kernel_size=2, data='integers:7')",
    "unfold((1, 1, 3, 3), kernel_size=2, data='integers:8')",
]
EACH_CALL = pytest.mark.parametrize("line", CALLS)


def results(line: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The operands of a case, the gradient of its output among them, and torch's results."""
    case = parse(line)
    filled = arrays(case)
    back = {}
    if case.output_shape is not None:
        back = {"grad_output": filled.grad_output(case.output_shape)}
    found = TORCH.results(case, filled.operands, back.get("grad_output"))
    return {**filled.operands, **back}, found


# ---- Guarded ----


def test_torch_computes_on_one_thread() -> None:
    assert torch.get_num_threads() == 1


def test_onednn_is_off() -> None:
    enabled: object = torch.backends.mkldnn.enabled
    assert enabled is False


def test_nnpack_is_off() -> None:
    before = torch.backends.nnpack.set_flags(False)  # type: ignore[no-untyped-call]
    assert before == (False,)


def backend(x: torch.Tensor, w: torch.Tensor) -> str:
    """What torch itself says that it computes this convolution with."""
    one, none = [1, 1], [0, 0]
    chosen = torch._C._select_conv_backend(x, w, None, one, none, one, False, none, 1)
    return str(chosen).rpartition(".")[2]


def test_torch_chooses_a_native_kernel_where_it_would_choose_onednn() -> None:
    x, w = torch.ones(16, 8, 8, 8), torch.ones(4, 8, 3, 3)
    assert backend(x, w).startswith("Slow2d")


# ---- Exact ----

# As large as NNPACK would take: 16 samples, 3x3 in float32.
EXACT = [
    "conv2d((16, 16, 12, 12), (16, 16, 3, 3), bias=(16,), padding=1, data='integers:1')",
    "conv2d((17, 8, 8, 8), (8, 8, 3, 3), data='integers:2')",
    "conv_transpose2d((16, 8, 8, 8), (8, 8, 3, 3), stride=2, padding=1, data='integers:3')",
    "conv1d((2, 64, 40), (8, 64, 5), bias=(8,), data='integers:4')",
    "conv3d(float64(2, 4, 5, 5, 5), float64(4, 4, 3, 3, 3), data='integers:5')",
]


@pytest.mark.parametrize("line", EXACT)
def test_integers_come_out_as_in_int64(line: str) -> None:
    case = parse(line)
    operands = arrays(case).operands
    wide = {k: v.astype(np.int64) for k, v in operands.items()}
    value, exact = (TORCH.results(case, given)[OUTPUT] for given in (operands, wide))
    assert exact.dtype == np.int64
    assert np.array_equal(value, exact)
    assert np.abs(exact).max() > 1000


@pytest.mark.parametrize("line", EXACT)
def test_gradients_of_integers_come_out_as_in_float64(line: str) -> None:
    case = parse(line)
    filled = arrays(case)
    gy = filled.grad_output(TORCH.results(case, filled.operands)[OUTPUT].shape)
    wide = {k: v.astype(np.float64) for k, v in filled.operands.items()}
    value = TORCH.results(case, filled.operands, gy)
    exact = TORCH.results(case, wide, gy.astype(np.float64))
    assert [np.array_equal(value[k], exact[k]) for k in exact] == [True] * len(exact)


# ---- By hand ----

X, W, B = np.array([[[1.0, 2.0, 3.0]]]), np.array([[[10.0, 1.0]]]), np.array([0.5])
GY = np.array([[[1.0, 100.0]]])
BY_HAND = {
    "output": [[[12.5, 23.5]]],  # 10·1 + 1·2 + ½, 10·2 + 1·3 + ½
    "grad_input": [[[10.0, 1001.0, 100.0]]],  # 1·10, 1·1 + 100·10, 100·1
    "grad_weight": [[[201.0, 302.0]]],  # 1·1 + 100·2, 1·2 + 100·3
    "grad_bias": [101.0],
}
# The same the other way round: the gradient of the one is the other.
BACK = {
    "output": [[[10.5, 1001.5, 100.5]]],
    "grad_input": [[[12.0, 23.0]]],
    "grad_weight": [[[201.0, 302.0]]],
    "grad_bias": [6.0],
}


@pytest.mark.parametrize(
    ("op", "x", "gy", "expected"),
    [
        ("conv1d", X, GY, BY_HAND),
        ("Conv1d", X, GY, BY_HAND),
        ("conv_transpose1d", GY, X, BACK),
        ("ConvTranspose1d", GY, X, BACK),
    ],
)
def test_values_and_gradients_are_those_by_hand(
    op: str, x: Any, gy: Any, expected: dict[str, Any]
) -> None:
    case = parse(f"{op}(float64(1, 1, 3), float64(1, 1, 2), bias=float64(1))")
    found = TORCH.results(case, {"input": x, "weight": W, "bias": B}, gy)
    assert {k: v.tolist() for k, v in found.items()} == expected


def test_a_complex_gradient_is_the_conjugate_one() -> None:
    case = parse("conv1d(complex128(1, 1, 1), complex128(1, 1, 1))")
    x, w, gy = (np.full((1, 1, 1), z) for z in (2 + 3j, 5 - 1j, 1 + 1j))
    found = TORCH.results(case, {"input": x, "weight": w}, gy)
    assert found["output"].item() == (2 + 3j) * (5 - 1j)
    assert found["grad_input"].item() == (1 + 1j) * (5 + 1j)
    assert found["grad_weight"].item() == (1 + 1j) * (2 - 3j)


def test_fold_and_unfold_are_those_by_hand() -> None:
    image = np.arange(4.0).reshape(1, 1, 2, 2)
    columns = oracle.unfold(image, (1, 2), padding=(0, 1))
    assert columns.tolist() == [[[0, 0, 1, 0, 2, 3], [0, 1, 0, 2, 3, 0]]]
    assert oracle.fold(columns, (2, 2), (1, 2), padding=(0, 1)).tolist() == (2 * image).tolist()


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_a_layer_computes_what_its_function_does_on_a_padded_input(mode: str, groups: int) -> None:
    case = parse(f"Conv2d((2, 4, 5, 5), (6, {4 // groups}, 3, 3), bias=(6,), data='integers:1')")
    x, w, b = arrays(case).operands.values()
    layer = oracle.Conv2d(4, 6, 3, padding=1, padding_mode=mode, groups=groups)
    layer.load_state_dict({"weight": w, "bias": b})
    pad: Any = {"zeros": "constant", "replicate": "edge", "circular": "wrap"}.get(mode, mode)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode=pad)
    assert np.array_equal(layer(x), oracle.conv2d(padded, w, b, groups=groups))


# ---- What reaches torch ----


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, ...]]:
    """What reaches a function behind the oracle's wrapper."""

    def function(*arguments: Any, **named: Any) -> torch.Tensor:
        calls.append((*arguments, *named.values()))
        return torch.ones(1)

    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(torch.nn.functional, "conv1d", function)
    wrapped = oracle.on_arrays("conv1d")
    return lambda *arguments, **named: (wrapped(*arguments, **named), calls.pop())[1]


@pytest.mark.parametrize(
    "value", [[[1.0]], "ones", None, 1.5, (1, 2), True, np.int64(3), ...], ids=repr
)
def test_what_is_no_array_passes_untouched(value: Any, received: Callable[..., Any]) -> None:
    assert received(value)[0] is value
    assert received(input=value)[0] is value


@pytest.mark.parametrize("value", [[[[1.0]]], "ones", None])
@pytest.mark.parametrize("function", ["conv1d", "conv_transpose1d"])
def test_torch_itself_rejects_what_is_no_array(function: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"{function}\(\)"):
        getattr(oracle, function)(value, np.ones((1, 1, 1)))


@pytest.mark.parametrize("layout", ["fortran", "reversed", "swapped", "readonly", "unaligned"])
def test_an_array_passes_as_a_tensor_of_equal_values(
    layout: str, received: Callable[..., Any]
) -> None:
    case = parse(f"conv1d(float64(2, 3, 4, layout={layout!r}), (1, 1, 1), data='integers:1')")
    x = arrays(case).operands["input"]
    (tensor,) = received(x)
    assert isinstance(tensor, torch.Tensor)
    assert tensor.is_contiguous()
    assert np.array_equal(tensor.numpy(), x)


@EACH_CALL
def test_no_argument_is_modified(line: str) -> None:
    given, _ = results(line)
    filled = arrays(parse(line))
    fresh = dict(filled.operands)
    fresh |= {k: filled.grad_output(v.shape) for k, v in given.items() if k == "grad_output"}
    assert given.keys() == fresh.keys()
    assert {k: v.tobytes() for k, v in given.items()} == {k: v.tobytes() for k, v in fresh.items()}


@EACH_CALL
def test_no_memory_is_shared(line: str) -> None:
    given, found = results(line)
    both = [*found.values(), *given.values()]
    shared = [np.shares_memory(a, b) for i, a in enumerate(both) for b in both[:i]]
    assert not any(shared)
    assert all(array.flags.writeable for array in found.values())


@pytest.mark.parametrize("line", CALLS[:8])
def test_every_operand_has_a_gradient_of_its_own_shape_and_dtype(line: str) -> None:
    given, found = results(line)
    shapes = {k: (v.shape, v.dtype) for k, v in given.items() if k != "grad_output"}
    assert {k: (v.shape, v.dtype) for k, v in found.items() if k != OUTPUT} == {
        f"grad_{k}": shape for k, shape in shapes.items()
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_torchs_name(name: str) -> None:
    assert getattr(oracle, name).__name__ == name
