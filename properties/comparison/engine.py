"""An engine: the object that calls the functions and layers of one convolution library."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ..cases.case import Case
from ..cases.operation import GRADIENTS, OPS, OUTPUT, work
from . import conduct
from .calling import by_name, call_function, call_layer, construct, gradients, output_size
from .outcome import Operands, Outcome, Results, Run, is_array
from .watchdog import Overdue, Timer

SLOWEST = 1e-5  # seconds that a multiply-add may take: three calls of a pure Python loop


class Engine:
    """A namespace with functions named as in torch.nn.functional.

    It may have a namespace `grad` with the functions of torch.nn.grad, and layers with `backward`.
    It may declare what it sums in, where that is not float32 for float16 and its own dtype
    else: ``accumulator = {'float16': 'float16'}``.

    Parameters
    ----------
    spec : str
        The name by which `--engine` finds it, and which a failure prints.
    namespace : object
        What has the functions as attributes.
    origin : str
        Its version or file, for the header of a run.
    strict : bool
        Whether it must also raise torch's type of error, blame the right argument, and offer
        every gradient: what our own engine promises, and no other has to.
    """

    def __init__(
        self, spec: str, namespace: Any, origin: str = "", *, strict: bool = False
    ) -> None:
        self.spec = spec
        self.namespace = namespace
        self.origin = origin
        self.strict = strict
        self.ops = tuple(name for name in OPS if callable(getattr(namespace, name, None)))
        self._timer, self._patience = Timer(), 1.0
        self._accumulator: Mapping[str, str] = getattr(namespace, "accumulator", {})

    def accumulator(self, dtype: str) -> str:
        """The dtype in which sums over `dtype` are formed."""
        return self._accumulator.get(dtype, "float32" if dtype == "float16" else dtype)

    def call(self, case: Case, operands: Operands, grad_output: Any = None) -> Outcome:
        """Run `case` once, and look at nothing but its results.

        With the gradient of the output, the gradients that the engine offers are results too.
        """
        try:
            with self._timer.running(self._time(case, operands)):
                return Outcome(self.prepared(case, operands)(operands, grad_output))
        except Exception as error:  # noqa: BLE001 - whatever an engine raises is its outcome
            return Outcome(error=error)
        except Overdue:
            self._patience = 0.1  # what hung once need not be waited for again
            return Outcome(hung=True)

    def observed_call(
        self, case: Case, operands: Operands, grad_output: Any = None, *, repeat: bool = True
    ) -> Outcome:
        """Run `case`, and look at its conduct as well.

        Every function must leave its arguments unwritten, return memory of its own and keep no
        state from call to call. Without `repeat` the engine is called only once, and what later
        calls would show is not looked for.
        """
        given = {**operands, "grad_output": grad_output}
        before = conduct.memory(given)
        try:
            with self._timer.running(self._time(case, operands)):
                run = self.prepared(case, operands)
                first = run(operands, grad_output)
                shared = conduct.shared(given, first)
                comparable = repeat and all(map(is_array, first.values()))
                unstable = conduct.unstable(run, operands, grad_output, first) if comparable else ""
        except Exception as error:  # noqa: BLE001 - whatever an engine raises is its outcome
            return Outcome(error=error, modified=conduct.modified(given, before))
        except Overdue:
            self._patience = 0.1
            return Outcome(hung=True)
        modified = conduct.modified(given, before)
        return Outcome(first, modified=modified, shared=shared, unstable=unstable)

    def _time(self, case: Case, operands: Operands) -> float:
        """The seconds that a call may take."""
        return self._patience + work(OPS[case.op], operands) * SLOWEST

    def results(self, case: Case, operands: Operands, grad_output: Any = None) -> Results:
        """What the call means, whatever the form of its line: the output and, with `grad_output`,
        the gradients that the engine offers, with everything passed by name."""
        return self.prepared(by_name(case), operands)(operands, grad_output)

    def prepared(self, case: Case, operands: Operands) -> Run:
        """What computes the results of `case`, again and again: for a layer, one layer."""
        if OPS[case.op].is_layer:
            return self._layer(case, operands)
        function = getattr(self.namespace, case.op)

        def run(operands: Operands, grad_output: Any) -> Results:
            output = call_function(function, case, operands)
            if not _fits(grad_output, output):
                return {OUTPUT: output}
            return {OUTPUT: output, **self._gradients(case, operands, grad_output)}

        return run

    def _layer(self, case: Case, operands: Operands) -> Run:
        op, call = OPS[case.op], output_size(case)
        layer = construct(getattr(self.namespace, case.op), case, operands)

        def run(operands: Operands, grad_output: Any) -> Results:
            x, *state = (operands[k] for k in op.operands if operands.get(k) is not None)
            layer.load_state_dict(dict(zip(("weight", "bias"), state, strict=False)))
            output = call_layer(layer, case, x)
            found: Any = ()
            if hasattr(layer, "backward") and _fits(grad_output, output):
                with suppress(NotImplementedError):
                    found = layer.backward(x, grad_output, **call)
            gradients = zip(GRADIENTS, found, strict=False)
            return {OUTPUT: output} | {k: v for k, v in gradients if v is not None}

        return run

    def _gradients(self, case: Case, operands: Operands, grad_output: Any) -> Results:
        """The gradients of a function: `NAMESPACE.gradients`, or what `NAMESPACE.grad` has."""
        if hasattr(self.namespace, "gradients"):
            arguments = (case.op, operands, case.arguments, grad_output)
            return dict(self.namespace.gradients(*arguments))
        return gradients(getattr(self.namespace, "grad", None), case, operands, grad_output)


def _fits(grad_output: Any, output: Any) -> bool:
    """Whether there is a gradient of `output`; one of another shape can't be propagated back."""
    return grad_output is not None and np.shape(grad_output) == np.shape(output)
