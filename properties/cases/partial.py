"""Partial case lines: what some calls have in common.

    conv2d(dtype='float16')            conv2d(..., ..., padding='same')
    ...(data='special')                conv_transpose2d(groups>1, batch=None)

A partial line is a case line in which `...` stands for any size, operand, argument or, in front,
op, and what is not given is open too. Besides operands and arguments, which must be equal, it may
say:

==================  ===============================================================================
``stride>1``        on some axis; likewise dilation, padding, output_padding, groups, and `batch`;
                    with ``<``, ``<=``, ``==``, ``!=`` or ``>=`` as well
``batch=None``      an unbatched call; ``batch=0`` an empty batch
``dtype='int8'``    of some operand
``data='special'``  a data rule, of any seed
``layout='crop'``   a word of the layout of some array; ``input_layout``, ``weight_layout``,
                    ``bias_layout`` and ``grad_layout`` say which
``type='list'``     of some argument, or of a size in one
``form='by name'``  how it is passed: by name, by position, or sizes that are no tuples
``blame='stride'``  an invalid call, by the argument at fault
==================  ===============================================================================
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from .case import DTYPES, Case, Operand, literal
from .layouts import WORDS, source, words
from .line import Parser
from .operation import OPS, normalized, rank
from .rules import RULES

ANY = "..."  # in place of an op
_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Gt: ">",
    ast.Lt: "<",
    ast.GtE: ">=",
    ast.LtE: "<=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
ARRAYS = ("input", "weight", "bias", "grad")
MEASURES = ("batch", "groups", "stride", "dilation", "padding", "output_padding")


@dataclass(frozen=True)
class Condition:
    """One thing that a partial line says besides operands and arguments."""

    name: str
    sign: str
    value: Any

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{literal(self.value)}"

    def holds(self, case: Case) -> bool:
        if self.sign == "=":
            return self.value in WORDED[self.name](case)
        measured = [n for n in measures(case, self.name) if n is not None]
        return any(_COMPARE[self.sign](n, self.value) for n in measured)


@dataclass(frozen=True)
class Partial:
    """What some calls have in common; its text is `line`."""

    line: str
    op: str  # or ANY
    operands: Mapping[str, Any]
    arguments: Mapping[str, Any]
    conditions: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        return self.line

    def covers(self, case: Case) -> bool:
        return (
            self.op in (ANY, case.op)
            and _all_match(self.operands, case.operands)
            and _all_match(self.arguments, case.arguments)
            and all(condition.holds(case) for condition in self.conditions)
        )

    def example(self) -> Case:
        """A case of it, if it has no conditions: 1 for every open size, and for an open operand
        the simplest."""
        op = OPS[self.op]
        operands = {
            name: Operand((1,) * rank(op, name)) if value is ... else _closed(value)
            for name, value in self.operands.items()
        }
        return Case(self.op, operands, self.arguments)


def parse_partial(line: str) -> Partial:
    """The calls that a partial `line` names.

    Raises
    ------
    CaseError
        The line is malformed or names something unknown; the message points at the column.
    """
    parser = Parser(line, partial=True)
    call = parser.call()
    conditions = [*_conditions(parser, call)]
    call.args = [node for node in call.args if not isinstance(node, ast.Compare)]
    call.keywords = [node for node in call.keywords if not _is_condition(node)]
    if isinstance(call.func, ast.Constant) and call.func.value is ...:
        arguments = {k.arg or "": parser.literal(k.value) for k in call.keywords}
        known = {name for op in OPS.values() for name in op.arguments}
        for keyword in call.keywords:
            if keyword.arg not in known:
                told = f"expected a condition or an argument of any op, got {keyword.arg}="
                raise parser.error(keyword, told)
        if call.args:
            raise parser.error(call.args[0], "operands need an op: what they are depends on it")
        return Partial(line, ANY, {}, arguments, tuple(conditions))
    case = parser.read(call)
    return Partial(line, case.op, case.operands, case.arguments, tuple(conditions))


def _is_condition(node: ast.keyword) -> bool:
    return node.arg in WORDED


def _conditions(parser: Parser, call: ast.Call) -> Iterator[Condition]:
    for node in call.args:
        if isinstance(node, ast.Compare):
            yield _comparison(parser, node)
    for keyword in call.keywords:
        if not _is_condition(keyword):
            continue
        name, value = keyword.arg or "", parser.literal(keyword.value)
        if value not in (expected := _VALUES[name]) and not (name in _OPEN and _OPEN[name](value)):
            told = f"expected {name}= one of {', '.join(map(repr, expected))}, got {value!r}"
            raise parser.error(keyword.value, told)
        yield Condition(name, "=", value)


def _comparison(parser: Parser, node: ast.Compare) -> Condition:
    name = node.left.id if isinstance(node.left, ast.Name) else ""
    if name not in MEASURES or len(node.ops) > 1 or type(node.ops[0]) not in _SIGNS:
        raise parser.error(node, f"expected NAME>INTEGER with one of {', '.join(MEASURES)}")
    value = parser.literal(node.comparators[0])
    if type(value) is not int:
        raise parser.error(node.comparators[0], f"expected an integer, got {value!r}")
    return Condition(name, _SIGNS[type(node.ops[0])], value)


def measures(case: Case, name: str) -> tuple[int | None, ...]:
    """The sizes of that name in `case`, one per axis or one; none where they make no sense."""
    op = OPS[case.op]
    if name == "batch":
        x = case.shapes.get("input")
        return () if x is None else (x[0] if len(x) == rank(op, "input") else None,)
    with suppress(KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError):
        value = normalized(op, case.shapes, case.arguments).get(name, ())
        return (value,) if isinstance(value, int) else () if isinstance(value, str) else value
    return ()


def _dtypes(case: Case) -> tuple[str, ...]:
    return tuple(v.dtype for v in case.operands.values() if isinstance(v, Operand))


def _layouts(case: Case) -> tuple[str, ...]:
    return tuple(word for name in ARRAYS for word in _layout(name)(case))


def _layout(name: str) -> Callable[[Case], tuple[str, ...]]:
    """The words of the layout of one array."""

    def of(case: Case) -> tuple[str, ...]:
        plain = getattr(case.operands.get(name), "layout", "contiguous")
        layout = case.grad_output if name == "grad" else plain
        return ("of",) if layout != "contiguous" and source(layout) else words(layout)

    return of


def _types(case: Case) -> tuple[str, ...]:
    """The types of the arguments that are not a call's usual ones, and of the sizes in them."""
    found = []
    for value in case.arguments.values():
        parts = value if isinstance(value, (tuple, list)) else ()
        found += [type(part).__name__ for part in (value, *parts)]
    return tuple(name for name in found if name != "int")


def _forms(case: Case) -> tuple[str, ...]:
    forms = [] if case.positional is None else ["by position" if case.positional else "by name"]
    return (*forms, "sizes") if case.sizes != "tuple" else tuple(forms)


# What a condition with `=` looks at, the values that it may have, and whether others may do.
WORDED: dict[str, Callable[[Case], tuple[Any, ...]]] = {
    "batch": lambda case: measures(case, "batch"),
    "dtype": _dtypes,
    "data": lambda case: (case.rule, case.data),
    "layout": _layouts,
    **{f"{name}_layout": _layout(name) for name in ARRAYS},
    "type": _types,
    "form": _forms,
    "blame": lambda case: (case.blame,),
}
_ARGUMENTS = tuple(dict.fromkeys(name for op in OPS.values() for name in op.parameters))
_VALUES: dict[str, tuple[Any, ...]] = {
    "batch": (None, 0, 1),
    "dtype": DTYPES,
    "data": tuple(RULES),
    "layout": (*WORDS, "of"),
    **{f"{name}_layout": (*WORDS, "of") for name in ARRAYS},
    "type": (*("tuple", "list", "Size", "Int", "bool", "str", "float"), *DTYPES[5:]),
    "form": ("by name", "by position", "sizes"),
    "blame": _ARGUMENTS,
}
_OPEN: dict[str, Callable[[Any], bool]] = {
    "batch": lambda value: type(value) is int and value >= 0,
    "data": lambda value: isinstance(value, str) and value.partition(":")[0] in RULES,
    "type": lambda value: isinstance(value, str) and value.isidentifier(),
}


def traits(case: Case) -> frozenset[str]:
    """All that a partial line may say of `case`, each as it stands in one."""
    found = [f"{name}>{least}" for name, least in _ABOVE if _exceeds(case, name, least)]
    found += [f"batch={n}" for n in measures(case, "batch") if n in (None, 0)]
    for name in ("dtype", "type", "form", *(f"{name}_layout" for name in ARRAYS)):
        found += [f"{name}={value!r}" for value in WORDED[name](case)]
    found.append(f"data={case.rule!r}")
    if case.blame:
        found.append(f"blame={case.blame!r}")
    worded = {k: v for k, v in case.arguments.items() if isinstance(v, str)}
    found += [f"{name}={value!r}" for name, value in worded.items()]
    found += [f"{name}=..." for name in ("bias", "output_size") if _is_given(case, name)]
    return frozenset(found)


_ABOVE = tuple((name, 0 if "padding" in name else 1) for name in MEASURES)


def _exceeds(case: Case, name: str, least: int) -> bool:
    return any(n is not None and n > least for n in measures(case, name))


def _is_given(case: Case, name: str) -> bool:
    given = {**case.operands, **case.arguments}
    return given.get(name) is not None and OPS[case.op].family != "fold"


def _closed(value: Operand) -> Operand:
    return replace(value, shape=tuple(1 if literal(n) == ANY else n for n in value.shape))


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
