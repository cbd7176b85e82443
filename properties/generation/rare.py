"""Cases with features that seldom come together: drawn cases in another appearance.

A dtype, a data rule and a layout can be exchanged without another size, so that a case with two
rare ones costs no more than any other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from ..cases.case import Case, Operand
from ..cases.data import widest
from ..cases.edit import with_operand
from ..cases.operation import OPS, terms
from ..cases.rules import RULES
from .appearance import SEEDS, draw_rule, draw_word
from .budget import Choose, pick
from .invalid import outputs
from .valid import drawable

Feature = tuple[str, str]  # what it is of, and which
Wanted = Mapping[str, str]
LAYOUT = "-layout"
TRIES = 300  # pairs that are looked at for one case
AT_MOST = 8  # pairs that one case is changed for


def with_rare_pairs(
    choose: Choose,
    cases: Iterable[Case],
    rare: Sequence[Wanted],
    features: Callable[[Case], Iterable[Feature]],
) -> Iterator[Case]:
    """Each of `cases` with some of the `rare` pairs of features in it."""
    for case in cases if rare else ():
        has = {*features(case)}
        looked_at = (pick(choose, rare) for _ in range(TRIES))
        fitting = (pair for pair in looked_at if _fits(case, has, pair))
        wanted: dict[str, str] = {}
        for pair in islice(fitting, AT_MOST):
            if all(wanted.get(of, which) == which for of, which in pair.items()):
                wanted |= pair
        if wanted:
            yield wearing(choose, case, wanted)


def _fits(case: Case, has: Collection[Feature], pair: Wanted) -> bool:
    """Whether the case has, or can be given, both features."""
    return all(feature in has or _takes(case, *feature) for feature in pair.items())


def _takes(case: Case, of: str, which: str) -> bool:
    op = OPS[case.op]
    if of == "dtype":
        return bool(drawable(op, (which,)))
    if of.endswith(LAYOUT):
        name = of.removesuffix(LAYOUT)
        return name in op.operands or name == "grad_output"
    return of == "data" and RULES[which].fills(case.dtype)


def wearing(choose: Choose, case: Case, wanted: Wanted) -> Case:
    """`case` with this dtype, these layouts and this data rule, as far as they go together."""
    if dtype := wanted.get("dtype"):
        operands = {
            name: replace(v, dtype=dtype) if isinstance(v, Operand) else v
            for name, v in case.operands.items()
        }
        case = replace(case, operands=operands)
    for of in (of for of in wanted if of.endswith(LAYOUT)):
        case = _laid_out(choose, case, of.removesuffix(LAYOUT), wanted[of])
    return _filled(choose, case, wanted.get("data", case.rule))


def _laid_out(choose: Choose, case: Case, name: str, which: str) -> Case:
    if name == "bias" and name not in case.operands:
        case = with_operand(case, name, Operand((outputs(case),), case.dtype))
    operand = case.operands.get(name)
    shape = operand.shape if isinstance(operand, Operand) else case.shapes["input"]
    layout = "of:input" if which == "of" else draw_word(choose, len(shape), (which,))
    if isinstance(operand, Operand):
        return with_operand(case, name, replace(operand, layout=layout))
    return replace(case, grad_output=layout) if name == "grad_output" else case


def _filled(choose: Choose, case: Case, name: str) -> Case:
    """With this rule, or any where it does not fill the dtype exactly."""
    rule = RULES[name]
    is_exact = not rule.exact or not rule.seeded or name == "wrap" or widest(case) >= 1
    if rule.fills(case.dtype) and is_exact:
        return replace(case, data=f"{name}:{choose(SEEDS)}" if rule.seeded else name)
    op = OPS[case.op]
    k = terms(op, case.shapes, case.arguments)
    return replace(case, data=draw_rule(choose, op, case.dtype, k))
