"""Mutants of our engine: every small change of its syntax tree, each loaded as a copy of its own.

A mutant differs from the engine in one place. What is no behaviour is left alone: docstrings,
annotations, imports, `__all__`, and the `strict` of zip, which asserts what holds of every call.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import engine

PACKAGE = Path(engine.__file__).parent
TOP = (
    "__init__"  # the name here of the engine itself; of a module in it, the name within the engine
)
COMPARE: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.FloorDiv),
    ast.FloorDiv: (ast.Mult,),
    ast.Div: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Add,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitXor: (ast.BitAnd,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
}
# What is easily taken for one another.
SIBLINGS = {
    "stride": "dilation",
    "dilation": "stride",
    "input_size": "output_size",
    "output_size": "input_size",
    "kernel_size": "output_size",
    "channels": "filters",
    "filters": "channels",
    "batch": "groups",
    "groups": "batch",
    "real": "imag",
}
TYPES = {"int", "tuple", "list", "np.integer", "TypeError", "ValueError", "RuntimeError"}
COMMUTATIVE = {"min", "max", "swapaxes"}
DROPPED = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.Raise)

Modules = dict[str, ModuleType]
Found = Iterator[tuple[str, Any]]  # the kind of a change, and what it puts in a node's place


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    module: str
    function: str  # 'checks.Checker.integer', or the module where it is in no function
    source: str  # the line
    change: str  # 'compare: a < b -> a <= b'
    lines: frozenset[int]  # of which one runs if what is changed does; empty: on import
    place: tuple[Any, str, int | None]  # the node that holds what is changed, its field, and index
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.function} | {self.source} | {self.change}"


def text(node: Any) -> str:
    """A node as one line, not too long."""
    nodes = node if isinstance(node, list) else [node]
    line = " ".join(ast.unparse(ast.fix_missing_locations(n)) for n in nodes).split("\n")[0]
    return line if len(line) <= 70 else f"{line[:40]}…{line[-29:]}"


def mutations(node: ast.AST) -> Found:
    """What may stand in the place of `node`, but for what its parent decides."""
    for kind in type(node).__mro__:
        if kind in _MUTATIONS:
            yield from _MUTATIONS[kind](node)


def _compare(node: ast.Compare) -> Found:
    for i, op in enumerate(node.ops):
        for other in COMPARE[type(op)]:
            yield "compare", changed(node, ops=[*node.ops[:i], other(), *node.ops[i + 1 :]])


def _arithmetic(node: ast.BinOp) -> Found:
    for other in ARITHMETIC[type(node.op)]:
        yield "arithmetic", changed(node, op=other())
    yield "operand", node.left
    yield "operand", node.right


def _boolean(node: ast.BoolOp) -> Found:
    yield "boolean", changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    for i in range(len(node.values)):
        rest = node.values[:i] + node.values[i + 1 :]
        yield "operand", rest[0] if len(rest) == 1 else changed(node, values=rest)


def _unary(node: ast.UnaryOp) -> Found:
    yield "unary", node.operand


def _constant(node: ast.Constant) -> Found:
    value = node.value
    if isinstance(value, bool):
        yield "constant", ast.Constant(not value)
    elif isinstance(value, (int, float)):
        yield "constant", ast.Constant(value + 1)
        yield "constant", ast.Constant(value - 1)
    elif isinstance(value, str):
        yield "text", ast.Constant(value[:-1] if value else "x")
        if 1 < len(value) < 6:  # such as the kinds of a dtype
            yield "text", ast.Constant(value[1:])
        if "->" in value:  # einsum's axes
            yield "axes", ast.Constant(f"{value[:-2]}{value[:-3:-1]}")


def _formatted(node: ast.JoinedStr) -> Found:
    yield "text", changed(node, values=[*node.values, ast.Constant("x")])


def _condition(node: ast.If | ast.IfExp) -> Found:
    for value in (True, False):
        yield "condition", changed(node, test=ast.Constant(value))


def _comprehension(node: ast.comprehension) -> Found:
    for i in range(len(node.ifs)):
        yield "condition", changed(node, ifs=node.ifs[:i] + node.ifs[i + 1 :])


def _call(node: ast.Call) -> Found:
    for i, keyword in enumerate(node.keywords):
        if keyword.arg != "strict":
            yield "keyword", changed(node, keywords=node.keywords[:i] + node.keywords[i + 1 :])
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name not in COMMUTATIVE:
        yield from (("swap", changed(node, args=args)) for args in _swapped(node.args))
    if isinstance(node.func, ast.Attribute) and _is_value(node.func.value):
        yield "call", node.func.value
    elif node.args and not isinstance(node.args[0], ast.Starred) and name != "tuple":
        yield "call", node.args[0]


def _is_value(node: ast.expr) -> bool:
    """Neither a module nor the object itself, so that a method's result can be left out."""
    return not (isinstance(node, ast.Name) and node.id in {"np", "self", *_imported_modules()})


@cache
def _imported_modules() -> set[str]:
    """The names under which modules of the engine stand in others: ``from . import im2col``."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    nodes = [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    return {alias.name for n in nodes if n.level and not n.module for alias in n.names}


def _swapped(nodes: list[Any]) -> Iterator[list[Any]]:
    for i in range(len(nodes) - 1):
        if ast.dump(nodes[i]) != ast.dump(nodes[i + 1]):
            yield [*nodes[:i], nodes[i + 1], nodes[i], *nodes[i + 2 :]]


def _sequence(node: ast.Tuple | ast.List) -> Found:
    if isinstance(node.ctx, ast.Load) and not _is_set(node):
        yield from (("swap", changed(node, elts=elts)) for elts in _swapped(node.elts))
    if (isinstance(node, ast.List) and len(node.elts) > 1) or _is_set(node):
        yield from _without(node)


def _is_set(node: ast.Tuple | ast.List) -> bool:
    """A tuple of types (or of exceptions): its order means nothing, its elements do."""
    return all((isinstance(e, ast.Name) and e.id in TYPES) or text(e) in TYPES for e in node.elts)


def _without(node: Any) -> Found:
    for i in range(len(node.elts)):
        yield "element", changed(node, elts=node.elts[:i] + node.elts[i + 1 :])


def _dictionary(node: ast.Dict) -> Found:
    for i in range(len(node.keys)):
        keys, values = node.keys[:i] + node.keys[i + 1 :], node.values[:i] + node.values[i + 1 :]
        yield "element", changed(node, keys=keys, values=values)


def _slice(node: ast.Slice) -> Found:
    for bound in ("lower", "upper", "step"):
        if getattr(node, bound) is not None:
            yield "slice", changed(node, **{bound: None})


def _attribute(node: ast.Attribute) -> Found:
    if isinstance(node.ctx, ast.Load) and node.attr in SIBLINGS:
        yield "sibling", changed(node, attr=SIBLINGS[node.attr])


def _statement(node: ast.stmt) -> Found:
    if isinstance(node, DROPPED) and not _is_declaration(node):
        yield "drop", ast.Pass()
    if isinstance(node, ast.Return) and node.value is not None:
        yield "return", ast.Return(ast.Constant(None))
    if isinstance(node, ast.With):
        yield "with", node.body


def _function(node: ast.FunctionDef | ast.ClassDef) -> Found:
    for i, decorator in enumerate(node.decorator_list):
        rest = [d for k, d in enumerate(node.decorator_list) if k != i]
        yield f"decorator {text(decorator)}", changed(node, decorator_list=rest)


_MUTATIONS: dict[type, Callable[[Any], Found]] = {
    ast.Compare: _compare,
    ast.BinOp: _arithmetic,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.Constant: _constant,
    ast.JoinedStr: _formatted,
    ast.If: _condition,
    ast.IfExp: _condition,
    ast.comprehension: _comprehension,
    ast.Call: _call,
    ast.Tuple: _sequence,
    ast.List: _sequence,
    ast.Set: _without,
    ast.Dict: _dictionary,
    ast.Slice: _slice,
    ast.Attribute: _attribute,
    ast.stmt: _statement,
    ast.FunctionDef: _function,
    ast.ClassDef: _function,
}


def changed(node: Any, **fields: Any) -> Any:
    """A copy of `node`, of this level alone, with other `fields`."""
    values = {name: getattr(node, name, None) for name in node._fields}
    return ast.copy_location(type(node)(**{**values, **fields}), node)


def _is_declaration(node: ast.stmt) -> bool:
    """Docstrings, annotations, `__all__`, and names of types."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.AnnAssign):
        return node.value is None or "TypeAlias" in ast.unparse(node.annotation)
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def _inner(node: ast.AST) -> Iterator[tuple[str, int | None, ast.AST]]:
    """The nodes below `node` that do something: field, index and node."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns"} or isinstance(value, (ast.expr_context, ast.operator)):
            continue
        if isinstance(value, ast.AST):
            yield name, None, value
        elif isinstance(value, list):
            yield from ((name, i, item) for i, item in enumerate(value) if _counts(node, item))


def _counts(holder: ast.AST, item: object) -> bool:
    if isinstance(holder, ast.JoinedStr):  # its text is changed as a whole
        return isinstance(item, ast.FormattedValue)
    passive = (ast.Import, ast.ImportFrom, ast.cmpop)
    if isinstance(item, ast.keyword) and item.arg == "strict":
        return False
    return isinstance(item, ast.AST) and not isinstance(item, passive)


class Source:
    """One module of the engine: its tree, and what it imports.

    It is named by its place in the engine, with dots: `checks`, `algorithms.im2col`, and
    `algorithms` for the file `algorithms/__init__.py`.
    """

    def __init__(self, path: Path, root: Path = PACKAGE) -> None:
        parts = path.relative_to(root).with_suffix("").parts
        self.is_package = parts[-1] == TOP
        self.name = ".".join(parts[:-1] if self.is_package else parts) or TOP
        self.path = str(path)
        self.text = path.read_text(encoding="utf-8").splitlines()
        self.tree = ast.parse("\n".join(self.text))

    @cached_property
    def code(self) -> CodeType:
        return compile(self.tree, self.path, "exec")

    @property
    def package(self) -> tuple[str, ...]:
        """The package from which its relative imports count, as parts of a name."""
        parts = () if self.name == TOP else tuple(self.name.split("."))
        return parts if self.is_package else parts[:-1]

    @property
    def packages(self) -> set[str]:
        """All packages that it stands in, itself not."""
        parts = self.name.split(".")[:-1]
        above = {".".join(parts[: i + 1]) for i in range(len(parts))}
        return above | {TOP} - {self.name}

    def needs(self, known: Set[str]) -> set[str]:
        """The modules among `known` that stand executed before it."""
        nodes = [n for n in self.tree.body if isinstance(n, ast.ImportFrom) and n.level]
        found = {name for node in nodes for name in self._imported(node, known)}
        return found - {self.name}

    def _imported(self, node: ast.ImportFrom, known: Set[str]) -> Iterator[str]:
        """The modules that one import names, and the packages around them but for its own."""
        start = self.package[: len(self.package) - node.level + 1]
        base = ".".join([*start, *([node.module] if node.module else [])]) or TOP
        for alias in node.names:
            inner = alias.name if base == TOP else f"{base}.{alias.name}"
            if inner not in known or base not in self.packages:
                yield base
            if inner in known:
                yield inner

    @cached_property
    def mutants(self) -> list[Mutant]:
        """All of them, in the order of the text, each with a name of its own."""
        found: dict[str, Mutant] = {}
        for mutant in self._below(self.tree, self.name, frozenset()):
            name, count = mutant, 2
            while str(name) in found:
                name = replace(mutant, change=f"{mutant.change} ({count})")
                count += 1
            found[str(name)] = name
        return [*found.values()]

    def _below(self, holder: ast.AST, function: str, lines: frozenset[int]) -> Iterator[Mutant]:
        for field, index, node in _inner(holder):
            if isinstance(node, ast.stmt) and _is_declaration(node):
                continue
            runs = bool(lines) or (isinstance(holder, ast.FunctionDef) and field == "body")
            own = (
                _lines(node) if runs and isinstance(node, (ast.stmt, ast.excepthandler)) else lines
            )
            named = isinstance(node, (ast.FunctionDef, ast.ClassDef))
            where = f"{function}.{node.name}" if named else function  # type: ignore[attr-defined]
            line = self.text[getattr(node, "lineno", min(own, default=1)) - 1].strip()
            for kind, new in mutations(node):
                change = f"{kind}: {text(node)}" + ("" if kind == "drop" else f" -> {text(new)}")
                alone = isinstance(holder, ast.Expr) and kind == "call"  # the same as to drop it
                if text(new) != text(node) and not alone:
                    place = (holder, field, index)
                    yield Mutant(self.name, where, line, change, own, place, node, new)
            yield from self._below(node, where, own)

    def rewritten(self, line: str, code: str) -> Mutant:
        """A mutant made by hand: the statement that begins with `line` becomes `code`."""
        number = next(i for i, text in enumerate(self.text, 1) if text.strip().startswith(line))
        for holder in ast.walk(self.tree):
            for field, index, node in _inner(holder):
                if isinstance(node, ast.stmt) and node.lineno == number:
                    place = (holder, field, index)
                    new = ast.parse(code).body
                    return Mutant(self.name, self.name, line, code, _lines(node), place, node, new)
        raise ValueError(line)

    def mutated(self, mutant: Mutant) -> CodeType:
        """The module's code with `mutant` in it; the tree is left as it was."""
        holder, field, index = mutant.place
        whole = getattr(holder, field)
        new = mutant.new if isinstance(mutant.new, list) else [mutant.new]
        for node in new:
            ast.fix_missing_locations(ast.copy_location(node, mutant.old))
        one = new[0] if index is None else [*whole[:index], *new, *whole[index + 1 :]]
        setattr(holder, field, one)
        try:
            return compile(self.tree, self.path, "exec")
        finally:
            setattr(holder, field, whole)


def _lines(node: Any) -> frozenset[int]:
    """The lines of a statement, or of the head of one that holds others."""
    body = getattr(node, "body", None)
    end = body[0].lineno - 1 if body else node.end_lineno
    return frozenset(range(node.lineno, max(node.lineno, end) + 1))


class Copies:
    """Our engine in many copies: what a mutant does not touch is shared with the right one."""

    def __init__(self, root: Path = PACKAGE) -> None:
        self.sources = in_order([Source(path, root) for path in sorted(root.rglob("*.py"))])
        self.right: Modules = {}
        self.right = self.loaded({*self.sources}, {})

    @property
    def mutants(self) -> list[Mutant]:
        return [m for source in self.sources.values() for m in source.mutants]

    def depending(self, module: str) -> set[str]:
        """`module`, all that needs it, and the packages that they stand in."""
        found, before = {module}, set[str]()
        while found != before:
            before = {*found}
            found |= {n for n, s in self.sources.items() if s.needs(self.sources.keys()) & before}
            found |= {package for name in before for package in self.sources[name].packages}
        return found

    def of(self, mutant: Mutant) -> Modules:
        """The modules of the engine with `mutant` in it; what it can't touch is the right one's."""
        code = {mutant.module: self.sources[mutant.module].mutated(mutant)}
        return self.loaded(self.depending(mutant.module), code)

    def loaded(self, anew: set[str], code: Mapping[str, CodeType]) -> Modules:
        """All modules by their names: those `anew` are executed, the others are the right ones."""
        modules = {n: _empty(s) if n in anew else self.right[n] for n, s in self.sources.items()}
        for name, module in modules.items():
            package, _, child = name.rpartition(".")
            if name != TOP:
                setattr(modules[package or TOP], child, module)
        with installed(modules):
            for name, source in self.sources.items():
                if name in anew:
                    exec(code.get(name, source.code), modules[name].__dict__)
        return modules


def in_order(sources: Iterable[Source]) -> dict[str, Source]:
    """Sources by their names, each after those that it needs."""
    waiting = {source.name: source for source in sources}
    known, found = {*waiting}, dict[str, Source]()
    while waiting:
        ready = [n for n, s in waiting.items() if s.needs(known) <= {*found}]
        if not ready:
            raise ValueError(f"modules that import each other: {', '.join(waiting)}")
        found |= {name: waiting.pop(name) for name in ready}
    return found


def _empty(source: Source) -> ModuleType:
    """The module of a source before it is executed."""
    module = ModuleType("engine" if source.name == TOP else f"engine.{source.name}")
    module.__package__ = ".".join(["engine", *source.package])
    module.__file__ = source.path
    if source.is_package:
        module.__path__ = [str(Path(source.path).parent)]
    return module


@contextmanager
def installed(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """`modules` in the place of our engine, whoever imports it."""
    kept = {k: v for k, v in sys.modules.items() if k == "engine" or k.startswith("engine.")}
    for name in kept:
        del sys.modules[name]
    sys.modules.update({module.__name__: module for module in modules.values()})
    try:
        yield
    finally:
        for name in [k for k in sys.modules if k == "engine" or k.startswith("engine.")]:
            del sys.modules[name]
        sys.modules.update(kept)
