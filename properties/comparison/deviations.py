"""Known deviations from torch: partial case lines that excuse one kind of failure.

In a partial line `...` stands for any size, any operand, or any argument; a data rule stands for
every seed of it. Our own engine has the list `deviations.txt`, of what it does by design; another
one names the file of its list in an attribute `deviations`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..cases.case import Case, Operand, literal
from ..cases.files import read_lines
from ..cases.line import parse
from ..cases.operation import OPS, rank
from .engine import Engine
from .mismatch import Mismatch

FILE = Path(__file__).parents[1] / "deviations.txt"


@dataclass(frozen=True)
class Deviation:
    """A kind of failure, by the name of its class, and the calls for which it is meant."""

    kind: str
    partial: Case

    def excuses(self, mismatch: Mismatch) -> bool:
        return type(mismatch).__name__ == self.kind and self.covers(mismatch.case)

    def covers(self, case: Case) -> bool:
        return (
            self.partial.op == case.op
            and _all_match(self.partial.operands, case.operands)
            and _all_match(self.partial.arguments, case.arguments)
            and (self.partial.data == "ones" or self.partial.rule == case.rule)
        )

    def example(self) -> Case:
        """A case of it: 1 for every open size, and for an open operand the simplest."""
        op = OPS[self.partial.op]
        return replace(
            self.partial,
            operands={
                name: Operand((1,) * rank(op, name)) if value is ... else _closed(value)
                for name, value in self.partial.operands.items()
            },
        )


def _closed(value: Operand) -> Operand:
    return replace(value, shape=tuple(1 if literal(n) == "..." else n for n in value.shape))


def _all_match(wanted: Any, given: Any) -> bool:
    return all(name in given and _matches(value, given[name]) for name, value in wanted.items())


def _matches(wanted: Any, given: Any) -> bool:
    if wanted is ...:
        return True
    if not isinstance(wanted, Operand):
        return literal(wanted) == literal(given)
    return (
        isinstance(given, Operand)
        and wanted.dtype == given.dtype
        and len(wanted.shape) == len(given.shape)
        and all(_matches(n, m) for n, m in zip(wanted.shape, given.shape, strict=True))
    )


@cache
def deviations(file: Path = FILE) -> tuple[Deviation, ...]:
    """Every deviation there is."""
    pairs = (line.partition(":") for line in read_lines(file))
    return tuple(Deviation(kind, parse(line.strip(), partial=True)) for kind, _, line in pairs)


def is_excused(mismatch: Mismatch, engine: Engine) -> bool:
    """Whether `mismatch` is one of the engine's known deviations."""
    file = FILE if engine.strict else getattr(engine.namespace, "deviations", None)
    return file is not None and any(d.excuses(mismatch) for d in deviations(file))
