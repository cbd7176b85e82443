"""How long the calls of an engine take: what a slow one is given more time for."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..cases.case import Case
from ..cases.operation import OPS


@dataclass(frozen=True)
class Pace:
    """The seconds of a call with its gradients: for each element, each multiply-add, any call."""

    per_element: float = 0.0
    per_product: float = 0.0
    per_call: float = 0.0

    def of(self, elements: int, products: int) -> float:
        return elements * self.per_element + products * self.per_product

    def seconds(self, case: Case) -> float:
        return self.per_call + self.of(*size(case))


def size(case: Case) -> tuple[int, int]:
    """The elements of input and output, and the multiply-adds; of a call to reject, none.

    Examples
    --------
    >>> from properties.cases.line import parse
    >>> size(parse("conv1d((1, 2, 5), (3, 2, 2))"))
    (22, 48)
    """
    shape = case.output_shape
    if shape is None:
        return 0, 0
    x, weight = case.shapes["input"], case.shapes.get("weight", (0,))
    windows = x if OPS[case.op].is_transposed else shape
    kernel = prod(weight[1:]) if "weight" in case.shapes else 0
    return prod(x) + prod(shape), prod(windows) * kernel
