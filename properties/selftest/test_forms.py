"""Forms of call: what the line says by position is passed by position, what by name by name."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
import oracle
from properties.cases.case import Case, literal
from properties.cases.data import arrays
from properties.cases.forms import Int, Size
from properties.cases.line import parse
from properties.cases.operation import OPS, terms
from properties.comparison.compare import compare
from properties.comparison.engine import Engine
from properties.comparison.mismatch import ArgumentModified, EngineCrash, Mismatch, RejectedValid
from properties.generation.appearance import draw_form, draw_layout, draw_rule
from properties.generation.strategies import cases, choosing

TORCH = Engine("torch", oracle)


class Recorder:
    """Our engine, and the arguments of every call as they came: arrays by their shapes."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        names = [name for name in dir(engine.grad) if name.startswith("conv")]
        functions = {name: self.recorded(name, getattr(engine.grad, name)) for name in names}
        self.grad = SimpleNamespace(**functions)

    def __getattr__(self, name: str) -> Any:
        return self.recorded(name, getattr(engine, name))

    def recorded(self, name: str, function: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            parts = [shown(v) for v in arguments] + [f"{k}={shown(v)}" for k, v in named.items()]
            self.calls.append(f"{name}({', '.join(parts)})")
            result = function(*arguments, **named)
            return self.recorded("call", result) if OPS.get(name, OPS["fold"]).is_layer else result

        call.load_state_dict = getattr(function, "load_state_dict", None)  # type: ignore[attr-defined]
        return call if callable(function) else function


def shown(value: Any) -> str:
    if isinstance(value, type):
        return value.__name__
    return str(value.shape) if isinstance(value, np.ndarray) else literal(value)


def calls(line: str) -> list[str]:
    """What an engine that is judged on a line is called with."""
    recorder = Recorder()
    case = parse(line)
    filled = arrays(case)
    shape = case.output_shape
    gy = filled.grad_output(shape) if shape else None
    got = Engine("recorder", recorder).call(case, filled.operands, gy)
    assert got.error is None
    return recorder.calls


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("conv2d((1, 1, 3, 3), (1, 1, 2, 2))", "conv2d((1, 1, 3, 3), (1, 1, 2, 2))"),
        (
            "conv2d((1, 1, 3, 3), (1, 1, 2, 2), bias=(1,), stride=2)",
            "conv2d((1, 1, 3, 3), (1, 1, 2, 2), stride=2, bias=(1,))",
        ),
        (
            "conv2d((1, 1, 3, 3), (1, 1, 2, 2), None, 2)",
            "conv2d((1, 1, 3, 3), (1, 1, 2, 2), None, 2)",
        ),
        (
            "conv2d((1, 1, 3, 3), (1, 1, 2, 2), (1,), Size(2, 1), padding=[Int(1), 0])",
            "conv2d((1, 1, 3, 3), (1, 1, 2, 2), (1,), Size(2, 1), padding=[Int(1), 0])",
        ),
        (
            "conv2d(input=(1, 1, 3, 3), weight=(1, 1, 2, 2))",
            "conv2d(input=(1, 1, 3, 3), weight=(1, 1, 2, 2))",
        ),
        (
            "conv_transpose1d((1, 2, 3), (2, 1, 2), None, 1, 0, 0, int8(2), 2)",
            "conv_transpose1d((1, 2, 3), (2, 1, 2), None, 1, 0, 0, int8(2), 2)",
        ),
        ("unfold((1, 1, 3, 3), 2, 1, uint8(1))", "unfold((1, 1, 3, 3), 2, 1, uint8(1))"),
        ("fold((1, 4, 1), [2, 2], (2, 2))", "fold((1, 4, 1), [2, 2], (2, 2))"),
        (
            "Conv1d((1, 1, 3), (2, 1, 2), stride=2)",
            "Conv1d(1, 2, (2,), stride=2, bias=False, dtype=float32)",
        ),
        (
            "Conv1d((1, 1, 3), (2, 1, 2), (2,), 2, 1, 1, 1, 'circular', sizes='list')",
            "Conv1d(1, 2, [2], 2, 1, 1, 1, True, 'circular', dtype=float32)",
        ),
        (
            "Conv1d((1, 1, 3), (2, 1, 2), None, 2, dilation=1)",
            "Conv1d(1, 2, (2,), 2, dilation=1, bias=False, dtype=float32)",
        ),
        (
            "Conv1d(input=(1, 1, 3), weight=(2, 1, 2), sizes='numpy')",
            "Conv1d(in_channels=1, out_channels=2, kernel_size=(int64(2),), bias=False, "
            "dtype=float32)",
        ),
        (
            "ConvTranspose1d((1, 4, 3), (4, 1, 2), None, 2, 0, 1, 2, 2)",
            "ConvTranspose1d(4, 2, (2,), 2, 0, 1, 2, False, 2, dtype=float32)",
        ),
    ],
)
def test_a_function_or_constructor_is_called_as_the_line_says(line: str, call: str) -> None:
    assert calls(line)[0] == call


@pytest.mark.parametrize(
    ("line", "input", "weight"),
    [
        (
            "conv1d((1, 1, 3), (1, 1, 2), stride=1)",
            "conv1d_input((1, 1, 3), (1, 1, 2), (1, 1, 2), stride=1)",
            "conv1d_weight((1, 1, 3), (1, 1, 2), (1, 1, 2), stride=1)",
        ),
        (
            "conv1d((1, 1, 3), (1, 1, 2), None, 1, 0, sizes='list')",
            "conv1d_input([1, 1, 3], (1, 1, 2), (1, 1, 2), 1, 0)",
            "conv1d_weight((1, 1, 3), [1, 1, 2], (1, 1, 2), 1, 0)",
        ),
        (
            "conv1d(input=(1, 1, 3), weight=(1, 1, 2), sizes='Size')",
            "conv1d_input(input_size=Size(1, 1, 3), weight=(1, 1, 2), grad_output=(1, 1, 2))",
            "conv1d_weight(input=(1, 1, 3), weight_size=Size(1, 1, 2), grad_output=(1, 1, 2))",
        ),
    ],
)
def test_a_gradient_is_called_as_the_line_says(line: str, input: str, weight: str) -> None:
    assert calls(line)[1:] == [input, weight]


def test_the_output_size_of_a_layer_goes_to_its_call() -> None:
    by_name = calls("ConvTranspose1d((1, 1, 3), (1, 1, 2), stride=2, output_size=[7])")
    by_position = calls("ConvTranspose1d((1, 1, 3), (1, 1, 2), None, 2, 0, 0, 1, 1, [7])")
    assert by_name[1] == "call((1, 1, 3), output_size=[7])"
    assert by_position[1] == "call((1, 1, 3), [7])"


def test_a_reference_is_given_everything_by_name_and_shapes_as_tuples() -> None:
    recorder = Recorder()
    case = parse("conv1d((1, 1, 3), (1, 1, 2), (1,), Int(1), sizes='list', grad_output='fortran')")
    filled = arrays(case)
    Engine("recorder", recorder).results(case, filled.operands, filled.grad_output((1, 1, 2)))
    assert recorder.calls[:2] == [
        "conv1d(stride=Int(1), input=(1, 1, 3), weight=(1, 1, 2), bias=(1,))",
        "conv1d_input(input_size=(1, 1, 3), weight=(1, 1, 2), grad_output=(1, 1, 2), "
        "stride=Int(1))",
    ]


def test_a_gap_by_position_has_torchs_default() -> None:
    operands = parse("conv1d((1, 1, 3), (1, 1, 2))").operands
    case = Case("conv1d", operands, {"padding": 1}, positional=5)
    assert str(case) == "conv1d((1, 1, 3), (1, 1, 2), None, 1, 1)"
    assert parse(str(case)) == case


def test_what_has_no_default_ends_what_stands_by_position() -> None:
    case = Case("fold", parse("fold((1, 4, 1))").operands, {"kernel_size": 2}, positional=3)
    assert str(case) == "fold((1, 4, 1), kernel_size=2)"


def test_subclasses_keep_their_type() -> None:
    given = parse("conv1d((1,), (1,), stride=Int(2), padding=Size(1, Int(2)))").arguments
    assert type(given["stride"]) is Int
    assert type(given["padding"]) is Size
    assert given["padding"] == (1, 2)


def dressed(draw: Any, op: str) -> Case:
    """A case in some appearance: data rule, layouts and form."""
    choose, case = choosing(draw), draw(cases((op,)))
    row = OPS[op]
    operands: dict[str, Any] = {}
    for name, value in case.operands.items():
        operands[name] = replace_layout(value, draw_layout(choose, value.shape, [*operands]))
    arguments, positional, sizes = draw_form(choose, row, case.arguments)
    k = terms(row, case.shapes, case.arguments)
    gy = draw_layout(choose, case.output_shape or (), [*operands])
    rule = draw_rule(choose, row, case.dtype, k)
    return Case(op, operands, arguments, rule, None, gy or "contiguous", sizes, positional)


def replace_layout(operand: Any, layout: str) -> Any:
    return type(operand)(operand.shape, operand.dtype, layout)


@pytest.mark.parametrize("op", OPS)
@settings(max_examples=60)
@given(data=st.data())
def test_every_appearance_reads_back_and_torch_and_the_engine_agree(
    op: str, data: st.DataObject
) -> None:
    case = data.draw(st.composite(dressed)(op))
    again = parse(str(case))
    assert again == case
    assert [*again.by_position] == [*case.by_position]
    compare(case, Engine("engine", engine, strict=True), TORCH)


# ---- Faults that only a form or a layout shows ----


def fails(line: str, conv1d: Any) -> type[Mismatch] | None:
    try:
        compare(parse(line), Engine("wrong", SimpleNamespace(conv1d=conv1d)), TORCH)
    except Mismatch as error:
        return type(error)
    return None


def by_name_only(input: Any, weight: Any, **rest: Any) -> Any:
    return engine.conv1d(input, weight, **rest)


def other_names(x: Any, weight: Any, bias: Any = None) -> Any:
    return engine.conv1d(x, weight, bias)


def plain_types(input: Any, weight: Any, bias: Any = None, stride: Any = 1) -> Any:
    if type(stride) is not int:
        raise TypeError(type(stride))
    return engine.conv1d(input, weight, bias, stride)


def writing(input: Any, weight: Any, bias: Any = None) -> Any:
    y = engine.conv1d(input, weight, bias)
    if np.shares_memory(input, weight):
        input += 1
    return y


@pytest.mark.parametrize(
    ("line", "plain", "conv1d", "kind"),
    [
        ("(1, 1, 3), (1, 1, 2), None", "(1, 1, 3), (1, 1, 2)", by_name_only, EngineCrash),
        ("input=(1, 1, 3), weight=(1, 1, 2)", "(1, 1, 3), (1, 1, 2)", other_names, EngineCrash),
        *(
            (
                f"(1, 1, 3), (1, 1, 2), stride={s}",
                "(1, 1, 3), (1, 1, 2)",
                plain_types,
                RejectedValid,
            )
            for s in ("Int(2)", "int8(2)")
        ),
        (
            *("(1, 1, 3), float32(1, 1, 3, layout='of:input')", "(1, 1, 3), (1, 1, 3)"),
            *(writing, ArgumentModified),
        ),
    ],
)
def test_a_form_shows_what_the_plain_call_does_not(
    line: str, plain: str, conv1d: Any, kind: type[Mismatch]
) -> None:
    assert fails(f"conv1d({plain})", conv1d) is None
    assert fails(f"conv1d({line})", conv1d) in (kind, RejectedValid)
