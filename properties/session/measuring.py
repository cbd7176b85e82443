"""Measures how fast an engine is, before the first test, in a process that nothing else sees."""

from __future__ import annotations

import time
from math import inf

from ..cases.case import Case
from ..cases.data import arrays
from ..cases.operation import OPS, Op
from ..comparison.engine import Engine
from ..comparison.pace import Pace, size
from ..generation.geometry import Axis, Geometry
from ..generation.plain import case_of
from .isolation import CAN_FORK, Judge
from .session import Predicate, Session

ROUNDS = 7  # the fastest counts: others may have waited for the processor
QUICK = 0.002  # seconds: what takes less is measured on a larger call too
LARGER = 8  # times as many channels and filters
ENOUGH = 0.1  # seconds after which no further round is begun


def measure(session: Session) -> None:
    """Give the engine its paces; an op that dies or raises on plain calls keeps none."""
    if not CAN_FORK:
        return
    judge = Judge(session)
    predicate: Predicate = paced  # type: ignore[assignment]
    for op in session.engine.ops:
        found = judge(predicate, case_of(small(OPS[op])))
        if isinstance(found, Pace):
            session.engine.paces[op] = found
    judge.close()


def paced(case: Case, session: Session) -> Pace:
    """The pace of the op of `case`; none where a plain call fails."""
    op, engine = OPS[case.op], session.engine
    times = []
    for geometry in (small(op), small(op), _wide(op), _deep(op)):
        times.append(_seconds(engine, case_of(geometry)))
        if times[-1] == inf:  # the next ones would only take as long to fail
            return Pace()
    _, overhead, wide, deep = times  # the first call of all may load what others find loaded
    scale = 1
    if deep < QUICK:  # what calls of NumPy compute is faster the larger they are
        scale = LARGER
        deep = _seconds(engine, case_of(_deep(op, scale)))
    per_element = max(0.0, wide - overhead) / size(case_of(_wide(op)))[0]
    elements, products = size(case_of(_deep(op, scale)))
    rest = max(0.0, deep - overhead - elements * per_element)
    per_product = rest / products if products and deep < inf else 0.0
    return Pace(per_element, per_product, overhead)


def _seconds(engine: Engine, case: Case) -> float:
    """The shortest time of one call with its gradients; `inf` where it fails."""
    filled = arrays(case)
    shape = case.output_shape
    assert shape is not None
    grad_output = filled.grad_output(shape)
    best, left = inf, ENOUGH
    for _ in range(ROUNDS):
        start = time.perf_counter()
        outcome = engine.call(case, filled.operands, grad_output)
        seconds = time.perf_counter() - start
        best, left = min(best, seconds), left - seconds
        if outcome.error is not None or outcome.hung:
            return inf
        if left < 0:
            break
    return best


def small(op: Op) -> Geometry:
    return Geometry(op, (Axis(),) * op.axes)


def _wide(op: Op) -> Geometry:
    """Many elements, of which each is one product."""
    return Geometry(op, (Axis(places={1: 256, 2: 16, 3: 6}[op.axes]),) * op.axes)


def _deep(op: Op, scale: int = 1) -> Geometry:
    """Many products for each element."""
    axes = (Axis(taps={1: 9, 2: 3, 3: 2}[op.axes], places={1: 16, 2: 4, 3: 3}[op.axes]),) * op.axes
    return Geometry(op, axes, channels=4 * scale, filters=4 * scale)
