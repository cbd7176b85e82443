"""A case made suitable for a relation: each step gives a valid case in which there is something
to see, such as two groups to split or a stride to undo; nothing is rejected for want of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..cases.case import Case, Operand
from ..cases.edit import plain, reshaped, with_argument, with_operand
from ..cases.operation import OPS, Sizes, border


def size(case: Case) -> Sizes:
    return case.shapes["input"][-OPS[case.op].axes :]


def kernel(case: Case) -> Sizes:
    return case.shapes["weight"][2:]


def settled(case: Case) -> Case:
    """With an output padding in place of an output size, which would not follow a change."""
    if not (OPS[case.op].is_transposed and "output_size" in case.arguments):
        return case
    return _with(case, output_padding=plain(case)["output_padding"], output_size=None)


def _with(case: Case, **changed: Any) -> Case:
    for name, value in changed.items():
        case = with_argument(case, name, value)
    default = OPS[case.op].arguments
    return replace(case, arguments={k: v for k, v in case.arguments.items() if v != default[k]})


def _grown(case: Case, name: str, by: Sequence[int]) -> Case:
    shape = case.shapes[name]
    sizes = [n + more for n, more in zip(shape[-len(by) :], by, strict=True)]
    return reshaped(case, name, (*shape[: -len(by)], *sizes))


def _doubled(case: Case, letter: str) -> Case:
    """Twice the groups G, channels C of a group, or filters O of a group."""
    op = OPS[case.op]
    for name, shape in case.shapes.items():
        letters = [word for word in op.letters[name] if word not in "XK"]
        spatial = op.axes if op.letters[name][-1] in "XK" else 0
        split = len(shape) - spatial
        factors = [2 if letter in word else 1 for word in letters][-split:]
        counts = [n * factor for n, factor in zip(shape[:split], factors, strict=True)]
        case = reshaped(case, name, (*counts, *shape[split:]))
    return case


def finite(case: Case) -> Case:
    """Where a relation brings in zeros, inf would make them nan."""
    seed = case.data.partition(":")[2]
    return replace(case, data=f"reals:{seed}") if case.rule == "special" else case


def zeros_around(case: Case) -> Case:
    return _with(case, padding_mode="zeros") if "padding_mode" in case.arguments else case


def explicit(case: Case) -> Case:
    """'same' and 'valid' in numbers, alike on both sides."""
    if not isinstance(case.arguments.get("padding"), str):
        return case
    after = border(OPS[case.op], kernel(case), plain(case))[1]
    return zeros_around(_with(case, padding=after))


def without_output_padding(case: Case) -> Case:
    rest = plain(case)["output_padding"]
    case = _with(case, output_padding=0)
    return _grown(case, "input", rest)  # lest nothing be left


def modest_output_padding(case: Case) -> Case:
    """An output padding that is valid without dilation."""
    given = plain(case)
    least = [min(e, s - 1) for e, s in zip(given["output_padding"], given["stride"], strict=True)]
    if tuple(least) == given["output_padding"]:
        return case
    dropped = [e - f for e, f in zip(given["output_padding"], least, strict=True)]
    return _grown(_with(case, output_padding=tuple(least)), "input", dropped)


def some_sample(case: Case) -> Case:
    """At least one: in an empty batch nothing can differ."""
    x, op = case.shapes["input"], OPS[case.op]
    rank = op.axes + 2 - (op.family == "fold")
    return reshaped(case, "input", (1, *x[1:])) if len(x) == rank and x[0] == 0 else case


def two_samples(case: Case) -> Case:
    x, axes = case.shapes["input"], OPS[case.op].axes
    if len(x) == axes + 2 and x[0] >= 2:
        return case
    return reshaped(case, "input", (2, *x[-axes - 1 :]))


def two_groups(case: Case) -> Case:
    if plain(case)["groups"] > 1:
        return case
    return _with(_doubled(case, "G"), groups=2)


def _counts(case: Case) -> tuple[int, int]:
    """Channels and filters of one group."""
    outer, inner = case.shapes["weight"][:2]
    outer //= plain(case)["groups"]
    return (outer, inner) if OPS[case.op].is_transposed else (inner, outer)


def two_channels(case: Case) -> Case:
    return _doubled(case, "C") if _counts(case)[0] == 1 else case


def two_filters(case: Case) -> Case:
    return _doubled(case, "O") if _counts(case)[1] == 1 else case


def as_many_filters_as_channels(case: Case) -> Case:
    shape, (channels, _) = case.shapes["weight"], _counts(case)
    inner = shape[1] if not OPS[case.op].is_transposed else channels
    outer = shape[0] if OPS[case.op].is_transposed else channels * plain(case)["groups"]
    return reshaped(without_bias(case), "weight", (outer, inner, *shape[2:]))


def without_bias(case: Case) -> Case:
    return replace(case, operands={k: v for k, v in case.operands.items() if k != "bias"})


def with_bias(case: Case) -> Case:
    if "bias" in case.operands:
        return case
    filters = _counts(case)[1] * plain(case)["groups"]
    return with_operand(case, "bias", Operand((filters,), case.dtype))


def two_taps(case: Case) -> Case:
    """At least two along the last axis."""
    if kernel(case)[-1] > 1:
        return case
    none = (0,) * (OPS[case.op].axes - 1)
    case = _grown(case, "weight", (*none, 1))
    return _grown(case, "input", (*none, plain(case)["dilation"][-1]))


def one_tap(case: Case) -> Case:
    return _grown(case, "weight", [1 - k for k in kernel(case)])


def dilated(case: Case) -> Case:
    case = two_taps(case)
    if max(plain(case)["dilation"]) > 1:
        return case
    return _grown(_with(case, dilation=2), "input", [k - 1 for k in kernel(case)])


def strided(case: Case) -> Case:
    case = explicit(case)
    return case if max(plain(case)["stride"]) > 1 else _with(case, stride=2)


def padded(case: Case) -> Case:
    op, given = OPS[case.op], plain(case)
    if any(map(sum, border(op, kernel(case), given))):
        return case
    return _grown(_with(case, padding=1), "input", (2,) * op.axes)


def fitting(case: Case) -> Case:
    """The last place of the window at the very end of the input."""
    op, given = OPS[case.op], plain(case)
    lo, hi = border(op, kernel(case), given)
    axes = zip(size(case), kernel(case), lo, hi, given["stride"], given["dilation"], strict=True)
    return _grown(case, "input", [(d * (k - 1) + 1 - x - a - b) % s for x, k, a, b, s, d in axes])
