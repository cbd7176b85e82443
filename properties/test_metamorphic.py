"""Metamorphic relations: equations between results of one engine, which need no oracle.

Each test is one relation. Its decorator says for which operations the relation holds, and what a
case must have so that it can show something; its docstring is the equation, as a failure prints
it; its body yields the two sides. `conv` stands for any convolution of the decorator, `convᵀ`
for a transposed one, ⟨a, b⟩ for the sum of all products a · b.

`pytest -m metamorphic` runs these alone, and also where torch is not installed.
"""

from typing import Any

import numpy as np
import pytest

from .comparison.ball import exactly, joined
from .comparison.outcome import widen
from .metamorphic.evaluation import Evaluation
from .metamorphic.preconditions import (
    as_many_filters_as_channels,
    dilated,
    explicit,
    finite,
    fitting,
    one_tap,
    output_padding_below_stride,
    padded,
    strided,
    two_channels,
    two_filters,
    two_groups,
    two_samples,
    two_taps,
    with_bias,
    without_bias,
    without_output_padding,
    zeros_around,
)
from .metamorphic.rearranging import (
    apart,
    backwards,
    cropped,
    delta,
    every,
    flipped,
    mixed,
    shuffled,
    spread,
    widened,
    without_first,
)
from .metamorphic.relation import (
    CONV,
    CONV_TRANSPOSE,
    CONVOLUTIONS,
    FLOATING,
    FOLD,
    UNFOLD,
    Sides,
    adjoint,
    lifted,
)
from .session.for_all import relation

pytestmark = pytest.mark.metamorphic


# ---- Linear ----


@relation(CONVOLUTIONS, finite)
def test_a_convolution_is_linear_in_its_input(e: Evaluation) -> Sides:
    """conv(u - v, w) + b = (conv(u, w) + b) - conv(v, w)"""
    u, v = apart(e.x)
    yield e.call(), e.call(input=u) - e.call(input=v, bias=None)


@relation(CONVOLUTIONS, finite)
def test_a_convolution_is_linear_in_its_weight(e: Evaluation) -> Sides:
    """conv(x, u - v) + b = (conv(x, u) + b) - conv(x, v)"""
    u, v = apart(e.w)
    yield e.call(), e.call(weight=u) - e.call(weight=v, bias=None)


@relation(CONVOLUTIONS, with_bias)
def test_a_bias_is_added_to_every_place_of_its_channel(e: Evaluation) -> Sides:
    """conv(x, w, b) = conv(x, w) + b"""
    yield e.call(), e.call(bias=None) + e.per_channel(e.b)


# ---- Shifts ----


@relation(CONV, finite, zeros_around)
def test_a_shifted_input_shifts_the_output(e: Evaluation) -> Sides:
    """conv(x shifted by the stride) = conv(x) shifted by one"""
    shifted = e.call(input=widened(e.x, e.stride))
    yield e.call(), without_first(shifted, (1,) * e.axes)


@relation(CONV_TRANSPOSE, finite)
def test_a_shifted_input_shifts_the_output_of_a_transposed_convolution(e: Evaluation) -> Sides:
    """convᵀ(x shifted by one) = convᵀ(x) shifted by the stride"""
    shifted = e.call(input=widened(e.x, (1,) * e.axes))
    yield e.call(), without_first(shifted, e.stride)


# ---- Samples, groups, filters, channels ----


@relation(CONVOLUTIONS, two_samples)
def test_samples_do_not_depend_on_their_batch(e: Evaluation) -> Sides:
    """conv(batch) = conv of its parts, the empty one too, and of its samples unbatched"""
    y, parts = e.call(), (slice(0), slice(1), slice(1, None))
    yield y, joined([e.call(input=e.x[part]) for part in parts], 0)
    yield y[-1], e.call(input=e.x[-1])


@relation(CONVOLUTIONS, two_samples)
def test_the_order_of_samples_is_kept(e: Evaluation) -> Sides:
    """conv(samples in reverse) = conv(samples) in reverse"""
    yield e.call()[::-1], e.call(input=e.x[::-1])


@relation(CONVOLUTIONS, two_groups)
def test_groups_are_separate_convolutions(e: Evaluation) -> Sides:
    """conv in groups = one conv for each group, joined"""
    yield e.call(), joined([e.call(groups=1, **group) for group in e.by_group()], e.channel)


@relation(CONVOLUTIONS, two_filters)
def test_filters_make_the_channels_of_the_output_in_their_order(e: Evaluation) -> Sides:
    """conv with filters in reverse = conv with its channels in reverse"""
    y = e.call().rearranged(shuffled, e.channel, e.groups)
    yield y, e.call(**e.filters_backwards())


@relation(CONVOLUTIONS, two_channels)
def test_channels_may_be_summed_in_another_order(e: Evaluation) -> Sides:
    """conv(channels and kernels in reverse) = conv(channels)"""
    yield e.call(), e.call(**e.channels_backwards())


# ---- Stride, dilation, padding ----


@relation(CONV, strided)
def test_a_stride_skips_places_of_stride_one(e: Evaluation) -> Sides:
    """conv with a stride = every stride-th place of conv with stride 1"""
    yield e.call(), every(e.call(stride=1), e.stride)


@relation(CONV_TRANSPOSE, finite, strided)
def test_a_transposed_convolution_with_a_stride_puts_zeros_between_elements(e: Evaluation) -> Sides:
    """convᵀ(x) with a stride = convᵀ(x with zeros between) with stride 1"""
    x = spread(e.x, e.stride, e.output_padding)
    yield e.call(), e.call(input=x, stride=1, output_padding=0)


@relation(CONVOLUTIONS, finite, dilated, output_padding_below_stride)
def test_dilation_puts_zeros_between_taps(e: Evaluation) -> Sides:
    """conv(x, w) with dilation = conv(x, w with zeros between) without"""
    yield e.call(), e.call(weight=spread(e.w, e.dilation), dilation=1, terms=e.terms)


@relation(CONV, padded)
def test_padding_is_a_border_of_the_input(e: Evaluation) -> Sides:
    """conv(x) with padding = conv(x with a border) without"""
    yield e.call(), e.call(input=e.bordered, **e.unpadded)


@relation(CONV_TRANSPOSE, padded)
def test_padding_crops_the_output_of_a_transposed_convolution(e: Evaluation) -> Sides:
    """convᵀ(x) with padding = convᵀ(x), cropped"""
    yield e.call(), cropped(e.call(padding=0), e.padding)


# ---- Taps and axes ----


@relation(CONV, finite, two_taps)
def test_taps_may_be_applied_apart(e: Evaluation) -> Sides:
    """conv(x, w) = conv(x, first taps of w) + conv(x further on, last taps of w)"""
    x, taps, half = e.bordered, e.kernel[-1], e.kernel[-1] // 2
    end, start = x.shape[-1] - e.dilation[-1] * (taps - half), e.dilation[-1] * half
    first = e.call(input=x[..., :end], weight=e.w[..., :half], **e.unpadded)
    last = e.call(input=x[..., start:], weight=e.w[..., half:], bias=None, **e.unpadded)
    yield e.call(), first + last


@relation(CONV_TRANSPOSE, finite, two_taps)
def test_taps_of_a_transposed_convolution_may_be_applied_apart(e: Evaluation) -> Sides:
    """convᵀ(x, w) = convᵀ(x, first taps of w) + convᵀ(x, last taps of w) further on"""
    *padding, cut = e.padding
    *output_padding, more = e.output_padding
    whole: Any = {"padding": (*padding, 0), "output_padding": (*output_padding, 0), "bias": None}
    half = e.kernel[-1] // 2
    start, end = e.dilation[-1] * half, e.dilation[-1] * (e.kernel[-1] - half)
    first = e.call(weight=e.w[..., :half], **whole).rearranged(widened, (0,), (end + more,))
    last = e.call(weight=e.w[..., half:], **whole).rearranged(widened, (start,), (more,))
    yield e.call(bias=None), cropped(first + last, (cut,))


@relation(CONVOLUTIONS, partner=lifted)
def test_an_axis_of_size_one_changes_nothing(e: Evaluation) -> Sides:
    """conv = conv in one more dimension, of size 1"""
    stride = 1 if isinstance(e.padding, str) else 2  # 'same' has no other
    first: Any = {"stride": stride, "dilation": 3, "padding": 0, "output_padding": 0}
    steps = {k: v for k, v in e.arguments.items() if k in first and not isinstance(v, str)}
    more: Any = {k: (first[k], *v) for k, v in steps.items()}
    x, w = (np.expand_dims(array, e.channel) for array in (e.x, e.w))
    yield (
        e.call(),
        e.call(lifted(e.op), input=x, weight=w, **more).rearranged(np.squeeze, e.channel),
    )


@relation(CONV, fitting)
def test_a_flipped_input_and_kernel_flip_the_output(e: Evaluation) -> Sides:
    """conv(x and w flipped) = conv(x, w) flipped"""
    x, w = flipped(e.bordered, e.axes), flipped(e.w, e.axes)
    yield e.call().rearranged(flipped, e.axes), e.call(input=x, weight=w, **e.unpadded)


@relation(CONV_TRANSPOSE, without_output_padding)
def test_a_flipped_input_and_kernel_flip_the_output_of_a_transposed_convolution(
    e: Evaluation,
) -> Sides:
    """convᵀ(x and w flipped) = convᵀ(x, w) flipped"""
    x, w = flipped(e.x, e.axes), flipped(e.w, e.axes)
    yield e.call().rearranged(flipped, e.axes), e.call(input=x, weight=w)


# ---- Adjoints and gradients ----


@relation(CONV, finite, explicit, zeros_around, without_bias, partner=adjoint)
def test_a_transposed_convolution_is_the_adjoint(e: Evaluation) -> Sides:
    """⟨conv(x), y⟩ = ⟨x, convᵀ(y)⟩"""
    back = e.call(adjoint(e.op), input=e.gy, output_padding=e.unreached)
    yield e.call().dot(e.gy), back.dot(e.x)


@relation(CONVOLUTIONS, finite, dtypes=FLOATING)
def test_gradients_are_adjoints_of_the_convolution(e: Evaluation) -> Sides:
    """⟨grad, direction⟩ = ⟨grad of the output, conv of the direction⟩"""
    directions = {name: backwards(e.operands[name]) for name in e.operands}
    yield from (
        (grad.rearranged(np.conj).dot(directions[name]), change.dot(e.gy.conj()))
        for name, grad in e.gradients().items()
        for change in [e.change(name, directions[name])]
    )


@relation(CONVOLUTIONS, finite, dtypes=("float64",))
def test_gradients_are_central_differences(e: Evaluation) -> Sides:
    """⟨grad, 2δ⟩ = f(m + δ) - f(m - δ), with f = ⟨conv, grad of the output⟩"""
    # m + δ is the operand, m - δ the operand backwards: both exact, where m and δ may not be.
    yield from (
        (grad.dot(high) - grad.dot(low), e.call().dot(e.gy) - e.call(**{name: low}).dot(e.gy))
        for name, grad in e.gradients().items()
        for high, low in [(e.operands[name], backwards(e.operands[name]))]
    )


# ---- Known results ----


@relation(CONV, one_tap)
def test_a_kernel_of_one_tap_multiplies_matrices(e: Evaluation) -> Sides:
    """conv(x, w of size 1) = w @ x"""
    y = mixed(widen(every(e.bordered, e.stride)), widen(e.w), e.groups, e.axes)
    yield e.call(), exactly(y) + e.per_channel(e.b)


@relation(CONV, finite, as_many_filters_as_channels)
def test_a_delta_kernel_gives_the_input(e: Evaluation) -> Sides:
    """conv(x, delta) = x, shifted"""
    shifted = without_first(e.bordered, e.last_tap)
    yield e.call(weight=delta(e.w, e.groups)), exactly(every(shifted, e.stride))


@relation(CONV_TRANSPOSE, finite, as_many_filters_as_channels)
def test_a_delta_kernel_gives_the_input_of_a_transposed_convolution(e: Evaluation) -> Sides:
    """convᵀ(x, delta) = x with zeros between, shifted"""
    shifted = widened(spread(e.x, e.stride, e.output_padding), e.last_tap)
    yield e.call(weight=delta(e.w, e.groups)), exactly(cropped(shifted, e.padding))


@relation(UNFOLD, finite, partner=adjoint)
def test_fold_of_unfold_counts_visits(e: Evaluation) -> Sides:
    """fold(unfold(x)) = how often each element is visited · x"""
    columns = e.call().midpoint.astype(e.case.dtype)
    yield e.call("fold", input=columns, output_size=e.size), exactly(e.visits() * widen(e.x))


@relation(FOLD, finite, partner=adjoint)
def test_fold_is_the_adjoint_of_unfold(e: Evaluation) -> Sides:
    """⟨fold(z), x⟩ = ⟨z, unfold(x)⟩"""
    yield e.call().dot(e.gy), e.call("unfold", input=e.gy).dot(e.x)
