"""Changes of a case: each returns a new one, its operands and arguments in torch's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .case import Case
from .operation import OPS, Sizes, normalized


def with_operand(case: Case, name: str, value: Any) -> Case:
    """`case` with another operand, or one more."""
    operands = {**case.operands, name: value}
    order = OPS[case.op].operands
    return replace(case, operands={k: operands[k] for k in order if k in operands})


def without_operand(case: Case, name: str) -> Case:
    return replace(case, operands={k: v for k, v in case.operands.items() if k != name})


def with_argument(case: Case, name: str, value: Any) -> Case:
    """`case` with another argument, or one more."""
    given = {**case.arguments, name: value}
    order = OPS[case.op].arguments
    return replace(case, arguments={k: given[k] for k in order if k in given})


def without_argument(case: Case, name: str) -> Case:
    return replace(case, arguments={k: v for k, v in case.arguments.items() if k != name})


def with_arguments(case: Case, **changed: Any) -> Case:
    """`case` with other arguments; those that are torch's default are left out."""
    for name, value in changed.items():
        case = with_argument(case, name, value)
    default = OPS[case.op].arguments
    return replace(case, arguments={k: v for k, v in case.arguments.items() if v != default[k]})


def reshaped(case: Case, name: str, shape: Sequence[int]) -> Case:
    """`case` with an operand of another shape."""
    return with_operand(case, name, replace(case.operands[name], shape=tuple(shape)))


def natural(values: Sizes) -> Any:
    """One integer where it says all, else one per axis."""
    return values[0] if len(set(values)) == 1 else values


def plain(case: Case) -> dict[str, Any]:
    """All arguments of a valid case: integers per axis, and no output size."""
    return normalized(OPS[case.op], case.shapes, case.arguments)
