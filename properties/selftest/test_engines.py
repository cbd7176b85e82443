"""Any engine can be judged: however it is found, whatever its calls return, raise or leave."""

from __future__ import annotations

import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import engine
import oracle
from properties.cases.case import Case
from properties.cases.line import parse
from properties.cases.sequence import CaseSequence
from properties.comparison.compare import compare
from properties.comparison.engine import Engine, Errors
from properties.comparison.importing import why_not
from properties.comparison.loading import EngineError, load
from properties.comparison.mismatch import (
    AcceptedInvalid,
    DtypeMismatch,
    EngineCrash,
    GlobalStateChanged,
    Mismatch,
    OutOfMemory,
    RejectedValid,
    ShapeMismatch,
    Status,
    Verdict,
    WrongError,
)
from properties.session.options import Options
from properties.session.session import Session
from properties.test_metamorphic import test_a_convolution_is_linear_in_its_input as linear

VALID = parse("conv2d((2, 2, 3, 3), (2, 1, 2, 2), bias=(2,), groups=2, data='reals:1')")
INVALID = parse("conv2d((1, 1, 1, 1), (1, 1, 1, 1), stride=0, blame='stride')")
UNBATCHED = parse("conv2d((1, 3, 3), (1, 1, 2, 2))")
WORDED = parse("conv2d((1, 1, 3, 3), (1, 1, 2, 2), padding='valid')")
TORCH = Engine("torch", oracle)

Act = Callable[[Any], Any]  # from the right output to what the engine returns


def returning(act: Act, **more: Any) -> Engine:
    def conv2d(*arguments: Any, **given: Any) -> Any:
        return act(engine.conv2d(*arguments, **given))

    return Engine("planted", SimpleNamespace(conv2d=conv2d), **more)


def in_the_relation(case: Case, judged: Engine) -> Verdict:
    verdict: Verdict = linear.property.predicate(case, Session(judged, Options(judged.ops)))
    return verdict


def in_a_sequence(case: Case, judged: Engine) -> Verdict:
    return Session(judged, Options(judged.ops)).in_order(CaseSequence((case, case)))


def alone(case: Case, judged: Engine) -> Verdict:
    return compare(case, judged, TORCH)


WAYS = pytest.mark.parametrize("way", [alone, in_a_sequence, in_the_relation])


class Hostile:
    """What no inspection survives."""

    @property
    def shape(self) -> Any:
        raise ZeroDivisionError

    def __array__(self, *arguments: Any, **given: Any) -> Any:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        raise ZeroDivisionError


class Textless(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


def fails(error: BaseException) -> Act:
    def act(y: Any) -> Any:
        raise error

    return act


def endless(y: Any) -> Any:
    return endless(y)


RETURNED: dict[str, tuple[Act, type[Mismatch], str]] = {
    "a tensor": (torch.from_numpy, DtypeMismatch, "output is a Tensor, not a NumPy array"),
    "lists": (lambda y: y.tolist(), DtypeMismatch, "output is a list, not a NumPy array"),
    "None": (lambda y: None, DtypeMismatch, "output is a NoneType, not a NumPy array"),
    "a number": (lambda y: 3.0, DtypeMismatch, "output is a float, not a NumPy array"),
    "a scalar": (lambda y: y.flat[0], DtypeMismatch, "output is a float32, not a NumPy array"),
    "a tuple": (lambda y: (y,), DtypeMismatch, "output is a tuple, not a NumPy array"),
    "a generator": (iter, DtypeMismatch, "not a NumPy array"),
    "a hostile object": (lambda y: Hostile(), DtypeMismatch, "output is a Hostile"),
    "a masked array": (np.ma.masked_array, DtypeMismatch, "output is a masked array"),
    "objects": (lambda y: y.astype(object), DtypeMismatch, "output has another type"),
    "a record": (lambda y: y.view([("a", "f4")]), DtypeMismatch, "output has another type"),
    "dates": (lambda y: y.astype("M8[s]"), DtypeMismatch, "output has another type"),
    "the other byte order": (lambda y: y.astype(">f4"), DtypeMismatch, "output has another type"),
    "one place less": (lambda y: y[..., :-1], ShapeMismatch, "output has another shape"),
    "no memory": (fails(MemoryError()), OutOfMemory, "ran out of memory on a valid call"),
    "a textless error": (fails(Textless()), EngineCrash, "raised on a valid call"),
    "no end of calls": (endless, RejectedValid, "raised on a valid call"),
}


@WAYS
@pytest.mark.parametrize(("act", "kind", "headline"), RETURNED.values(), ids=RETURNED)
def test_whatever_is_returned_or_raised_has_its_kind(
    act: Act, kind: type[Mismatch], headline: str, way: Callable[..., Verdict]
) -> None:
    with pytest.raises(kind) as caught:
        way(VALID, returning(act))
    assert headline in caught.value.headline


def mapped(y: Any) -> Any:
    return np.memmap(os.devnull, y.dtype, "r", shape=y.shape) if not y.size else y.copy()


def unwritable(y: Any) -> Any:
    y.flags.writeable = False
    return y


class Subclass(np.ndarray[Any, Any]):
    pass


def subclass(y: Any) -> Any:
    return y.view(Subclass)


def warned(y: Any) -> Any:
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    return y


@WAYS
@pytest.mark.parametrize("act", [mapped, unwritable, subclass, np.asfortranarray])
def test_any_array_of_the_right_values_will_do(act: Act, way: Callable[..., Verdict]) -> None:
    assert way(VALID, returning(act)).status is Status.AGREED


def changing(name: str) -> Act:
    changes: dict[str, Callable[[], Any]] = {
        "NumPy's error state": lambda: np.seterr(all="raise"),
        "NumPy's print options": lambda: np.set_printoptions(precision=3),
        "NumPy's random state": np.random.random,
        "Python's random state": random.random,
        "the warnings filter": lambda: warnings.simplefilter("error"),
        "the environment variables": lambda: os.environ.update(X_PLANTED="1"),
        "the working directory": lambda: os.chdir("/"),
        "torch's number of threads": lambda: torch.set_num_threads(3),
        "the signal handlers": lambda: signal.signal(signal.SIGALRM, signal.SIG_IGN),
    }

    def act(y: Any) -> Any:
        changes[name]()
        return y

    return act


STATES = ["NumPy's error state", "NumPy's print options", "NumPy's random state"]
STATES += ["Python's random state", "the warnings filter", "the environment variables"]
STATES += ["the working directory", "torch's number of threads", "the signal handlers"]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = os.getcwd(), np.geterr(), signal.getsignal(signal.SIGTERM)
    yield
    assert (os.getcwd(), np.geterr(), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize("name", STATES)
def test_a_changed_state_is_named_and_brought_back(name: str) -> None:
    with pytest.raises(GlobalStateChanged, match=f"left .*{name}"):
        alone(VALID, returning(changing(name)))


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_printing_is_named(stream: str) -> None:
    def prints(y: Any) -> Any:
        getattr(sys, stream).write("hello")
        return y

    with pytest.raises(GlobalStateChanged, match="printed to standard output or error"):
        alone(VALID, returning(prints))


@WAYS
def test_an_error_state_that_raises_does_not_reach_what_compares(
    way: Callable[..., Verdict],
) -> None:
    with suppress(GlobalStateChanged):
        assert way(VALID, returning(changing("NumPy's error state"))).status is Status.AGREED
    assert np.geterr()["over"] != "raise"


# ---- Signatures, and what an outsider need not offer ----


def by_keyword(*, input: Any, weight: Any) -> Any:
    return engine.conv2d(input, weight)


def by_position(x: Any, w: Any, b: Any = None, s: Any = 1, /) -> Any:
    return engine.conv2d(x, w, b, s)


@WAYS
@pytest.mark.parametrize("conv2d", [by_keyword, by_position])
def test_a_signature_that_is_not_torchs_is_named(conv2d: Any, way: Callable[..., Verdict]) -> None:
    with pytest.raises(RejectedValid) as caught:
        way(VALID, Engine("other", SimpleNamespace(conv2d=conv2d)))
    assert "TypeError: by_" in dict(caught.value.details)["raised"]


def rejects(*arguments: Any, **given: Any) -> Any:
    raise ValueError("expected a batch and integers")


def of_gradients(**more: Any) -> Engine:
    grad = SimpleNamespace(conv2d_input=rejects)
    return Engine("graded", SimpleNamespace(conv2d=engine.conv2d, grad=grad), **more)


@pytest.mark.parametrize("case", [UNBATCHED, WORDED], ids=["unbatched", "a word"])
def test_a_gradient_that_torchs_own_does_not_take_is_not_claimed(case: Case) -> None:
    assert alone(case, of_gradients()).ratios.keys() == {"output"}
    with pytest.raises(RejectedValid):
        alone(case, of_gradients(strict=True))


def test_any_other_gradient_is_claimed() -> None:
    with pytest.raises(RejectedValid):
        alone(VALID, of_gradients())


# ---- How rejections are held to torch's ----


def raising(error: Exception, errors: Errors) -> Engine:
    return Engine("raising", SimpleNamespace(conv2d=lambda *a, **k: rethrown(error)), errors=errors)


def rethrown(error: Exception) -> Any:
    raise error


SAID = "conv2d() padding: expected a stride, got 0"


@pytest.mark.parametrize(
    ("error", "errors", "kind"),
    [
        (ValueError("no"), Errors.REJECTS, None),
        (ValueError("no"), Errors.EXACT, WrongError),
        (RuntimeError("no"), Errors.EXACT, None),
        (RuntimeError(SAID), Errors.EXACT, WrongError),
        (RuntimeError(SAID.replace("padding", "stride")), Errors.EXACT, None),
    ],
)
def test_rejections_are_held_to_torchs_as_asked(error: Any, errors: Errors, kind: Any) -> None:
    found = outcome(INVALID, raising(error, errors))
    assert found is (kind or Status.REJECTED)


def outcome(case: Case, judged: Engine) -> Any:
    try:
        return alone(case, judged).status
    except Mismatch as mismatch:
        return type(mismatch)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [(Errors.REJECTS, AcceptedInvalid), (Errors.IGNORE, Status.NOT_JUDGED)],
)
def test_a_call_that_torch_rejects_may_be_left_unjudged(errors: Errors, expected: Any) -> None:
    def careless(input: Any, weight: Any, stride: Any = 1) -> Any:
        return engine.conv2d(input, weight)

    careless_engine = Engine("careless", SimpleNamespace(conv2d=careless), errors=errors)
    assert outcome(INVALID, careless_engine) is expected


# ---- Loading ----

IMPORTS = {
    "fails": ("x = 1\nx.foo", r"AttributeError: 'int' object has no attribute 'foo' \(.*:2\)"),
    "does not parse": ("x = 1\ndef f(:", r"SyntaxError: invalid syntax .*:2\)"),
    "exits": ("import sys\nsys.exit(3)", r"SystemExit: 3 \(.*:2\)"),
    "leaves": ("import os\nos._exit(0)", "its import ended the process with exit code 0"),
    "crashes": ("import os\nos.abort()", "its import was killed by SIGABRT"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "offers nothing": ("x = 1", "offers none of the functions conv1d"),
}


@pytest.mark.parametrize(("source", "told"), IMPORTS.values(), ids=IMPORTS)
def test_an_import_that_ends_otherwise_is_named(source: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "with blanks.py"
    file.write_text(source)
    with pytest.raises(EngineError, match=told):
        load(str(file))


def test_an_import_that_does_not_end_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("properties.comparison.importing.SECONDS", 0.2)
    assert why_not(signal.pause) == "its import did not end within 0.2 s"


COUNTS = """
import warnings, numpy, engine
warnings.warn("old", DeprecationWarning)
numpy.seterr(all="raise")

class Counting:
    def __init__(self):
        self.calls = 0
    def conv2d(self, *arguments, **given):
        self.calls += 1
        return engine.conv2d(*arguments, **given)

counting = Counting()
"""


def test_an_instance_in_a_file_is_an_engine_and_its_imports_warnings_are_nobodys(
    tmp_path: Path,
) -> None:
    file = tmp_path / "with blanks.py"
    file.write_text(COUNTS)
    judged = load(f"{file}:counting")
    assert judged.ops == ("conv2d",)
    assert judged.left == ("NumPy's error state",)
    assert alone(VALID, judged).status is Status.AGREED
    assert judged.namespace.calls == 2


def test_an_installed_package_is_an_engine() -> None:
    assert "conv2d" in load("engine.functional").ops
