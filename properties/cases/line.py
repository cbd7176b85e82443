"""Reads the line of a case, and says where a malformed one is wrong."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from .case import DTYPES, Case, Operand
from .forms import SIZES, Int, Size
from .layouts import LayoutError, checked
from .operation import OPS, Op
from .rules import RULES
from .sequence import AT_ONCE, IN_ORDER, CaseSequence

_PLAIN = [name for name, rule in RULES.items() if not rule.seeded]
_SEEDED = [name for name, rule in RULES.items() if rule.seeded]
RULE = re.compile(rf"{'|'.join(_PLAIN)}|(?:{'|'.join(_SEEDED)}):\d{{1,18}}")


class CaseError(ValueError):
    """A line that is no case, with the column at fault."""

    def __init__(self, line: str, column: int, message: str) -> None:
        super().__init__(f"column {column + 1}: {message}\n  {line}\n  {' ' * column}^")
        self.column = column
        self.reason = message


def parse(line: str) -> Case:
    """The case that `line` names.

    Raises
    ------
    CaseError
        The line is malformed or names something unknown; the message points at the column.
    """
    return Parser(line).case()


def parse_source(text: str) -> Case | CaseSequence:
    """The case that `text` names, or the cases that run in order, or at once."""
    marks = [*_separators(text)]
    starts, ends = [0, *(m.end() for m in marks)], [*(m.start() for m in marks), len(text)]
    cases = [_at(text, start, end) for start, end in zip(starts, ends, strict=True)]
    kinds = {mark[0] for mark in marks}
    if len(kinds) > 1:
        told = f"expected cases in order, with {IN_ORDER}, or at once, with {AT_ONCE}: not both"
        raise CaseError(text, marks[-1].start(), told)
    return CaseSequence(tuple(cases), AT_ONCE in kinds) if kinds else cases[0]


def outside_strings(text: str, sign: str) -> list[int]:
    """Where the letter `sign` stands that is in no string."""
    return [i for i, letter in enumerate(text) if letter == sign and not _in_string(text, i)]


def _separators(text: str) -> Iterator[re.Match[str]]:
    """What stands between cases, in no string."""
    for mark in re.finditer(f"{IN_ORDER}|{re.escape(AT_ONCE)}", text):
        if not _in_string(text, mark.start()):
            yield mark


def _in_string(text: str, at: int) -> bool:
    """Whether the quotes before a place do not come in pairs."""
    return text[:at].count("'") % 2 == 1


def _at(text: str, start: int, end: int) -> Case:
    """The case in a part of `text`; an error points at its column in the whole."""
    part = text[start:end]
    margin = start + len(part) - len(part.lstrip())
    try:
        return parse(part.strip())
    except CaseError as error:
        raise CaseError(text, margin + error.column, error.reason) from None


class Parser:
    """Reads a line through Python's own grammar; evaluates nothing but literals.

    A `partial` line may have ``...`` for anything.
    """

    def __init__(self, line: str, *, partial: bool = False) -> None:
        self.line = line
        self.partial = partial

    def error(self, node: ast.AST | int, message: str) -> CaseError:
        at = node if isinstance(node, int) else self._column(node)
        return CaseError(self.line, at, message)

    def _column(self, node: ast.AST) -> int:
        """In characters; ast counts UTF-8 bytes."""
        offset: int = getattr(node, "col_offset", 0)
        return len(self.line.encode()[:offset].decode(errors="ignore"))

    def case(self) -> Case:
        return self.read(self.call())

    def read(self, call: ast.Call) -> Case:
        """The case of a call in this line."""
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if name not in OPS:
            raise self.error(call.func, f"expected an op, one of {', '.join(OPS)}")
        row = OPS[name]
        if len(call.args) > len(row.parameters):
            extra = call.args[len(row.parameters)]
            raise self.error(extra, f"{name} takes {len(row.parameters)} parameters by position")
        nodes = dict(zip(row.parameters, call.args, strict=False))
        known = [*row.operands, *row.arguments, *self._others(row)]
        for keyword in call.keywords:
            if keyword.arg is None:
                raise self.error(keyword, "expected NAME=VALUE")
            if keyword.arg not in known:
                told = f"{name} has no {keyword.arg!r}; it has {', '.join(known)}"
                raise self.error(keyword, told)
            if keyword.arg in nodes:
                raise self.error(keyword, f"{keyword.arg} is given twice")
            nodes[keyword.arg] = keyword.value
        return self._filled(name, nodes, len(call.args))

    def _others(self, row: Op) -> list[str]:
        """What a line says besides the call."""
        return ["grad_output", "sizes", "data", "blame"]

    def _sizes(self, node: ast.expr | None) -> str:
        if node is None:
            return "tuple"
        value = self.literal(node)
        if not isinstance(value, str) or value not in SIZES:
            raise self.error(node, f"expected one of {', '.join(SIZES)}, got {value!r}")
        return value

    def call(self) -> ast.Call:
        """The one call that the line is."""
        if "\n" in self.line:
            raise self.error(self.line.index("\n"), "expected one line")
        try:
            node = ast.parse(self.line.strip() and self.line, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            at = (getattr(error, "offset", None) or 1) - 1
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            raise self.error(min(at, len(self.line)), f"not a call: {reason}") from None
        if not isinstance(node, ast.Call):
            raise self.error(node, "expected a call such as conv2d((1, 1, 3, 3), (1, 1, 2, 2))")
        return node

    def _filled(self, name: str, nodes: dict[str, ast.expr], positional: int) -> Case:
        row = OPS[name]
        blame = self._word(nodes.get("blame"), None)
        if blame is not None and blame not in (*row.operands, *row.arguments):
            raise self.error(nodes["blame"], f"{name} has no {blame!r} to blame")
        operands = {
            k: self._operand(nodes[k], row.operands[:i])
            for i, k in enumerate(row.operands)
            if k in nodes and not (i < positional and _is_gap(row, k, nodes[k]))
        }
        if row.is_layer and not self.partial:
            self._check_layer(row, nodes, operands.get("weight"))
        gradient = nodes.get("grad_output")
        return Case(
            name,
            operands,
            {k: self.literal(nodes[k]) for k in row.arguments if k in nodes},
            self._word(nodes.get("data"), "ones") or "ones",
            blame,
            "contiguous" if gradient is None else self._layout(gradient, row.operands),
            self._sizes(nodes.get("sizes")),
            None if positional == row.required else positional,
        )

    def _check_layer(self, row: Op, nodes: dict[str, ast.expr], weight: Any) -> None:
        """A layer is built from its weight and groups: they must at least say how."""
        node = nodes.get("weight")
        if not isinstance(weight, Operand) or len(weight.shape) != row.axes + 2:
            told = f"expected the weight of a layer, a shape of {row.axes + 2} sizes"
            raise self.error(node or len(self.line) - 1, told)
        if np.dtype(weight.dtype).kind not in row.kinds:
            raise self.error(node or 0, f"expected a float or complex layer, got {weight.dtype}")
        groups = self.literal(nodes["groups"]) if "groups" in nodes else 1
        if isinstance(groups, bool) or not isinstance(groups, (int, np.integer)):
            raise self.error(nodes["groups"], f"expected the groups of a layer, got {groups!r}")

    def _word(self, node: ast.expr | None, default: str | None) -> str | None:
        """The value of `data` or `blame`."""
        if node is None:
            return default
        value = self.literal(node)
        if not isinstance(value, str):
            raise self.error(node, f"expected a string, got {value!r}")
        if default == "ones" and not RULE.fullmatch(value):
            raise self.error(
                node,
                f"unknown data rule {value!r}; expected {', '.join(_PLAIN)}, or one of "
                + ", ".join(f"{name}:SEED" for name in _SEEDED),
            )
        return value

    def _operand(self, node: ast.expr, before: tuple[str, ...] = ()) -> Any:
        if isinstance(node, ast.Tuple):
            return Operand(self._shape(node.elts))
        if not isinstance(node, ast.Call):
            return self.literal(node)
        dtype = self._dtype(node)
        layout = "contiguous"
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self.error(keyword, "expected layout=VALUE")
            if keyword.arg != "layout":
                raise self.error(keyword, f"an operand has no {keyword.arg!r}; it has layout")
            if keyword is not node.keywords[0]:
                raise self.error(keyword, "layout is given twice")
            layout = self._layout(keyword.value, before)
        return Operand(self._shape(node.args), dtype, layout)

    def _layout(self, node: ast.expr, operands: tuple[str, ...]) -> str:
        """A layout, which may lie in the memory of `operands`."""
        text = self.literal(node)
        if not isinstance(text, str):
            raise self.error(node, f"expected a layout, a string, got {text!r}")
        try:
            return checked(text, operands)
        except LayoutError as error:
            column = self._column(node)
            raise self.error(column + error.at + (error.at > 0), str(error)) from None

    def _dtype(self, node: ast.Call) -> str:
        dtype = node.func.id if isinstance(node.func, ast.Name) else ""
        if dtype not in DTYPES:
            raise self.error(node.func, f"expected a dtype, one of {', '.join(DTYPES)}")
        return dtype

    def _shape(self, nodes: list[ast.expr]) -> tuple[int, ...]:
        sizes = [self.literal(node) for node in nodes]
        for node, size in zip(nodes, sizes, strict=True):
            if not (type(size) is int and size >= 0) and not (self.partial and size is ...):
                raise self.error(node, f"expected a size, got {size!r}")
        return tuple(sizes)

    def literal(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Tuple):
            return tuple(map(self.literal, node.elts))
        if isinstance(node, ast.List):
            return [self.literal(n) for n in node.elts]
        if isinstance(node, ast.Call):
            return self._typed(node)
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError):
            raise self.error(node, "expected a literal") from None

    def _typed(self, node: ast.Call) -> Any:
        """A value of a type that is no literal: NumPy's integers and bool, and our subclasses."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "Size" and not node.keywords:
            return Size(map(self.literal, node.args))
        if name not in ("Int", "bool_"):
            return self._numpy_integer(node)
        value = self.literal(node.args[0]) if len(node.args) == 1 and not node.keywords else None
        if type(value) is not (int if name == "Int" else bool):
            raise self.error(node, "expected Int(2), Size(2, 1) or bool_(True)")
        return Int(value) if name == "Int" else np.bool_(value)

    def _numpy_integer(self, node: ast.Call) -> Any:
        dtype = self._dtype(node)
        if "int" not in dtype or len(node.args) != 1 or node.keywords:
            raise self.error(node, "expected a NumPy integer such as int64(2)")
        value = self.literal(node.args[0])
        info = np.iinfo(dtype)
        if type(value) is not int or not info.min <= value <= info.max:
            raise self.error(node.args[0], f"expected an integer that fits {dtype}")
        return np.dtype(dtype).type(value)


def _is_gap(row: Op, name: str, node: ast.expr) -> bool:
    """Whether a value by position says only that this operand is left out."""
    return isinstance(node, ast.Constant) and node.value is None and row.may_be_left_out(name)
