"""TODO."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ..cases.operation import OPS
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
    return engine


def _load_file(path: Path) -> ModuleType:
    """The module in a file, under a name that hides no other module."""
    if not path.is_file():
        raise EngineError(f"--engine {path}: no such file")
    try:
        return _executed(importlib.util.spec_from_file_location("_engine_from_a_file", path))
    except Exception as error:
        raise EngineError(f"--engine {path}: {one_line(error)}") from error


def _executed(spec: Any) -> ModuleType:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def by_definition(package: ModuleType) -> Engine:
    """A copy of our engine that computes everything by its definition."""
    name = f"{package.__name__}_by_definition"
    spec = importlib.util.spec_from_file_location(
        name, package.__file__, submodule_search_locations=list(package.__path__)
    )
    copy = _executed(spec)
    compute = importlib.import_module(f"{name}.compute")
    compute.algorithm = importlib.import_module(f"{name}.definition")  # type: ignore[attr-defined]
    return Engine("definition", copy, "")
