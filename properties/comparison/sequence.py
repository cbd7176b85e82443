"""Calls in a row against one engine: each is compared, and then the earliest results again.

What two cases declare alike is the same thing: an array is written anew, a layer is loaded anew.
All outputs are computed before the first gradient, so that `backward` follows another forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..cases.case import Case
from ..cases.data import arrays
from ..cases.operation import OUTPUT
from ..cases.sequence import CaseSequence
from .compare import Comparison
from .engine import Call, Engine, Layers, fits
from .mismatch import Mismatch, NotRepeatable, Verdict
from .outcome import Outcome, bits, is_array

Arrays = dict[Any, Any]  # from an operand's name and declaration to its array


Excused = Callable[[Mismatch], Verdict | None]


def compare_sequence(
    sequence: CaseSequence,
    engine: Engine,
    reference: Engine,
    excused: Excused = lambda mismatch: None,
) -> list[Verdict]:
    """The verdict on each case, or the first `Mismatch`, which names the sequence.

    A mismatch that is excused is so for that one case: the others are compared all the same.
    """
    shared: Arrays = {}
    layers: Layers = {}
    steps = [_Step.of(case, reference, shared) for case in sequence.cases]
    for step in steps:
        step.forward(engine, layers)
    for step in steps:
        step.backward(engine)
    verdicts = []
    for step in steps:
        try:
            verdicts.append(step.verdict(engine))
        except Mismatch as mismatch:
            mismatch.sequence = sequence
            if (verdict := excused(mismatch)) is None:
                raise
            verdicts.append(verdict)
    return verdicts


@dataclass
class _Step:
    """One case of a sequence: its own data, and the arrays through which the engine sees them."""

    comparison: Comparison
    operands: Mapping[str, Any]
    call: Call | None = None
    outcome: Outcome = field(default_factory=Outcome)
    bytes: bytes = b""

    @classmethod
    def of(cls, case: Case, reference: Engine, shared: Arrays) -> _Step:
        comparison = Comparison.of(case, reference)
        own = comparison.operands.items()
        return cls(comparison, {k: _same_array(k, v, case, shared) for k, v in own})

    def forward(self, engine: Engine, layers: Layers) -> None:
        """Compute the output, and note its bytes."""
        case, operands = self.comparison.case, self._written()

        def output() -> dict[str, Any]:
            self.call = engine.prepared(case, operands, layers)
            return {OUTPUT: self.call.forward(operands)}

        self.outcome = engine.attempt(case, operands, output)
        self.bytes = bits(self.outcome.values.get(OUTPUT))

    def backward(self, engine: Engine) -> None:
        """Add the gradients, where the reference has some."""
        call, grad_output = self.call, self.comparison.grad_output
        values = self.outcome.values
        if call is None or OUTPUT not in values or not fits(grad_output, values[OUTPUT]):
            return
        operands = self._written()
        found = engine.attempt(
            self.comparison.case, operands, lambda: call.backward(operands, grad_output)
        )
        self.outcome = replace(found, values={**values, **found.values})

    def verdict(self, engine: Engine) -> Verdict:
        verdict = self.comparison.verdict_on(engine, self.outcome)
        if bits(self.outcome.values.get(OUTPUT)) != self.bytes:
            headline = "a later call overwrote the output of an earlier one"
            raise NotRepeatable(self.comparison.case, engine, headline)
        return verdict

    def _written(self) -> Mapping[str, Any]:
        """The arrays, holding the data of this case."""
        for name, value in self.comparison.operands.items():
            if self.operands[name] is not value:
                self.operands[name][...] = value
        return self.operands


def _same_array(name: str, value: Any, case: Case, shared: Arrays) -> Any:
    """The array that an earlier case declared alike, if it can be written to; else a new one."""
    declared = case.operands[name]
    if not (is_array(value) and value.flags.writeable) or 0 in value.strides:
        return value
    if (name, declared) not in shared:
        shared[name, declared] = arrays(case).operands[name]
    return shared[name, declared]
