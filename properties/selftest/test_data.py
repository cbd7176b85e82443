"""The data rules: the same bits everywhere, within the exact range, in the layout asked for."""

from collections.abc import Callable
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np
import pytest

from properties.cases.case import DTYPES, LAYOUTS, Case, Operand
from properties.cases.data import BITS, Bits, arrays, widest, widest_range
from properties.cases.layouts import laid_out
from properties.cases.line import parse
from properties.cases.operation import OPS, terms

INTEGERS = [d for d in DTYPES if "int" in d]
FLOATS = ["float16", "float32", "float64"]
LARGEST_HALF = 65504  # the result must not overflow: float16 is summed in more, but stored


def line(dtype: str, data: str, size: int = 2000, taps: int = 1) -> Case:
    return parse(f"conv1d({dtype}(1, 1, {size}), {dtype}(1, 1, {taps}), data={data!r})")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv1d(int8(1, 1, 3), int8(1, 1, 1))", "010101"),
        ("conv1d((1, 1, 4), (1, 1, 3), data='ramp')", "0000803f000000400000404000008040"),
        # 6·R² + R < 2**7, so that R = 4
        ("conv1d(int8(1, 1, 6), int8(1, 1, 6), data='ramp')", "010203040102"),
        (
            "conv1d(complex64(1, 1, 3), complex64(1, 1, 1), data='ramp')",
            "0000803f000000400000004000004040000040400000803f",
        ),
        ("conv1d((1, 1, 3), (1, 1, 2), data='integers:7')", "00000b45008083c40000dbc3"),
        (
            "conv1d(float64(1, 1, 2), float64(1, 1, 1), data='integers:7')",
            "000000e02003704100000070f36b8941",
        ),
        ("conv1d(float16(1, 1, 2), float16(1, 1, 1), data='integers:7')", "605810d4"),
        (
            "conv1d(complex64(1, 1, 2), complex64(1, 1, 1), data='integers:7')",
            "00008b4400005bc3008003c40060b2c4",
        ),
        ("conv1d(uint8(1, 1, 3), uint8(1, 1, 2), data='integers:7')", "0a0304"),
        (
            "conv1d(int64(1, 1, 2), int64(1, 1, 1), data='integers:7')",
            "aa41062000000000bdcdaf6500000000",
        ),
        ("conv1d((1, 1, 3), (1, 1, 1), data='reals:7')", "4106a0bfcdaf65be5693c63d"),
        (
            "conv1d(float64(1, 1, 2), float64(1, 1, 1), data='reals:7')",
            "a93c3e35c800f4bfcde495b7f9b5ccbf",
        ),
        ("conv1d(float16(1, 1, 3), float16(1, 1, 1), data='reals:7')", "00bd2db3342e"),
        (
            "conv1d(complex128(1, 1, 1), complex128(1, 1, 1), data='reals:7')",
            "a93c3e35c800f4bfcde495b7f9b5ccbf",
        ),
        (
            "conv1d((1, 1, 5), (1, 1, 1), data='special:7')",
            "050000000000803f000080bf00000000000040c0",
        ),
        ("conv1d(int8(1, 1, 4), int8(1, 1, 1), data='wrap:7')", "8b956242"),
        (
            "conv1d(uint64(1, 1, 2), uint64(1, 1, 1), data='wrap:7')",
            "8b4ae5f1a94106a0956a26afbccdafe5",
        ),
    ],
)
def test_a_rule_gives_the_same_bits_for_ever(text: str, expected: str) -> None:
    assert arrays(parse(text)).operands["input"].tobytes().hex() == expected


def test_operands_are_filled_in_order_from_one_stream_and_the_gradient_after_them() -> None:
    case = parse("conv1d(uint64(1, 1, 2), uint64(1, 1, 1), bias=uint64(1), data='wrap:7')")
    filled = arrays(case)
    words = [n for a in filled.operands.values() for n in a.ravel()]
    assert [*words, *filled.grad_output((1, 1, 2)).ravel()] == [*Bits(7).words(6)]


def digest(case: Case, shape: tuple[int, ...]) -> str:
    """Of all bytes of a whole case, the gradient of its output included."""
    filled = arrays(case)
    values = [*filled.operands.values(), filled.grad_output(shape)]
    return sha256(b"".join(v.tobytes() for v in values)).hexdigest()[:16]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv1d((1, 1, 3), (1, 1, 2), data='ones')", "0000803f0000803f"),
        ("conv1d((1, 1, 3), (1, 1, 2), data='ramp')", "0000803f00000040"),
        ("conv1d((1, 1, 3), (1, 1, 2), data='integers:7')", "0000cfc300001ac4"),
        ("conv1d((1, 1, 3), (1, 1, 2), data='reals:7')", "32a15f3e8088ac39"),
        ("conv1d((1, 1, 3), (1, 1, 2), data='special:7')", "000000000000807f"),
        ("conv1d(float16(1, 1, 3), float16(1, 1, 2), data='integers:7')", "40cec0d0"),
        (
            "conv1d(complex64(1, 1, 3), complex64(1, 1, 2), data='reals:7')",
            "10279b3e447e823ccc8d8ebd0ae1633d",
        ),
        (
            "conv_transpose1d(float64(1, 1, 3), float64(1, 1, 2), data='integers:7')",
            "00000040e2dd59c1000000e0923b63c1",
        ),
        ("Conv1d((1, 1, 3), (1, 1, 2), bias=(1,), data='integers:7')", "00001ac400404ac4"),
    ],
)
def test_the_gradient_of_the_output_has_the_same_bits_for_ever(text: str, expected: str) -> None:
    assert arrays(parse(text)).grad_output((1, 1, 2)).tobytes().hex() == expected


@pytest.mark.parametrize(
    ("text", "shape", "expected"),
    [
        (
            "conv2d((2, 4, 5, 6), (6, 2, 3, 2), bias=(6,), stride=2, groups=2, data='integers:1')",
            *((2, 6, 2, 3), "aab27ea7795fbcda"),
        ),
        (
            "conv3d(float16(1, 2, 3, 3, 3), float16(2, 2, 2, 2, 2), padding=1, data='reals:2')",
            *((1, 2, 4, 4, 4), "a4a55a96501965d7"),
        ),
        (
            "conv_transpose2d((1, 3, 4, 4), (3, 2, 4, 4), stride=2, padding=1, data='special:3')",
            *((1, 2, 8, 8), "6c4c395ce0adb27c"),
        ),
        (
            "Conv2d((1, 3, 5, 5), (2, 3, 3, 3), bias=(2,), padding=1, padding_mode='reflect', "
            "data='integers:4')",
            *((1, 2, 5, 5), "4325f51e59817c82"),
        ),
        (
            "ConvTranspose1d(complex64(2, 2, 3), complex64(2, 1, 3), stride=2, output_size=(8,), "
            "data='integers:5')",
            *((2, 1, 8), "5bd678b7bb4e24f6"),
        ),
        ("unfold((1, 2, 4, 4), kernel_size=2, data='ramp')", (1, 8, 9), "687fb95446529392"),
        (
            "fold(float64(1, 8, 9), output_size=4, kernel_size=2, data='reals:6')",
            *((1, 2, 4, 4), "61b8e9ebc7caf671"),
        ),
        (
            "conv1d(int8(2, 2, 5, layout='reversed'), int8(2, 2, 2), data='wrap:7')",
            *((2, 2, 4), "a890f1a7d605e1e4"),
        ),
    ],
)
def test_a_recorded_line_means_the_same_data_for_ever(
    text: str, shape: tuple[int, ...], expected: str
) -> None:
    assert digest(parse(text), shape) == expected


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradient_of_the_output_has_the_inputs_dtype_and_a_layout_of_its_own(
    layout: str,
) -> None:
    text = "conv2d({}(2, 2, 3, 3, layout='swapped'), {}(4, 2, 1, 1), {}data='ramp')"
    line = text.format("float64", "float64", f"grad_output={layout!r}, ")
    gy = arrays(parse(line)).grad_output((2, 4, 3, 3))
    assert gy.dtype.newbyteorder("=") == np.float64
    assert gy.shape == (2, 4, 3, 3)
    assert IS_OF[layout](gy)


def test_a_second_gradient_goes_on_where_the_first_ended() -> None:
    filled = arrays(line("float64", "reals:1", size=3))
    first, second = (filled.grad_output((1, 1, 2)) for _ in range(2))
    assert not np.array_equal(first, second)


def test_another_seed_gives_other_data() -> None:
    first, second = (arrays(line("float32", f"integers:{s}")).operands["input"] for s in (1, 2))
    assert (first != second).mean() > 0.99


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 2, 3, 7, 30, 63, 64, 100])
def test_the_range_is_the_widest_that_is_exact(k: int, dtype: str) -> None:
    r = widest_range(k, dtype)
    limit = LARGEST_HALF + 1 if dtype == "float16" else 2 ** BITS[dtype]
    a, b = (4 * k, 2) if "complex" in dtype else (k, 1)
    assert a * r * r + b * r < limit <= a * (r + 1) ** 2 + b * (r + 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("taps", [1, 3, 100])
def test_integers_stay_within_their_range(taps: int, dtype: str) -> None:
    case = line(dtype, "integers:3", size=taps, taps=taps)
    flat = np.concatenate([a.ravel() for a in arrays(case).operands.values()])
    assert max(abs(part) for part in flat.view(real(dtype)).tolist()) <= max(1, widest(case))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("taps", [1, 100, 1000])
def test_integers_never_collapse_to_zero(taps: int, dtype: str) -> None:
    filled = arrays(line(dtype, "integers:3", size=taps + 20, taps=taps))
    assert all(a.any() for a in [*filled.operands.values(), filled.grad_output((1, 1, 21))])


def real(dtype: str) -> str:
    """The real dtype in which the parts of `dtype` are stored."""
    return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if BITS[d] <= 8])
def test_integers_reach_both_ends_of_a_small_range(dtype: str) -> None:
    case = line(dtype, "integers:3", size=11, taps=11)
    values = np.concatenate(
        [arrays(line(dtype, f"integers:{s}", 11, 11)).operands["input"] for s in SEEDS]
    )
    assert values.max() == widest(case)
    assert values.min() == (0 if dtype.startswith("u") else -widest(case))


SEEDS = range(50)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint64", "complex64"])
def test_integers_spread_over_all_of_a_wide_range(dtype: str) -> None:
    case = line(dtype, "integers:3")
    values = arrays(case).operands["input"].view(real(dtype)).astype(float) / widest(case)
    low = 0 if dtype.startswith("u") else -1
    assert low <= values.min() < low + 0.01
    assert 0.99 < values.max() <= 1


def test_the_range_is_exact_for_the_value_and_for_every_gradient() -> None:
    case = parse("conv1d((5, 2, 9), (6, 2, 2))")  # K of the weight's gradient: 5 · 8 places
    assert terms(OPS["conv1d"], case.shapes, {}) == 40
    assert widest(case) == widest_range(40, "float32")


@pytest.mark.parametrize(
    ("text", "k"),
    [
        # value 3·2·2, input 2·2·2, weight and bias 2·3·2 places
        ("conv2d((2, 3, 4, 3), (2, 3, 2, 2))", 12),
        # value 6·2 terms, though each weight meets 2·5 places only
        ("conv_transpose1d((2, 6, 5), (6, 1, 2))", 12),
        # the bias's gradient is a sum over all of the output
        ("conv_transpose1d((1, 1, 5), (1, 1, 2), stride=3, output_padding=1)", 15),
        ("ConvTranspose1d((1, 1, 5), (1, 1, 2), stride=3, output_size=(16,))", 16),
        # an element that the border copies is met once more by each copy
        ("Conv1d((1, 1, 5), (1, 1, 3), padding=2, padding_mode='circular')", 15),
        ("Conv1d((1, 1, 5), (1, 1, 4), padding='same', padding_mode='reflect')", 16),
        ("fold((1, 6, 4), output_size=(3, 4), kernel_size=(2, 3))", 6),
        # what is only copied is added up by its gradient
        ("unfold((1, 6, 3, 4), kernel_size=(2, 3))", 6),
    ],
)
def test_the_terms_are_the_most_of_any_result(text: str, k: int) -> None:
    case = parse(text)
    assert terms(OPS[case.op], case.shapes, case.arguments) == k


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 8, 9, 17, 100])
def test_below_is_uniform(limit: int) -> None:
    n = 1000 * limit
    counts = np.bincount(Bits(limit).below(limit, n).astype(int), minlength=limit)
    assert counts.size == limit
    assert (np.abs(counts - 1000) < 5 * np.sqrt(1000)).all()


@pytest.mark.parametrize("limit", [2**33 + 1, 2**63, 2**63 + 1, 2**64 - 1])
def test_below_reaches_far(limit: int) -> None:
    values = Bits(0).below(limit, 1000).astype(float) / limit
    assert values.max() <= 1
    assert abs(values.mean() - 0.5) < 0.05


@pytest.mark.parametrize("dtype", [*FLOATS, "complex64", "complex128"])
def test_reals_have_every_exponent_both_signs_and_full_significands(dtype: str) -> None:
    values = arrays(line(dtype, "reals:1")).operands["input"].view(real(dtype)).ravel()
    significand, exponent = np.frexp(values)
    whole = significand.astype(float) * 2.0 ** (np.finfo(dtype).nmant + 1)
    assert {*range(-4, 4)} <= {*exponent.tolist()}
    assert 0.45 < (values < 0).mean() < 0.55
    assert (whole % 2 == 1).mean() > 0.2  # the last bit is in use
    assert np.abs(values).max() < 8


@pytest.mark.parametrize("dtype", FLOATS)
def test_special_values_are_all_there(dtype: str) -> None:
    drawn = [arrays(line(dtype, f"special:{s}")).operands["input"] for s in SEEDS]
    values = np.concatenate(drawn, axis=None)
    tiny = np.finfo(dtype).smallest_subnormal
    signs = np.signbit(values[values == 0])
    assert {np.inf, -np.inf, tiny, 5 * tiny, 1.0, -3.0} <= {*values.tolist()}
    assert np.isnan(values).any()
    assert signs.any()
    assert not signs.all()


@pytest.mark.parametrize("size", [16, 64, 2000])
@pytest.mark.parametrize("rare", [np.inf, -np.inf, np.nan])
def test_a_special_operand_has_of_each_value_that_is_not_finite_about_one(
    rare: float, size: int
) -> None:
    drawn = [arrays(line("float32", f"special:{s}", size)).operands["input"] for s in range(400)]
    found = [np.isnan(a).sum() if np.isnan(rare) else (a == rare).sum() for a in drawn]
    assert 0.8 < np.mean(found) < 1.2
    assert max(found) < 10


@pytest.mark.parametrize("dtype", INTEGERS)
def test_wrap_covers_the_whole_range(dtype: str) -> None:
    values, info = arrays(line(dtype, "wrap:1")).operands["input"].astype(float), np.iinfo(dtype)
    span = float(info.max) - float(info.min)
    assert values.min() - info.min < span / 100
    assert info.max - values.max() < span / 100


@pytest.mark.parametrize(
    ("dtype", "data"),
    [
        *((d, "reals:1") for d in INTEGERS),
        *((d, "special:1") for d in [*INTEGERS, "complex64", "complex128"]),
        *((d, "wrap:1") for d in [*FLOATS, "complex64", "complex128"]),
    ],
)
def test_a_rule_that_cannot_fill_a_dtype_gives_ones(dtype: str, data: str) -> None:
    assert (arrays(line(dtype, data)).operands["input"] == 1).all()


RULES = ("ones", "ramp", "integers:1", "reals:1", "special:1", "wrap:1")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("data", RULES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_have_their_operands_shape_and_dtype(dtype: str, data: str, layout: str) -> None:
    operand = Operand((2, 3, 4), dtype, layout)
    array = arrays(Case("conv1d", {"input": operand}, data=data)).operands["input"]
    assert array.shape == operand.shape
    assert array.dtype.newbyteorder("=") == np.dtype(dtype)
    assert type(array) is np.ndarray


@pytest.mark.parametrize("value", [None, 1.5, "ones", [[1.0]]])
def test_what_is_no_operand_passes_as_it_is(value: Any) -> None:
    assert arrays(Case("conv1d", {"input": value})).operands["input"] is value


SHAPES = [(), (0,), (1,), (5,), (2, 3), (2, 3, 4), (2, 0, 4), (1, 1, 1, 1), (2, 3, 4, 5, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_holds_the_same_values(layout: str, shape: tuple[int, ...]) -> None:
    plain = np.arange(prod(shape), dtype=np.float32).reshape(shape)
    array = laid_out(plain.copy(), layout)
    rows = plain[:1] if layout == "broadcast" and shape else plain
    assert array.shape == shape
    assert np.array_equal(array, np.broadcast_to(rows, shape))


IS_OF: dict[str, Callable[[Any], bool]] = {
    "contiguous": lambda a: a.flags.c_contiguous,
    "fortran": lambda a: a.flags.f_contiguous and not a.flags.c_contiguous,
    "channels_last": lambda a: (
        np.moveaxis(a, 1, -1).flags.c_contiguous and a.strides[1] == a.itemsize
    ),
    "reversed": lambda a: all(s < 0 for s in a.strides),
    "strided": lambda a: a.strides[-1] == 2 * a.itemsize and not a.flags.forc,
    "broadcast": lambda a: a.strides[0] == 0,
    "readonly": lambda a: not a.flags.writeable and a.flags.c_contiguous,
    "swapped": lambda a: not a.dtype.isnative and a.flags.c_contiguous,
    "unaligned": lambda a: not a.flags.aligned and a.flags.c_contiguous,
}


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 2)], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_really_is_of_its_layout(layout: str, shape: tuple[int, ...]) -> None:
    assert IS_OF[layout](laid_out(np.ones(shape, np.float32), layout))


def test_what_a_strided_view_skips_is_not_zero() -> None:
    view = laid_out(np.zeros((2, 3), np.float32), "strided")
    assert sorted(set(view.base.ravel())) == [0, 77]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_does_not_change_the_data(layout: str) -> None:
    plain = parse("conv1d((2, 1, 3), (1, 1, 2), data='integers:5')")
    laid = parse(f"conv1d(float32(2, 1, 3, layout={layout!r}), (1, 1, 2), data='integers:5')")
    first, other = arrays(plain).operands, arrays(laid).operands
    assert np.array_equal(first["input"][0], other["input"][0])
    assert np.array_equal(first["weight"], other["weight"])
    assert laid.rule == "integers"
