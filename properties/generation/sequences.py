"""Sequences of cases that differ in one respect each: what an engine may keep between calls.

A sequence begins with a valid case and ends with the same again, perhaps on other data. Between
stand variations of it, one of which may be a call that must be rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..cases.case import DTYPES, Case, Operand
from ..cases.edit import plain, reshaped, with_arguments, with_operand, without_operand
from ..cases.operation import OPS, rank
from ..cases.sequence import CaseSequence
from .appearance import draw_layout
from .budget import Choose, pick
from .invalid import outputs, spoil
from .sampling import choosing
from .valid import build, takers, weighted

MOST = 3  # variations between the first case and the last

Vary = Callable[[Choose, Case], Case]


def build_sequence(
    choose: Choose, ops: Sequence[str], menu: Sequence[str], dtypes: Sequence[str]
) -> CaseSequence:
    """A sequence that begins with a valid case of one of `ops`; `menu` weighs the `dtypes`."""
    first = build(choose, ops, menu)
    kinds = variations(dtypes)
    varied = [pick(choose, kinds)(choose, first) for _ in range(choose(MOST + 1))]
    last = pick(choose, (other_data, same))(choose, first)
    return CaseSequence((first, *varied, last))


def sequences(
    seed: int, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> Iterator[CaseSequence]:
    """Endless sequences from a plain random generator."""
    return _endless(build_sequence, seed, ops, dtypes)


def build_at_once(
    choose: Choose, ops: Sequence[str], menu: Sequence[str], dtypes: Sequence[str]
) -> CaseSequence:
    """A valid case, and at the same time the same on other data, or on another input with the same
    weights, so of one layer, or a variation of it, most often of its steps or its size."""
    first = build(choose, ops, menu)
    varied, stepped = pick(choose, variations(dtypes)), pick(choose, STEPS)
    vary = pick(choose, (other_data, other_input, varied, stepped, stepped))
    return CaseSequence((first, vary(choose, first)), at_once=True)


def at_once(
    seed: int, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> Iterator[CaseSequence]:
    """Endless pairs of cases that run at once, from a plain random generator."""
    return _endless(build_at_once, seed, ops, dtypes)


def _endless(
    make: Callable[..., CaseSequence], seed: int, ops: Sequence[str], dtypes: Sequence[str]
) -> Iterator[CaseSequence]:
    choose, menu = choosing(seed), weighted(dtypes)
    ops = takers(ops, menu)
    while ops:
        yield make(choose, ops, menu, dtypes)


def same(choose: Choose, case: Case) -> Case:
    return case


def other_data(choose: Choose, case: Case) -> Case:
    """Other weights, input and bias, written into the same arrays."""
    rule = case.rule if ":" in case.data else "wrap" if case.dtype.startswith("u") else "integers"
    return replace(case, data=f"{rule}:{case.seed + 1 + choose(8)}")


def other_input(choose: Choose, case: Case) -> Case:
    """Another input for the same weights: rows of it are repeated."""
    x = case.operands["input"]
    tall = [axis for axis, n in enumerate(x.shape) if n > 1] or [0]
    return with_operand(case, "input", replace(x, layout=f"repeat:{pick(choose, tall)}"))


def _more(name: str, least: int) -> Vary:
    """More of an argument per axis, over the same operands, where the op has it as integers."""

    def more(choose: Choose, case: Case) -> Case:
        op, given = OPS[case.op], plain(case)
        is_copied = given.get("padding_mode", "zeros") != "zeros"  # then the border may not grow
        if isinstance(given["padding"], str) or op.family == "fold":
            return other_data(choose, case)
        if name == "padding" and (is_copied or op.family == "unfold"):
            return other_data(choose, case)
        values = tuple(v + least + choose(2) for v in given[name])
        return _valid(with_arguments(_settled(case), **{name: values}), case)

    return more


def other_layout(choose: Choose, case: Case) -> Case:
    """The same shapes, with other steps in memory: of one operand, or of the output's gradient."""
    name = pick(choose, [*case.shapes, "grad_output"])
    if name == "grad_output":
        return replace(case, grad_output=draw_layout(choose, case.output_shape or ()))
    operand = case.operands[name]
    return with_operand(case, name, replace(operand, layout=draw_layout(choose, operand.shape)))


def other_groups(choose: Choose, case: Case) -> Case:
    """The same weights for other groups: of more channels, or into more results."""
    op, weight = OPS[case.op], case.shapes.get("weight")
    if weight is None or not weight[0]:
        return other_data(choose, case)
    groups = pick(choose, [n for n in range(1, weight[0] + 1) if weight[0] % n == 0])
    changed = with_arguments(_settled(case), groups=groups)
    if op.is_transposed:
        if "bias" in case.operands:
            changed = reshaped(changed, "bias", (weight[1] * groups,))
        return _valid(changed, case)
    x = case.shapes["input"]
    at = len(x) - op.axes - 1
    return _valid(reshaped(changed, "input", (*x[:at], weight[1] * groups, *x[at + 1 :])), case)


def other_bias(choose: Choose, case: Case) -> Case:
    """With a bias, or without the one that is there."""
    if "weight" not in case.operands:
        return other_data(choose, case)
    if "bias" in case.operands:
        return without_operand(case, "bias")
    return with_operand(case, "bias", Operand((outputs(case),), case.dtype))


def other_size(choose: Choose, case: Case) -> Case:
    """A larger input for the same kernels; or a larger batch."""
    op, x = OPS[case.op], case.shapes["input"]
    is_batched = len(x) == rank(op, "input")
    if op.family == "fold" or (is_batched and choose(2)):
        return (
            reshaped(case, "input", (x[0] + 1, *x[1:])) if is_batched else other_data(choose, case)
        )
    more = 1 + choose(2)
    return _valid(
        reshaped(_settled(case), "input", (*x[: -op.axes], *[n + more for n in x[-op.axes :]])),
        case,
    )


def other_dtype(choose: Choose, case: Case) -> Case:
    """The same call in another dtype, on integers that both hold."""
    kinds = OPS[case.op].kinds
    others = [d for d in DTYPES if np.dtype(d).kind in kinds and d != case.dtype]
    dtype = pick(choose, others)
    operands = {
        name: replace(value, dtype=dtype) if isinstance(value, Operand) else value
        for name, value in case.operands.items()
    }
    return replace(case, operands=operands, data=f"integers:{case.seed}")


def rejected(choose: Choose, case: Case) -> Case:
    """A call that must be rejected."""
    return spoil(choose, case)


def _settled(case: Case) -> Case:
    """With an output padding in place of an output size, which would not follow a change."""
    if not case.arguments.get("output_size") or not OPS[case.op].is_transposed:
        return case
    return with_arguments(case, output_padding=plain(case)["output_padding"], output_size=None)


def _valid(changed: Case, case: Case) -> Case:
    """`changed`, or `case` where the change leaves nothing of the output."""
    shape = changed.output_shape
    return changed if shape is not None and min(shape[1:], default=1) > 0 else case


VARIATIONS: dict[str, Vary] = {
    "data": other_data,
    "stride": _more("stride", 1),
    "dilation": _more("dilation", 1),
    "padding": _more("padding", 1),
    "size": other_size,
    "groups": other_groups,
    "bias": other_bias,
    "layout": other_layout,
    "dtype": other_dtype,
    "rejected": rejected,
}


STEPS = [VARIATIONS[name] for name in ("stride", "dilation", "padding", "size")]


def variations(dtypes: Sequence[str]) -> list[Vary]:
    """Those that stay within `dtypes`."""
    whole = len(dtypes) == len(DTYPES)
    return [vary for vary in VARIATIONS.values() if whole or vary is not other_dtype]
