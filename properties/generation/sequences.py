"""Sequences of cases that differ in one respect each: what an engine may keep between calls.

A sequence begins with a valid case and ends with the same again, perhaps on other data. Between
stand variations of it, one of which may be a call that must be rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

import numpy as np

from ..cases.case import DTYPES, Case, Operand
from ..cases.edit import plain, reshaped, with_arguments
from ..cases.operation import OPS
from ..cases.sequence import CaseSequence
from .budget import Choose, pick
from .invalid import spoil
from .valid import build, takers, weighted

MOST = 3  # variations between the first case and the last

Vary = Callable[[Choose, Case], Case]


def build_sequence(
    choose: Choose, ops: Sequence[str], menu: Sequence[str], dtypes: Sequence[str]
) -> CaseSequence:
    """A sequence that begins with a valid case of one of `ops`; `menu` weighs the `dtypes`."""
    first = build(choose, ops, menu)
    kinds = [v for v in VARIATIONS if v is not other_dtype or len(dtypes) == len(DTYPES)]
    varied = [pick(choose, kinds)(choose, first) for _ in range(choose(MOST + 1))]
    last = pick(choose, (other_data, same))(choose, first)
    return CaseSequence((first, *varied, last))


def sequences(
    seed: int, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
) -> Iterator[CaseSequence]:
    """Endless sequences from a plain random generator."""
    uniform, menu = Random(seed).random, weighted(dtypes)
    ops = takers(ops, menu)
    while ops:
        yield build_sequence(lambda n: int(n * uniform()), ops, menu, dtypes)


def same(choose: Choose, case: Case) -> Case:
    return case


def other_data(choose: Choose, case: Case) -> Case:
    """Other weights, input and bias, written into the same arrays."""
    rule = case.rule if ":" in case.data else "wrap" if case.dtype.startswith("u") else "integers"
    return replace(case, data=f"{rule}:{case.seed + 1 + choose(8)}")


def larger_stride(choose: Choose, case: Case) -> Case:
    """Another step of the window over the same operands."""
    given = plain(case)
    if isinstance(given["padding"], str) or OPS[case.op].family == "fold":
        return other_data(choose, case)
    stride = tuple(s + 1 + choose(2) for s in given["stride"])
    return _valid(with_arguments(_settled(case), stride=stride), case)


def more_padding(choose: Choose, case: Case) -> Case:
    """A wider border of zeros around the same input."""
    given = plain(case)
    op = OPS[case.op]
    zeros = given.get("padding_mode", "zeros") == "zeros"
    if isinstance(given["padding"], str) or not zeros or op.family in ("fold", "unfold"):
        return other_data(choose, case)
    padding = tuple(p + 1 for p in given["padding"])
    return _valid(with_arguments(_settled(case), padding=padding), case)


def other_size(choose: Choose, case: Case) -> Case:
    """A larger input for the same kernels; or a larger batch."""
    op, x = OPS[case.op], case.shapes["input"]
    if op.family == "fold" or choose(2):
        return reshaped(case, "input", (x[0] + 1, *x[1:]) if len(x) == op.axes + 2 else x)
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


VARIATIONS: tuple[Vary, ...] = (
    other_data,
    larger_stride,
    other_size,
    other_dtype,
    more_padding,
    rejected,
)
