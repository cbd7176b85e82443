"""The rejections: one rule for each, planting one fault in an otherwise valid case.

Each rule is the expectation as well: it names the argument that a good message blames, which is
not always the one that torch's does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..cases.case import Case, Operand
from ..cases.edit import natural, reshaped, with_argument, with_operand
from ..cases.operation import OPS, Sizes, per_axis, rank
from .budget import Choose, pick


@dataclass(frozen=True)
class Spoiler:
    """One way to spoil a call: the argument to blame, and the change."""

    name: str
    blame: str
    plant: Callable[[Choose, Case], Case]


def spoil(choose: Choose, case: Case) -> Case:
    """`case` with one of its op's faults in it."""
    fault = pick(choose, SPOILERS[OPS[case.op].family])
    return replace(fault.plant(choose, batched(case)), blame=fault.blame)


def batched(case: Case) -> Case:
    """`case` with at least one sample: an empty batch hides faults from torch."""
    x = case.operands["input"]
    if x.shape[0] == 0:
        return with_operand(case, "input", replace(x, shape=(1, *x.shape[1:])))
    return case


def not_an_array(name: str) -> Callable[[Choose, Case], Case]:
    values: list[Any] = [[1.0], 1.0, "ones"] if name == "bias" else [None, [[1.0]], 1.0, "ones"]
    return lambda choose, case: with_operand(case, name, pick(choose, values))


def wrong_rank(name: str) -> Callable[[Choose, Case], Case]:
    def plant(choose: Choose, case: Case) -> Case:
        shape, n = case.operands[name].shape, rank(OPS[case.op], "input")
        wrong: list[tuple[int, ...]] = [(1,) * (n + 1), (1,) * (n - 2)]
        if name == "weight":
            wrong = [shape[:-1], (*shape, 1), shape[:1]]
        # unfold and fold meet too low a rank with an IndexError of torch's own
        wrong = wrong[:1] if "fold" in case.op else [*wrong, ()]
        return reshaped(case, name, pick(choose, wrong))

    return plant


def other_dtype(name: str) -> Callable[[Choose, Case], Case]:
    """Another dtype in `name` than in the input; with padding a string, torch takes any bias."""

    def plant(choose: Choose, case: Case) -> Case:
        if isinstance(case.arguments.get("padding"), str):
            case = with_argument(case, "padding", 0)
            case = reshaped(case, "weight", (*case.operands["weight"].shape[:2], *_ones(case)))
        x = case.operands["input"]
        others = [d for d in ("float32", "float64", "int64", "float16") if d != x.dtype]
        shape = (outputs(case),) if name == "bias" else case.operands["weight"].shape
        return with_operand(case, name, Operand(shape, pick(choose, others)))

    return plant


def _ones(case: Case) -> tuple[int, ...]:
    return (1,) * OPS[case.op].axes


def _sizes(case: Case) -> tuple[Sizes, Sizes]:
    """The spatial sizes of input and weight."""
    return case.shapes["input"][-OPS[case.op].axes :], case.shapes["weight"][2:]


def outputs(case: Case) -> int:
    """The channels of the result."""
    weight, groups = case.operands["weight"].shape, int(case.arguments.get("groups", 1))
    return int(weight[1] * groups if OPS[case.op].is_transposed else weight[0])


def bias_shape(choose: Choose, case: Case) -> Case:
    filters = outputs(case)
    shape = pick(choose, ((filters + 1,), (filters, 1), (), (0,)))
    return with_operand(case, "bias", Operand(shape, case.operands["input"].dtype))


def channels(choose: Choose, case: Case) -> Case:
    n, shape = OPS[case.op].axes, case.operands["input"].shape
    at = len(shape) - n - 1
    more = shape[at] + 1 + choose(2)
    return reshaped(case, "input", (*shape[:at], more, *shape[at + 1 :]))


def empty_axis(choose: Choose, case: Case) -> Case:
    """A spatial axis without elements, padded enough to hold the kernel."""
    n, shape = OPS[case.op].axes, case.operands["input"].shape
    axis = len(shape) - 1 - choose(n)
    dilation = per_axis(case.arguments.get("dilation", 1), n)
    kernel = case.operands["weight"].shape[2:]
    extents = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    padded = with_argument(case, "padding", natural(extents))
    return reshaped(padded, "input", (*shape[:axis], 0, *shape[axis + 1 :]))


def kernel_too_large(choose: Choose, case: Case) -> Case:
    """A kernel one element wider than the padded input, at its narrowest."""
    n, shape = OPS[case.op].axes, case.operands["weight"].shape
    axis = choose(n)
    padding = case.arguments.get("padding", 0)
    pad = 0 if isinstance(padding, str) else per_axis(padding, n)[axis]
    room = case.operands["input"].shape[axis - n] + 2 * pad
    plain = with_argument(case, "padding", 0) if padding == "same" else case
    taps = -(-room // per_axis(case.arguments.get("dilation", 1), n)[axis]) + 1 + choose(2)
    return reshaped(plain, "weight", (*shape[: 2 + axis], taps, *shape[3 + axis :]))


def empty_kernel(choose: Choose, case: Case) -> Case:
    n, shape = OPS[case.op].axes, case.operands["weight"].shape
    axis = choose(n)
    return reshaped(case, "weight", (*shape[: 2 + axis], 0, *shape[3 + axis :]))


def no_filters(choose: Choose, case: Case) -> Case:
    return reshaped(case, "weight", (0, *case.operands["weight"].shape[1:]))


def no_divisor(choose: Choose, case: Case) -> Case:
    filters = case.operands["weight"].shape[0]
    return with_argument(case, "groups", filters + 1 + choose(3))


def integers(name: str, least: int) -> list[Spoiler]:
    """The rules for an argument of one integer per axis, each at least `least`."""

    def too_small(choose: Choose, case: Case) -> Case:
        n = OPS[case.op].axes
        bad = least - 1 - choose(2)
        return with_argument(case, name, one_of_n(choose, n, bad))

    def wrong_type(choose: Choose, case: Case) -> Case:
        n = OPS[case.op].axes
        bad = pick(choose, (1.0, None, True, "1", 0.5, np.True_))
        if name == "padding" and bad == "1":
            bad = 1.5  # a string is a value there
        if bad is True:  # torch looks for a bool in the first place only
            return with_argument(case, name, pick(choose, (True, (True,) * n, [True])))
        return with_argument(case, name, pick(choose, (bad, one_of_n(choose, n, bad), [bad])))

    def wrong_length(choose: Choose, case: Case) -> Case:
        n = OPS[case.op].axes
        lengths = [k for k in (n + 1, 0, n - 1, n + 2) if k not in (1, n)]
        return with_argument(case, name, pick(choose, (tuple, list))([1] * pick(choose, lengths)))

    def overflow(choose: Choose, case: Case) -> Case:
        n = OPS[case.op].axes
        bad = pick(choose, (2**63, -(2**63) - 1, 2**70))
        return with_argument(case, name, pick(choose, (bad, (bad,) * n)))

    return [
        Spoiler(f"{name} too small", name, too_small),
        Spoiler(f"{name} of a wrong type", name, wrong_type),
        Spoiler(f"{name} of a wrong length", name, wrong_length),
        Spoiler(f"{name} beyond 64 bits", name, overflow),
    ]


def one_of_n(choose: Choose, n: int, bad: Any) -> Any:
    """`bad` for every axis as one value, or for one axis among ones."""
    at = choose(n + 1)
    return bad if at == 0 else tuple(bad if i == at - 1 else 1 for i in range(n))


def value(name: str, *menu: Any) -> Callable[[Choose, Case], Case]:
    return lambda choose, case: with_argument(case, name, pick(choose, menu))


def same_with_stride(choose: Choose, case: Case) -> Case:
    n = OPS[case.op].axes
    return with_argument(
        with_argument(case, "padding", "same"), "stride", one_of_n(choose, n, 2 + choose(2))
    )


def empty_result(choose: Choose, case: Case) -> Case:
    """Padding that leaves nothing of a transposed convolution's result."""
    plain = replace(case, arguments={k: v for k, v in case.arguments.items() if k == "groups"})
    widest = max(x + k for x, k in zip(*_sizes(case), strict=True))
    return with_argument(plain, "padding", widest)


def empty_transposed(choose: Choose, case: Case) -> Case:
    """An empty spatial axis whose result would not be empty."""
    op, shape = OPS[case.op], case.operands["input"].shape
    plain = replace(case, arguments={k: v for k, v in case.arguments.items() if k == "groups"})
    axis = len(shape) - 1 - choose(op.axes)
    wide = reshaped(plain, "weight", (*case.operands["weight"].shape[:2], *(2,) * op.axes))
    return reshaped(wide, "input", (*shape[:axis], 0, *shape[axis + 1 :]))


def output_padding_too_large(choose: Choose, case: Case) -> Case:
    op = OPS[case.op]
    steps = [per_axis(case.arguments.get(k, 1), op.axes) for k in ("stride", "dilation")]
    plain = replace(case, arguments={k: v for k, v in case.arguments.items() if k != "output_size"})
    more = choose(2)
    return with_argument(
        plain, "output_padding", natural(tuple(max(s) + more for s in zip(*steps, strict=True)))
    )


def output_size(choose: Choose, case: Case) -> Case:
    """An output size of a wrong length, or out of reach."""
    n = OPS[case.op].axes
    plain = replace(case, arguments={k: v for k, v in case.arguments.items() if k == "groups"})
    beyond = tuple(x + k for x, k in zip(*_sizes(case), strict=True))
    return with_argument(plain, "output_size", pick(choose, ((1,) * (n + 3), (), beyond)))


def mode_too_wide(choose: Choose, case: Case) -> Case:
    """A border wider than what it is copied from."""
    plain = replace(case, arguments={k: v for k, v in case.arguments.items() if k == "groups"})
    mode = with_argument(plain, "padding_mode", pick(choose, ("reflect", "circular")))
    return with_argument(mode, "padding", natural(tuple(x + 1 for x in _sizes(case)[0])))


def plainly(fault: Spoiler) -> Spoiler:
    """`fault` without those arguments of a layer that would make errors of their own."""

    def plant(choose: Choose, case: Case) -> Case:
        given = dict(case.arguments)
        if isinstance(given.get("padding"), str) or "padding_mode" in given:
            given.pop("padding", None)
        for name in ("padding_mode", "output_size"):
            given.pop(name, None)
        plain = replace(case, arguments=given)
        kernel = (*case.operands["weight"].shape[:2], *_ones(case))
        return fault.plant(choose, reshaped(plain, "weight", kernel))

    return replace(fault, plant=plant)


def columns(choose: Choose, case: Case) -> Case:
    """As many columns as no window makes."""
    shape = case.operands["input"].shape
    return reshaped(case, "input", (*shape[:-1], shape[-1] + 1 + choose(2)))


def column_height(choose: Choose, case: Case) -> Case:
    """Columns that no whole number of kernels fills."""
    shape = case.operands["input"].shape
    with_kernel = with_argument(case, "kernel_size", (2, 2))
    return reshaped(with_kernel, "input", (*shape[:-2], 4 * shape[-2] + 1 + choose(3), shape[-1]))


def window_too_large(choose: Choose, case: Case) -> Case:
    size = max(case.operands["input"].shape[-2:])
    plain = replace(case, arguments={})
    return with_argument(plain, "kernel_size", size + 1 + choose(2))


_OPERANDS = (
    Spoiler("input is no array", "input", not_an_array("input")),
    Spoiler("input of a wrong rank", "input", wrong_rank("input")),
    Spoiler("channels that do not match", "input", channels),
    Spoiler("weight is no array", "weight", not_an_array("weight")),
    Spoiler("weight of a wrong rank", "weight", wrong_rank("weight")),
    Spoiler("weight of another dtype", "weight", other_dtype("weight")),
    Spoiler("an empty kernel", "weight", empty_kernel),
    Spoiler("no channels on the weight's axis 0", "weight", no_filters),
    Spoiler("bias is no array", "bias", not_an_array("bias")),
    Spoiler("bias of a wrong shape", "bias", bias_shape),
)
_GROUPS = (
    Spoiler("groups too small", "groups", value("groups", 0, -1)),
    Spoiler(
        "groups of a wrong type", "groups", value("groups", 1.0, None, True, "1", (1,), np.True_)
    ),
    Spoiler("groups beyond 64 bits", "groups", value("groups", 2**63, 2**70)),
    Spoiler("groups that divide no channels", "groups", no_divisor),
)
_STEPS = (*integers("stride", 1), *integers("padding", 0), *integers("dilation", 1))
_PADDING = (
    Spoiler("an unknown padding", "padding", value("padding", "full", "SAME", "")),
    Spoiler("'same' with a stride", "stride", same_with_stride),
)
_BACK = (
    *integers("output_padding", 0),
    Spoiler("an output padding too large", "output_padding", output_padding_too_large),
    Spoiler("padding that leaves nothing", "padding", empty_result),
)

SPOILERS: dict[str, tuple[Spoiler, ...]] = {
    "conv": (
        *_OPERANDS,
        Spoiler("bias of another dtype", "bias", other_dtype("bias")),
        Spoiler("an empty spatial axis", "input", empty_axis),
        Spoiler("a kernel larger than the padded input", "weight", kernel_too_large),
        *(*_STEPS, *_PADDING, *_GROUPS),
    ),
    "conv_transpose": (
        *_OPERANDS,
        Spoiler("an empty spatial axis", "input", empty_transposed),
        Spoiler("padding is a string", "padding", value("padding", "same", "valid", "full")),
        *(*_STEPS, *_BACK, *_GROUPS),
    ),
    "Conv": (
        Spoiler("input of a wrong rank", "input", wrong_rank("input")),
        Spoiler("channels that do not match", "input", channels),
        *map(plainly, (*_STEPS, *_PADDING)),
        Spoiler("groups too small", "groups", value("groups", 0, -1)),
        Spoiler(
            "an unknown mode", "padding_mode", value("padding_mode", "mirror", "constant", None)
        ),
        Spoiler("a border wider than the input", "padding", mode_too_wide),
    ),
    "ConvTranspose": (
        plainly(Spoiler("input of a wrong rank", "input", wrong_rank("input"))),
        Spoiler("channels that do not match", "input", channels),
        *map(plainly, (*_STEPS, *_BACK)),
        Spoiler("groups too small", "groups", value("groups", 0, -1)),
        Spoiler("an output size out of reach", "output_size", output_size),
    ),
    "unfold": (
        Spoiler("input is no array", "input", not_an_array("input")),
        Spoiler("input of a wrong rank", "input", wrong_rank("input")),
        *(*integers("kernel_size", 1), *_STEPS),
        Spoiler("a window larger than the input", "kernel_size", window_too_large),
    ),
    "fold": (
        Spoiler("input is no array", "input", not_an_array("input")),
        Spoiler("input of a wrong rank", "input", wrong_rank("input")),
        *(*integers("kernel_size", 1), *_STEPS),
        Spoiler("columns that no window makes", "input", columns),
        Spoiler("columns of a wrong height", "input", column_height),
    ),
}
