"""How often each two features of a case met among the cases drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations, product

import numpy as np

from ..cases.case import DTYPES, Case, Operand
from ..cases.layouts import WORDS, words
from ..cases.operation import OPS, PADDING_MODES, per_axis, rank
from ..cases.rules import RULES

Feature = tuple[str, str]  # what it is of, and which

FAMILIES = tuple(dict.fromkeys(op.family for op in OPS.values()))
FEATURES: dict[str, tuple[str, ...]] = {
    "op": FAMILIES,
    "axes": ("1", "2", "3"),
    "batch": ("1", "many", "empty", "none"),
    "groups": ("one", "many", "depthwise"),
    "bias": ("with",),
    "stride": (">1",),
    "dilation": (">1",),
    "padding": ("0", ">0", "same", "valid"),
    "kernel": ("even",),
    "output": ("padding", "size"),
    "mode": PADDING_MODES[1:],
    "dtype": DTYPES,
    "layout": (*WORDS, "of"),
    "data": tuple(RULES),
    "form": ("by name", "by position", "sizes"),
}


def features(case: Case) -> Iterator[Feature]:
    """What `case` has of `FEATURES`."""
    op = OPS[case.op]
    given = {**op.arguments, **case.arguments}
    shape = case.operands["input"].shape
    batched = len(shape) == rank(op, "input")
    yield "op", op.family
    yield "axes", str(op.axes)
    yield "batch", {0: "empty", 1: "1"}.get(shape[0], "many") if batched else "none"
    yield "dtype", case.dtype
    yield "data", case.rule
    for operand in case.operands.values():
        if isinstance(operand, Operand):
            yield from (("layout", word) for word in words(operand.layout))
    if case.positional is not None:
        yield "form", "by position" if case.positional else "by name"
    if case.sizes != "tuple":
        yield "form", "sizes"
    yield from _steps(given, op.axes)
    if "weight" in case.operands:
        yield from _of_kernels(case, int(given["groups"]))
    elif not any(k % 2 for k in per_axis(given["kernel_size"], op.axes)):
        yield "kernel", "even"


def _steps(given: dict[str, object], axes: int) -> Iterator[Feature]:
    for name in ("stride", "dilation"):
        if max(per_axis(given[name], axes)) > 1:
            yield name, ">1"
    padding = given["padding"]
    plain = isinstance(padding, str)
    yield "padding", str(padding) if plain else ">0" if max(per_axis(padding, axes)) else "0"
    if given.get("padding_mode", "zeros") != "zeros":
        yield "mode", str(given["padding_mode"])
    if given.get("output_size") and "output_padding" in given:
        yield "output", "size"
    elif max(per_axis(given.get("output_padding", 0), axes)):
        yield "output", "padding"


def _of_kernels(case: Case, groups: int) -> Iterator[Feature]:
    weight, bias = case.operands["weight"].shape, case.operands.get("bias")
    inner = weight[0] // groups if OPS[case.op].is_transposed else weight[1]
    yield "groups", "one" if groups == 1 else "depthwise" if inner == 1 else "many"
    if bias is not None:
        yield "bias", "with"
    if not any(k % 2 for k in weight[2:]):
        yield "kernel", "even"


def pairs(case: Case) -> set[str]:
    """Every two features of `case` that are not of the same thing, by name."""
    found = sorted({f"{of} {which}" for of, which in features(case)})
    return {f"{a} × {b}" for a, b in combinations(found, 2) if a.split(" ")[0] != b.split(" ")[0]}


def possible() -> list[str]:
    """Every pair that some valid case has."""
    found = []
    for (of, values), (other, others) in combinations(sorted(FEATURES.items()), 2):
        for a, b in product(values, others):
            if not excluded({of: a, other: b}):
                found.append(" × ".join(sorted((f"{of} {a}", f"{other} {b}"))))
    return found


LAYERS = ("Conv", "ConvTranspose")
WINDOWS = ("fold", "unfold")


def excluded(pair: dict[str, str]) -> bool:
    """Whether no valid case can have both features."""
    op, padding, output = pair.get("op"), pair.get("padding"), pair.get("output")
    kind = np.dtype(pair["dtype"]).kind if "dtype" in pair else None
    rule = pair.get("data")
    worded = padding in ("same", "valid")
    transposed = op in ("conv_transpose", "ConvTranspose")
    return any(
        (
            op in WINDOWS and (pair.keys() & {"groups", "bias"} or pair.get("axes", "2") != "2"),
            op in (*LAYERS, *WINDOWS) and (kind in ("i", "u") or rule == "wrap"),
            op is not None and "mode" in pair and op != "Conv",
            op is not None and output and not transposed,
            output == "size" and op == "conv_transpose",
            op is not None and worded and op not in ("conv", "Conv"),
            output and ("mode" in pair or worded),
            padding == "same" and "stride" in pair,
            "mode" in pair and (kind in ("i", "u") or rule == "wrap"),
            output == "size" and (kind in ("i", "u") or rule == "wrap"),
            kind is not None and rule is not None and kind not in RULES[rule].kinds,
            op in WINDOWS and pair.get("form") == "sizes",
            op in WINDOWS and pair.get("layout") == "of",
        )
    )


def table(met: Counter[str]) -> Iterator[str]:
    """Each row one feature, each column another; dtypes and layouts are rows only."""
    names = [f"{of} {w}" for of, ws in FEATURES.items() if of not in _WIDE for w in ws]
    wide = [f"{of} {w}" for of in _WIDE for w in FEATURES[of]]
    for i, row in enumerate(names + wide):
        cells = [met[" × ".join(sorted((row, column)))] for column in names[:i]]
        yield f"{i:>2} {row:<20}" + "".join(f"{_short(n):>5}" for n in cells)
    yield " " * 23 + "".join(f"{i:>5}" for i in range(len(names)))


_WIDE = ("dtype", "layout")


def _short(n: int) -> str:
    return "." if n == 0 else str(n) if n < 1000 else f"{n / 1000:.0f}k"
