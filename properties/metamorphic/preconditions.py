"""Preconditions of relations: each gives a valid case in which there is something to see.

A case that does not meet one, such as two groups to split or a stride to undo, is changed as
little as possible; no case is rejected for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..cases.case import Case, Operand
from ..cases.edit import plain, reshaped, with_arguments, with_operand, without_operand
from ..cases.operation import OPS, Sizes, border, rank


def size(case: Case) -> Sizes:
    return case.shapes["input"][-OPS[case.op].axes :]


def kernel(case: Case) -> Sizes:
    return case.shapes["weight"][2:]


def without_output_size(case: Case) -> Case:
    """An output padding in place of an output size, which would not follow a change."""
    if not (OPS[case.op].is_transposed and "output_size" in case.arguments):
        return case
    output_padding = plain(case)["output_padding"]
    return with_arguments(case, output_padding=output_padding, output_size=None)


def _grown(case: Case, name: str, by: Sequence[int]) -> Case:
    """An operand with so many elements more along its last axes."""
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
    """No inf, which times a zero that the relation brings in would be nan."""
    return replace(case, data=f"reals:{case.seed}") if case.rule == "special" else case


def zeros_around(case: Case) -> Case:
    """A border of zeros, where there is one."""
    return with_arguments(case, padding_mode="zeros") if "padding_mode" in case.arguments else case


def explicit(case: Case) -> Case:
    """'same' and 'valid' in numbers, as many on both sides, and zeros there."""
    if not isinstance(case.arguments.get("padding"), str):
        return case
    after = border(OPS[case.op], kernel(case), plain(case))[1]
    return zeros_around(with_arguments(case, padding=after))


def without_output_padding(case: Case) -> Case:
    """The input grows by as much as the output could otherwise lose, to stay above size 0."""
    rest = plain(case)["output_padding"]
    return _grown(with_arguments(case, output_padding=0), "input", rest)


def output_padding_below_stride(case: Case) -> Case:
    """An output padding that is valid without dilation too."""
    if not OPS[case.op].is_transposed:
        return case
    given = plain(case)
    least = [min(e, s - 1) for e, s in zip(given["output_padding"], given["stride"], strict=True)]
    if tuple(least) == given["output_padding"]:
        return case
    dropped = [e - f for e, f in zip(given["output_padding"], least, strict=True)]
    return _grown(with_arguments(case, output_padding=tuple(least)), "input", dropped)


def some_sample(case: Case) -> Case:
    """At least one sample: in an empty batch nothing can differ."""
    x = case.shapes["input"]
    is_empty = len(x) == rank(OPS[case.op], "input") and x[0] == 0
    return reshaped(case, "input", (1, *x[1:])) if is_empty else case


def two_samples(case: Case) -> Case:
    x, axes = case.shapes["input"], OPS[case.op].axes
    if len(x) == axes + 2 and x[0] >= 2:
        return case
    return reshaped(case, "input", (2, *x[-axes - 1 :]))


def two_groups(case: Case) -> Case:
    if plain(case)["groups"] > 1:
        return case
    return with_arguments(_doubled(case, "G"), groups=2)


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
    """And without a bias."""
    shape, (channels, _) = case.shapes["weight"], _counts(case)
    inner = shape[1] if not OPS[case.op].is_transposed else channels
    outer = shape[0] if OPS[case.op].is_transposed else channels * plain(case)["groups"]
    return reshaped(without_bias(case), "weight", (outer, inner, *shape[2:]))


def without_bias(case: Case) -> Case:
    return without_operand(case, "bias")


def with_bias(case: Case) -> Case:
    if "bias" in case.operands:
        return case
    filters = _counts(case)[1] * plain(case)["groups"]
    return with_operand(case, "bias", Operand((filters,), case.dtype))


def two_taps(case: Case) -> Case:
    """At least two taps along the last axis."""
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
    return _grown(with_arguments(case, dilation=2), "input", [k - 1 for k in kernel(case)])


def strided(case: Case) -> Case:
    case = explicit(case)
    return case if max(plain(case)["stride"]) > 1 else with_arguments(case, stride=2)


def padded(case: Case) -> Case:
    op, given = OPS[case.op], plain(case)
    if any(map(sum, border(op, kernel(case), given))):
        return case
    return _grown(with_arguments(case, padding=1), "input", (2,) * op.axes)


def unreached(case: Case) -> Sizes:
    """The elements at the end of each axis that no window reaches."""
    op, given = OPS[case.op], plain(case)
    lo, hi = border(op, kernel(case), given)
    axes = zip(size(case), kernel(case), lo, hi, given["stride"], given["dilation"], strict=True)
    return tuple((x + a + b - d * (k - 1) - 1) % s for x, k, a, b, s, d in axes)


def fitting(case: Case) -> Case:
    """The last place of the window at the very end of the input."""
    axes = zip(unreached(case), plain(case)["stride"], strict=True)
    return _grown(case, "input", [-rest % stride for rest, stride in axes])
