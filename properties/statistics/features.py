"""How often each two features of a case met among the cases drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product

import numpy as np

from ..cases.case import DTYPES, Case, Operand
from ..cases.edit import plain
from ..cases.layouts import WORDS, words
from ..cases.operation import OPS, PADDING_MODES, per_axis, rank
from ..cases.rules import RULES
from ..cases.sequence import CaseSequence
from ..generation.geometry import read
from ..generation.neighbours import COUNTS, STEPS
from ..generation.sequences import VARIATIONS
from ..generation.valid import tall_quantities

Feature = tuple[str, str]  # what it is of, and which

FAMILIES = tuple(dict.fromkeys(op.family for op in OPS.values()))
LAID_OUT = {
    "input": tuple(WORDS),
    "weight": (*WORDS, "of"),
    "bias": (*WORDS, "of"),
    "grad_output": (*WORDS, "of"),
}
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
    "tall": (*COUNTS, *STEPS, "padding"),
    "dtype": DTYPES,
    **{f"{name}-layout": words for name, words in LAID_OUT.items()},
    "data": tuple(RULES),
    "call": ("by name", "by position", "sizes"),
    "argument": ("list", "Size", "NumPy", "Int"),
    "sequence": tuple(VARIATIONS),
}
IN_SEQUENCES = ("op", "axes", "batch", "groups", "padding", "dtype", "data")  # that vary with them


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
    yield from _said(case)
    for name, operand in case.operands.items():
        if isinstance(operand, Operand):
            yield from ((f"{name}-layout", word) for word in words(operand.layout))
    yield from (("grad_output-layout", word) for word in words(case.grad_output))
    yield from _steps(given, op.axes)
    if "weight" in case.operands:
        yield from _of_kernels(case, int(given["groups"]))
    elif not any(k % 2 for k in per_axis(given["kernel_size"], op.axes)):
        yield "kernel", "even"
    if geometry := read(case):
        yield from (("tall", name) for name in tall_quantities(geometry))


def _said(case: Case) -> Iterator[Feature]:
    """The form of the call, and the types of its arguments."""
    if case.positional is not None:
        yield "call", "by position" if case.positional else "by name"
    if case.sizes != "tuple":
        yield "call", "sizes"
    for value in case.arguments.values():
        for part in (value, *(value if isinstance(value, (tuple, list)) else ())):
            kind = "NumPy" if isinstance(part, np.integer) else type(part).__name__
            if kind in FEATURES["argument"]:
                yield "argument", kind


def features_of_sequence(sequence: CaseSequence) -> Iterator[Feature]:
    """In what its cases differ from the first, and what that has of `IN_SEQUENCES`."""
    first, *others = sequence.cases
    yield from (feature for feature in features(first) if feature[0] in IN_SEQUENCES)
    for other in others:
        yield from (("sequence", kind) for kind in _differences(first, other))


def _differences(first: Case, other: Case) -> Iterator[str]:
    if other.blame:
        yield "rejected"
        return
    given, changed = plain(first), plain(other)
    layouts = [[v.layout for v in c.operands.values()] for c in (first, other)]
    yield from (
        k for k in ("stride", "dilation", "padding", "groups") if given.get(k) != changed.get(k)
    )
    if first.data != other.data:
        yield "data"
    if first.dtype != other.dtype:
        yield "dtype"
    if ("bias" in first.operands) != ("bias" in other.operands):
        yield "bias"
    elif layouts[0] != layouts[1] or first.grad_output != other.grad_output:
        yield "layout"
    if first.shapes["input"] != other.shapes["input"]:
        yield "size"


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


def pairs(source: Case | CaseSequence) -> set[str]:
    """Every two features of `source` that are not of the same thing, by name.

    Of a sequence only those with a difference count: a first case is no more than a case.
    """
    in_order = isinstance(source, CaseSequence)
    every = features_of_sequence(source) if isinstance(source, CaseSequence) else features(source)
    found = sorted((f"{of} {which}", of) for of, which in {*every})
    return {
        f"{a} × {b}"
        for (a, of), (b, other) in combinations(found, 2)
        if of != other and (not in_order or "sequence" in (of, other))
    }


def two_features(pair: str) -> dict[str, str]:
    """The features of a pair: what each is of, and which."""
    return dict(name.split(" ", 1) for name in pair.split(" × "))


def _pair(*names: str) -> str:
    return " × ".join(sorted(names))


Asked = Mapping[str, Sequence[str]]  # what is left of some of `FEATURES`, by their names


def possible(asked: Asked | None = None) -> list[str]:
    """Every pair that some valid case has, of what is asked for."""
    found = []
    left = {
        of: [v for v in vs if v in (asked or FEATURES).get(of, vs)] for of, vs in FEATURES.items()
    }
    for (of, values), (other, others) in combinations(sorted(left.items()), 2):
        for a, b in product(values, others):
            if not excluded({of: a, other: b}):
                found.append(_pair(f"{of} {a}", f"{other} {b}"))
    return found


LAYERS = ("Conv", "ConvTranspose")
WINDOWS = ("fold", "unfold")


def excluded(pair: dict[str, str]) -> bool:
    """Whether no valid case, and no sequence, can have both features."""
    if "sequence" in pair:
        return _never_varies(pair)
    op, padding, output = pair.get("op"), pair.get("padding"), pair.get("output")
    kind = np.dtype(pair["dtype"]).kind if "dtype" in pair else None
    rule = pair.get("data")
    worded = padding in WORDED
    transposed = op in ("conv_transpose", "ConvTranspose")
    return any(
        (
            op in WINDOWS and (pair.keys() & OF_KERNELS or pair.get("axes", "2") != "2"),
            op in (*LAYERS, *WINDOWS) and (kind in ("i", "u") or rule == "wrap"),
            op is not None and "mode" in pair and op != "Conv",
            op is not None and output and not transposed,
            output == "size" and op == "conv_transpose",
            op is not None and worded and op not in ("conv", "Conv"),
            output and ("mode" in pair or worded),
            padding == "same" and "stride" in pair,
            "mode" in pair and (kind in ("i", "u") or rule == "wrap"),
            output == "size" and (kind in ("i", "u") or rule == "wrap"),
            output == "size" and pair.get("argument") == "NumPy",
            kind is not None and rule is not None and kind not in RULES[rule].kinds,
            "tall" in pair and _never_tall(pair),
        )
    )


WORDED = ("same", "valid")
OF_KERNELS = {"groups", "bias", "weight-layout", "bias-layout"}


def _never_tall(pair: dict[str, str]) -> bool:
    """Whether the quantity is small wherever the other feature is."""
    tall, padding, groups = pair["tall"], pair.get("padding"), pair.get("groups")
    return any(
        (
            pair.get("op") in WINDOWS and tall in ("groups", "filters"),
            tall == "batch" and pair.get("batch", "many") != "many",
            tall == "groups" and groups == "one",
            tall == "channels" and groups == "depthwise",
            tall == "stride" and padding == "same",
            tall == "padding" and padding in ("0", *WORDED),
        )
    )


def _never_varies(pair: dict[str, str]) -> bool:
    """Whether no sequence whose first case has the one feature differs in the other."""
    kind, op, padding = pair["sequence"], pair.get("op"), pair.get("padding")
    step = kind in ("stride", "dilation", "padding")
    return any(
        (
            not pair.keys() & {*IN_SEQUENCES},
            op in WINDOWS and kind in ("groups", "bias", "padding"),
            op == "fold" and step,
            step and padding in WORDED,
        )
    )


def table(met: Counter[str]) -> Iterator[str]:
    """Each row one feature, each column another; what has many features is in rows only."""
    names = [f"{of} {w}" for of, ws in FEATURES.items() if of not in _WIDE for w in ws]
    wide = [f"{of} {w}" for of in _WIDE for w in FEATURES[of]]
    for i, row in enumerate(names + wide):
        cells = [met[_pair(row, column)] for column in names[:i]]
        yield f"{i:>2} {row:<26}" + "".join(f"{_short(n):>5}" for n in cells)
    yield " " * 29 + "".join(f"{i:>5}" for i in range(len(names)))


_WIDE = ("dtype", *(f"{name}-layout" for name in LAID_OUT), "sequence")


def _short(n: int) -> str:
    return "." if n == 0 else str(n) if n < 1000 else f"{n / 1000:.0f}k"
