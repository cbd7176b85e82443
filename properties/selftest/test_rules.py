"""The data rules: their bits, that exact ones are exact, and that each shows what it claims to."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import engine
import oracle
from properties.cases.case import DTYPES
from properties.cases.data import BITS, arrays, escape, widest
from properties.cases.line import parse
from properties.cases.rules import RULES
from properties.comparison.compare import compare
from properties.comparison.engine import Engine
from properties.comparison.mismatch import Mismatch, Status

TORCH = Engine("torch", oracle)
SEEDS = range(6)
INEXACT = ("float16", "float32", "float64", "complex64", "complex128")
EXACT = [name for name, rule in RULES.items() if rule.exact]


def written(rule: str, seed: int = 0) -> str:
    return f"{rule}:{seed}" if RULES[rule].seeded else rule


def filled(text: str, rule: str, seed: int) -> dict[str, Any]:
    """The operands of a line, and the gradient of its output."""
    case = parse(f"{text[:-1]}, data={written(rule, seed)!r})")
    found = arrays(case)
    assert case.output_shape is not None
    return {**found.operands, "grad_output": found.grad_output(case.output_shape)}


# ---- The same bits for ever ----


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("sparse", "18499e53e5e8bbc2"),
        ("constant", "cf0f7982dc643983"),
        ("symmetric", "e09fb9778dd25a22"),
        ("onehot", "174c842536957239"),
        ("extreme", "9a5a008d8394bb20"),
        ("cancelling", "c943b3f364fc1e4f"),
        ("lopsided", "005b0f9ea41171b7"),
    ],
)
def test_a_rule_means_the_same_bits_for_ever(rule: str, expected: str) -> None:
    several = "".join(digest(rule, seed) for seed in range(4))
    assert sha256(several.encode()).hexdigest()[:16] == expected


def digest(rule: str, seed: int) -> str:
    """Of every dtype that the rule fills: a function, a transposed one and a layer."""
    lines = (
        "conv2d({0}(2, 4, 5, 4), {0}(6, 2, 3, 3), bias={0}(6), groups=2, padding=1)",
        "conv_transpose1d({0}(3, 5), {0}(3, 2, 4), stride=2)",
    )
    dtypes = [d for d in DTYPES if RULES[rule].fills(d)]
    texts = [line.format(dtype) for line in lines for dtype in dtypes]
    values = [a for text in texts for a in filled(text, rule, seed).values()]
    return sha256(b"".join(v.tobytes() for v in values)).hexdigest()[:16]


# ---- Exact in any order ----

LINES = (
    "conv1d({0}(1, 1, 5), {0}(1, 1, 2), bias={0}(1))",
    "conv1d({0}(2, 3, 9), {0}(4, 3, 3), bias={0}(4))",
    "conv1d({0}(1, 64, 12), {0}(3, 64, 9), bias={0}(3))",
    "conv1d({0}(2, 2, 900), {0}(2, 2, 1), bias={0}(2))",
    "conv1d({0}(1, 1200, 9), {0}(2, 1200, 8), bias={0}(2))",  # 9600 terms
)


def as_sums(given: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Every result of a plain conv1d as a matrix product: sums over the axis between."""
    x, w, b, gy = given.values()
    n, filters, taps = x.shape[0], w.shape[0], w.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(x, taps, 2)  # (N, C, Y, K)
    a = windows.transpose(0, 2, 1, 3).reshape(-1, w.shape[1] * taps)  # (N·Y, C·K)
    ends = np.ones((len(a), 1), x.dtype)
    yield np.hstack([a, ends]), np.vstack([w.reshape(filters, -1).T, b[None]])
    back = gy.transpose(1, 0, 2).reshape(filters, -1)  # (O, N·Y)
    yield back, np.hstack([a, ends])
    room = np.pad(gy, ((0, 0), (0, 0), (taps - 1, taps - 1)))
    covers = np.lib.stride_tricks.sliding_window_view(room, taps, 2)[..., ::-1]
    g = covers.transpose(0, 2, 1, 3).reshape(n * x.shape[2], -1)  # (N·X, O·K)
    yield g, w.transpose(0, 2, 1).reshape(-1, w.shape[1])


def in_two_orders(a: Any, b: Any, accumulator: str) -> tuple[Any, Any]:
    """The products summed one by one in a random order, and the largest first."""
    a, b = a[:20].astype(accumulator), b[:, :6].astype(accumulator)
    orders = np.random.default_rng(0).permutation(len(b)), np.argsort(-np.abs(b).max(1))
    products = [a[:, order, None] * b[None, order] for order in orders]
    sums = [np.add.accumulate(p, axis=1)[:, -1] for p in products]  # one by one, in the dtype
    return sums[0], sums[1]


def all_sums(text: str, rule: str, seed: int) -> list[tuple[Any, Any]]:
    """Every result in two orders, each summed in the dtype's accumulator."""
    given = filled(text, rule, seed)
    dtype = given["input"].dtype.name
    accumulator = "float32" if dtype == "float16" else dtype
    return [in_two_orders(a, b, accumulator) for a, b in as_sums(given)]


def all_scales(text: str, rule: str, seed: int) -> list[float]:
    """The largest sum of absolute values of every result."""
    given = filled(text, rule, seed)
    return [float((np.abs(a.astype(complex)) @ np.abs(b)).max()) for a, b in as_sums(given)]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", EXACT)
def test_an_exact_rule_gives_one_value_in_any_order(rule: str, dtype: str, line: str) -> None:
    sums = [pair for seed in (0, 1) for pair in all_sums(line.format(dtype), rule, seed)]
    assert all(np.array_equal(one, other) for one, other in sums)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("dtype", INEXACT)
@pytest.mark.parametrize("rule", [r for r in EXACT if r != "wrap"])
def test_no_sum_of_an_exact_rule_can_round_or_overflow(rule: str, dtype: str, line: str) -> None:
    scales = [s for seed in SEEDS for s in all_scales(line.format(dtype), rule, seed)]
    limit = 65504 if dtype == "float16" else 2.0 ** BITS[dtype] - 1
    assert max(scales) <= limit


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", EXACT)
def test_an_exact_rule_has_only_integers(rule: str, dtype: str) -> None:
    given = filled(LINES[1].format(dtype), rule, 5)
    parts = [part for v in given.values() for part in (v.real, v.imag)]
    assert all((part == np.floor(part)).all() for part in parts)


@pytest.mark.parametrize(
    ("dtype", "rule"),
    [(d, r) for d in ("float32", "float64") for r in EXACT if RULES[r].fills(d)],
)
@pytest.mark.parametrize(
    "text",
    [
        "conv_transpose2d({0}(2, 6, 3, 4), {0}(6, 2, 3, 2), bias={0}(4), stride=2, groups=2)",
        "Conv2d({0}(2, 4, 6, 5), {0}(2, 4, 3, 3), padding=2, padding_mode='circular')",
        "Conv1d({0}(4, 9), {0}(2, 4, 3), bias={0}(2), padding=4, padding_mode='replicate')",
        "conv3d({0}(4, 3, 3, 3), {0}(4, 1, 2, 2, 2), groups=4, padding=1)",
        "fold({0}(2, 12, 9), output_size=4, kernel_size=2)",
        "unfold({0}(2, 3, 4, 4), kernel_size=2, padding=1)",
    ],
)
def test_torch_and_the_engine_agree_exactly(text: str, rule: str, dtype: str) -> None:
    lines = [f"{text.format(dtype)[:-1]}, data={written(rule, s)!r})" for s in SEEDS]
    verdicts = [compare(parse(line), Engine("engine", engine), TORCH) for line in lines]
    assert {v.status for v in verdicts} == {Status.AGREED}
    assert max(r for v in verdicts for r in v.ratios.values()) == 0


@pytest.mark.parametrize("k", [1, 100, 9600, 40000])
@pytest.mark.parametrize(
    ("dtype", "least"), [("float32", 20), ("float64", 49), ("complex64", 18), ("float16", 11)]
)
def test_lopsided_keeps_its_bits_at_any_number_of_terms(dtype: str, least: int, k: int) -> None:
    given = [
        filled(f"conv1d({dtype}(1, 1, {k + 2}), {dtype}(2, 1, {k}))", "lopsided", s) for s in SEEDS
    ]
    wide = [max(np.abs(given[s][name].real).max() for name in ("input", "weight")) for s in SEEDS]
    assert max(wide) >= 2 ** (least - 1)
    assert max(wide) <= 2**least


# ---- What each rule is ----


def several(rule: str, text: str = "conv2d((3, 4, 8, 8), (6, 4, 3, 3), bias=(6,))") -> list[Any]:
    return [filled(text, rule, seed) for seed in range(60)]


def test_sparse_has_zero_channels_and_is_never_all_zero() -> None:
    inputs = [given["input"] for given in several("sparse")]
    assert any((~x.any((0, 2, 3))).any() and x.any((0, 2, 3)).sum() > 1 for x in inputs)
    assert all(v.any() for given in several("sparse") for v in given.values())
    assert min((x != 0).mean() for x in inputs) < 0.1


def test_constant_has_one_value_in_all_or_in_each_row_and_reaches_the_range() -> None:
    inputs = [given["input"] for given in several("constant")]
    kinds = {tuple(len(np.unique(x.take(0, axis))) == 1 for axis in (0, 1)) for x in inputs}
    assert kinds == {(True, True), (True, False), (False, True)}
    assert max(x.max() for x in inputs) == widest(parse("conv2d((3, 4, 8, 8), (6, 4, 3, 3))"))


SYMMETRIES: dict[str, Callable[[Any], Any]] = {
    "a palindrome": lambda w: w[..., ::-1],
    "its opposite": lambda w: -w[..., ::-1],
    "its transpose": lambda w: w.swapaxes(2, 3),
    "a palindrome over channels": lambda w: w[:, ::-1],
    "repeated filters": lambda w: w[[0, 0, 2, 2, 4, 4]],
}


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_symmetric_has_each_symmetry_and_not_always(symmetry: str) -> None:
    change = SYMMETRIES[symmetry]
    alike = [np.array_equal(g["weight"], change(g["weight"])) for g in several("symmetric")]
    assert 1 < sum(alike) < 50


NAMES = ("input", "weight", "grad_output")


def test_onehot_is_one_nonzero_in_one_operand_or_in_all() -> None:
    given = several("onehot")
    hot = {frozenset(k for k in NAMES if (g[k] != 0).sum() <= len(g[k])) for g in given}
    assert hot == {*(frozenset([name]) for name in NAMES), frozenset(NAMES)}


def test_cancelling_leaves_nothing_but_the_bias() -> None:
    line = "conv2d((1, 4, 6, 6), (2, 4, 2, 2), bias=(2,), data='cancelling:{}')"
    results = [TORCH.results(c, arrays(c).operands)["output"] for c in cases_of(line)]
    assert sum(np.abs(y).max() <= 1 for y in results) > len(results) / 3


def cases_of(line: str) -> list[Any]:
    return [parse(line.format(seed)) for seed in range(60)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_extreme_sums_never_overflow_and_reach_both_ends(dtype: str) -> None:
    text = f"conv2d({dtype}(3, 4, 8, 8), {dtype}(6, 4, 3, 3), bias={dtype}(6))"
    given, limits = several("extreme", text), np.finfo(dtype)
    results = [engine.conv2d(g["input"], g["weight"], g["bias"]) for g in given]
    assert all(np.isfinite(y).all() for y in results)
    assert max(np.abs(y).max() for y in results) > limits.max / 2**12
    assert min(np.abs(y).max() for y in results) < limits.tiny * 2**9
    assert any((np.abs(g["weight"].real) < limits.tiny).mean() > 0.3 for g in given)


@pytest.mark.parametrize("k", [1, 30, 900])
def test_extreme_sums_of_float16_lie_on_both_sides_of_its_largest_number(k: int) -> None:
    text = f"conv1d(float16(4, 1, {k + 9}), float16(4, 1, {k}))"
    given = several("extreme", text)
    results = [engine.conv1d(g["input"], g["weight"]) for g in given]
    beyond = [float(np.isinf(y).mean()) for y in results]
    assert all(np.isfinite(g["input"]).all() and np.isfinite(g["weight"]).all() for g in given)
    assert 0 < max(beyond) < 1
    assert not any(np.isnan(y).any() for y in results)


def test_unsigned_integers_have_half_as_many_values() -> None:
    signed, unsigned = (parse(f"conv1d({d}(1, 1, 3), {d}(1, 1, 2))") for d in ("int8", "uint8"))
    assert escape(signed) == 2 / (2 * widest(signed) + 1)
    assert escape(unsigned) == 2 / (widest(unsigned) + 1)


# ---- What each rule shows that uniform data do not ----


def wrong(fault: Callable[[Any, Any, Any], Any]) -> Engine:
    def conv2d(input: Any, weight: Any, bias: Any = None, **options: Any) -> Any:
        return fault(engine.conv2d(input, weight, bias, **options), input, weight)

    return Engine("wrong", SimpleNamespace(conv2d=conv2d))


def rounded(a: Any, bits: int) -> Any:
    """`a` with so many bits of significand."""
    significand, exponent = np.frexp(a)
    return np.ldexp(np.rint(np.ldexp(significand, bits)), exponent - bits).astype(a.dtype)


def through_tf32(y: Any, x: Any, w: Any) -> Any:
    return engine.conv2d(rounded(x, 11), rounded(w, 11))


def without_subnormals(y: Any, x: Any, w: Any) -> Any:
    return np.where(np.abs(y) < np.finfo(y.dtype).tiny, 0, y).astype(y.dtype)


def without_small_ones(y: Any, x: Any, w: Any) -> Any:
    scale = np.abs(x).max(initial=0) * np.abs(w).max(initial=0)
    return np.where(np.abs(y) < 5e-6 * scale, 0, y).astype(y.dtype)


def short_for_palindromes(y: Any, x: Any, w: Any) -> Any:
    return y + 1 if w.shape[-1] > 2 and np.array_equal(w, w[..., ::-1]) else y


def short_for_empty_channels(y: Any, x: Any, w: Any) -> Any:
    return y + 1 if x.shape[1] > 1 and not x.any((0, 2, 3)).all() else y


def saturated(y: Any, x: Any, w: Any) -> Any:
    return np.clip(y, -(2**23), 2**23)


def short_for_moves(y: Any, x: Any, w: Any) -> Any:
    return y + 1 if w[0].size > 4 and np.count_nonzero(w[0]) == 1 else y


SHOWS: dict[str, tuple[Callable[[Any, Any, Any], Any], str]] = {
    "sparse": (short_for_empty_channels, "conv2d((2, 6, 5, 5), (2, 6, 3, 3), data='{}:{}')"),
    "constant": (saturated, "conv2d((2, 6, 5, 5), (2, 6, 3, 3), data='{}:{}')"),
    "symmetric": (short_for_palindromes, "conv2d((2, 2, 5, 5), (2, 2, 3, 3), data='{}:{}')"),
    "onehot": (short_for_moves, "conv2d((2, 2, 5, 5), (2, 2, 3, 3), data='{}:{}')"),
    "extreme": (without_subnormals, "conv2d((2, 2, 5, 5), (2, 2, 3, 3), data='{}:{}')"),
    "cancelling": (
        without_small_ones,
        "conv2d((2, 4, 5, 5), (2, 4, 2, 2), bias=(2,), data='{}:{}')",
    ),
    "lopsided": (through_tf32, "conv2d((1, 256, 3, 3), (4, 256, 3, 3), data='{}:{}')"),
}


def share_caught(rule: str, fault: Callable[[Any, Any, Any], Any], line: str) -> float:
    return float(np.mean([fails(line.format(rule, s), wrong(fault)) for s in range(60)]))


def fails(line: str, engine: Engine) -> bool:
    try:
        compare(parse(line), engine, TORCH, repeat=False)
    except Mismatch:
        return True
    return False


@pytest.mark.parametrize("rule", SHOWS)
def test_a_rule_shows_what_uniform_data_do_not(rule: str) -> None:
    fault, line = SHOWS[rule]
    before = max(share_caught(uniform, fault, line) for uniform in ("integers", "reals"))
    assert before <= 0.03
    assert share_caught(rule, fault, line) >= 0.12
