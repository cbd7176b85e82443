"""Where a relation is evaluated: a case's arrays and arguments, and the engine's results on them.

Every result is a `Ball` around what the engine gave. S, which bounds its radius, comes from the
definition of our own engine, so that no torch is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ..cases.case import Case, Operand
from ..cases.data import arrays
from ..cases.edit import natural, plain
from ..cases.operation import (
    GRADIENTS,
    OPS,
    OUTPUT,
    PER_AXIS,
    Sizes,
    border,
    output_shape,
    terms_by_result,
)
from ..comparison.ball import Ball, around, exactly
from ..comparison.compare import Comparison, check_type, values_of
from ..comparison.engine import Engine
from ..comparison.mismatch import GradientMismatch, Mismatch
from ..comparison.outcome import Outcome
from ..comparison.stage import STAGE
from .preconditions import unreached
from .rearranging import shuffled, visits, widened


class NotClaimed(Exception):
    """The engine does not offer a call that the relation needs."""


class Evaluation:
    """A case that meets the preconditions of a relation, evaluated on one engine.

    An argument of the case is an attribute: `e.stride`, one integer per axis.

    Parameters
    ----------
    case : Case
        A valid case.
    engine : Engine
        What computes the results.
    definition : Engine
        What computes S, and is trusted.
    origin : Case
        The case that a failure names: `case` before its preconditions changed it.

    Attributes
    ----------
    x, w, b : ndarray
        The input, the weight and the bias; None where there is none.
    called : list of Case
        The calls made so far.
    """

    def __init__(self, case: Case, engine: Engine, definition: Engine, origin: Case) -> None:
        self.case, self.origin, self.op = case, origin, OPS[case.op]
        self.engine, self.definition = engine, definition
        self.called: list[Case] = []
        self._filled = arrays(case)
        self.operands: dict[str, Any] = self._filled.operands
        self.arguments = plain(case)
        self.x = self.operands["input"]
        self.w: Any = self.operands.get("weight")
        self.b: Any = self.operands.get("bias")

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["arguments"][name]
        except KeyError:
            raise AttributeError(name) from None

    # ---- Sizes ----

    @property
    def axes(self) -> int:
        return self.op.axes

    @property
    def channel(self) -> int:
        """The axis of channels, counted from the end."""
        return -self.axes - 1

    @property
    def kernel(self) -> Sizes:
        return tuple(self.w.shape[2:])

    @property
    def size(self) -> Sizes:
        return tuple(self.x.shape[-self.axes :])

    @property
    def last_tap(self) -> list[int]:
        """The distance of the last tap of each axis from the first."""
        return [d * (k - 1) for d, k in zip(self.dilation, self.kernel, strict=True)]

    @property
    def unreached(self) -> Sizes:
        """The elements at the end of each axis that no window reaches."""
        return unreached(self.case)

    @property
    def terms(self) -> int:
        """The number of products in one element of the output."""
        return terms_by_result(self.op, self._shapes, self.arguments)[OUTPUT]

    @property
    def _sizes(self) -> dict[str, Sizes]:
        """The arguments that are one integer per axis."""
        return {k: v for k, v in self.arguments.items() if isinstance(v, tuple)}

    @property
    def _shapes(self) -> dict[str, Sizes]:
        return {name: array.shape for name, array in self.operands.items()}

    # ---- Arrays ----

    @cached_property
    def gy(self) -> Any:
        """A gradient of the output: more data of the case's rule."""
        return self._filled.grad_output(output_shape(self.op, self._shapes, self.arguments))

    @property
    def bordered(self) -> Any:
        """The input with its padding; `unpadded` are the arguments that go with it."""
        before, after = border(self.op, self.kernel, self.arguments)
        return widened(self.x, before, after, self.arguments.get("padding_mode", "zeros"))

    @property
    def unpadded(self) -> dict[str, Any]:
        modes = {"padding_mode": "zeros"} if "padding_mode" in self.arguments else {}
        return {"padding": 0, **modes}

    def arguments_of_one_more_axis(self) -> dict[str, Any]:
        """What changes in a call with a first axis of size 1, where no step shows."""
        stride = 1 if isinstance(self.padding, str) else 2  # torch takes 'same' with stride 1 only
        first = {"stride": stride, "dilation": 3, "padding": 0, "output_padding": 0}
        return {k: (first[k], *v) for k, v in self._sizes.items() if k in first}

    def per_channel(self, bias: Any) -> Any:
        """`bias`, shaped to be added at every place; 0 if there is none."""
        return 0 if bias is None else bias.reshape(-1, *[1] * self.axes)  # (GO, 1…)

    def by_group(self) -> list[dict[str, Any]]:
        """The operands of each group."""
        axes = {"input": self.channel, "weight": 0, "bias": 0}
        parts = {k: np.split(v, self.groups, axes[k]) for k, v in self.operands.items()}
        return [{k: v[group] for k, v in parts.items()} for group in range(self.groups)]

    def filters_backwards(self) -> dict[str, Any]:
        """The weight and the bias with the filters of each group in reverse."""
        w = self.w[:, ::-1] if self.op.is_transposed else shuffled(self.w, 0, self.groups)
        return {"weight": w, "bias": None if self.b is None else shuffled(self.b, 0, self.groups)}

    def channels_backwards(self) -> dict[str, Any]:
        """The input and the weight with the channels of each group in reverse."""
        w = shuffled(self.w, 0, self.groups) if self.op.is_transposed else self.w[:, ::-1]
        return {"input": shuffled(self.x, self.channel, self.groups), "weight": w}

    def visits(self) -> Any:
        """How many taps of an unfold's window meet each element of the plane."""
        names = ("kernel_size", "stride", "dilation", "padding")
        per_axis = zip(self.size, *(self.arguments[name] for name in names), strict=True)
        return np.outer(*(visits(*sizes) for sizes in per_axis))

    # ---- Results ----

    def call(self, op: str = "", *, terms: int | None = None, **changed: Any) -> Ball:
        """The engine's output for the case, with another op, operands or arguments.

        An operand that is None is left out. `terms` is for `comparison.ball.around`.
        """
        if not (changed or op):
            return self._results(self.case, self.operands, None)[OUTPUT]
        case, operands = self._derived(op or self.case.op, changed)
        return self._results(case, operands, None, terms)[OUTPUT]

    def gradients(self) -> dict[str, Ball]:
        """The gradients that the engine offers, by the name of their operand."""
        found = self._results(self.case, self.operands, self.gy)
        return {name.removeprefix("grad_"): found[name] for name in GRADIENTS if name in found}

    def change(self, name: str, direction: Any) -> Ball:
        """How the output changes with one operand: it is linear in each."""
        if name == "bias":
            return exactly(np.broadcast_to(self.per_channel(direction), self.gy.shape))
        return self.call(**{"bias": None, name: direction})

    def _derived(self, name: str, changed: Mapping[str, Any]) -> tuple[Case, dict[str, Any]]:
        op = OPS[name]
        given = {**self.operands, **self.arguments, **changed}
        operands = {k: given[k] for k in op.operands if given.get(k) is not None}
        arguments = {k: given[k] for k in op.arguments if k in given}
        for key in {*PER_AXIS} & {*arguments}:
            if isinstance(arguments[key], tuple):
                arguments[key] = natural(arguments[key])
        arguments = {k: v for k, v in arguments.items() if v != op.arguments[k]}
        declared = {k: Operand(v.shape, v.dtype.name) for k, v in operands.items()}
        return Case(name, declared, arguments, self.case.data), operands

    def _results(
        self, case: Case, operands: dict[str, Any], gy: Any, terms: int | None = None
    ) -> dict[str, Ball]:
        """The engine's results of one call as balls; a `Mismatch` if it is not even a result."""
        self.called.append(case)
        STAGE.part(case)
        got = self.engine.call(case, operands, gy)
        if got.not_claimed and not self.engine.strict:
            raise NotClaimed
        try:
            return self._checked(case, operands, gy, got, terms)
        except Mismatch as mismatch:
            mismatch.calls = (case, self.case)  # whose arrays the first may have, as they lie
            raise

    def _checked(
        self, case: Case, operands: dict[str, Any], gy: Any, got: Outcome, terms: int | None
    ) -> dict[str, Ball]:
        call = ("call", str(case))
        values = values_of(self.origin, self.engine, got, call)
        shapes = {f"grad_{name}": v.shape for name, v in operands.items()}
        shapes[OUTPUT] = output_shape(OPS[case.op], case.shapes, case.arguments)
        for name, y in values.items():
            if name not in shapes:
                raise GradientMismatch(self.origin, self.engine, f"gave a {name} of nothing", call)
            expected = (shapes[name], np.dtype(case.dtype), "expected")
            check_type(self.origin, self.engine, name, y, expected, call)
        context = Comparison(case, self.definition, operands, gy, Outcome())
        return {name: around(y, name, self.engine, context, terms) for name, y in values.items()}
