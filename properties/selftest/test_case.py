"""The case line: what is printed, what is read, and what is refused, with the column."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from properties.cases.case import Case, Operand
from properties.cases.files import CORPUS, read_lines
from properties.cases.line import CaseError, parse
from properties.cases.operation import OPS
from properties.generation.strategies import cases, invalid_cases

LINES = read_lines(CORPUS)


def fields(case: Case) -> tuple[object, ...]:
    """All that a line says; a gap before an argument by position is its default, said aloud."""
    given = {**case.operands, **case.arguments, **case.by_position}
    form = [*case.by_position], case.sizes
    return case.op, given, form, case.data, case.blame, case.grad_output


def pickled(case: Case) -> Case:
    """The case as another process gets it."""
    again = pickle.loads(pickle.dumps(case))
    assert isinstance(again, Case)
    return again


@pytest.mark.parametrize("op", OPS)
@settings(max_examples=200)
@given(data=st.data())
def test_every_line_reads_back_as_its_case(op: str, data: st.DataObject) -> None:
    case = data.draw(cases((op,)) | invalid_cases((op,)))
    again = parse(str(case))
    assert fields(again) == fields(case)
    assert again.operands == case.operands
    assert str(again) == str(case)  # tells 1 from True, 1.0 and int64(1), which are equal


@pytest.mark.parametrize("line", LINES)
def test_the_corpus_is_written_as_it_is_printed(line: str) -> None:
    assert str(parse(line)) == line


def test_no_line_stands_twice_in_the_corpus() -> None:
    assert len(set(LINES)) == len(LINES)


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        # what stands by position is passed by position; the rest stands by name, in torch's order
        ("conv1d(weight=(1, 1, 2), input=(1, 1, 3))", "conv1d(input=(1, 1, 3), weight=(1, 1, 2))"),
        ("conv1d((1, 1, 3), weight=(1, 1, 2))", None),
        ("conv1d((1, 1, 3), (1, 1, 2), (1,))", None),
        ("conv1d((1, 1, 3), (1, 1, 2), None, 2, (1,), groups=1)", None),
        ("conv1d((1,), (1,), (1,), Int(2), 'same', int8(1), 1, data='ramp')", None),
        ("conv_transpose1d((1,), (1,), None, 2, 0, Size(1, 1), 1, [int8(1), 2])", None),
        ("conv2d((1,), (1,), stride=Size(2,), padding=bool_(True))", None),
        ("conv2d((1,), (1,), dilation=Size(), sizes='list', data='ramp', blame='dilation')", None),
        ("conv2d((1,), (1,), sizes='tuple', grad_output='contiguous')", "conv2d((1,), (1,))"),
        ("Conv1d((1, 1, 3), (1, 1, 2), None, 1, 0, 1, 1, 'zeros', sizes='numpy')", None),
        ("conv1d(weight=(1, 1, 2))", "conv1d(weight=(1, 1, 2))"),
        # arguments stand in torch's order, then data, then blame
        (
            "conv1d((1,), (1,), blame='input', data='ramp', groups=2, padding=1, stride=3)",
            "conv1d((1,), (1,), stride=3, padding=1, groups=2, data='ramp', blame='input')",
        ),
        # a default that is given explicitly is a form of the call, and stays
        ("conv1d((1,), (1,), stride=1)", "conv1d((1,), (1,), stride=1)"),
        ("conv1d((1,), (1,), bias=None)", "conv1d((1,), (1,), bias=None)"),
        # what describes no difference is left out
        ("conv1d((1,), (1,), data='ones')", "conv1d((1,), (1,))"),
        ("conv1d(float32(1, 2), (1,))", "conv1d((1, 2), (1,))"),
        ("conv1d(float32(1, layout='contiguous'), (1,))", "conv1d((1,), (1,))"),
        ("conv1d(int8(1, 2, layout='fortran'), ())", "conv1d(int8(1, 2, layout='fortran'), ())"),
        ("conv1d(float16(), (1,))", "conv1d(float16(), (1,))"),
        # one way to write a literal
        ('conv1d((1,), (1,), padding="same")', "conv1d((1,), (1,), padding='same')"),
        ("conv1d((1,), (1,), stride=(2, ), padding=[ 1 ])", None),
        ("conv1d( (1,),(1,),stride=( 2,1 ) )", "conv1d((1,), (1,), stride=(2, 1))"),
        ("conv1d((1,), (1,), stride=0x10)", "conv1d((1,), (1,), stride=16)"),
        ("conv1d((1,), (1,), stride=1e999)", "conv1d((1,), (1,), stride=1e999)"),
        ("conv1d((1,), (1,), stride=...)", "conv1d((1,), (1,), stride=...)"),
        ("conv1d((1,), (1,), stride=(int64(2), [-1.5]))", None),
        ("conv1d([[1.0]], 'ones', bias=2j)", None),
        # each op has arguments of its own, in torch's order
        (
            "conv_transpose2d((1, 1, 2, 2), (1, 1, 3, 3), dilation=2, groups=1, output_padding=1, "
            "padding=1, stride=2)",
            "conv_transpose2d((1, 1, 2, 2), (1, 1, 3, 3), stride=2, padding=1, output_padding=1, "
            "groups=1, dilation=2)",
        ),
        (
            "Conv2d((1, 1, 3, 3), (1, 1, 3, 3), padding_mode='reflect', padding=1, bias=(1,))",
            "Conv2d((1, 1, 3, 3), (1, 1, 3, 3), bias=(1,), padding=1, padding_mode='reflect')",
        ),
        (
            "ConvTranspose2d((1, 1, 2, 2), (1, 1, 2, 2), output_size=[5, 4], stride=2)",
            "ConvTranspose2d((1, 1, 2, 2), (1, 1, 2, 2), stride=2, output_size=[5, 4])",
        ),
        (
            "fold((1, 4, 1), kernel_size=(2, 2), output_size=(2, 2), data='reals:1')",
            "fold((1, 4, 1), output_size=(2, 2), kernel_size=(2, 2), data='reals:1')",
        ),
        (
            "unfold(float64(1, 1, 2, 2), stride=2, kernel_size=2, padding=1)",
            "unfold(float64(1, 1, 2, 2), kernel_size=2, padding=1, stride=2)",
        ),
        ("unfold(input=(1, 1, 2, 2))", None),
        ("fold((1, 4, 1), 2, kernel_size=2)", None),
        ("Conv1d((1, 1, 1), (1, 1, 1), padding_mode='zeros')", None),
        ("ConvTranspose1d((1, 1, 1), (1, 1, 1), output_size=None)", None),
    ],
)
def test_a_line_is_printed_in_one_way(written: str, printed: str | None) -> None:
    expected = printed or written.replace("( ", "(").replace(", )", ",)").replace("[ 1 ]", "[1]")
    expected = expected.replace("Size(2,)", "Size(2)")
    assert str(parse(written)) == expected
    assert str(parse(expected)) == expected


def test_a_numpy_integer_keeps_its_type() -> None:
    stride = parse("conv2d((1,), (1,), stride=(int8(2), uint64(3)))").arguments["stride"]
    assert [type(s) for s in stride] == [np.int8, np.uint64]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled], ids=lambda f: f.__name__)
def test_a_copy_of_a_case_is_the_same_case(copied: Callable[[Case], Case]) -> None:
    line = "conv2d((1, 2, 3), (4, 2, 1, 1), stride=Size(Int(1), int32(2)), padding=bool_(False))"
    assert str(copied(copied(parse(line)))) == line


def test_an_operand_has_a_shape_a_dtype_and_a_layout() -> None:
    case = parse("conv2d(int8(2, 3, layout='strided'), (4,))")
    assert case.operands["input"] == Operand((2, 3), "int8", "strided")
    assert case.operands["weight"] == Operand((4,), "float32", "contiguous")


CALL = "conv2d((1,), (1,), "


@pytest.mark.parametrize(
    ("line", "at", "message"),
    [
        ("", "", "not a call"),
        ("conv2d((1,), (1,)", "((1,), (1,)", "was never closed"),
        ("conv2d((1,), (1,)) x", "x", "invalid syntax"),
        ("conv2d(\n(1,), (1,))", "\n", "expected one line"),
        ("conv2d((1,),\0)", "", "null bytes"),
        pytest.param("(" * 300, None, "too many nested parentheses", id="300 parentheses"),
        pytest.param("-" * 9999 + "1", None, "not a call", id="9999 signs"),
        pytest.param("9" * 9999, None, "not a call", id="9999 digits"),
        ("conv2d", "conv2d", "expected a call such as conv2d"),
        ("'conv2d'", "'conv2d'", "expected a call"),
        ("lambda: conv2d()", "lambda", "expected a call"),
        # names
        ("conv4d((1,), (1,))", "conv4d", "expected an op, one of conv1d, conv_transpose1d"),
        ("torch.conv2d((1,), (1,))", "torch", "expected an op"),
        ("conv2d((1,), (1,), (1,), 1, 0, 1, 1, 3)", "3)", "conv2d takes 7 parameters by position"),
        ("conv2d((1,), (1,), (1,), 3, stride=1)", "stride", "stride is given twice"),
        (CALL + "strid=2)", "strid=", "conv2d has no 'strid'; it has input, weight, bias, stride"),
        (CALL + "input=(1,))", "input", "input is given twice"),
        (CALL + "stride=1, stride=2)", "stride=2", "stride is given twice"),
        (CALL + "**{'stride': 2})", "**", "expected NAME=VALUE"),
        ("conv2d(*(1, 2))", "*", "expected a literal"),
        # what another op has
        (CALL + "output_padding=1)", "output_padding", "conv2d has no 'output_padding'"),
        (CALL + "padding_mode='zeros')", "padding_mode", "conv2d has no 'padding_mode'"),
        ("conv_transpose1d((1,), (1,), output_size=1)", "output_size", "no 'output_size'"),
        ("Conv1d((1,), (1,), kernel_size=1)", "kernel_size", "Conv1d has no 'kernel_size'"),
        ("unfold((1,), 1, 1, 0, 1, 5)", "5)", "unfold takes 5 parameters by position"),
        ("unfold((1,), groups=2)", "groups", "unfold has no 'groups'"),
        ("fold((1,), groups=1)", "groups", "fold has no 'groups'; it has input, output_size"),
        ("Fold((1,))", "Fold", "expected an op"),
        ("unfold((1,), blame='weight')", "'weight'", "unfold has no 'weight' to blame"),
        # operands
        ("conv2d(float3(1), (1,))", "float3", "expected a dtype, one of float32, float64"),
        ("conv2d(float32(1, order='F'), (1,))", "order", "no 'order'; it has layout"),
        ("conv2d(float32(1, **{}), (1,))", "**", "expected layout=VALUE"),
        ("conv2d(int8(1, layout='f'), (1,))", "'f'", "unknown layout 'f'; expected contiguous"),
        ("conv2d((1, -1), (1,))", "-1", "expected a size, got -1"),
        ("conv2d((1, 2.0), (1,))", "2.0", "expected a size, got 2.0"),
        ("conv2d((True, 1), (1,))", "True", "expected a size, got True"),
        ("conv2d(int8((1, 2)), (1,))", "(1, 2)", "expected a size, got (1, 2)"),
        # literals
        (CALL + "stride=1+1)", "1+1", "expected a literal"),
        (CALL + "stride=(2, x))", "x)", "expected a literal"),
        (CALL + "stride=f'{2}')", "f'", "expected a literal"),
        (CALL + "stride=9**9**9)", "9**", "expected a literal"),
        (CALL + "stride=float64(1))", "float64", "expected a NumPy integer such as int64(2)"),
        (CALL + "stride=int64(1, 2))", "int64", "expected a NumPy integer such as int64(2)"),
        (CALL + "stride=int64(2.0))", "2.0", "expected an integer that fits int64"),
        (CALL + "stride=int8(200))", "200", "expected an integer that fits int8"),
        (CALL + "stride=Int(2.0))", "Int", "expected Int(2), Size(2, 1) or bool_(True)"),
        (CALL + "stride=bool_(1))", "bool_", "expected Int(2), Size(2, 1) or bool_(True)"),
        (CALL + "stride=Size(x=1))", "Size", "expected a dtype"),
        # sizes, data and blame
        (CALL + "sizes='set')", "'set'", "expected one of tuple, list, numpy, Size, got 'set'"),
        (CALL + "sizes=(1,))", "(1,))", "expected one of tuple, list, numpy, Size, got (1,)"),
        (CALL + "data='zeros')", "'zeros'", "unknown data rule 'zeros'; expected ones, ramp"),
        (CALL + "data='integers')", "'integers'", "expected ones, ramp, or one of integers:SEED"),
        (CALL + "data='ones:1')", "'ones:1'", "unknown data rule"),
        (CALL + "data='reals:-1')", "'reals", "unknown data rule"),
        (CALL + "data=3)", "3)", "expected a string, got 3"),
        (CALL + "blame='data')", "'data'", "conv2d has no 'data' to blame"),
        (CALL + "blame='x', data='ramp')", "'x'", "conv2d has no 'x' to blame"),
        # columns count characters, also after some that take several bytes
        (CALL + "padding='é𝄞', strid=2)", "strid", "conv2d has no 'strid'"),
        (CALL + "padding='é𝄞', stride=1+1)", "1+1", "expected a literal"),
        ("conv2d((1,), (1,), padding='é𝄞', stride=2) x", "x", "invalid syntax"),
    ],
)
def test_a_malformed_line_is_refused_at_its_column(line: str, at: str | None, message: str) -> None:
    with pytest.raises(CaseError) as caught:
        parse(line)
    column = caught.value.column
    assert at is None or column == line.index(at)
    assert str(caught.value).startswith(f"column {column + 1}: ")
    assert message in str(caught.value)


def test_an_error_points_at_its_column_with_a_caret() -> None:
    with pytest.raises(CaseError) as caught:
        parse("conv2d((1,), (1, x))")
    assert str(caught.value).splitlines() == [
        "column 18: expected a literal",
        "  conv2d((1,), (1, x))",
        "                   ^",
    ]


@pytest.mark.parametrize(
    "expression",
    ["__import__('pathlib').Path('{}').touch()", "open('{}', 'w')", "(open('{}', 'w'),)"],
)
@pytest.mark.parametrize("line", ["{}", "conv2d({}, (1,))", "conv2d((1,), (1,), stride={})"])
def test_a_line_is_never_evaluated(line: str, expression: str, tmp_path: Path) -> None:
    evidence = tmp_path / "evaluated"
    with pytest.raises(CaseError):
        parse(line.format(expression.format(evidence)))
    assert not evidence.exists()


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("1", "True"), ("2", "int64(2)")])
def test_cases_are_equal_if_their_lines_are(one: str, other: str) -> None:
    first, second = (parse(f"conv1d((1,), (1,), stride={value})") for value in (one, other))
    assert first == parse(str(first))
    assert hash(first) == hash(parse(str(first)))
    assert first != second
