"""Simpler cases: shrinking over `Case` itself, to one canonical smallest failure.

Hypothesis shrinks the choices that built a case, and stops where two of them would have to change
together. Here the moves are those a person would try: drop an axis, an operand, an argument; ask
for simpler data; make every size smaller, alone or with the sizes that depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from .cases.case import DTYPES, Case, Operand
from .cases.operation import OPS, Op, per_axis
from .cases.sequence import CaseSequence

_FUNCTIONS = {"Conv": "conv", "ConvTranspose": "conv_transpose"}
PER_AXIS = ("stride", "padding", "dilation", "output_padding")


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """The first of ever simpler cases that still `fails` and from which no move leads further."""
    seen = {str(case)}
    moving = True
    while moving:
        moving = False
        for simpler in moves(case):
            if str(simpler) not in seen:
                seen.add(str(simpler))
                if fails(simpler):
                    case, moving = simpler, True
                    break
    return case


def smallest_sequence(
    sequence: CaseSequence, fails: Callable[[CaseSequence], bool]
) -> CaseSequence:
    """Fewer calls first, then simpler ones: all of them together, or each alone."""
    seen = {str(sequence)}
    moving = True
    while moving:
        moving = False
        for cases in _shorter_or_simpler(sequence.cases):
            simpler = CaseSequence(cases)
            if str(simpler) not in seen:
                seen.add(str(simpler))
                if fails(simpler):
                    sequence, moving = simpler, True
                    break
    return sequence


def _shorter_or_simpler(cases: tuple[Case, ...]) -> Iterator[tuple[Case, ...]]:
    if len(cases) > 2:
        yield from (cases[:i] + cases[i + 1 :] for i in range(len(cases)))
    yield from zip(*map(moves, cases), strict=False)
    for i, case in enumerate(cases):
        yield from ((*cases[:i], simpler, *cases[i + 1 :]) for simpler in moves(case))


def moves(case: Case) -> Iterator[Case]:
    """Cases one step simpler than `case`, the largest steps first; not all are valid."""
    for kind in (_axes, _defaults, _operands, _data, _forms, _sizes):
        yield from kind(case)


def _axes(case: Case) -> Iterator[Case]:
    """The same as a function, and in fewer dimensions."""
    op = OPS[case.op]
    function = f"{_FUNCTIONS.get(op.family)}{op.axes}d"
    if function in OPS and set(case.arguments) <= set(OPS[function].arguments):
        yield replace(case, op=function)
    fewer = f"{op.family}{op.axes - 1}d"
    if fewer not in OPS or not _is_regular(case):
        return
    for axis in range(op.axes):
        operands = {
            k: v if k == "bias" else replace(v, shape=_without(v.shape, axis - op.axes))
            for k, v in case.operands.items()
        }
        arguments = {
            k: _without(v, axis) if isinstance(v, (tuple, list)) and len(v) == op.axes else v
            for k, v in case.arguments.items()
        }
        yield replace(case, op=fewer, operands=operands, arguments=arguments)


def _without(values: Any, axis: int) -> Any:
    at = axis % len(values)
    return values[:at] + values[at + 1 :]


def _defaults(case: Case) -> Iterator[Case]:
    """Without an optional operand or an argument; a blamed one stays."""
    for name in OPS[case.op].operands[2:]:
        if name in case.operands and name != case.blame:
            yield replace(case, operands={k: v for k, v in case.operands.items() if k != name})
    op = OPS[case.op]
    required = {k for k, v in op.arguments.items() if v is None and not op.is_layer}
    for name, value in case.arguments.items():
        if name not in {case.blame, *required} and (name != "groups" or value == 1):
            yield replace(case, arguments={k: v for k, v in case.arguments.items() if k != name})


def _operands(case: Case) -> Iterator[Case]:
    """Plain layouts, and all arrays in a simpler dtype."""
    arrays = {k: v for k, v in case.operands.items() if isinstance(v, Operand)}
    for name, array in arrays.items():
        if array.layout != "contiguous":
            yield replace(
                case, operands={**case.operands, name: replace(array, layout="contiguous")}
            )
    dtypes = {v.dtype for v in arrays.values()}
    if len(dtypes) == 1:
        for dtype in DTYPES[: DTYPES.index(dtypes.pop())]:
            changed = {k: replace(v, dtype=dtype) for k, v in arrays.items()}
            yield replace(case, operands={**case.operands, **changed})


def _data(case: Case) -> Iterator[Case]:
    rule, _, seed = case.data.partition(":")
    simpler = ["ones", "ramp", *(f"{r}:{s}" for r in ("integers", "reals", rule) for s in range(4))]
    for data in simpler:
        if data == case.data:
            return
        if rule != "ramp" or data == "ones":
            yield replace(case, data=data)
        if data.startswith(rule) and int(data.partition(":")[2] or 0) >= int(seed or 0):
            return


def _forms(case: Case) -> Iterator[Case]:
    """Arguments in the plainest form: an integer, else a tuple of integers."""
    axes = OPS[case.op].axes
    for name, value in case.arguments.items():
        if name in PER_AXIS and not isinstance(value, str) and name != case.blame:
            values = per_axis(value, axes)
            plain = values[0] if len(set(values)) == 1 else values
            yield _with_argument(case, name, plain)
        elif name == "groups" and name != case.blame:
            yield _with_argument(case, name, int(value))


def _with_argument(case: Case, name: str, value: Any) -> Case:
    return replace(case, arguments={**case.arguments, name: value})


@dataclass(frozen=True)
class Sizes:
    """A regular case by its letters: one number each, or one per axis for X and K."""

    letters: dict[str, int | None]  # N (None: unbatched), G, C, O
    input: tuple[int, ...]  # X
    kernel: tuple[int, ...]  # K
    arguments: dict[str, Any]  # per axis where not a string


def _is_regular(case: Case) -> bool:
    """Whether every operand has the shape that its letters say."""
    op = OPS[case.op]
    return "weight" in case.operands and all(
        isinstance(v, Operand)
        and len(v.shape) in _ranks(op, op.letters[k])
        and not (k == case.blame == "bias")
        for k, v in case.operands.items()
    )


def _ranks(op: Op, letters: tuple[str, ...]) -> tuple[int, ...]:
    rank = sum(op.axes if letter in "XK" else 1 for letter in letters)
    return (rank, rank - 1) if "N" in letters else (rank,)


def _sizes(case: Case) -> Iterator[Case]:
    """Smaller sizes and steps, each alone and with what hangs on it."""
    if not _is_regular(case):
        return
    try:
        sizes = _read(case)
    except (TypeError, ValueError, ZeroDivisionError):
        return
    for simpler in _smaller_sizes(sizes):
        yield _written(case, simpler)


def _read(case: Case) -> Sizes:
    op = OPS[case.op]
    groups = int(case.arguments.get("groups", 1))
    found: dict[str, int | None] = {"N": None, "G": groups}
    spatial: dict[str, tuple[int, ...]] = {}
    for name in op.operands[:2]:
        shape = case.operands[name].shape
        spatial[op.letters[name][-1]] = shape[-op.axes :]
        plain = op.letters[name][:-1]
        for letter, size in zip(reversed(plain), reversed(shape[: -op.axes]), strict=False):
            if letter.startswith("G") and letter[1:] not in found:
                found[letter[1:]] = size // groups
            elif not letter.startswith("G"):
                found[letter] = size
    arguments = {
        k: v if isinstance(v, str) or k not in PER_AXIS else per_axis(v, op.axes)
        for k, v in case.arguments.items()
        if k != "groups"
    }
    return Sizes(found, spatial["X"], spatial["K"], arguments)


def _written(case: Case, sizes: Sizes) -> Case:
    op = OPS[case.op]
    operands = {
        name: replace(value, shape=_shape(op.letters[name], sizes))
        for name, value in case.operands.items()
    }
    given: dict[str, Any] = {**sizes.arguments, "groups": sizes.letters["G"]}
    arguments = {}
    for name in op.arguments:
        if name in given:
            value = given[name]
            if isinstance(value, tuple) and len(set(value)) == 1:
                value = value[0]
            if value != op.arguments[name]:
                arguments[name] = value
    if case.blame in case.arguments:
        arguments[case.blame] = case.arguments[case.blame]
    return replace(case, operands=operands, arguments=arguments)


def _shape(letters: tuple[str, ...], sizes: Sizes) -> tuple[int, ...]:
    shape: list[int] = []
    for letter in letters:
        if letter in "XK":
            shape += sizes.input if letter == "X" else sizes.kernel
        elif letter.startswith("G"):
            shape.append((sizes.letters["G"] or 1) * (sizes.letters[letter[1:]] or 0))
        elif sizes.letters[letter] is not None:
            shape.append(sizes.letters[letter] or 0)
    return tuple(shape)


def _smaller_sizes(sizes: Sizes) -> Iterator[Sizes]:
    if isinstance(sizes.arguments.get("padding"), str):
        yield _without_padding(sizes)
    mirrored = _mirrored(sizes)
    if _order(mirrored) < _order(sizes):
        yield mirrored
    for letter, size in sizes.letters.items():
        for less in (1,) if size in (0, None) else _less(size or 0):
            yield replace(sizes, letters={**sizes.letters, letter: less})
    for axis in range(len(sizes.input)):
        yield from _smaller_axis(sizes, axis)


def _without_padding(sizes: Sizes) -> Sizes:
    """An input that has within itself what 'same' adds."""
    arguments = {k: v for k, v in sizes.arguments.items() if k != "padding"}
    if sizes.arguments["padding"] == "valid":
        return replace(sizes, arguments=arguments)
    grown = [
        x + (k - 1) * _of(sizes, "dilation", axis, 1)
        for axis, (x, k) in enumerate(zip(sizes.input, sizes.kernel, strict=True))
    ]
    return replace(sizes, input=tuple(grown), arguments=arguments)


def _mirrored(sizes: Sizes) -> Sizes:
    """The axes in reverse: of two equal cases, the one that reads smaller."""
    arguments = {k: v[::-1] if isinstance(v, tuple) else v for k, v in sizes.arguments.items()}
    return Sizes(sizes.letters, sizes.input[::-1], sizes.kernel[::-1], arguments)


def _order(sizes: Sizes) -> tuple[Any, ...]:
    steps = [v for v in sizes.arguments.values() if isinstance(v, tuple)]
    return (sizes.input, sizes.kernel, *steps)


def _less(size: int) -> Iterator[int]:
    """1, and halves and steps towards it."""
    yield from sorted({n for n in (1, size // 2, size - 2, size - 1) if 1 <= n < size})


def _smaller_axis(sizes: Sizes, axis: int) -> Iterator[Sizes]:
    """One axis, made smaller; a step of the window moves the input's end with it."""
    for size in _less(sizes.input[axis]):
        yield _at(sizes, axis, input=size)
    dilation = _of(sizes, "dilation", axis, 1)
    for taps in _less(sizes.kernel[axis]):
        yield _at(sizes, axis, kernel=taps)
        shorter = sizes.input[axis] - (sizes.kernel[axis] - taps) * dilation
        if shorter >= 1:
            yield _at(sizes, axis, kernel=taps, input=shorter)
    for name, least in (("stride", 1), ("dilation", 1), ("padding", 0), ("output_padding", 0)):
        value = _of(sizes, name, axis, least)
        for less in range(least, value):
            lower = _stepped(sizes, axis, name, less)
            yield lower
            yield from _other_ends(lower, axis, name, value - less)


def _other_ends(sizes: Sizes, axis: int, name: str, change: int) -> Iterator[Sizes]:
    """Other sizes of the input after an argument fell by `change`."""
    size = sizes.input[axis]
    more = 2 * change if name == "padding" else 0
    for end in range(1, min(size + more, 12) + 1):
        if end != size:
            yield _at(sizes, axis, input=end)


def _of(sizes: Sizes, name: str, axis: int, default: int) -> int:
    values = sizes.arguments.get(name, default)
    return values[axis] if isinstance(values, tuple) else default


def _stepped(sizes: Sizes, axis: int, name: str, value: int) -> Sizes:
    values = list(sizes.arguments[name])
    values[axis] = value
    return replace(sizes, arguments={**sizes.arguments, name: tuple(values)})


def _at(sizes: Sizes, axis: int, **changed: int) -> Sizes:
    new = {}
    for name, value in changed.items():
        values = list(getattr(sizes, name))
        values[axis] = value
        new[name] = tuple(values)
    return replace(sizes, **new)
