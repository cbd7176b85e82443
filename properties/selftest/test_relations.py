"""Each relation catches the faults planted for it, and no relation fails on a right engine."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import signature
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import engine
import oracle
from properties import test_metamorphic
from properties.cases.case import Case
from properties.cases.line import parse
from properties.cases.operation import OPS
from properties.comparison.engine import Engine
from properties.comparison.loading import by_definition
from properties.comparison.mismatch import RelationBroken, Status, Verdict
from properties.metamorphic.relation import Relation
from properties.session.options import Options
from properties.session.report import block, described
from properties.session.session import Session

from .test_architecture import ROOT

RELATIONS: list[Relation] = [
    test.relation for test in vars(test_metamorphic).values() if hasattr(test, "relation")
]
BY_NAME = {relation.name: relation for relation in RELATIONS}
DEFINITION = by_definition(engine)
BEFORE_TORCH = "import sys; sys.modules['torch'] = None; import pytest; "


@dataclass(frozen=True)
class Call:
    """A call as the engine gets it: everything by name."""

    function: Callable[..., Any]
    given: dict[str, Any]

    def right(self, **changed: Any) -> Any:
        return self.function(**{**self.given, **changed})

    def __getattr__(self, name: str) -> Any:
        return self.given.get(name)

    def edited(self, name: str, place: Any, value: Any = 0) -> Any:
        """The right result, but for one operand (or `output`) with `value` at `place`."""
        array = np.array(self.right() if name == "output" else self.given[name])
        array[place] = value
        return array if name == "output" else self.right(**{name: array})

    def steps(self, name: str) -> bool:
        """Whether an argument is given and no default."""
        value = self.given.get(name)
        return value is not None and bool(np.any(np.asarray(value) != (name != "padding")))


Fault = Callable[[Call], Any]


def planted(prefix: str, fault: Fault) -> Engine:
    """Our engine with a fault in the functions whose names start with `prefix`."""

    def wrong(function: Callable[..., Any]) -> Callable[..., Any]:
        names = [*signature(function).parameters]
        return lambda *first, **given: fault(
            Call(function, {**dict(zip(names, first, strict=False)), **given})
        )

    functions = {
        name: wrong(getattr(engine, name)) if name.startswith(prefix) else getattr(engine, name)
        for name in OPS
        if not OPS[name].is_layer
    }
    return Engine("wrong", SimpleNamespace(**functions, grad=engine.grad), "")


def with_gradient(kind: str, fault: Callable[[Any], Any]) -> Engine:
    """Our engine with a fault in the gradients of one kind."""

    def wrong(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given, **named: fault(function(*given, **named))

    names = [name for name in vars(engine.grad) if name.endswith(f"d_{kind}")]
    grad = {**vars(engine.grad), **{name: wrong(getattr(engine.grad, name)) for name in names}}
    functions = {name: getattr(engine, name) for name in OPS if not OPS[name].is_layer}
    return Engine("wrong", SimpleNamespace(**functions, grad=SimpleNamespace(**grad)), "")


CONV, BACK = "conv", "conv_transpose"


def unless(condition: Callable[[Call], bool], fault: Fault) -> Fault:
    """The right result where the condition holds, else the fault."""
    return lambda call: call.right() if condition(call) else fault(call)


def without(argument: str) -> Callable[[Call], bool]:
    return lambda call: not call.steps(argument)


# fmt: off
FAULTY: dict[str, list[Engine]] = {
    "a_convolution_is_linear_in_its_input": [
        planted(CONV, lambda c: c.right(input=np.clip(c.input, 0, None))),
        planted(CONV, lambda c: np.maximum(c.right(), 0))],
    "a_convolution_is_linear_in_its_weight": [
        planted(CONV, lambda c: c.right(weight=np.clip(c.weight, -3, 3)))],
    "a_bias_is_added_to_every_place_of_its_channel": [
        planted(CONV, lambda c: c.right(bias=None)),
        planted(BACK, lambda c: c.right(bias=None if c.bias is None else np.roll(c.bias, 1)))],
    "a_shifted_input_shifts_the_output": [
        planted(CONV, lambda c: c.edited("output", (..., 0)))],
    "a_shifted_input_shifts_the_output_of_a_transposed_convolution": [
        planted(BACK, lambda c: c.edited("output", (..., 0)))],
    "samples_do_not_depend_on_their_batch": [
        planted(CONV, unless(lambda c: len(c.input) <= 1, lambda c: c.edited("input", -1)))],
    "the_order_of_samples_is_kept": [
        planted(CONV, lambda c: c.edited("output", slice(1, None)))],
    "groups_are_separate_convolutions": [
        planted(CONV, unless(without("groups"), lambda c: c.edited("weight", slice(0, 1))))],
    "filters_make_the_channels_of_the_output_in_their_order": [
        planted(CONV, unless(lambda c: len(c.weight) <= 1, lambda c: c.edited("weight", 1))),
        planted(BACK, lambda c: c.edited("weight", (slice(None), 0)))],
    "channels_may_be_summed_in_another_order": [
        planted(CONV, lambda c: c.edited("weight", (slice(None), 0))),
        planted(BACK, lambda c: c.edited("weight", 0))],
    "a_stride_skips_places_of_stride_one": [
        planted(CONV, unless(without("stride"), lambda c: c.edited("output", (..., -1)))),
        planted(CONV, unless(lambda c: c.stride != 3, lambda c: -c.right()))],
    "a_transposed_convolution_with_a_stride_puts_zeros_between_elements": [
        planted(BACK, unless(without("stride"), lambda c: c.edited("output", (..., -1))))],
    "dilation_puts_zeros_between_taps": [
        planted(CONV, unless(without("dilation"), lambda c: c.edited("weight", (..., -1))))],
    "padding_is_a_border_of_the_input": [
        planted(CONV, unless(without("padding"), lambda c: c.edited("output", (..., 0))))],
    "padding_crops_the_output_of_a_transposed_convolution": [
        planted(BACK, unless(without("padding"), lambda c: np.roll(c.right(), 1, -1)))],
    "taps_may_be_applied_apart": [
        planted(CONV, lambda c: c.edited("weight", (..., slice(1, None))))],
    "taps_of_a_transposed_convolution_may_be_applied_apart": [
        planted(BACK, lambda c: c.edited("weight", (..., slice(1, None))))],
    "an_axis_of_size_one_changes_nothing": [
        planted("conv2d", lambda c: c.right(weight=c.weight[..., ::-1]))],
    "a_flipped_input_and_kernel_flip_the_output": [
        planted(CONV, lambda c: c.right(weight=np.roll(c.weight, 1, -1))),
        planted(CONV, lambda c: c.edited("output", (..., 0)))],
    "a_flipped_input_and_kernel_flip_the_output_of_a_transposed_convolution": [
        planted(BACK, lambda c: c.right(weight=np.roll(c.weight, 1, -1)))],
    "a_transposed_convolution_is_the_adjoint": [
        planted(BACK, lambda c: c.right(weight=c.weight[..., ::-1])),
        planted(BACK, lambda c: np.roll(c.right(), 1, -1))],
    "gradients_are_adjoints_of_the_convolution": [
        with_gradient("input", lambda g: np.roll(g, 1, -1)),
        with_gradient("weight", np.conj),
        with_gradient("bias", lambda g: g / 2)],
    "gradients_are_central_differences": [
        with_gradient("input", lambda g: g * 2),
        with_gradient("weight", lambda g: np.roll(g, 1, -1)),
        with_gradient("bias", np.zeros_like)],
    "a_kernel_of_one_tap_multiplies_matrices": [
        planted(CONV, unless(lambda c: c.weight[0, 0].size != 1, lambda c: -c.right())),
        planted(CONV, lambda c: c.right(input=np.roll(c.input, 1, -1)))],
    "a_delta_kernel_gives_the_input": [
        planted(CONV, lambda c: c.right(weight=c.weight[..., ::-1]))],
    "a_delta_kernel_gives_the_input_of_a_transposed_convolution": [
        planted(BACK, lambda c: c.right(weight=c.weight[..., ::-1]))],
    "fold_of_unfold_counts_visits": [
        planted("fold", lambda c: np.minimum(c.right(), 100)),
        planted("unfold", lambda c: c.edited("output", (..., -1)))],
    "fold_is_the_adjoint_of_unfold": [
        planted("fold", lambda c: np.roll(c.right(), 1, -1)),
        planted("unfold", lambda c: c.right()[..., ::-1])],
}
# fmt: on
PLANTED = [
    pytest.param(relation, candidate, id=f"{relation.name}-{i}")
    for relation in RELATIONS
    for i, candidate in enumerate(FAULTY[relation.name])
]
each_relation = pytest.mark.parametrize("relation", RELATIONS, ids=lambda r: r.name)


def drawn(relation: Relation, candidate: Engine, n: int, seed: int = 0) -> Iterator[Case]:
    return islice(relation.sample(seed, candidate.ops), n)


def verdict(relation: Relation, case: Case, candidate: Engine) -> Verdict | None:
    return relation.verdict(case, candidate, DEFINITION)


def first_broken(relation: Relation, candidate: Engine) -> RelationBroken | None:
    for case in drawn(relation, candidate, 150):  # what a dev run draws
        try:
            verdict(relation, case, candidate)
        except RelationBroken as broken:
            return broken
    return None


@pytest.mark.parametrize(("relation", "candidate"), PLANTED)
def test_a_relation_catches_its_fault(relation: Relation, candidate: Engine) -> None:
    assert first_broken(relation, candidate) is not None


@pytest.mark.parametrize(("relation", "candidate"), PLANTED)
def test_a_broken_relation_shrinks_and_replays(relation: Relation, candidate: Engine) -> None:
    session, broken = Session(candidate, Options(candidate.ops)), first_broken(relation, candidate)
    assert broken is not None
    smallest = session.smallest(lambda case, _: verdict(relation, case, candidate), broken)
    assert len(str(smallest.case)) <= len(str(broken.case))
    with pytest.raises(RelationBroken):
        verdict(relation, parse(str(smallest.case)), candidate)


# torch sums transposed convolutions and gradients of float16 in float16
TORCH = SimpleNamespace(**vars(oracle), accumulator={"float16": "float16"})
ENGINES = [
    pytest.param(Engine("engine", engine, ""), {"agreed"}, id="engine"),
    pytest.param(Engine("torch", TORCH, ""), {"agreed", "not claimed"}, id="torch"),
]


@pytest.mark.parametrize(("candidate", "statuses"), ENGINES)
@each_relation
def test_a_relation_holds_for_a_right_engine(
    relation: Relation, candidate: Engine, statuses: set[str]
) -> None:
    cases = drawn(relation, candidate, 2000, seed=1)
    verdicts = [verdict(relation, case, candidate) for case in cases]
    seen = Counter(found.status if found else "nothing" for found in verdicts)
    assert set(seen) <= statuses
    assert seen["agreed"] > 0.75 * len(verdicts)


def test_each_test_of_a_relation_is_one_and_has_its_planted_faults() -> None:
    tests = [name for name in vars(test_metamorphic) if name.startswith("test_")]
    assert tests == [f"test_{relation.name}" for relation in RELATIONS]
    assert [*FAULTY] == [relation.name for relation in RELATIONS]
    assert (len(RELATIONS), len(PLANTED)) >= (28, 42)


def test_a_relation_concerns_only_ops_whose_partner_is_offered_too() -> None:
    adjoint = BY_NAME["a_transposed_convolution_is_the_adjoint"]
    assert adjoint.concerns("conv1d", ["conv1d", "conv_transpose1d"])
    assert not adjoint.concerns("conv1d", ["conv1d"])
    assert adjoint.cases(["conv1d"]).is_empty


def test_a_relation_has_no_cases_in_dtypes_that_it_does_not_concern() -> None:
    differences = BY_NAME["gradients_are_central_differences"]
    assert not differences.cases(["conv1d"], ["float32", "float64"]).is_empty
    assert differences.cases(["conv1d"], ["float32"]).is_empty


BLOCK = """\
RelationBroken: conv(x, w, b) = conv(x, w) + b: the sides differ
  case      conv1d((1, 1, 1), (1, 1, 1), bias=(1,))
  operands  input float32 (1, 1, 1), weight float32 (1, 1, 1), bias float32 (1,)
  left      conv1d((1, 1, 1), (1, 1, 1), bias=(1,))
  right     conv1d((1, 1, 1), (1, 1, 1)) + data
  differs   1 of 1 elements
  worst     at (0, 0, 0): left 1.0, right 2.0, error 1, allowed 0
  replay    pytest --engine=wrong --case 'conv1d((1, 1, 1), (1, 1, 1), bias=(1,))'"""


def test_a_failure_shows_the_equation_and_both_calls() -> None:
    candidate = planted("conv", lambda c: c.right(bias=None))
    case = parse("conv1d((1, 1, 1), (1, 1, 1), bias=(1,))")
    with pytest.raises(RelationBroken) as caught:
        verdict(BY_NAME["a_bias_is_added_to_every_place_of_its_channel"], case, candidate)
    assert "\n".join(block(described(caught.value))) == BLOCK


@pytest.mark.parametrize(
    "line",
    [
        "conv1d((1, 1, 1), (1, 1, 1), stride=0, blame='stride')",
        "conv1d((1, 1, 1), (1, 1, 2))",
        "conv1d((1, 1, 1), (1, 2, 1))",
        "conv1d((1, 1, 1), (1, 1, 1), bias=2)",
        "conv1d((1, 1, 1), (1, 1, 1), padding='equal')",
        "conv_transpose1d((1, 1, 1), (1, 1, 1), output_padding=1)",
        "fold((1, 1, 1), output_size=2, kernel_size=1)",
    ],
)
@each_relation
def test_no_relation_fails_on_an_invalid_call(relation: Relation, line: str) -> None:
    made_valid = Verdict(Status.AGREED)  # a precondition may have changed what is invalid
    found = verdict(relation, parse(line), Engine("engine", engine, ""))
    assert found in (None, made_valid)


@pytest.mark.parametrize(
    "line",
    [
        "conv2d((0, 1, 0, 3), (1, 1, 1, 1), padding=1)",
        "conv_transpose1d((0, 1, 2), (1, 1, 3), padding=2)",  # of one sample it would be invalid
        "ConvTranspose2d((0, 1, 2, 2), (1, 1, 3, 3), padding=2)",
    ],
)
@each_relation
def test_no_relation_fails_on_an_empty_batch_with_an_empty_axis(
    relation: Relation, line: str
) -> None:
    found = verdict(relation, parse(line), Engine("engine", engine, ""))
    assert found in (None, Verdict(Status.AGREED))


def test_what_an_engine_does_not_claim_is_counted() -> None:
    def unclaimed(call: Call) -> Any:
        raise NotImplementedError

    case = parse("conv1d((1, 1, 1), (1, 1, 1))")
    relation = BY_NAME["a_convolution_is_linear_in_its_input"]
    assert verdict(relation, case, planted("conv", unclaimed)) == Verdict(Status.NOT_CLAIMED)


def test_the_relations_run_where_torch_is_absent() -> None:
    options = "['-m', 'metamorphic', '--examples', '20', '-p', 'no:cacheprovider']"
    code = f"{BEFORE_TORCH} sys.exit(pytest.main({options}))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert ", no torch, " in done.stdout
    assert f"{len(RELATIONS)} passed" in done.stdout
