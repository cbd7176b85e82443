"""Finds the engine that --engine names, and makes our own compute by its definition."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from ..cases.data import SIGNIFICAND
from ..cases.operation import OPS, Op
from .engine import Engine
from .outcome import one_line

OWN = "engine"  # the spec of our own, which is held to more than others


class EngineError(Exception):
    """An engine that cannot be loaded, or that offers nothing to judge."""


def load(spec: str) -> Engine:
    """The engine that `spec` names: MODULE, MODULE:ATTRIBUTE, or FILE.py."""
    if spec.endswith(".py"):
        module = _load_file(Path(spec))
        return _offering(Engine(spec, module, str(Path(spec).resolve())))
    name, _, attribute = spec.partition(":")
    if "" not in sys.path:  # bare `pytest` leaves the user's directory out
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise EngineError(f"--engine {spec}: cannot import {name!r}: {one_line(error)}") from error
    namespace: Any = module
    for part in filter(None, attribute.split(".")):
        if not hasattr(namespace, part):
            raise EngineError(f"--engine {spec}: {name} has no {attribute!r}")
        namespace = getattr(namespace, part)
    version = getattr(module, "__version__", None)
    origin = version or getattr(module, "__file__", "") or ""
    return _offering(Engine(spec, namespace, origin, strict=spec == OWN))


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
    return engine


def _same_kind(dtype: str, other: str) -> bool:
    return dtype.startswith("complex") == other.startswith("complex")


def _load_file(path: Path) -> ModuleType:
    """The module in a file, under a name that hides no other module."""
    if not path.is_file():
        raise EngineError(f"--engine {path}: no such file")
    try:
        return _executed(importlib.util.spec_from_file_location("_engine_from_a_file", path))
    except Exception as error:
        raise EngineError(f"--engine {path}: {one_line(error)}") from error


def load_package(spec: str, folder: Path, name: str) -> Engine:
    """The package in a folder as an engine, under another name: its imports must be relative."""
    places = [str(folder)]
    found = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=places
    )
    return _offering(Engine(spec, _executed(found), str(folder)))


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
            functions = _computed_by(definition, package, op)
            names[op.name], grad[f"{op.name}_input"], grad[f"{op.name}_weight"] = functions
    return Engine("definition", SimpleNamespace(**names, grad=SimpleNamespace(**grad)))


def _computed_by(
    algorithm: ModuleType, package: ModuleType, op: Op
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """A function of our engine and its two gradients, with another algorithm."""
    kind = "TransposedOptions" if op.is_transposed else "ConvOptions"
    options = getattr(package.arguments, kind)

    def function(input: Any, weight: Any, bias: Any = None, **given: Any) -> Any:
        worker = getattr(package.functional, f"_{op.family}")
        return worker(op.axes, input, weight, bias, options(**given), algorithm)

    def input_gradient(input_size: Any, weight: Any, grad_output: Any, **given: Any) -> Any:
        worker = getattr(package.grad, f"_{op.family}_input")
        return worker(op.axes, input_size, weight, grad_output, options(**given), algorithm)

    def weight_gradient(input: Any, weight_size: Any, grad_output: Any, **given: Any) -> Any:
        worker = getattr(package.grad, f"_{op.family}_weight")
        return worker(op.axes, input, weight_size, grad_output, options(**given), algorithm)

    return function, input_gradient, weight_gradient
