"""A metamorphic relation: an equation between results of one engine, which needs no oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from ..cases.case import DTYPES, Case, Operand
from ..cases.data import arrays
from ..cases.operation import OPS, Op
from ..comparison.ball import Ball, compare_balls
from ..comparison.engine import Engine
from ..comparison.mismatch import RelationBroken, Status, Verdict
from ..generation import sampling
from ..generation.geometry import read
from ..generation.neighbours import is_within_budget
from ..generation.strategies import cases
from .evaluation import Evaluation, NotClaimed
from .preconditions import some_sample, without_output_size

# Families of operations for which a relation may hold.
CONV = ("conv", "Conv")
CONV_TRANSPOSE = ("conv_transpose", "ConvTranspose")
CONVOLUTIONS = (*CONV, *CONV_TRANSPOSE)
UNFOLD, FOLD = ("unfold",), ("fold",)

FLOATING = tuple(dtype for dtype in DTYPES if np.dtype(dtype).kind in "fc")

Sides = Iterator[tuple[Ball, Ball]]
Equation = Callable[[Evaluation], Sides]
Precondition = Callable[[Case], Case]
Partner = Callable[[Op], str]

_ADJOINT = {"conv": "conv_transpose", "Conv": "ConvTranspose", "unfold": "fold", "fold": "unfold"}


def itself(op: Op) -> str:
    return op.name


def adjoint(op: Op) -> str:
    """The op that computes the adjoint of `op`, a linear map."""
    name = _ADJOINT[op.family]
    return name if name in OPS else f"{name}{op.axes}d"


def lifted(op: Op) -> str:
    """The op of the same family in one more dimension."""
    return f"{op.family}{op.axes + 1}d"


LARGER = 2  # times the budget of a drawn case that a precondition may make of it


@dataclass(frozen=True)
class Relation:
    """An equation that holds for every case of some operations that meets its preconditions.

    Parameters
    ----------
    equation : Callable[[Evaluation], Sides]
        Yields pairs of sides that must be equal. Its docstring is the equation as a failure
        shows it.
    families : tuple of str
        The families of operations for which it holds.
    preconditions : tuple of Callable[[Case], Case]
        Each changes a valid case as little as lets the equation show something.
    dtypes : tuple of str
        The dtypes in which it holds.
    partner : Callable[[Op], str]
        The op that the equation calls as well; an engine must offer both.
    """

    equation: Equation
    families: tuple[str, ...]
    preconditions: tuple[Precondition, ...] = ()
    dtypes: tuple[str, ...] = DTYPES
    partner: Partner = itself

    @property
    def name(self) -> str:
        return self.equation.__name__.removeprefix("test_")

    def concerns(self, op: str, offered: Sequence[str]) -> bool:
        """Whether it says something about `op`, of an engine with the ops `offered`."""
        return OPS[op].family in self.families and self.partner(OPS[op]) in offered

    def cases(
        self, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
    ) -> st.SearchStrategy[Case]:
        """Those of `generation.strategies.cases` that it concerns."""
        return cases(*self._concerned(ops, dtypes)).filter(self._fits)

    def sample(
        self, seed: int, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
    ) -> Iterator[Case]:
        """Those of `generation.sampling.cases` that it concerns."""
        return filter(self._fits, sampling.cases(seed, *self._concerned(ops, dtypes)))

    def _concerned(self, ops: Sequence[str], dtypes: Sequence[str]) -> tuple[list[str], list[str]]:
        concerned = [op for op in ops if self.concerns(op, ops)]
        return concerned, [dtype for dtype in dtypes if dtype in self.dtypes]

    def _fits(self, case: Case) -> bool:
        """Whether a precondition leaves `case` about as large as it was: one in fifty grows."""
        geometry = read(self.prepared(case))
        return geometry is None or is_within_budget(geometry, LARGER)

    def prepared(self, case: Case) -> Case:
        """`case`, changed until it meets the preconditions."""
        start = changed = without_output_size(case)
        for precondition in (some_sample, *self.preconditions):
            changed = precondition(changed)
        return case if changed == start else changed

    def verdict(self, case: Case, engine: Engine, definition: Engine) -> Verdict | None:
        """The verdict on `case`, or None if the relation says nothing about it.

        Raises
        ------
        Mismatch
            Where both sides differ (`RelationBroken`), or the engine gives no result of the
            right shape and dtype for a valid call.
        """
        if not self._says_something(case, engine):
            return None
        try:
            return self._compared(case, Evaluation(self.prepared(case), engine, definition, case))
        except NotClaimed:
            return Verdict(Status.NOT_CLAIMED)
        except Exception:
            if _is_valid(case, definition) and _is_valid(self.prepared(case), definition):
                raise
            return None  # nothing follows from a case that is not valid, by itself or as prepared

    def _compared(self, case: Case, evaluation: Evaluation) -> Verdict:
        equation = self.equation.__doc__ or self.name
        status = Status.NOT_CLAIMED
        for left, right in self.equation(evaluation):
            try:
                compare_balls(case, evaluation.engine, equation, left, right)
            except RelationBroken as broken:
                broken.calls = tuple(evaluation.called)
                raise
            status = Status.AGREED
        return Verdict(status)

    def _says_something(self, case: Case, engine: Engine) -> bool:
        operands = [v for v in case.operands.values() if isinstance(v, Operand)]
        regular = len(operands) == len(case.operands) > 0 and len({v.dtype for v in operands}) == 1
        concerned = case.op in engine.ops and self.concerns(case.op, engine.ops)
        return regular and concerned and case.blame is None and case.dtype in self.dtypes


def _is_valid(case: Case, definition: Engine) -> bool:
    return definition.call(case, arrays(case).operands).error is None
