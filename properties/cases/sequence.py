"""A sequence: cases that run in order against one engine, where the question is what it remembers.

Its text is the lines of its cases with semicolons between, and is parsed as such a line:

    conv1d((1, 1, 3), (1, 1, 2)); conv1d((1, 1, 3), (1, 1, 2), stride=2)

Operands that two cases declare alike are the same array, written anew between the calls, and
layers that two cases build alike are the same layer, loaded anew.

Cases with bars between run at the same time, each in a thread of its own:

    conv1d((1, 1, 3), (1, 1, 2)) || conv1d((1, 1, 3), (1, 1, 2), data='integers:0')

Operands that they declare alike and that hold the same values are then the same array, and layers
with the same values the same layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .case import Case

IN_ORDER, AT_ONCE = ";", "||"  # what stands between the cases


@dataclass(frozen=True, repr=False)
class CaseSequence:
    """Two or more cases, in the order in which they run, or those that run at once."""

    cases: tuple[Case, ...]
    at_once: bool = False

    @property
    def op(self) -> str:
        """The op of the first case, under which the sequence is counted."""
        return self.cases[0].op

    def __str__(self) -> str:
        return (f" {AT_ONCE} " if self.at_once else f"{IN_ORDER} ").join(map(str, self.cases))

    __repr__ = __str__

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What Hypothesis prints: it ignores the repr of a dataclass."""
        printer.text(str(self))


def cases_of(source: Case | CaseSequence) -> tuple[Case, ...]:
    """The cases of a sequence, or the one case alone."""
    return source.cases if isinstance(source, CaseSequence) else (source,)


def is_at_once(source: Case | CaseSequence) -> bool:
    return isinstance(source, CaseSequence) and source.at_once


def is_in_order(source: Case | CaseSequence) -> bool:
    return isinstance(source, CaseSequence) and not source.at_once
