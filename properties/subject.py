"""The engine in the dock: how it is named, loaded, and called."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .case import Case
from .ops import OPS, work
from .outcome import Outcome, memory, root, same
from .recorder import Overdue, Timer

OWN = "engine"
SLOWEST = 1e-5  # seconds that a multiply-add may take: three calls of a pure Python loop


class SubjectError(Exception):
    """An engine that cannot be loaded, or that offers nothing to judge."""


class Subject:
    """A namespace with functions named as in torch.nn.functional.

    It may declare what it sums in, where that is not float32 for float16 and its own dtype
    else: ``accumulator = {'float16': 'float16'}``.
    """

    def __init__(self, spec: str, namespace: Any, origin: str) -> None:
        self.spec = spec
        self.namespace = namespace
        self.origin = origin
        self.own = spec == OWN
        self.ops = tuple(name for name in OPS if callable(getattr(namespace, name, None)))
        self._timer, self._patience = Timer(), 1.0
        self._accumulator: Mapping[str, str] = getattr(namespace, "accumulator", {})

    def accumulator(self, dtype: str) -> str:
        return self._accumulator.get(dtype, "float32" if dtype == "float16" else dtype)

    def call(self, case: Case, operands: Mapping[str, Any]) -> Outcome:
        """Run `case`, then hold the engine to what every function must keep: its arguments
        unwritten, its results its own, and no state from call to call."""
        before = memory(operands)
        self._timer.start(self._patience * (1 + work(OPS[case.op], operands) * SLOWEST))
        try:
            first = self.results(case, operands)
            shared = _shared(operands, first)
            unstable = self._unstable(case, operands, first)
        except Exception as error:  # noqa: BLE001 - whatever an engine raises is its outcome
            return Outcome(error=error, modified=_modified(operands, before))
        except Overdue:
            self._patience = 0.1  # what hung once need not be waited for again
            return Outcome(hung=True)
        finally:
            self._timer.stop()
        return Outcome(
            first, modified=_modified(operands, before), shared=shared, unstable=unstable
        )

    def results(self, case: Case, operands: Mapping[str, Any]) -> dict[str, Any]:
        """Every result of `case` that the engine offers, by name."""
        return {"output": getattr(self.namespace, case.op)(**operands, **case.arguments)}

    def _unstable(self, case: Case, operands: Mapping[str, Any], first: Mapping[str, Any]) -> str:
        """How calls with negated operands and once more with the same differ from the first.

        A convolution is odd in its input and bias, in floating point too, whatever the order of
        summation; so a value remembered from the first call shows as a missing sign.
        """
        kept = {k: np.array(v) for k, v in first.items()}
        odd = OPS[case.op].odd_in
        flipped = {
            k: -v if k in odd and isinstance(v, np.ndarray) else v for k, v in operands.items()
        }
        try:
            negated = self.results(case, flipped)
            again = self.results(case, operands)
        except Exception as error:  # noqa: BLE001
            return f"a later call raised {type(error).__name__}: {error}"
        for name, value in kept.items():
            if value.tobytes() != np.asarray(first[name]).tobytes():
                return f"a later call overwrote the {name} of an earlier one"
            if value.tobytes() != np.asarray(again[name]).tobytes():
                return f"the same call gave another {name} the second time"
            if not same(np.asarray(negated[name]), -value):
                return (
                    f"negated operands did not give the negated {name}: state is kept between calls"
                )
        return ""


def _modified(operands: Mapping[str, Any], before: Mapping[str, bytes]) -> tuple[str, ...]:
    return tuple(k for k, kept in before.items() if root(operands[k]).tobytes() != kept)


def _shared(operands: Mapping[str, Any], results: Mapping[str, Any]) -> tuple[str, ...]:
    arrays = {k: v for k, v in operands.items() if isinstance(v, np.ndarray)}
    return tuple(
        name
        for name, array in arrays.items()
        for result in results.values()
        if isinstance(result, np.ndarray) and np.shares_memory(root(result), root(array))
    )


def load(spec: str) -> Subject:
    """The engine that `spec` names: MODULE, MODULE:ATTRIBUTE, or FILE.py."""
    if spec.endswith(".py"):
        module = _load_file(Path(spec))
        return _offering(Subject(spec, module, str(Path(spec).resolve())))
    name, _, attribute = spec.partition(":")
    if "" not in sys.path:  # bare `pytest` leaves the user's directory out
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise SubjectError(f"--engine {spec}: cannot import {name!r}: {error}") from error
    namespace: Any = module
    for part in filter(None, attribute.split(".")):
        if not hasattr(namespace, part):
            raise SubjectError(f"--engine {spec}: {name} has no {attribute!r}")
        namespace = getattr(namespace, part)
    version = getattr(module, "__version__", None)
    return _offering(Subject(spec, namespace, version or getattr(module, "__file__", "") or ""))


def _offering(subject: Subject) -> Subject:
    if not subject.ops:
        raise SubjectError(
            f"--engine {subject.spec}: offers none of the functions {', '.join(OPS)}"
        )
    return subject


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise SubjectError(f"--engine {path}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    return _executed(spec)


def _executed(spec: Any) -> ModuleType:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def by_definition(package: ModuleType) -> Subject:
    """A copy of our engine that computes everything by its definition."""
    name = f"{package.__name__}_by_definition"
    spec = importlib.util.spec_from_file_location(
        name, package.__file__, submodule_search_locations=list(package.__path__)
    )
    copy = _executed(spec)
    compute = importlib.import_module(f"{name}.compute")
    compute.algorithm = importlib.import_module(f"{name}.definition")  # type: ignore[attr-defined]
    return Subject("definition", copy, "")
