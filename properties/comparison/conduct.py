"""How a call behaves besides its results: what it writes to, what it shares, what it remembers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cases.operation import ODD
from .outcome import Operands, Results, Run, is_array


def root(array: Any) -> Any:
    """The array behind `array` and every view that led to it: it holds all that they skip."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def memory(operands: Operands) -> dict[str, bytes]:
    """The bytes behind every array, those that a view skips included."""
    return {k: root(v).tobytes() for k, v in operands.items() if is_array(v)}


def modified(operands: Operands, before: Mapping[str, bytes]) -> tuple[str, ...]:
    """The operands whose memory is no longer what `memory` saw."""
    return tuple(k for k, kept in before.items() if root(operands[k]).tobytes() != kept)


def shared(operands: Operands, results: Results) -> tuple[str, ...]:
    """The operands whose memory a result shares."""
    arrays = {k: v for k, v in operands.items() if is_array(v)}
    return tuple(
        name
        for name, array in arrays.items()
        for result in results.values()
        if is_array(result) and np.shares_memory(root(result), root(array))
    )


def unstable(run: Run, operands: Operands, grad_output: Any, first: Results) -> str:
    """How a second call, with negated operands, differs from the first.

    A convolution is odd in its input and bias, in floating point too, whatever the order of
    summation; so a value remembered from the first call shows as a missing sign. The same memory
    is negated, because another layout or alignment could change the order. Operands that share
    memory cannot be negated one without the other: then the same call is made again. Results that
    the second call overwrites are replaced by what they were.
    """
    kept = {k: np.array(v) for k, v in first.items()}
    given = {**operands, "grad_output": grad_output}
    odd = [] if _overlap(given) else [v for k, v in given.items() if k != "weight"]
    signs = ODD if odd else {}
    try:
        _negate(odd)
        try:
            second = run(operands, grad_output)
        finally:
            _negate(odd)
        for name, value in kept.items():
            if value.tobytes() != np.asarray(first[name]).tobytes():
                first |= kept
                return f"a later call overwrote the {name} of an earlier one"
            expected = -value if signs.get(name) else value
            if not _same(np.asarray(second[name]), expected):
                return _difference(name, value, run(operands, grad_output)[name])
    except Exception as error:  # noqa: BLE001 - whatever an engine raises is its outcome
        return f"a later call raised {type(error).__name__}: {error}"
    return ""


def _difference(name: str, value: Any, again: Any) -> str:
    """What a wrong second result means, by what the first call gives when it is made again."""
    if value.tobytes() != np.asarray(again).tobytes():
        return f"the same call gave another {name} the second time"
    return f"negated operands gave a wrong {name}: state is kept between calls"


def _overlap(operands: Operands) -> bool:
    """Whether two arrays lie in the same memory."""
    roots = [id(root(v)) for v in operands.values() if is_array(v)]
    return len(set(roots)) < len(roots)


def _negate(values: list[Any]) -> None:
    """Change the sign of every array, in place."""
    for value in values:
        if is_array(value) and value.size:
            once = [slice(0, 1) if s == 0 else slice(None) for s in value.strides]  # if repeated
            target = value[(..., *once)] if 0 in value.strides else value
            readonly = not target.flags.writeable
            target.flags.writeable = True
            target[...] = -target  # NumPy 2.4.6 negates some strided views wrongly with `out=`
            target.flags.writeable = not readonly


def _same(a: Any, b: Any) -> bool:
    """Equal in shape and value; nan equals nan."""
    return a.shape == b.shape and bool(((a == b) | (np.isnan(a) & np.isnan(b))).all())
