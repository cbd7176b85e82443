"""The small scope, completely: every one-axis geometry, and every pair of values across two axes.

The data are integers over float64's widest exact range, some ±10**7: a fault that is a polynomial
of degree at most 2 in the data escapes a geometry at which it shows with probability below 10**-7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from ..cases.case import Case, Operand
from ..cases.operation import OPS, PADDING_MODES

SIZES, TAPS, STRIDES, DILATIONS = range(9), range(1, 5), range(1, 5), range(1, 4)
PADDINGS = (*range(5), "same", "valid")
OUTPUT_PADDINGS = range(4)
STEPS = (SIZES, TAPS, STRIDES, DILATIONS)
BATCH, FILTERS = 2, 2


def one_axis(ops: Sequence[str]) -> Iterator[Case]:
    """Every geometry of one axis, accepted or not, of those `ops` that have one axis."""
    for op in ("conv1d", "Conv1d"):
        modes = ("zeros",) if op == "conv1d" else PADDING_MODES[1:]
        for size, taps, s, d, p, mode in product(*STEPS, PADDINGS, modes) if op in ops else ():
            arguments = {"stride": s, "padding": p, "dilation": d, "padding_mode": mode}
            yield _case(op, (size,), (taps,), arguments)
    paddings = [p for p in PADDINGS if isinstance(p, int)]
    for size, taps, s, d, p, e in product(*STEPS, paddings, OUTPUT_PADDINGS):
        if "conv_transpose1d" in ops:
            arguments = {"stride": s, "padding": p, "output_padding": e, "dilation": d}
            yield _case("conv_transpose1d", (size,), (taps,), arguments)


def pairs_on_two_axes(ops: Sequence[str]) -> Iterator[Case]:
    """Cases in which every two values of kernel, stride, dilation and padding meet, on two axes.

    The steps of one axis, with an output padding or a remainder, are one parameter; the places of
    the window are as few as the padding needs, so that every case is accepted.
    """
    steps = [(s, d, e) for s in STRIDES for d in DILATIONS for e in range(s)]
    for op in ("conv2d", "conv_transpose2d"):
        axis: list[Sequence[Any]] = [TAPS, steps, range(5)]
        for row in covering([*axis, *axis]) if op in ops else ():
            yield _placed(op, row[:3], row[3:])


def _placed(op: str, *axes: Sequence[Any]) -> Case:
    back = OPS[op].is_transposed
    sizes = []
    for taps, (stride, dilation, rest), padding in axes:
        least = (taps - 1) * dilation + 1 + rest  # what one place of the window covers
        places = 2 + max(0, 2 * padding - least) // stride
        sizes.append(places if back else least + (places - 1) * stride - 2 * padding)
    (k, steps, p), (k2, steps2, p2) = axes
    strides, dilations, rests = zip(steps, steps2, strict=True)
    arguments = {"stride": strides, "padding": (p, p2), "dilation": dilations}
    if back:
        arguments["output_padding"] = rests
    return _case(op, tuple(sizes), (k, k2), arguments)


def _case(
    op: str, sizes: tuple[int, ...], taps: tuple[int, ...], arguments: dict[str, Any]
) -> Case:
    defaults = OPS[op].arguments
    given = {k: arguments[k] for k in defaults if arguments.get(k, defaults[k]) != defaults[k]}
    weight = (1, FILTERS, *taps) if OPS[op].is_transposed else (FILTERS, 1, *taps)
    shapes = {"input": (BATCH, 1, *sizes), "weight": weight, "bias": (FILTERS,)}
    operands = {name: Operand(shape, "float64") for name, shape in shapes.items()}
    return Case(op, operands, given, "integers:1")


def covering(factors: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """Rows, one value of each factor, in which every two values of two factors meet: greedily."""
    missing = {
        (i, a, j, b): None  # in order, unlike a set
        for j in range(len(factors))
        for i in range(j)
        for a, b in product(factors[i], factors[j])
    }
    while missing:
        row = _next_row(factors, missing)
        for pair in [(i, row[i], j, row[j]) for j in range(len(row)) for i in range(j)]:
            missing.pop(pair, None)
        yield tuple(row[i] for i in range(len(factors)))


def _next_row(factors: Sequence[Sequence[Any]], missing: dict[Any, None]) -> dict[int, Any]:
    """Begin with a pair that has not met; give each other factor the value that adds most."""
    i, a, j, b = next(iter(missing))
    row = {i: a, j: b}
    for k, values in enumerate(factors):
        if k not in row:
            gains = [_gain(row, k, value, missing) for value in values]
            row[k] = values[gains.index(max(gains))]
    return row


def _gain(row: dict[int, Any], k: int, value: Any, missing: dict[Any, None]) -> int:
    pairs = ((i, a, k, value) if i < k else (k, value, i, a) for i, a in row.items())
    return sum(pair in missing for pair in pairs)
