"""What the normwise bounds of a call depend on: the norms of its planes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cases.case import Case
from ..cases.operation import OPS, OUTPUT, Shapes, normalized, output_shape, rank, whole_plane
from .engine import Engine
from .outcome import Operands, is_array, widen
from .tolerance import Transform, plane_norms


def transforms(
    case: Case,
    operands: Operands,
    grad_output: Any,
    reference: Engine,
    accumulator: str,
    factor: float,
) -> dict[str, Transform]:
    """What bounds each result of `case`, but the gradient of the bias, which is a plain sum.

    M is the same convolution with planes of one element, the norms.
    """
    op, shapes = OPS[case.op], {k: v.shape for k, v in operands.items() if is_array(v)}
    given = normalized(op, shapes, case.arguments)
    size, copies = whole_plane(op, shapes, given)

    def reduced(array: Any) -> Any:
        return None if array is None else plane_norms(widen(array), op.axes, size, accumulator)

    norms = {k: reduced(v) for k, v in operands.items() if k != "bias"}
    if operands.get("bias") is not None:
        norms["bias"] = np.abs(widen(operands["bias"]))
    call = Case(op.name, case.operands, {"groups": given["groups"]})
    with np.errstate(all="ignore"):
        found = reference.results(call, norms, reduced(grad_output))
    whole = {f"grad_{k}": shape for k, shape in shapes.items()}
    whole[OUTPUT] = output_shape(op, shapes, case.arguments)
    planes = _planes(case, shapes, given["groups"])
    return {
        name: Transform(factor, planes[name], size, np.broadcast_to(copies * norm, whole[name]))
        for name, norm in found.items()
        if name in planes
    }


def _planes(case: Case, shapes: Shapes, groups: int) -> dict[str, int]:
    """How many convolutions of planes are summed in each result."""
    op, (first, inner) = OPS[case.op], shapes["weight"][:2]
    outer = first // groups
    if op.is_transposed:
        inner, outer = outer, inner
    batched = len(shapes["input"]) == rank(op, "input")
    batch = shapes["input"][0] if batched else 1
    return {OUTPUT: inner, "grad_input": outer, "grad_weight": batch}
