"""An engine: the object that calls the functions and layers of one convolution library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from ..cases.case import Case
from ..cases.operation import GRADIENTS, OPS, OUTPUT, work
from . import conduct
from .calling import by_name, call_function, call_layer, construct, gradients, output_size
from .outcome import Operands, Outcome, Results, is_array, is_numeric
from .pace import Pace
from .stage import STAGE
from .surroundings import changed, listening, surroundings
from .watchdog import Overdue, Timer

PATIENCE = 1.0  # seconds of processor time that the smallest call may take
IMPATIENCE = 0.1  # the same where a call has already hung: this need not be waited for again
SLOWEST = 1e-5  # seconds for each multiply-add, as `work` counts them
MOST = 1000  # times what the pace predicts
LONGEST = 12  # calls of the engine, at its pace, that one may take: three, and some to wait for


class Errors(StrEnum):
    """How an engine's rejections are held to the reference's."""

    EXACT = "exact"  # the same type or a subclass, and where a case names it, the argument
    REJECTS = "rejects"  # of whatever type and text
    IGNORE = "ignore"  # not at all: only valid calls are judged


@dataclass(frozen=True)
class Call:
    """One call, prepared: its two halves, which may run apart."""

    forward: Callable[[Operands], Any]
    backward: Callable[[Operands, Any], Results]

    def results(self, operands: Operands, grad_output: Any) -> Results:
        """The output and, where there is a gradient of it, the gradients."""
        output = self.forward(operands)
        if not fits(grad_output, output):
            return {OUTPUT: output}
        return {OUTPUT: output, **self.backward(operands, grad_output)}


class Layer:
    """A layer, and the weights with which it was loaded last."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._state: dict[str, bytes] = {}

    def loaded(self, operands: Operands) -> Any:
        """The layer with these weights; it is loaded only where they are others than before."""
        given = {k: operands[k] for k in ("weight", "bias") if operands.get(k) is not None}
        state = {k: v.tobytes() for k, v in given.items()}
        if state != self._state:
            STAGE.enter(f"{type(self._layer).__name__}.load_state_dict")
            self._layer.load_state_dict(given)
            self._state = state
        return self._layer


Layers = dict[Any, Layer]


class Engine:
    """A namespace with functions named as in torch.nn.functional.

    It may have a namespace `grad` with the functions of torch.nn.grad, and layers with `backward`.
    It may declare what it sums in, where that is not float32 for float16 and its own dtype
    else: ``accumulator = {'float16': 'float16'}``; and, where its algorithm is not exact on
    integers, such as an FFT, how accurate it is: ``accuracy = {'float32': ('normwise', 8)}``.

    Parameters
    ----------
    spec : str
        The name by which `--engine` finds it, and which a failure prints.
    namespace : object
        What has the functions as attributes.
    origin : str
        Its version or file, for the header of a run.
    strict : bool
        Whether it must claim every call and offer every gradient: what our own engine promises,
        and no other has to.
    errors : Errors or None
        How its rejections are held to the reference's; None: exactly, if it is strict.
    """

    def __init__(
        self,
        spec: str,
        namespace: Any,
        origin: str = "",
        *,
        strict: bool = False,
        errors: Errors | None = None,
    ) -> None:
        self.spec = spec
        self.namespace = namespace
        self.origin = origin
        self.strict = strict
        self.errors = errors or (Errors.EXACT if strict else Errors.REJECTS)
        self.ops = tuple(name for name in OPS if callable(getattr(namespace, name, None)))
        self.left: tuple[str, ...] = ()  # what its import left changed
        self.timer, self.patience = Timer(), PATIENCE
        self.paces: dict[str, Pace] = {}  # by op, as they were measured
        self.isolated = False  # in a process of its own, which no person's Ctrl-C reaches
        self.declared: Mapping[str, str] = getattr(namespace, "accumulator", {})
        self.accuracy: Mapping[str, tuple[str, float]] = getattr(namespace, "accuracy", {})

    @property
    def gradients_not_offered(self) -> list[str]:
        """The gradients that the ops which it offers could have, by torch.nn.grad's names."""
        if hasattr(self.namespace, "gradients"):
            return []
        grad = getattr(self.namespace, "grad", None)
        missing = []
        for op in map(OPS.__getitem__, self.ops):
            if op.is_layer and not hasattr(getattr(self.namespace, op.name), "backward"):
                missing.append(f"{op.name}.backward")
            elif not op.is_layer:
                names = [f"{op.name}_{name}" for name in op.operands[: op.required]]
                missing += [name for name in names if not hasattr(grad, name)]
        return missing

    def accumulator(self, dtype: str) -> str:
        """The dtype in which sums over `dtype` are formed."""
        return self.declared.get(dtype, "float32" if dtype == "float16" else dtype)

    def call(self, case: Case, operands: Operands, grad_output: Any = None) -> Outcome:
        """Run `case` once, and look at nothing but its results.

        With the gradient of the output, the gradients that the engine offers are results too.
        """
        return self.attempt(
            case, operands, lambda: self.prepared(case, operands).results(operands, grad_output)
        )

    def attempt(
        self, case: Case, operands: Operands, compute: Callable[[], Results], calls: int = 1
    ) -> Outcome:
        """What `compute`, `calls` of this engine for `case`, gives, raises, or never returns.

        NumPy's error state is as it was afterwards: what compares goes by it.
        """
        with np.errstate():
            return self._attempt(case, operands, compute, calls)

    def _attempt(
        self, case: Case, operands: Operands, compute: Callable[[], Results], calls: int = 1
    ) -> Outcome:
        try:
            with self.timer.running(calls * self._time(case, operands)):
                return Outcome(compute())
        except Overdue as overdue:
            return self._hung(overdue)
        except BaseException as error:  # noqa: BLE001 - whatever an engine raises is its outcome
            self._let_a_person_stop(error)
            return Outcome(error=error, function=STAGE.function)

    def observed_call(
        self, case: Case, operands: Operands, grad_output: Any = None, *, repeat: bool = True
    ) -> Outcome:
        """Run `case`, and look at its conduct as well.

        Every function must leave its arguments unwritten, return memory of its own and keep no
        state from call to call. Without `repeat` the engine is called only once, and what later
        calls would show is not looked for.
        """
        given = {**operands, "grad_output": grad_output}
        before, process = conduct.memory(given), surroundings() if repeat else []
        shared: tuple[str, ...] = ()
        unstable = ""

        def observed() -> Results:
            nonlocal shared, unstable
            run = self.prepared(case, operands).results
            first = run(operands, grad_output)
            shared = conduct.shared(given, first)
            if repeat and all(map(is_numeric, first.values())):
                unstable = conduct.unstable(run, operands, grad_output, first)
            return first

        if repeat:  # the error state is looked at below
            with listening():
                outcome = self._attempt(case, operands, observed)
        else:
            outcome = self.attempt(case, operands, observed)
        return replace(
            outcome,
            modified=() if outcome.hung else conduct.modified(given, before),
            shared=shared,
            unstable=unstable,
            changed=changed(process) if repeat else (),
        )

    def _hung(self, overdue: Overdue) -> Outcome:
        self.timer.stop()  # again: the exception may have come while the timer was stopped
        self.patience = IMPATIENCE
        return Outcome(hung=str(overdue), function=STAGE.function)

    def _let_a_person_stop(self, error: BaseException) -> None:
        """Pass on what may be a person's Ctrl-C; in a process of its own only the engine raises."""
        if isinstance(error, KeyboardInterrupt) and not self.isolated:
            raise error

    def _time(self, case: Case, operands: Operands) -> float:
        """The seconds that a call may take: as the slowest engine needs, but at most 1000 times
        what the engine's pace predicts; a tenth of that where a call has already hung."""
        slowest = work(OPS[case.op], operands) * SLOWEST
        usual = self.paces.get(case.op, Pace()).seconds(case)
        if usual:
            slowest = min(slowest, MOST * usual)
        return self.patience + max(self.patience / PATIENCE * slowest, LONGEST * usual)

    def results(self, case: Case, operands: Operands, grad_output: Any = None) -> Results:
        """What the call means, whatever the form of its line: the output and, with `grad_output`,
        the gradients that the engine offers, with everything passed by name."""
        return self.prepared(by_name(case), operands).results(operands, grad_output)

    def prepared(self, case: Case, operands: Operands, layers: Layers | None = None) -> Call:
        """What computes the results of `case`, again and again: for a layer, one layer.

        A layer that is built alike and stands in `layers` already is that one.
        """
        if OPS[case.op].is_layer:
            return self._layer_call(case, operands, {} if layers is None else layers)
        function = getattr(self.namespace, case.op)

        def forward(operands: Operands) -> Any:
            return call_function(function, case, operands)

        def backward(operands: Operands, grad_output: Any) -> Results:
            return self._gradients(case, operands, grad_output)

        return Call(forward, backward)

    def _layer_call(self, case: Case, operands: Operands, layers: Layers) -> Call:
        weight, biased = operands["weight"], operands.get("bias") is not None
        call = output_size(case)
        options = {k: v for k, v in case.arguments.items() if k not in call}
        form = case.positional, case.sizes
        key = (case.op, weight.shape, weight.dtype.type, biased, str(options), form)
        if key not in layers:
            layers[key] = Layer(construct(getattr(self.namespace, case.op), case, operands))
        layer = layers[key]

        def forward(operands: Operands) -> Any:
            return call_layer(layer.loaded(operands), case, operands["input"])

        def backward(operands: Operands, grad_output: Any) -> Results:
            loaded = layer.loaded(operands)
            if not hasattr(loaded, "backward"):
                return {}
            STAGE.enter(f"{case.op}.backward")
            with suppress(NotImplementedError):
                found = loaded.backward(operands["input"], grad_output, **call)
                gradients = zip(GRADIENTS, found, strict=False)
                return {k: v for k, v in gradients if v is not None}
            return {}

        return Call(forward, backward)

    def _gradients(self, case: Case, operands: Operands, grad_output: Any) -> Results:
        """The gradients of a function: `NAMESPACE.gradients`, or what `NAMESPACE.grad` has."""
        if hasattr(self.namespace, "gradients"):
            arguments = (case.op, operands, case.arguments, grad_output)
            STAGE.enter("gradients")
            return dict(self.namespace.gradients(*arguments))
        grad = getattr(self.namespace, "grad", None)
        return gradients(grad, case, operands, grad_output, claims_all=self.strict)


def fits(grad_output: Any, output: Any) -> bool:
    """Whether there is a gradient of `output`; one of another shape can't be propagated back."""
    return grad_output is not None and is_array(output) and grad_output.shape == output.shape
