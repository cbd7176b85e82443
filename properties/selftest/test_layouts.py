"""The layouts: what each word does to memory, that words go together, and what is refused."""

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from properties.cases.data import arrays
from properties.cases.layouts import WORDS, Subclass, laid_out, repeats, simpler, words
from properties.cases.line import CaseError, parse
from properties.comparison.conduct import memory, modified, root, unstable
from properties.generation.appearance import draw_layout
from properties.generation.strategies import choosing

SHAPES = [(), (0,), (1,), (5,), (2, 3), (2, 3, 4), (2, 0, 4), (1, 1, 1, 1), (2, 3, 4, 5, 2)]


def counted(shape: tuple[int, ...], dtype: str = "float32") -> Any:
    return np.arange(1, 1 + prod(shape)).astype(dtype).reshape(shape)


def address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


OF_TWO: dict[str, Callable[[Any], bool]] = {
    "order:1,0": lambda a: a.strides == (4, 8),
    "order:0,1": lambda a: a.strides == (12, 4),
    "order:1": lambda a: a.strides == (4, 8),
    "step:1,2": lambda a: a.strides == (24, 8),
    "step:-1,3": lambda a: a.strides == (-32, 12),
    "step:2": lambda a: a.strides == (24, 4),
    "crop:1,2": lambda a: a.strides == (24, 4) and root(a).shape == (4, 6),
    "crop:0,3+order:1,0": lambda a: a.strides == (4, 8) and root(a).shape == (7, 2),
    "repeat:0": lambda a: a.strides == (0, 4),
    "repeat:0,1": lambda a: a.strides == (0, 0),
    "repeat:1+step:-2,1": lambda a: a.strides == (-8, 0),
    "field": lambda a: a.strides == (15, 5) and not a.flags.aligned,
    "align:0": lambda a: address(a) % 64 == 0,
    "align:4": lambda a: address(a) % 64 == 4 and a.flags.aligned,
    "align:63+reversed": lambda a: address(a) % 64 == 63 and a.strides == (-12, -4),
    "align:5+field": lambda a: address(a) % 64 == 5 and a.strides == (15, 5),
    "swapped": lambda a: not a.dtype.isnative,
    "swapped+fortran": lambda a: not a.dtype.isnative and a.strides == (4, 8),
    "subclass": lambda a: type(a) is Subclass,
    "readonly+subclass": lambda a: type(a) is Subclass and not a.flags.writeable,
    "fortran+readonly": lambda a: a.strides == (4, 8) and not a.flags.writeable,
    "strided+reversed": lambda a: a.strides == (-56, -8) and root(a).shape == (5, 7),
    "broadcast+crop:0,1": lambda a: a.strides == (0, 4) and root(a).shape == (1, 5),
    "unaligned+order:1,0": lambda a: a.strides == (4, 8) and address(a) % 64 == 1,
    "channels_last": lambda a: a.flags.c_contiguous,
}


@pytest.mark.parametrize("layout", OF_TWO)
def test_words_do_to_memory_what_they_say(layout: str) -> None:
    array = laid_out(counted((2, 3)), layout)
    assert OF_TWO[layout](array)
    assert np.array_equal(array, expected((2, 3), layout))


def expected(shape: tuple[int, ...], layout: str) -> Any:
    """The values: rows that are repeated are the first."""
    plain = counted(shape)
    axes = {0} if "broadcast" in words(layout) else set()
    for word in layout.split("+"):
        axes |= set(map(int, word[7:].split(","))) if word.startswith("repeat:") else set()
    once = [slice(0, 1) if axis in axes else slice(None) for axis in range(len(shape))]
    return np.broadcast_to(plain[(..., *once)], shape)


def layouts(shape: tuple[int, ...]) -> st.SearchStrategy[str]:
    return st.composite(lambda draw: draw_layout(choosing(draw), shape))()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@settings(max_examples=60)
@given(data=st.data())
def test_every_layout_fits_every_shape(shape: tuple[int, ...], data: st.DataObject) -> None:
    layout = data.draw(st.sampled_from(SHAPES).flatmap(layouts))
    array = laid_out(counted(shape), layout)
    assert array.shape == shape
    assert np.array_equal(array, expected(shape, layout))


@settings(max_examples=100)
@given(layout=layouts((2, 3, 4)))
def test_a_layout_reads_back_and_becomes_simpler(layout: str) -> None:
    text = f"conv1d(float32(2, 3, 4, layout={layout!r}), (1, 3, 2), grad_output={layout!r})"
    plain = text.replace(", layout='contiguous'", "").replace(", grad_output='contiguous'", "")
    assert str(parse(text)) == plain.replace("float32(2, 3, 4)", "(2, 3, 4)")
    assert all(len(words(s)) < len(words(layout)) for s in simpler(layout))


@settings(max_examples=100)
@given(layout=layouts((2, 3, 4)))
def test_all_memory_around_a_view_is_seen_and_is_not_zero(layout: str) -> None:
    array = laid_out(np.zeros((2, 3, 4), np.float32), layout)
    kept = memory({"x": array})["x"]
    behind = root(array)
    behind.flags.writeable = True
    behind.reshape(-1)[...] += np.ones(1, behind.dtype)
    assert modified({"x": array}, {"x": kept}) == ("x",)
    assert len(kept) >= behind.nbytes


@pytest.mark.parametrize("layout", ["strided", "crop:1,1", "step:1,-2", "align:3+crop:0,2"])
def test_what_surrounds_a_view_is_77(layout: str) -> None:
    behind = root(laid_out(np.zeros((2, 3), np.int8), layout)).view(np.int8)
    assert {0, 77} <= {*behind.ravel().tolist()}


def test_what_surrounds_a_field_is_77() -> None:
    assert root(laid_out(np.zeros(3, np.float32), "field"))[:15].tolist() == [77, 0, 0, 0, 0] * 3


def identity(operands: Any, grad_output: Any) -> dict[str, Any]:
    return {"output": 1 * np.asarray(operands["input"])}


def product_of(operands: Any, grad_output: Any) -> dict[str, Any]:
    return {"output": operands["input"] * operands["weight"]}


@pytest.mark.parametrize("layout", ["repeat:0,2", "broadcast+crop:1,1,1", "repeat:1+field"])
@pytest.mark.parametrize("dtype", ["float32", "int8", "complex128"])
def test_a_repeated_operand_is_negated_once_and_back(dtype: str, layout: str) -> None:
    x = laid_out(counted((2, 3, 2), dtype), layout)
    before = memory({"x": x})
    assert unstable(identity, {"input": x}, None, identity({"input": x}, None)) == ""
    assert modified({"x": x}, before) == ()


def test_words_are_counted_by_name() -> None:
    assert words("order:1,0+readonly") == ("order", "readonly")
    assert words("contiguous") == ()
    assert [repeats(w) for w in ("readonly+repeat:1", "broadcast", "order:0")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(("first", "second"), [*product(WORDS, WORDS)])
def test_any_two_words_go_together(first: str, second: str) -> None:
    numbers = {"order": ":1,0", "step": ":-2,3", "crop": ":0,2", "repeat": ":1", "align": ":7"}
    layout = "+".join(dict.fromkeys(w + numbers.get(w, "") for w in (first, second)))
    array = laid_out(counted((2, 3)), layout)
    assert np.array_equal(array, expected((2, 3), layout))


# ---- Operands that share memory ----


def operands(text: str) -> dict[str, Any]:
    case = parse(text)
    found = arrays(case)
    return {**found.operands, "grad_output": found.grad_output(case.output_shape or ())}


def test_an_operand_of_the_same_shape_is_the_same_array() -> None:
    x, w, _ = operands(
        "conv1d((2, 2, 3), float32(2, 2, 3, layout='of:input'), data='ramp')"
    ).values()
    assert w is x


def test_a_smaller_operand_is_the_first_elements_in_the_same_memory() -> None:
    text = "conv1d((2, 2, 3), float32(1, 2, 2, layout='of:input'), data='ramp')"
    x, w, _ = operands(text).values()
    assert w.ravel().tolist() == [1, 2, 3, 4]
    assert np.shares_memory(w, x)


def test_bias_and_gradient_may_lie_in_the_weight_or_the_input() -> None:
    text = (
        "conv1d((2, 2, 3), (3, 2, 1), bias=float32(3, layout='of:weight'), grad_output='of:input')"
    )
    x, w, b, gy = operands(text).values()
    assert np.shares_memory(b, w)
    assert not np.shares_memory(b, x)
    assert gy.shape == (2, 3, 3)


@pytest.mark.parametrize(
    "text",
    [
        "conv1d((1, 1, 3), float32(2, 1, 2, layout='of:input'), data='ramp')",
        "conv1d(float32(2, 1, 3, layout='step:1,1,2'), float32(1, 1, 2, layout='of:input'))",
    ],
)
def test_what_cannot_be_a_view_has_the_values_in_memory_of_its_own(text: str) -> None:
    x, w, _ = operands(text).values()
    assert w.ravel().tolist() == np.resize(x, w.size).tolist()


def test_an_operand_in_anothers_memory_draws_no_data() -> None:
    shared = "conv1d((1, 1, 3), float32(1, 1, 2, layout='of:input'), bias=(1,), data='reals:1')"
    alone = "conv1d((1, 1, 3), (1, 1, 2), bias=(1,), data='reals:1')"
    assert operands(shared)["bias"] == operands(alone)["weight"][0, 0, :1]


def test_operands_that_share_memory_are_not_negated() -> None:
    x = counted((1, 1, 3))
    given = {"input": x, "weight": x}
    assert unstable(product_of, given, None, product_of(given, None)) == ""


# ---- What is refused ----

LINE = "conv1d(float32(2, 3, layout='{}'), (1,))"


@pytest.mark.parametrize(
    ("layout", "at", "message"),
    [
        ("f", "'f'", "unknown layout 'f'; expected contiguous, of:NAME, or words of order, step"),
        ("", "''", "unknown layout ''"),
        ("readonly+f", "f'", "unknown layout 'f'"),
        ("readonly + field", "readonly + ", "unknown layout 'readonly '"),
        ("contiguous+readonly", "contiguous+", "unknown layout 'contiguous'"),
        ("field+readonly+field", "field')", "field is given twice"),
        ("step:1+step:2", "step:2", "step is given twice"),
        ("step", "step", "expected step:N,… with steps, not 0, to 64, got 'step'"),
        ("step:0", "step", "expected step:N,… with steps, not 0"),
        ("step:1,65", "step", "expected step:N,… with steps, not 0, to 64, got 'step:1,65'"),
        ("step:1,,2", "step", "expected step:N,…"),
        ("step:01", "step", "expected step:N,…"),
        ("step:+1", "step:", "expected step:N,…"),
        ("crop:-1", "crop", "expected crop:N,… with numbers of elements, 0 to 64"),
        ("order:0,0", "order", "expected order:N,… with different axes, got 'order:0,0'"),
        ("repeat:-1", "repeat", "expected repeat:N,… with different axes"),
        ("align:64", "align", "expected align:N,… with 0 to 63 bytes"),
        ("align:1,2", "align", "expected align:N,… with 0 to 63 bytes"),
        ("readonly:1", "readonly", "readonly takes no numbers, got ':1'"),
        ("of:input", "'of:input'", "expected of:NAME with an operand before this, of none"),
    ],
)
def test_a_malformed_layout_is_refused_at_its_column(layout: str, at: str, message: str) -> None:
    line = LINE.format(layout)
    with pytest.raises(CaseError) as caught:
        parse(line)
    assert message in str(caught.value)
    assert caught.value.column in (line.index(at), line.index(at) - 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("conv1d((1,), float32(1, layout='of:weight'))", "an operand before this, of input"),
        ("conv1d((1,), (1,), grad_output='of:stride')", "of input, weight, bias"),
        ("conv1d((1,), (1,), grad_output=3)", "expected a layout, a string, got 3"),
    ],
)
def test_what_lies_nowhere_is_refused(line: str, message: str) -> None:
    with pytest.raises(CaseError, match=message):
        parse(line)
