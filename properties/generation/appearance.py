"""How a case looks beside its sizes: data rule, layouts, and the form of the call.

Each function draws from ``choose(n)``, an integer in 0 … n - 1 of which 0 is the simplest. None
changes what a call means: the reference gives the same answer to all appearances of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..cases.case import LAYOUTS
from ..cases.data import widest_range
from ..cases.forms import SIZES, Int, Size
from ..cases.operation import PER_AXIS, Op
from ..cases.rules import RULES

Choose = Callable[[int], int]

WEIGHTS = {"integers": 6, "reals": 3, "wrap": 4, "lopsided": 2}  # of the rules; others 1
SEEDS = 1000


def draw_rule(choose: Choose, op: Op, dtype: str, k: int, among: tuple[str, ...] = ()) -> str:
    """A data rule that fills `dtype`, where sums of `k` terms are exact if the rule says so.

    Where it must be one `among` some, and none of them fits, it is "".
    """
    menu = rules(np.dtype(dtype).kind, widest_range(k, dtype) >= 1)
    if among and not (menu := tuple(rule for rule in menu if rule in among)):
        return ""
    rule = menu[choose(len(menu))]
    return f"{rule}:{choose(SEEDS)}" if RULES[rule].seeded else rule


@cache
def rules(kind: str, is_exact: bool) -> tuple[str, ...]:
    """The rules for dtypes of a kind; one that is exact needs a range, or wraps."""
    fit = [
        name
        for name, rule in RULES.items()
        if kind in rule.kinds
        and (is_exact or not rule.seeded or not rule.exact or rule.kinds == "iu")
    ]
    return tuple([name for name in fit for _ in range(WEIGHTS.get(name, 1))])


_ONE_WORD = (*LAYOUTS[1:], "field", "subclass")
_WITH_NUMBERS = ("order", "step", "crop", "repeat", "align")
_KINDS = ("contiguous", *_ONE_WORD, *_WITH_NUMBERS * 2)


def draw_layout(choose: Choose, shape: tuple[int, ...], before: Sequence[str] = ()) -> str:
    """A layout for an array of `shape`, of one word or two; with `before`, the names of other
    operands, perhaps in the memory of one of them."""
    if before and choose(8) == 7:
        return f"of:{before[choose(len(before))]}"
    first = draw_word(choose, len(shape), _KINDS)
    if first == "contiguous" or choose(3) < 2:
        return first
    second = draw_word(choose, len(shape), _KINDS[1:])
    alike = first.partition(":")[0] == second.partition(":")[0]
    return first if alike else f"{first}+{second}"


def draw_word(choose: Choose, axes: int, kinds: tuple[str, ...]) -> str:
    """One word of a layout, for an array of so many axes."""
    name = kinds[choose(len(kinds))]
    numbers = _NUMBERS[name](choose, axes) if name in _NUMBERS else ()
    if name in _NUMBERS and not numbers:  # an array without axes
        return "readonly"
    return f"{name}:{','.join(map(str, numbers))}" if numbers else name


def _order(choose: Choose, axes: int) -> list[int]:
    left = list(range(axes))
    return [left.pop(len(left) - 1 - choose(len(left))) for _ in range(axes)]


def _some_axes(choose: Choose, axes: int) -> list[int]:
    """At least one axis, the last if all choices are the simplest."""
    found = [axis for axis in range(axes) if choose(2)]
    return found or list(range(axes))[-1:]


_NUMBERS: dict[str, Callable[[Choose, int], list[int]]] = {
    "order": _order,
    "step": lambda choose, axes: [(-1, 2, -2, 1, 3, -3)[choose(6)] for _ in range(axes)],
    "crop": lambda choose, axes: [(1, 0, 2, 3)[choose(4)] for _ in range(axes)],
    "repeat": _some_axes,
    "align": lambda choose, axes: [1 + choose(63)],
}


Arguments = dict[str, Any]
_Type = Callable[[int], Any]
# Types whose products, also with one another, are integers in range: int64 · uint64 is a float.
_WIDE: tuple[_Type, ...] = (int, Int, np.int64, np.int32, np.uint32)
_TYPES: tuple[_Type, ...] = (*_WIDE, np.uint64, np.int16, np.int8, np.uint8, np.uint16)
_CONTAINERS: tuple[Callable[[list[Any]], Any], ...] = (tuple, list, Size)

# How all arguments are said; "mixed" says each of its integers in a type and a container of its
# own, so that they may differ.
_HOW = (*("natural",) * 4, "tuple", "list", "single", "typed", "mixed")
# What stands by position, and the form of the shapes that are passed.
_PASSED = (*("required",) * 5, "by name", "by position", "sizes")


def draw_form(
    choose: Choose, op: Op, arguments: Mapping[str, Any]
) -> tuple[Arguments, int | None, str]:
    """The valid `arguments`, best one value per axis, said in a way that torch takes; how many
    parameters stand by position (None: the required operands); and the form of the shapes that
    are passed."""
    how = _HOW[choose(len(_HOW))]
    given = {name: _said(choose, op, name, arguments, how) for name in arguments}
    passed = _PASSED[choose(len(_PASSED))]
    positional = 0 if passed == "by name" else None
    if passed == "by position":
        positional = op.required + 1 + choose(len(op.parameters) - op.required)
    sizes = "tuple"
    if passed == "sizes":
        sizes = list(SIZES)[1 + choose(len(SIZES) - 1)]
    return given, positional, sizes


def _said(choose: Choose, op: Op, name: str, given: Mapping[str, Any], how: str) -> Any:
    """One argument, said like this where torch takes it so.

    torch's layers compute in the types that come, with channels and taps, and with an output size
    also index the stride. unfold, fold and borders that are copies take no single value in a tuple.
    """
    value = given[name]
    if name not in (*PER_AXIS, "groups", "output_size") or isinstance(value, str) or value is None:
        return value
    is_indexed = op.is_layer and given.get("output_size") is not None
    types = _TYPES[:2] if is_indexed else _WIDE if op.is_layer else _TYPES
    several = isinstance(value, (tuple, list))
    if how == "mixed":
        values = [_typed(choose, types, v) for v in value] if several else []
        return _CONTAINERS[choose(3)](values) if several else _typed(choose, types, value)
    alike = several and len(set(value)) == 1 and not is_indexed and name != "output_size"
    if not several or (alike and how in ("natural", "typed")):
        plain = int(value[0] if several else value)
        return _typed(choose, types, plain) if how == "typed" else plain
    strict = op.family in ("fold", "unfold") or given.get("padding_mode", "zeros") != "zeros"
    if how == "single" and alike and not strict:
        return tuple(value[:1])
    return list(value) if how == "list" else tuple(value)


def _typed(choose: Choose, types: Sequence[_Type], value: int) -> Any:
    of = types[choose(len(types))]
    return of(int(value)) if int(value) < 128 else int(value)
