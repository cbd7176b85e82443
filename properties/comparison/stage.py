"""Which function of an engine runs: what a failure names beside its case."""

from __future__ import annotations

from collections.abc import Callable

from ..cases.case import Case
from ..cases.operation import OPS, OUTPUT


class Stage:
    """The function that was called last; `note` tells it to a process that watches this one.

    So does `note_call` with the case of a call that is not what is judged, but a part of it.
    """

    def __init__(self) -> None:
        self.function = ""
        self.note: Callable[[str], None] | None = None
        self.note_call: Callable[[Case], None] | None = None

    def enter(self, function: str) -> None:
        self.function = function
        if self.note:
            self.note(function)

    def part(self, case: Case) -> None:
        """Note that this call begins, as a part of what is judged."""
        if self.note_call:
            self.note_call(case)


STAGE = Stage()


def gradient_name(case: Case, operand: str) -> str:
    """The function of torch.nn.grad's names that gives the gradient of an operand."""
    op = OPS[case.op]
    return f"conv{op.axes}d_bias" if operand == "bias" else f"{case.op}_{operand}"


def function_of(case: Case, result: str) -> str:
    """The function that gives a result of `case`, as a person would call it."""
    if result == OUTPUT:
        return case.op
    if OPS[case.op].is_layer:
        return f"{case.op}.backward"
    return f"grad.{gradient_name(case, result.removeprefix('grad_'))}"
