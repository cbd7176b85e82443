"""Finds the engine that --engine names, and makes our own compute by its definition."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from ..cases.data import SIGNIFICAND
from ..cases.operation import OPS, Op
from .engine import Engine
from .importing import where, why_not
from .surroundings import changed, surroundings

MOST_ERROR = 1000  # a factor beyond this is no accuracy: half of float16's bits would be lost
OWN = "engine"  # the spec of our own, which is held to more than others


class EngineError(Exception):
    """An engine that cannot be loaded, or that offers nothing to judge."""


def load(spec: str, *, tried: bool = False) -> Engine:
    """The engine that `spec` names: MODULE or FILE.py, with :ATTRIBUTE or without.

    The import of an engine of somebody else is tried in a child first, unless it was `tried`.
    Nobody else's warnings are ours, and what an import changes in the process is brought back.
    """
    if "" not in sys.path:  # bare `pytest` leaves the user's directory out
        sys.path.insert(0, "")
    if (file := file_of(spec)) and not Path(file).is_file():
        raise EngineError(f"--engine {spec}: no such file")
    trusted = tried or spec == OWN
    if not trusted and (reason := why_not(lambda: _imported(spec))):
        raise EngineError(f"--engine {spec}: {reason}")
    before = surroundings()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = _imported(spec)
    except (Exception, SystemExit) as error:
        raise EngineError(f"--engine {spec}: {where(error)}") from error
    left = changed(before, kept=IMPORTED)
    engine = Engine(spec, _attribute(spec, module), _origin(spec, module), strict=spec == OWN)
    engine.left = left
    return _offering(engine)


IMPORTED = ("NumPy's random state", "Python's random state", "the environment variables")


def _imported(spec: str) -> ModuleType:
    file = file_of(spec)
    return _load_file(Path(file)) if file else importlib.import_module(spec.partition(":")[0])


def file_of(spec: str) -> str:
    """The file that `spec` names, with an attribute of it or without; "" for a module."""
    file, ending, _ = spec.partition(".py:")
    return file + ".py" if ending else spec if spec.endswith(".py") else ""


def _attribute(spec: str, module: ModuleType) -> Any:
    """What follows the colon, if anything does."""
    name = file_of(spec) or spec.partition(":")[0]
    attribute = spec.removeprefix(name).removeprefix(":")
    namespace: Any = module
    for part in filter(None, attribute.split(".")):
        if not hasattr(namespace, part):
            raise EngineError(f"--engine {spec}: {name} has no {attribute!r}")
        namespace = getattr(namespace, part)
    return namespace


def _origin(spec: str, module: ModuleType) -> str:
    """Its version or its file."""
    if file := file_of(spec):
        return str(Path(file).resolve())
    return getattr(module, "__version__", None) or getattr(module, "__file__", "") or ""


def _offering(engine: Engine) -> Engine:
    if not engine.ops:
        raise EngineError(f"--engine {engine.spec}: offers none of the functions {', '.join(OPS)}")
    for dtype, sums in engine.declared.items():
        if not (dtype in SIGNIFICAND and sums in SIGNIFICAND and _same_kind(dtype, sums)):
            raise EngineError(
                f"--engine {engine.spec}: accumulator: expected dtypes of one kind among "
                f"{', '.join(SIGNIFICAND)}, such as {{'float16': 'float16'}}, got "
                f"{{{dtype!r}: {sums!r}}}"
            )
    _check_accuracy(engine)
    return engine


def _check_accuracy(engine: Engine) -> None:
    """An accuracy must be declared by dtype, in the one form that there is."""
    declared = engine.accuracy.items() if isinstance(engine.accuracy, Mapping) else [("", None)]
    for dtype, accuracy in declared:
        form: Any
        factor: Any
        form, factor = accuracy if _is_pair(accuracy) else ("", None)
        known = dtype in SIGNIFICAND and form == "normwise"
        if not (known and type(factor) in (int, float) and 1 <= factor <= MOST_ERROR):
            raise EngineError(
                f"--engine {engine.spec}: accuracy: expected dtypes among "
                f"{', '.join(SIGNIFICAND)}, each with 'normwise' and a factor from 1 to "
                f"{MOST_ERROR}, such as {{'float32': ('normwise', 8)}}, got {engine.accuracy!r}"
            )


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2


def _same_kind(dtype: str, other: str) -> bool:
    return dtype.startswith("complex") == other.startswith("complex")


def _load_file(path: Path) -> ModuleType:
    """The module in a file, under a name that hides no other module."""
    name = f"_engine_from_file_{zlib.crc32(bytes(path.resolve())):08x}"  # one for each
    return _executed(importlib.util.spec_from_file_location(name, path))


def load_package(spec: str, place: Path, name: str, inner: str = "", attribute: str = "") -> Engine:
    """The package in a folder, or the module in a file, as an engine, under another name.

    The imports of a package must be relative. The functions are those of its module `inner`, or
    of what that has as `attribute`.
    """
    for loaded in [key for key in sys.modules if f"{key}.".startswith(f"{name}.")]:
        del sys.modules[loaded]  # of what was loaded under this name before
    is_folder = place.is_dir()
    file = place / "__init__.py" if is_folder else place
    places = [str(place)] if is_folder else None
    namespace: Any = _executed(
        importlib.util.spec_from_file_location(name, file, submodule_search_locations=places)
    )
    if inner:
        namespace = importlib.import_module(f"{name}.{inner}")
    for part in filter(None, attribute.split(".")):
        namespace = getattr(namespace, part)
    return _offering(Engine(spec, namespace, str(place)))


def _executed(spec: Any) -> ModuleType:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def by_definition(package: ModuleType) -> Engine:
    """Our engine, with its definition for the algorithm of every function and layer."""
    definition = importlib.import_module(f"{package.__name__}.definition")
    names, grad = {"fold": package.fold, "unfold": package.unfold}, dict(vars(package.grad))
    for op in OPS.values():
        if op.is_layer:
            names[op.name] = type(op.name, (getattr(package, op.name),), {"algorithm": definition})
        elif op.name not in names:
            functions = computed_by(definition, package, op)
            names[op.name], grad[f"{op.name}_input"], grad[f"{op.name}_weight"] = functions
    return Engine("definition", SimpleNamespace(**names, grad=SimpleNamespace(**grad)))


def computed_by(
    algorithm: ModuleType, package: ModuleType, op: Op
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """A function of our engine and its two gradients, with another algorithm."""
    kind = "TransposedOptions" if op.is_transposed else "ConvOptions"

    def options(by_position: tuple[Any, ...], by_name: Mapping[str, Any]) -> Any:
        given = dict(zip(op.arguments, by_position, strict=False))
        return getattr(package.arguments, kind)(**given, **by_name)

    def function(input: Any, weight: Any, bias: Any = None, *more: Any, **given: Any) -> Any:
        worker = getattr(package.functional, f"_{op.family}")
        return worker(op.axes, input, weight, bias, options(more, given), algorithm)

    def input_gradient(
        input_size: Any, weight: Any, grad_output: Any, *more: Any, **given: Any
    ) -> Any:
        worker = getattr(package.grad, f"_{op.family}_input")
        return worker(op.axes, input_size, weight, grad_output, options(more, given), algorithm)

    def weight_gradient(
        input: Any, weight_size: Any, grad_output: Any, *more: Any, **given: Any
    ) -> Any:
        worker = getattr(package.grad, f"_{op.family}_weight")
        return worker(op.axes, input, weight_size, grad_output, options(more, given), algorithm)

    return function, input_gradient, weight_gradient
