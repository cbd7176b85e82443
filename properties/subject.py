"""The engine in the dock: how it is named, loaded, and called."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from .case import Case
from .ops import GRADIENTS, ODD, OPS, OUTPUT, Op, work
from .outcome import Outcome, memory, root, same, told_of
from .recorder import Overdue, Timer

OWN = "engine"
SLOWEST = 1e-5  # seconds that a multiply-add may take: three calls of a pure Python loop

Operands = Mapping[str, Any]
Results = dict[str, Any]
Run = Callable[[Operands, Any], Results]  # from operands and the gradient of the output


class SubjectError(Exception):
    """An engine that cannot be loaded, or that offers nothing to judge."""


class Subject:
    """A namespace with functions named as in torch.nn.functional.

    It may have a namespace `grad` with the functions of torch.nn.grad, and layers with `backward`.
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

    def call(
        self, case: Case, operands: Operands, gy: Any = None, *, repeat: bool = True
    ) -> Outcome:
        """Run `case`, then hold the engine to what every function must keep: its arguments
        unwritten, its results its own, and no state from call to call.

        With `gy`, a gradient of the output, the gradients that the engine offers are results too.
        Without `repeat` it is called once, and what later calls would show is not looked for.
        """
        given = {**operands, "grad_output": gy}
        before = memory(given)
        try:
            with self._timer.running(self._time(case, operands)):
                run = self.prepared(case, operands)
                first = run(operands, gy)
                shared = _shared(given, first)
                comparable = repeat and all(isinstance(v, np.ndarray) for v in first.values())
                unstable = _unstable(run, operands, gy, first) if comparable else ""
        except Exception as error:  # noqa: BLE001 - whatever an engine raises is its outcome
            return Outcome(error=error, modified=_modified(given, before))
        except Overdue:
            self._patience = 0.1  # what hung once need not be waited for again
            return Outcome(hung=True)
        return Outcome(first, modified=_modified(given, before), shared=shared, unstable=unstable)

    def once(self, case: Case, operands: Operands, gy: Any = None) -> Outcome:
        """Run `case` and look at nothing but its results."""
        try:
            with self._timer.running(self._time(case, operands)):
                return Outcome(self.results(case, operands, gy))
        except Exception as error:  # noqa: BLE001 - whatever an engine raises is its outcome
            return Outcome(error=error)
        except Overdue:
            self._patience = 0.1
            return Outcome(hung=True)

    def _time(self, case: Case, operands: Operands) -> float:
        """The seconds that `call` may take."""
        return self._patience + work(OPS[case.op], operands) * SLOWEST

    def results(self, case: Case, operands: Operands, gy: Any = None) -> Results:
        """The output of `case` and, with `gy`, the gradients that the engine offers.

        `gy` may be a function of the output's shape.
        """
        return self.prepared(case, operands)(operands, gy)

    def prepared(self, case: Case, operands: Operands) -> Run:
        """What computes the results of `case`, again and again: for a layer, one layer."""
        if OPS[case.op].is_layer:
            return self._layer(case, operands)
        function = getattr(self.namespace, case.op)

        def run(operands: Operands, gy: Any) -> Results:
            output = function(**operands, **case.arguments)
            if (gy := _fitting(gy, output)) is None:
                return {OUTPUT: output}
            return {OUTPUT: output, **self.gradients(case, operands, gy)}

        return run

    def _layer(self, case: Case, operands: Operands) -> Run:
        op, weight, biased = OPS[case.op], operands["weight"], operands.get("bias") is not None
        options = dict(case.arguments)
        call = {k: options.pop(k) for k in ("output_size",) if k in options}
        outer, inner = weight.shape[0], weight.shape[1] * options.get("groups", 1)
        channels = (outer, inner) if op.is_transposed else (inner, outer)
        layer = getattr(self.namespace, case.op)(
            *channels, weight.shape[2:], **options, bias=biased, dtype=weight.dtype.type
        )

        def run(operands: Operands, gy: Any) -> Results:
            x, *state = (operands[k] for k in op.operands if operands.get(k) is not None)
            layer.load_state_dict(dict(zip(("weight", "bias"), state, strict=False)))
            output = layer(x, **call)
            gy = _fitting(gy, output) if hasattr(layer, "backward") else None
            found: Any = ()
            with suppress(NotImplementedError):
                found = () if gy is None else layer.backward(x, gy, **call)
            gradients = zip(GRADIENTS, found, strict=False)
            return {OUTPUT: output} | {k: v for k, v in gradients if v is not None}

        return run

    def gradients(self, case: Case, operands: Operands, gy: Any) -> Results:
        """The gradients of a function: `NAMESPACE.gradients`, or what `NAMESPACE.grad` has."""
        if hasattr(self.namespace, "gradients"):
            return dict(self.namespace.gradients(case.op, operands, case.arguments, gy))
        grad = getattr(self.namespace, "grad", None)
        x, w = operands["input"], operands["weight"]
        calls = {
            "grad_input": (f"{case.op}_input", (x.shape, w, gy), case.arguments),
            "grad_weight": (f"{case.op}_weight", (x, w.shape, gy), case.arguments),
            "grad_bias": (f"conv{OPS[case.op].axes}d_bias", (gy,), {}),
        }
        if operands.get("bias") is None:
            del calls["grad_bias"]
        found = {}
        for name, (function, arrays, arguments) in calls.items():
            if hasattr(grad, function):
                with suppress(NotImplementedError):  # not claimed, which says nothing of the rest
                    found[name] = getattr(grad, function)(*arrays, **arguments)
        return found


def _fitting(gy: Any, output: Any) -> Any:
    """The gradient of `output`; none if it has another shape, which is then the failure."""
    shape = np.shape(output)
    return gy(shape) if callable(gy) else gy if np.shape(gy) == shape else None


def _unstable(run: Run, operands: Operands, gy: Any, first: Results) -> str:
    """How calls with negated operands and once more with the same differ from the first.

    A convolution is odd in its input and bias, in floating point too, whatever the order of
    summation; so a value remembered from the first call shows as a missing sign. The same memory
    is negated, lest its layout or alignment change the order.
    """
    kept = {k: np.array(v) for k, v in first.items()}
    odd = [v for k, v in (*operands.items(), ("", gy)) if k != "weight"]
    try:
        _negate(odd)
        try:
            negated = run(operands, gy)
        finally:
            _negate(odd)
        again = run(operands, gy)
    except Exception as error:  # noqa: BLE001
        return f"a later call raised {type(error).__name__}: {error}"
    for name, value in kept.items():
        if value.tobytes() != np.asarray(first[name]).tobytes():
            return f"a later call overwrote the {name} of an earlier one"
        if value.tobytes() != np.asarray(again[name]).tobytes():
            return f"the same call gave another {name} the second time"
        if not same(np.asarray(negated[name]), -value if ODD[name] else value):
            return f"negated operands gave a wrong {name}: state is kept between calls"
    return ""


def _negate(values: list[Any]) -> None:
    """Change the sign of every array, in place."""
    for value in values:
        if isinstance(value, np.ndarray):
            target = root(value) if 0 in value.strides else value
            readonly = not target.flags.writeable
            target.flags.writeable = True
            np.negative(target, out=target)
            target.flags.writeable = not readonly


def _modified(operands: Operands, before: Mapping[str, bytes]) -> tuple[str, ...]:
    return tuple(k for k, kept in before.items() if root(operands[k]).tobytes() != kept)


def _shared(operands: Operands, results: Results) -> tuple[str, ...]:
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
    except Exception as error:
        raise SubjectError(f"--engine {spec}: cannot import {name!r}: {told_of(error)}") from error
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
    """The module in a file, under a name that hides no other module."""
    if not path.is_file():
        raise SubjectError(f"--engine {path}: no such file")
    try:
        return _executed(importlib.util.spec_from_file_location("_engine_in_the_dock", path))
    except Exception as error:
        raise SubjectError(f"--engine {path}: {told_of(error)}") from error


def _executed(spec: Any) -> ModuleType:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def by_definition(package: ModuleType) -> Subject:
    """Our engine, with its definition for the algorithm of every function and layer."""
    definition = importlib.import_module(f"{package.__name__}.definition")
    names, grad = {"fold": package.fold, "unfold": package.unfold}, dict(vars(package.grad))
    for op in OPS.values():
        if op.is_layer:
            names[op.name] = type(op.name, (getattr(package, op.name),), {"algorithm": definition})
        elif op.has_gradients:
            functions = _computed_by(definition, package, op)
            names[op.name], grad[f"{op.name}_input"], grad[f"{op.name}_weight"] = functions
    return Subject("definition", SimpleNamespace(**names, grad=SimpleNamespace(**grad)), "")


def _computed_by(
    algorithm: ModuleType, package: ModuleType, op: Op
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """A function of our engine and its two gradients, with another algorithm."""
    kind = "TransposedOptions" if op.is_transposed else "ConvOptions"
    options = getattr(package.arguments, kind)

    def function(input: Any, weight: Any, bias: Any = None, **given: Any) -> Any:
        worker = getattr(package.functional, f"_{op.family}")
        return worker(op.axes, input, weight, bias, options(**given), algorithm)

    def input_gradient(size: Any, weight: Any, grad_output: Any, **given: Any) -> Any:
        worker = getattr(package.grad, f"_{op.family}_input")
        return worker(op.axes, size, weight, grad_output, options(**given), algorithm)

    def weight_gradient(input: Any, size: Any, grad_output: Any, **given: Any) -> Any:
        worker = getattr(package.grad, f"_{op.family}_weight")
        return worker(op.axes, input, size, grad_output, options(**given), algorithm)

    return function, input_gradient, weight_gradient
