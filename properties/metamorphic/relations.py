"""The metamorphic relations: equations between results of one engine, which need no oracle.

Each is one function that yields pairs of sides. Its decorator says for which families of ops it
holds, and what makes a case suitable. Its docstring is the equation, as a failure shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from ..cases.case import DTYPES, Case, Operand
from ..cases.data import arrays
from ..cases.operation import OPS, Op
from ..comparison.ball import Ball, exactly, joined
from ..comparison.compare import widen
from ..comparison.mismatch import Verdict
from ..generation.strategies import cases
from ..session.session import Session
from . import preconditions as suitable
from .evaluation import Evaluation, NotClaimed, Sides, verdict
from .preconditions import dilated, explicit, finite, fitting, padded, strided, zeros_around

CONV = ("conv", "Conv")
TRANSPOSED = ("conv_transpose", "ConvTranspose")
BOTH = (*CONV, *TRANSPOSED)
ADJOINT = {"conv": "conv_transpose", "Conv": "ConvTranspose", "unfold": "fold", "fold": "unfold"}
MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
INEXACT = tuple(d for d in DTYPES if np.dtype(d).kind in "fc")


def itself(op: Op) -> str:
    return op.name


def adjoint(op: Op) -> str:
    name = ADJOINT[op.family]
    return name if name in OPS else f"{name}{op.axes}d"


def lifted(op: Op) -> str:
    return f"{op.family}{op.axes + 1}d"


@dataclass(frozen=True)
class Relation:
    """An equation that holds for every case of some ops, once the case is made suitable."""

    equation: Callable[[Evaluation], Sides]
    families: tuple[str, ...]
    steps: tuple[Callable[[Case], Case], ...]
    dtypes: tuple[str, ...]
    partner: Callable[[Op], str]  # the op that the equation needs as well

    @property
    def name(self) -> str:
        return self.equation.__name__

    def concerns(self, op: str, offered: Sequence[str]) -> bool:
        return OPS[op].family in self.families and self.partner(OPS[op]) in offered

    def cases(
        self, ops: Sequence[str] = tuple(OPS), dtypes: Sequence[str] = DTYPES
    ) -> st.SearchStrategy[Case]:
        """Cases of those ops and dtypes that the relation concerns."""
        ops = [op for op in ops if self.concerns(op, ops)]
        dtypes = [d for d in dtypes if d in self.dtypes]
        ops = [op for op in ops if any(np.dtype(d).kind in OPS[op].kinds for d in dtypes)]
        if not ops:
            pytest.skip("concerns nothing that is offered")
        return cases(ops, dtypes)

    def holds(self, case: Case, session: Session) -> Verdict | None:
        """The verdict on `case`, None if it does not concern it, or a `Mismatch`."""
        if not self._applies(case, session):
            return None
        try:
            premise = Evaluation(self.suited(case), session, case, self.equation.__doc__ or "")
            return verdict(self.equation, premise)
        except NotClaimed:
            return Verdict("not claimed")
        except Exception:
            if _is_valid(case, session):
                raise
            return None  # what follows from it means nothing

    def suited(self, case: Case) -> Case:
        """`case`, changed as little as lets the relation show something."""
        start = changed = suitable.settled(case)
        for step in (suitable.some_sample, *self.steps):
            changed = step(changed)
        return case if changed == start else changed

    def _applies(self, case: Case, session: Session) -> bool:
        operands = [v for v in case.operands.values() if isinstance(v, Operand)]
        regular = len(operands) == len(case.operands) > 0 and len({v.dtype for v in operands}) == 1
        concerned = case.op in session.engine.ops and self.concerns(case.op, session.engine.ops)
        return regular and concerned and case.blame is None and case.dtype in self.dtypes


def _is_valid(case: Case, session: Session) -> bool:
    try:
        session.definition.results(case, arrays(case).operands)
    except Exception:  # noqa: BLE001 - a rejection is an answer
        return False
    return True


def relation(
    families: tuple[str, ...],
    *steps: Callable[[Case], Case],
    dtypes: tuple[str, ...] = DTYPES,
    partner: Callable[[Op], str] = itself,
) -> Callable[[Callable[[Evaluation], Sides]], Relation]:
    return lambda equation: Relation(equation, families, steps, dtypes, partner)


def apart(array: Any) -> tuple[Any, Any]:
    """Two arrays of no larger elements, whose difference is exactly `array`."""
    wide = np.array(array, array.dtype.newbyteorder("="), order="C")
    parts = wide.view(wide.real.dtype).ravel()
    half = (parts // 2 if parts.dtype.kind in "iu" else np.trunc(parts / 2)).astype(parts.dtype)
    left = np.where(np.arange(parts.size) % 2, parts - half, half)
    return tuple(part.view(wide.dtype).reshape(wide.shape) for part in (left, left - parts))


def other(array: Any) -> Any:
    """The same elements in reverse."""
    return array.ravel()[::-1].reshape(array.shape)


def steps_of(sizes: Sequence[int]) -> tuple[Any, ...]:
    return (..., *[slice(None, None, s) for s in sizes])


def from_on(starts: Sequence[int]) -> tuple[Any, ...]:
    return (..., *[slice(n, None) for n in starts])


def widened(array: Any, before: Sequence[int], after: Sequence[int], mode: str = "zeros") -> Any:
    """`array` with a border along its last axes."""
    plain = [(0, 0)] * (array.ndim - len(before))
    return np.pad(array, [*plain, *zip(before, after, strict=True)], MODES[mode])


def bordered(p: Evaluation) -> Any:
    """The input with its padding."""
    return widened(p.x, *p.border, p.arguments.get("padding_mode", "zeros"))


def bare(p: Evaluation) -> dict[str, Any]:
    """The arguments of a call without padding."""
    modes = {"padding_mode": "zeros"} if "padding_mode" in p.arguments else {}
    return {"padding": (0,) * p.op.axes, **modes}


def spread(array: Any, steps: Sequence[int], after: Sequence[int] | None = None) -> Any:
    """`array` with zeros between its elements, so many steps apart."""
    sizes = array.shape[-len(steps) :]
    after = after or [0] * len(steps)
    room = [s * (n - 1) + 1 + e for n, s, e in zip(sizes, steps, after, strict=True)]
    result = np.zeros((*array.shape[: -len(steps)], *room), array.dtype)
    places = [slice(0, s * (n - 1) + 1, s) for n, s in zip(sizes, steps, strict=True)]
    result[(..., *places)] = array
    return result


def flipped(array: Any, axes: int) -> Any:
    return np.flip(array, tuple(range(-axes, 0)))


def shuffled(array: Any, axis: int, groups: int) -> Any:
    """The members of each group in reverse."""
    order = (
        np.arange(array.shape[axis]).reshape(groups, array.shape[axis] // groups)[:, ::-1].ravel()
    )
    return np.take(array, order, axis)


@relation(BOTH, finite)
def linear_in_input(p: Evaluation) -> Sides:
    """conv(u - v, w) + b = (conv(u, w) + b) - conv(v, w)"""
    u, v = apart(p.x)
    yield p.call(), p.call(input=u) - p.call(input=v, bias=None)


@relation(BOTH, finite)
def linear_in_weight(p: Evaluation) -> Sides:
    """conv(x, u - v) + b = (conv(x, u) + b) - conv(x, v)"""
    u, v = apart(p.w)
    yield p.call(), p.call(weight=u) - p.call(weight=v, bias=None)


@relation(BOTH, suitable.with_bias)
def additive_in_bias(p: Evaluation) -> Sides:
    """conv(x, w, b) = conv(x, w) + b"""
    yield p.call(), p.call(bias=None) + p.b.reshape(-1, *[1] * p.op.axes)


@relation(CONV, finite, zeros_around)
def conv_of_shifted(p: Evaluation) -> Sides:
    """conv(x shifted by the stride) = conv(x) shifted by one"""
    one = (1,) * p.op.axes
    moved = p.call(input=widened(p.x, p.stride, (0,) * p.op.axes))
    yield p.call(), moved[from_on(one)]


@relation(TRANSPOSED, finite)
def transposed_of_shifted(p: Evaluation) -> Sides:
    """convᵀ(x shifted by one) = convᵀ(x) shifted by the stride"""
    moved = p.call(input=widened(p.x, (1,) * p.op.axes, (0,) * p.op.axes))
    yield p.call(), moved[from_on(p.stride)]


@relation(BOTH, suitable.two_samples)
def batch_split(p: Evaluation) -> Sides:
    """conv(batch) = conv of its parts, the empty one too, and of its samples unbatched"""
    y = p.call()
    yield y, joined([p.call(input=p.x[part]) for part in (slice(0), slice(1), slice(1, None))], 0)
    yield y[-1], p.call(input=p.x[-1])


@relation(BOTH, suitable.two_samples)
def batch_permuted(p: Evaluation) -> Sides:
    """conv(samples in reverse) = conv(samples) in reverse"""
    yield p.call()[::-1], p.call(input=p.x[::-1])


@relation(BOTH, suitable.two_groups)
def group_split(p: Evaluation) -> Sides:
    """conv in groups = one conv for each group, joined"""
    xs, ws = np.split(p.x, p.groups, p.channel), np.split(p.w, p.groups)
    bs = [None] * p.groups if p.b is None else np.split(p.b, p.groups)
    groups = zip(xs, ws, bs, strict=True)
    parts = [p.call(input=x, weight=w, bias=b, groups=1) for x, w, b in groups]
    yield p.call(), joined(parts, p.channel)


@relation(BOTH, suitable.two_filters)
def filters_permuted(p: Evaluation) -> Sides:
    """conv with filters in reverse = conv with its channels in reverse"""
    w = p.w[:, ::-1] if p.op.is_transposed else shuffled(p.w, 0, p.groups)
    b = None if p.b is None else shuffled(p.b, 0, p.groups)
    yield p.call().of(lambda a: shuffled(a, p.channel, p.groups)), p.call(weight=w, bias=b)


@relation(BOTH, suitable.two_channels)
def channels_permuted(p: Evaluation) -> Sides:
    """conv(channels and kernels in reverse) = conv(channels)"""
    w = shuffled(p.w, 0, p.groups) if p.op.is_transposed else p.w[:, ::-1]
    yield p.call(), p.call(input=shuffled(p.x, p.channel, p.groups), weight=w)


@relation(CONV, strided)
def stride_subsamples(p: Evaluation) -> Sides:
    """conv with a stride = every so manyth place of conv with stride 1"""
    yield p.call(), p.call(stride=(1,) * p.op.axes)[steps_of(p.stride)]


@relation(TRANSPOSED, finite, strided)
def stride_stuffs_zeros(p: Evaluation) -> Sides:
    """convᵀ(x) with a stride = convᵀ(x with zeros between) with stride 1"""
    one, none = (1,) * p.op.axes, (0,) * p.op.axes
    stuffed = spread(p.x, p.stride, p.output_padding)
    yield p.call(), p.call(input=stuffed, stride=one, output_padding=none)


def without_dilation(case: Case) -> Case:
    return suitable.modest_output_padding(case) if OPS[case.op].is_transposed else case


@relation(BOTH, finite, dilated, without_dilation)
def dilation_spreads_the_kernel(p: Evaluation) -> Sides:
    """conv(x, w) with dilation = conv(x, w with zeros between) without"""
    y, one = p.call(), (1,) * p.op.axes
    yield y, p.call(weight=spread(p.w, p.dilation), dilation=one, terms=p.terms)


@relation(CONV, padded)
def padding_pads_the_input(p: Evaluation) -> Sides:
    """conv(x) with padding = conv(x with a border) without"""
    yield p.call(), p.call(input=bordered(p), **bare(p))


@relation(TRANSPOSED, padded)
def padding_crops_the_output(p: Evaluation) -> Sides:
    """convᵀ(x) with padding = convᵀ(x), cropped"""
    whole = p.call(padding=(0,) * p.op.axes)
    sizes = zip(whole.value.shape[-p.op.axes :], p.padding, strict=True)
    yield p.call(), whole[(..., *[slice(pad, n - pad) for n, pad in sizes])]


@relation(CONV, finite, suitable.two_taps)
def conv_of_split_kernel(p: Evaluation) -> Sides:
    """conv(x, w) = conv(x, first taps of w) + conv(x further on, last taps of w)"""
    x, k, d = bordered(p), p.kernel[-1], p.dilation[-1]
    first = k // 2
    heads = p.call(
        input=x[..., : x.shape[-1] - d * (k - first)], weight=p.w[..., :first], **bare(p)
    )
    tails = p.call(input=x[..., d * first :], weight=p.w[..., first:], bias=None, **bare(p))
    yield p.call(), heads + tails


@relation(TRANSPOSED, finite, suitable.two_taps)
def transposed_of_split_kernel(p: Evaluation) -> Sides:
    """convᵀ(x, w) = convᵀ(x, first taps of w) + convᵀ(x, last taps of w) further on"""
    k, d, pad = p.kernel[-1], p.dilation[-1], p.padding[-1]
    first = k // 2
    changed = {"padding": (*p.padding[:-1], 0), "output_padding": (*p.output_padding[:-1], 0)}
    heads = p.call(weight=p.w[..., :first], bias=None, **changed)
    tails = p.call(weight=p.w[..., first:], bias=None, **changed)
    rest = d * (k - first)
    total = heads.of(lambda a: widened(a, (0,), (rest,)))
    total += tails.of(lambda a: widened(a, (d * first,), (0,)))
    total = total.of(lambda a: widened(a, (0,), (p.output_padding[-1],)))
    total = total[..., pad : total.value.shape[-1] - pad]
    yield p.call(bias=None), total


@relation(BOTH, partner=lifted)
def one_more_axis(p: Evaluation) -> Sides:
    """conv = conv in one more dimension, of size 1"""
    names = {"stride": 2, "dilation": 3, "padding": 0, "output_padding": 0}
    if isinstance(p.padding, str):
        names |= {"stride": 1}
    more = {
        k: v if isinstance(v, str) else (names[k], *v) for k, v in p.arguments.items() if k in names
    }
    at = p.channel
    x, w = (np.expand_dims(a, at) for a in (p.x, p.w))
    yield p.call(), p.call(lifted(p.op), input=x, weight=w, **more).of(lambda a: a.squeeze(at))


@relation(CONV, fitting)
def conv_of_flipped(p: Evaluation) -> Sides:
    """conv(x and w flipped) = conv(x, w) flipped"""
    axes = p.op.axes
    x, w = (flipped(a, axes) for a in (bordered(p), p.w))
    yield p.call().of(lambda a: flipped(a, axes)), p.call(input=x, weight=w, **bare(p))


@relation(TRANSPOSED, suitable.without_output_padding)
def transposed_of_flipped(p: Evaluation) -> Sides:
    """convᵀ(x and w flipped) = convᵀ(x, w) flipped"""
    axes = p.op.axes
    x, w = (flipped(a, axes) for a in (p.x, p.w))
    yield p.call().of(lambda a: flipped(a, axes)), p.call(input=x, weight=w)


@relation(CONV, finite, explicit, zeros_around, suitable.without_bias, partner=adjoint)
def transposed_is_adjoint(p: Evaluation) -> Sides:
    """⟨conv(x), y⟩ = ⟨x, convᵀ(y)⟩"""
    y = p.gy(p.output_shape)
    axes = zip(p.size, p.kernel, p.padding, p.stride, p.dilation, strict=True)
    rest = tuple((x + 2 * pad - d * (k - 1) - 1) % s for x, k, pad, s, d in axes)
    back = p.call(adjoint(p.op), input=y, output_padding=rest)
    yield p.call().dot(y), back.dot(p.x)


@relation(BOTH, finite, dtypes=INEXACT)
def gradients_are_adjoints(p: Evaluation) -> Sides:
    """⟨grad, direction⟩ = ⟨grad of the output, conv of the direction⟩"""
    gy = p.gy(p.output_shape)
    found = p.with_gradients(gy)
    dx, dw = other(p.x), other(p.w)
    if "grad_input" in found:
        yield found["grad_input"].of(np.conj).dot(dx), _along(p, gy, input=dx)
    if "grad_weight" in found:
        yield found["grad_weight"].of(np.conj).dot(dw), _along(p, gy, weight=dw)
    if "grad_bias" in found:
        db = np.broadcast_to(other(p.b).reshape(-1, *[1] * p.op.axes), gy.shape)
        yield found["grad_bias"].of(np.conj).dot(other(p.b)), exactly(gy.conj()).dot(db)


def _along(p: Evaluation, gy: Any, **direction: Any) -> Ball:
    return p.call(bias=None, **direction).dot(gy.conj())


@relation(BOTH, finite, dtypes=("float64",))
def gradients_are_differences(p: Evaluation) -> Sides:
    """⟨grad, 2δ⟩ = f(m + δ) - f(m - δ), with f = ⟨conv, grad of the output⟩"""
    gy = p.gy(p.output_shape)
    found = p.with_gradients(gy)
    for name in ("input", "weight", "bias"):
        if f"grad_{name}" in found:
            grad, high = found[f"grad_{name}"], p.operands[name]
            low = other(high)  # m is the mean of both, δ half their difference: all exact
            difference = p.call().dot(gy) - p.call(**{name: low}).dot(gy)
            yield grad.dot(high) - grad.dot(low), difference


@relation(CONV, suitable.one_tap)
def one_tap_is_matmul(p: Evaluation) -> Sides:
    """conv(x, w of size 1) = w @ x"""
    x = widen(bordered(p)[steps_of(p.stride)])
    size, batch = x.shape[p.channel + 1 :], x.shape[: p.channel]
    x = x.reshape(*batch, p.groups, p.w.shape[1], prod(size))
    w = widen(p.w).reshape(p.groups, p.w.shape[0] // p.groups, p.w.shape[1])
    with np.errstate(all="ignore"):
        y = np.einsum("goc,...gcp->...gop", w, x).reshape(*batch, p.w.shape[0], *size)
        yield p.call(), exactly(y if p.b is None else y + widen(p.b).reshape(-1, *[1] * p.op.axes))


def delta(p: Evaluation) -> Any:
    """Kernels that take the last tap of each channel."""
    w = np.zeros(p.w.shape, p.w.dtype)
    n = p.w.shape[1]
    w.reshape(p.groups, n, n, prod(p.kernel))[:, np.arange(n), np.arange(n), -1] = 1
    return w


def lasts(p: Evaluation) -> list[int]:
    return [d * (k - 1) for d, k in zip(p.dilation, p.kernel, strict=True)]


@relation(CONV, finite, suitable.as_many_filters_as_channels)
def conv_with_delta(p: Evaluation) -> Sides:
    """conv(x, delta) = x, shifted"""
    yield p.call(weight=delta(p)), exactly(bordered(p)[from_on(lasts(p))][steps_of(p.stride)])


@relation(TRANSPOSED, finite, suitable.as_many_filters_as_channels)
def transposed_with_delta(p: Evaluation) -> Sides:
    """convᵀ(x, delta) = x with zeros between, shifted"""
    whole = widened(spread(p.x, p.stride, p.output_padding), lasts(p), (0,) * p.op.axes)
    sizes = zip(whole.shape[-p.op.axes :], p.padding, strict=True)
    yield p.call(weight=delta(p)), exactly(whole[(..., *[slice(c, n - c) for n, c in sizes])])


@relation(("unfold",), finite, partner=adjoint)
def fold_of_unfold(p: Evaluation) -> Sides:
    """fold(unfold(x)) = how often each element is visited · x"""
    columns = p.call().value.astype(p.x.dtype.newbyteorder("="))
    counts = np.ones((1, 1))
    for axis in range(2):
        counts = counts * visits(p, axis).reshape((-1, 1) if axis == 0 else (1, -1))
    yield p.call("fold", input=columns, output_size=p.size), exactly(counts * widen(p.x))


def visits(p: Evaluation, axis: int) -> Any:
    """How often the window's taps meet each element of one axis."""
    names = ("kernel_size", "stride", "dilation", "padding")
    k, s, d, pad = (p.arguments[name][axis] for name in names)
    n = p.size[axis]
    starts = np.arange(0, n + 2 * pad - d * (k - 1), s)
    met = (starts[:, None] + d * np.arange(k)).ravel() - pad
    return np.bincount(met[(met >= 0) & (met < n)], minlength=n)


@relation(("fold",), finite, partner=adjoint)
def fold_is_adjoint(p: Evaluation) -> Sides:
    """⟨fold(z), x⟩ = ⟨z, unfold(x)⟩"""
    x = p.gy(p.output_shape)
    yield p.call().dot(x), p.call("unfold", input=x).dot(p.x)


RELATIONS = [value for value in vars().values() if isinstance(value, Relation)]
