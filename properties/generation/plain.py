"""The plainest call of a geometry."""

from __future__ import annotations

from ..cases.case import Case, Operand
from ..cases.edit import natural, with_arguments
from ..cases.operation import PER_AXIS
from .geometry import Geometry


def case_of(geometry: Geometry, dtype: str = "float32", data: str = "ones") -> Case:
    """The call of `geometry` that says everything in torch's shortest form."""
    op = geometry.op
    operands = {name: Operand(shape, dtype) for name, shape in geometry.shapes.items()}
    given = {k: natural(v) if k in PER_AXIS else v for k, v in geometry.arguments.items()}
    return with_arguments(Case(op.name, operands, {}, data), **given)
