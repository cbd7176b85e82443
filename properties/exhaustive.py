"""The small scope, completely: every one-axis geometry, and every pair of values across two axes.

The data are integers over float64's widest exact range, some ±10**7: a fault that is a polynomial
of degree at most 2 in the data escapes a geometry at which it shows with probability below 10**-7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from .case import Case, Operand
from .ops import OPS
from .space import MODES

SIZES, TAPS, STRIDES, DILATIONS = range(9), range(1, 5), range(1, 5), range(1, 4)
PADDINGS = (*range(5), "same", "valid")
OUTPUT_PADDINGS = range(4)
STEPS = (SIZES, TAPS, STRIDES, DILATIONS)
BATCH, FILTERS = 2, 2


def one_axis(ops: Sequence[str]) -> Iterator[Case]:
    """Every geometry of one axis, accepted or not, of those `ops` that have one axis."""
    for op in ("conv1d", "Conv1d"):
        modes = ("zeros",) if op == "conv1d" else MODES[1:]
        for size, taps, s, d, p, mode in product(*STEPS, PADDINGS, modes) if op in ops else ():
            arguments = {"stride": s, "padding": p, "dilation": d, "padding_mode": mode}
            yield _case(op, (size,), (taps,), arguments)
    paddings = [p for p in PADDINGS if isinstance(p, int)]
    for size, taps, s, d, p, e in product(*STEPS, paddings, OUTPUT_PADDINGS):
        if "conv_transpose1d" in ops:
            arguments = {"stride": s, "padding": p, "output_padding": e, "dilation": d}
            yield _case("conv_transpose1d", (size,), (taps,), arguments)


def two_axes(ops: Sequence[str]) -> Iterator[Case]:
    """Cases of two axes in which every two values of parameters meet, also across the axes.

    Places of the window stand for sizes, so that every case is accepted.
    """
    axis = (range(1, 4), TAPS, STRIDES, DILATIONS, range(5), OUTPUT_PADDINGS)
    for op in ("conv2d", "conv_transpose2d"):
        for row in covering([*axis, *axis]) if op in ops else ():
            yield _placed(op, row[:6], row[6:])


def _placed(op: str, *axes: Sequence[int]) -> Case:
    sizes, paddings, rests = [], [], []
    for places, taps, stride, dilation, padding, rest in axes:
        rests.append(min(rest, (max(stride, dilation) if "_" in op else stride) - 1))
        room = (places - 1) * stride + (taps - 1) * dilation + 1 + rests[-1]
        paddings.append(min(padding, (room - 1) // 2))
        sizes.append(places if "_" in op else room - 2 * paddings[-1])
    taps, strides, dilations = (tuple(axis[i] for axis in axes) for i in (1, 2, 3))
    arguments = {"stride": strides, "padding": tuple(paddings), "dilation": dilations}
    if "_" in op:
        arguments["output_padding"] = tuple(rests)
    return _case(op, tuple(sizes), taps, arguments)


def _case(
    op: str, sizes: tuple[int, ...], taps: tuple[int, ...], arguments: dict[str, Any]
) -> Case:
    defaults = OPS[op].arguments
    given = {k: arguments[k] for k in defaults if arguments.get(k, defaults[k]) != defaults[k]}
    weight = (1, FILTERS, *taps) if OPS[op].is_transposed else (FILTERS, 1, *taps)
    shapes = {"input": (BATCH, 1, *sizes), "weight": weight, "bias": (FILTERS,)}
    operands = {name: Operand(shape, "float64") for name, shape in shapes.items()}
    return Case(op, operands, given, "integers:1")


def covering(factors: Sequence[Sequence[int]]) -> Iterator[tuple[int, ...]]:
    """Rows, one value of each factor, in which every two values of two factors meet: greedily."""
    missing = {
        (i, a, j, b)
        for j in range(len(factors))
        for i in range(j)
        for a, b in product(factors[i], factors[j])
    }
    while missing:
        row = _next_row(factors, missing)
        missing -= {(i, row[i], j, row[j]) for j in range(len(row)) for i in range(j)}
        yield tuple(row[i] for i in range(len(factors)))


def _next_row(factors: Sequence[Sequence[int]], missing: set[tuple[int, ...]]) -> dict[int, int]:
    """Begin with a pair that has not met; give each other factor the value that adds most."""
    i, a, j, b = min(missing)
    row = {i: a, j: b}
    for k in range(len(factors)):
        if k not in row:
            row[k] = max(factors[k], key=lambda v, k=k: _gain(row, k, v, missing))  # type: ignore[misc]
    return row


def _gain(row: dict[int, int], k: int, value: int, missing: set[tuple[int, ...]]) -> int:
    pairs = ((i, a, k, value) if i < k else (k, value, i, a) for i, a in row.items())
    return sum(pair in missing for pair in pairs)
