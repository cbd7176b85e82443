"""Cases narrowed to the data and layouts that a run asks for, and to calls that are valid.

A case that is drawn is fitted, not drawn again: what it has and the run does not want gives way
to something that the run wants, which the case's own text chooses. So cases that are independent
stay so, a rule that is asked for alone costs no more draws, and a line that is fitted replays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from zlib import crc32

import numpy as np

from ..cases.case import Case, Operand
from ..cases.layouts import WORDS, source, words
from ..cases.operation import OPS, terms
from ..cases.rules import RULES
from ..cases.sequence import CaseSequence, cases_of
from .appearance import draw_rule, draw_word
from .budget import Choose

LAYOUTS = ("contiguous", *WORDS, "of")  # the names of layouts, without their numbers


@dataclass(frozen=True)
class Narrowing:
    """Which data rules and layouts a run asks for, and whether it asks for invalid calls."""

    rules: tuple[str, ...] = tuple(RULES)
    layouts: tuple[str, ...] = LAYOUTS
    invalid: bool = True

    def keeps(self, case: Case) -> bool:
        """Whether `case` has nothing that the run does not ask for."""
        return (
            case.rule in self.rules
            and all(self._has(layout) for layout in _layouts(case).values())
            and (self.invalid or case.blame is None)
        )

    def takes(self, dtype: str) -> bool:
        """Whether one of the rules fills arrays of `dtype`."""
        return any(np.dtype(dtype).kind in RULES[rule].kinds for rule in self.rules)

    def fitting(self, sources: Iterable[Any]) -> Iterator[Any]:
        """Those of `sources` that can be fitted, as they fit."""
        return (fitted for source in sources if (fitted := self.fitted(source)) is not None)

    def fitted(self, drawn: Case | CaseSequence) -> Case | CaseSequence | None:
        """`drawn`, changed until it is kept; None if there is no way.

        What is equal stays equal, so that a sequence still writes to the same arrays: a layout
        depends on the operands alone.
        """
        cases = [case for case in cases_of(drawn) if self.invalid or case.blame is None]
        found = [case if self.keeps(case) else self._fitted(case) for case in cases]
        if not found or not all(map(self.keeps, found)):
            return None
        if isinstance(drawn, Case):
            return found[0]
        return CaseSequence(tuple(found)) if len(found) > 1 else None

    def _fitted(self, case: Case) -> Case:
        given, declared = case, f"{case.op} {sorted(case.operands.items())} {case.grad_output}"
        choose = _choosing(declared)
        for name, layout in _layouts(case).items():
            given = _with_layout(given, name, self._layout(choose, layout, given, name))
        if given.rule in self.rules:
            return given
        op, dtype = OPS[case.op], case.dtype
        k = terms(op, case.shapes, case.arguments)
        rule = draw_rule(_choosing(str(case)), op, dtype, k, self.rules)
        return replace(given, data=rule or given.data)

    def _has(self, layout: str) -> bool:
        if source(layout):
            return "of" in self.layouts
        return all(word in self.layouts for word in words(layout) or ("contiguous",))

    def _layout(self, choose: Choose, layout: str, case: Case, name: str) -> str:
        """`layout` without the words that are not asked for; if none is left, one that is."""
        if self._has(layout):
            return layout
        kept = [] if source(layout) else layout.split("+")
        if left := [word for word in kept if word.partition(":")[0] in self.layouts]:
            return "+".join(left)
        if "contiguous" in self.layouts:
            return "contiguous"
        kinds = tuple(name for name in self.layouts if name != "of")
        operand = case.operands.get(name, case.operands["input"])
        return draw_word(choose, len(operand.shape), kinds) if kinds else "contiguous"


EVERYTHING = Narrowing()


def _layouts(case: Case) -> Mapping[str, str]:
    """The layout of each array: the operands, and the gradient where there is one."""
    found = {k: v.layout for k, v in case.operands.items() if isinstance(v, Operand)}
    has_gradient = isinstance(case.operands.get("input"), Operand)
    return {**found, "grad_output": case.grad_output} if has_gradient else found


def _with_layout(case: Case, name: str, layout: str) -> Case:
    if name == "grad_output":
        return replace(case, grad_output=layout)
    operands = {**case.operands, name: replace(case.operands[name], layout=layout)}
    return replace(case, operands=operands)


def _choosing(text: str) -> Choose:
    uniform: Any = Random(crc32(text.encode())).random
    return lambda n: int(n * uniform())
