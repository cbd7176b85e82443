"""An engine whose algorithm is not exact on integers is held to what it declares, and no looser."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import engine
import oracle
from properties.cases.data import arrays
from properties.cases.line import parse
from properties.comparison.compare import Comparison, compare
from properties.comparison.engine import Engine
from properties.comparison.loading import EngineError, load
from properties.comparison.mismatch import Mismatch, Status, Verdict
from properties.generation import sampling
from properties.session.options import Options
from properties.session.session import Session
from properties.test_metamorphic import test_a_convolution_is_linear_in_its_input as linear

from .gallery.transforms import ACCURACY, FAULTS, fft_engine

TORCH = Engine("torch", oracle)
FFT = Engine("FFT", fft_engine())
GRADIENTS = parse("conv2d((2, 4, 7, 6), (6, 2, 3, 2), bias=(6,), groups=2, data='reals:3')")
FLOATS = tuple(ACCURACY)
SPECIAL = parse("conv1d((2, 1, 40), (1, 1, 3), data='special:0')")


def verdicts(engine: Engine, n: int) -> list[Verdict | Mismatch]:
    """On so many cases that are drawn."""
    return [judged(case, engine) for case in islice(sampling.cases(1, FFT.ops, FLOATS), n)]


def judged(case: Any, engine: Engine) -> Verdict | Mismatch:
    try:
        return compare(case, engine, TORCH)
    except Mismatch as mismatch:
        return mismatch


def test_a_right_fft_is_within_its_declared_accuracy() -> None:
    found = verdicts(FFT, 400)
    assert not any(isinstance(verdict, Mismatch) for verdict in found)


def test_without_the_declaration_it_fails() -> None:
    undeclared = Engine("FFT", SimpleNamespace(**{**vars(fft_engine()), "accuracy": {}}))
    assert any(isinstance(verdict, Mismatch) for verdict in verdicts(undeclared, 60))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_caught_beside_the_declared_accuracy(fault: Any) -> None:
    wrong = Engine("FFT", fft_engine(**fault))
    found = [verdict for verdict in verdicts(wrong, 120) if isinstance(verdict, Mismatch)]
    assert {type(mismatch).__name__ for mismatch in found} >= {"ValueMismatch"}


def with_gradients(scale: float = 1.0) -> Engine:
    """The right engine, which declares a normwise accuracy, and whose gradients are scaled."""

    def scaled(gradient: Any) -> Any:
        return lambda *arguments, **given: gradient(*arguments, **given) * np.float32(scale)

    grad = {name: scaled(getattr(engine.grad, name)) for name in ("conv2d_input", "conv2d_weight")}
    namespace = SimpleNamespace(conv2d=engine.conv2d, grad=SimpleNamespace(**grad))
    namespace.accuracy = {"float32": ("normwise", 8)}
    return Engine("declared", namespace)


def test_gradients_are_held_to_the_same_form() -> None:
    assert compare(GRADIENTS, with_gradients(), TORCH).status is Status.AGREED
    assert "grad_input is wrong" in str(judged(GRADIENTS, with_gradients(1.001)))


def transform(line: Any, name: str = "output", dtype: str = "float32") -> Any:
    comparison = Comparison.of(line, TORCH)
    return comparison.transform(Engine("e", fft_engine()), name)


def test_norms_are_those_of_the_planes_that_are_summed() -> None:
    case = parse("conv1d(float64(1, 2, 3), float64(1, 2, 1), data='integers:1')")
    x, w = arrays(case).operands.values()
    norms = np.sqrt((x**2).sum(2)) @ np.sqrt((w**2).sum(2)).T
    np.testing.assert_allclose(transform(case).norms[..., 0], norms)
    assert transform(case).planes == 2


def test_an_inf_leaves_its_own_plane_unjudged_and_no_other() -> None:
    found = transform(SPECIAL)
    known = np.isfinite(found.bound("float32", "float32", np.zeros((2, 1, 38))))
    x = arrays(SPECIAL).operands["input"]
    np.testing.assert_array_equal(known.all((1, 2)), np.isfinite(x).all((1, 2)))
    assert {*known.all((1, 2))} == {True, False}


def test_a_bound_grows_with_the_factor_and_the_logarithm_of_the_size_alone() -> None:
    found = transform(GRADIENTS)
    small, large = (
        replace(found, factor=1, size=size, planes=0).bound("float64", "float64", 0.0).max()
        for size in (2, 2**10)
    )
    assert large == pytest.approx(10 * small)


def test_relations_use_the_declared_accuracy() -> None:
    case = parse("conv1d((1, 1, 5), (2, 1, 3), data='reals:1')")
    session = Session(FFT, Options(FFT.ops))
    verdict = linear.property.predicate(case, session)
    assert verdict.status is Status.AGREED


@pytest.mark.parametrize(
    "declared",
    [
        "{'float32': 8}",
        "{'float32': ('elementwise', 8)}",
        "{'int8': ('normwise', 8)}",
        "{'float32': ('normwise', 0.5)}",
        "{'float32': ('normwise', float('nan'))}",
        "{'float32': ('normwise', True)}",
        "{'float32': ('normwise', 1e9)}",
        "8",
    ],
)
def test_a_declaration_that_says_nothing_is_an_error(declared: str, tmp_path: Any) -> None:
    file = tmp_path / "declares.py"
    file.write_text(f"from engine import conv2d\naccuracy = {declared}\n")
    with pytest.raises(EngineError, match=r"accuracy: expected dtypes among float16, .* got"):
        load(str(file))
