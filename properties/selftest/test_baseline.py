"""Candidate and baseline: each kind of change is seen, counted, shrunk and decided on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import engine
from properties.cases.case import DTYPES
from properties.cases.line import parse
from properties.cases.operation import OPS, OUTPUT
from properties.comparison.baseline import (
    GRADIENTS,
    Change,
    Contrast,
    Distance,
    Kind,
    Side,
    distance,
)
from properties.comparison.engine import IMPATIENCE, Engine
from properties.comparison.loading import EngineError, load
from properties.comparison.mismatch import Status
from properties.comparison.revision import load_baseline, resolved
from properties.gate.baseline import contrasted, shrink
from properties.gate.gate import SCREEN, thoroughly, verdict
from properties.session.isolation import Isolation, Judge, Sparing
from properties.session.options import Options
from properties.session.session import Session
from properties.statistics.changes import Changes, Part, Row
from properties.triage.crashlog import CrashLog

Conv = Callable[..., Any]

VALID = "conv1d((2, 6, 7), (3, 2, 2), bias=(3,), stride=2, groups=3, data='reals:5')"
INVALID = "conv1d((1, 1, 1), (1, 1, 1), stride=0, blame='stride')"


# ---- How far apart two results are ----


def floats(*values: float, dtype: str = "float32") -> Any:
    return np.array(values, dtype)


TINY = float(np.finfo("float32").smallest_subnormal)
NEXT = float(np.nextafter(np.float32(1), np.float32(2)))


@pytest.mark.parametrize(
    ("now", "was", "expected"),
    [
        (floats(1, np.nan), floats(1, np.nan), Distance(identical=True)),
        (floats(1, NEXT), floats(1, 1), Distance(identical=False, ulps=1)),
        (floats(0.0), floats(-0.0), Distance(identical=False)),
        (floats(TINY), floats(-TINY), Distance(identical=False, ulps=2)),
        (floats(np.inf, 2), floats(np.inf, NEXT), Distance(identical=False, ulps=2**23 - 1)),
        (floats(np.nan), floats(1), Distance(identical=False, finite=False)),
        (floats(np.inf), floats(-np.inf), Distance(identical=False, finite=False)),
        (np.array([5]), np.array([-1]), Distance(identical=False, ulps=6)),
        (
            np.array([2**63 - 1]),
            np.array([-(2**63)]),
            Distance(identical=False, ulps=2**64 - 1),
        ),
        (floats(1, dtype=">f4"), floats(NEXT, dtype=">f4"), Distance(identical=False, ulps=1)),
        (np.array([1 + 1j]), np.array([1 + 2j]), Distance(identical=False, ulps=2**52)),
        (floats(1), floats(1, dtype="float64"), Distance(identical=False, alike=False)),
        (floats(1), floats(1, 1), Distance(identical=False, alike=False)),
        ([1.0], floats(1), Distance(identical=False, alike=False)),
    ],
    ids=str,
)
def test_a_distance_is_counted_in_ulps(now: Any, was: Any, expected: Distance) -> None:
    assert distance(now, was) == expected


# ---- What has changed ----


def as_it_was(conv: Conv, **given: Any) -> Any:
    return conv(**given)


def moved(conv: Conv, **given: Any) -> Any:
    """One ulp away."""
    y = conv(**given)
    return np.nextafter(y, 2 * y)


def wrong(conv: Conv, **given: Any) -> Any:
    return conv(**given) + 1


def keeps_the_stride(conv: Conv, **given: Any) -> Any:
    return conv(**{**given, "stride": 1})


def rejects(conv: Conv, **given: Any) -> Any:
    raise ValueError("no")


def claims_nothing(conv: Conv, **given: Any) -> Any:
    raise NotImplementedError("no")


def writes(conv: Conv, **given: Any) -> Any:
    y = conv(**given)
    given["input"][...] = 0
    return y


def says_it_otherwise(conv: Conv, **given: Any) -> Any:
    try:
        return conv(**given)
    except engine.ArgumentError as error:
        if error.argument != "stride":
            raise
        raise type(error)("conv1d", "stride", "expected better, got worse") from None


def raises_otherwise(conv: Conv, **given: Any) -> Any:
    try:
        return conv(**given)
    except engine.ArgumentError as error:
        raise RuntimeError(str(error)) from None


def planted(conv: Conv, grad: Any = engine.grad) -> Engine:
    """Our conv1d, computed by way of `conv`."""

    def conv1d(
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: Any = 1,
    ) -> Any:
        given = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        return conv(engine.conv1d, input=input, weight=weight, bias=bias, **given)

    return Engine(conv.__name__, SimpleNamespace(conv1d=conv1d, grad=grad))


def session_of(now: Engine, was: Engine, **options: Any) -> Session:
    now.patience = was.patience = IMPATIENCE
    return Session(now, Options(now.ops, **options), CrashLog(), baseline=was)


def keys(now: Engine, was: Engine, line: str) -> set[str]:
    """The changes that a case shows."""
    found = session_of(now, was).against_baseline(parse(line))
    return {change.key for change in found.changes()}


@pytest.mark.parametrize(
    ("now", "was", "line", "expected"),
    [
        (as_it_was, as_it_was, VALID, set()),
        (as_it_was, as_it_was, INVALID, set()),
        (moved, as_it_was, VALID, {"bits: output"}),
        (wrong, as_it_was, VALID, {"breaks: ValueMismatch"}),
        (as_it_was, wrong, VALID, {"fixes: ValueMismatch"}),
        (wrong, wrong, VALID, {"wrong in both: ValueMismatch"}),
        (
            wrong,
            keeps_the_stride,
            VALID,
            {"wrong in both: ShapeMismatch, now ValueMismatch", "shape or dtype: output"},
        ),
        (rejects, as_it_was, VALID, {"breaks: RejectedValid"}),
        (as_it_was, rejects, VALID, {"fixes: RejectedValid"}),
        (claims_nothing, as_it_was, VALID, {"breaks: no longer claimed"}),
        (as_it_was, claims_nothing, VALID, {"accepts"}),
        (keeps_the_stride, as_it_was, INVALID, {"breaks: AcceptedInvalid"}),
        (writes, as_it_was, VALID, {"breaks: ArgumentModified"}),
        (as_it_was, writes, VALID, {"fixes: ArgumentModified"}),
        (says_it_otherwise, as_it_was, INVALID, {"message"}),
        (raises_otherwise, as_it_was, INVALID, {"error"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_each_kind_of_change_is_seen(now: Conv, was: Conv, line: str, expected: set[str]) -> None:
    assert keys(planted(now), planted(was), line) == expected


def test_a_gradient_that_is_no_longer_offered_breaks() -> None:
    without = planted(as_it_was, grad=None)
    assert keys(without, planted(as_it_was), VALID) == {"breaks: no longer offered"}


def test_a_changed_gradient_is_told_apart_from_the_output() -> None:
    grad = SimpleNamespace(conv1d_input=lambda *a, **k: -engine.grad.conv1d_input(*a, **k))
    only = SimpleNamespace(conv1d_input=engine.grad.conv1d_input)
    line = VALID.replace("reals:5", "extreme:1")
    found = session_of(planted(as_it_was, grad), planted(as_it_was, only))
    contrast = found.against_baseline(parse(line))
    assert contrast.distances["output"].identical
    assert not contrast.distances["grad_input"].identical


def test_an_address_in_a_message_is_no_change() -> None:
    kept: list[Any] = []

    def raises(conv: Conv, **given: Any) -> Any:
        kept.append(object())
        raise ValueError(f"got {kept[-1]}")

    assert keys(planted(raises), planted(raises), INVALID) == set()


# ---- What ends a process is told apart ----


def dies(conv: Conv, **given: Any) -> Any:
    return os._exit(3) if given["groups"] == 3 else conv(**given)


def sleeps(conv: Conv, **given: Any) -> Any:
    return time.sleep(60) if given["groups"] == 3 else conv(**given)


def carefully(session: Session) -> Session:
    """A session that judges each case elsewhere."""
    session.alone, session.elsewhere = Isolation(session), Sparing(Judge(session))
    return session


@pytest.mark.parametrize(
    ("now", "was", "expected"),
    [
        (dies, as_it_was, {"breaks: EngineCrash"}),
        (as_it_was, dies, {"fixes: EngineCrash"}),
        (dies, dies, {"wrong in both: EngineCrash"}),
        (sleeps, as_it_was, {"breaks: EngineHang"}),
        (as_it_was, sleeps, {"fixes: EngineHang"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_death_is_laid_to_the_one_that_dies(now: Conv, was: Conv, expected: set[str]) -> None:
    session = carefully(session_of(planted(now), planted(was)))
    found = contrasted(thoroughly, parse(VALID), session)
    session.elsewhere._judge.close()  # type: ignore[union-attr]
    assert found is not None
    assert {change.key for change in found.changes()} == expected


# ---- Counting ----

LINES = [
    "conv1d((2, 6, 7), (3, 2, 2), groups=3, data='reals:5')",
    "conv1d((1, 1, 3), (1, 1, 2), data='reals:1')",
    "conv1d(float64(1, 2, 3), float64(1, 2, 2), data='reals:1')",
    INVALID,
]


def counted(session: Session, lines: list[str]) -> Changes:
    changes = Changes()
    for case in map(parse, lines):
        changes.add(case, session.against_baseline(case))
    return changes


def test_counts_do_not_depend_on_who_saw_what() -> None:
    session = session_of(planted(moved), planted(as_it_was))
    whole, rest = counted(session, LINES), counted(session, LINES[:1:-1][1:])
    rest.merge(counted(session, [LINES[3], *LINES[1::-1]]).dump())
    assert rest.dump() == whole.dump()
    assert [*rest.dump()["rows"]] == ["conv1d float32", "conv1d float64"]


def test_a_row_has_the_share_of_identical_bits_and_the_largest_change() -> None:
    session = session_of(planted(moved), planted(as_it_was))
    row = counted(session, LINES).rows["conv1d float32"]
    output, gradients = row.parts[OUTPUT], row.parts[GRADIENTS]
    assert (row.cases, row.changes) == (3, Counter({"bits": 2}))
    assert (output.results, output.identical, output.ulps) == (2, 0, 1)
    assert (gradients.results, gradients.identical) == (4, 4)
    assert output.worst["now"] != output.worst["was"]


def test_an_example_is_the_simplest_case_that_was_seen() -> None:
    session = session_of(planted(moved), planted(as_it_was))
    assert counted(session, LINES).examples["bits: output"].case == LINES[1]


@pytest.mark.parametrize(
    ("now", "line", "key", "smallest"),
    [
        (moved, LINES[0], "bits: output", "conv1d((1, 1, 1), (1, 1, 1), data='reals:0')"),
        (
            keeps_the_stride,
            VALID,
            "breaks: ShapeMismatch",
            "conv1d((1, 1, 2), (1, 1, 1), stride=2)",
        ),
        (
            dies,
            LINES[0],
            "breaks: EngineCrash",
            "conv1d((1, 3, 1), (3, 1, 1), groups=3)",
        ),
        (
            says_it_otherwise,
            "conv1d((2, 6, 7), (3, 2, 2), groups=3, stride=-1, blame='stride')",
            "message",
            "conv1d((1, 1, 1), (1, 1, 1), stride=0, blame='stride')",
        ),
    ],
)
def test_an_example_is_shrunk(now: Conv, line: str, key: str, smallest: str) -> None:
    session = session_of(planted(now), planted(as_it_was))
    changes, case = Changes(), parse(line)
    contrast = contrasted(thoroughly, case, carefully(session))
    session.elsewhere._judge.close()  # type: ignore[union-attr]
    changes.add(case, contrast or Contrast(Status.FAILED))
    shrink(changes, thoroughly, session)
    assert changes.examples[key].case == smallest


# ---- The verdict ----


def of_all_kinds() -> Changes:
    """Everything has changed, in every way."""
    contrast = Contrast.of(
        Side(Status.AGREED, {"output": 0.5}),
        Side(Status.AGREED, {"output": 0.25}),
        {"output": Distance(identical=False, ulps=3), "grad_input": Distance(identical=True)},
    )
    changes = Changes(not_compared=3, lost=("fold",))
    for op in OPS:
        for dtype in DTYPES:
            row = changes.rows[f"{op} {dtype}"] = Row(5)
            row.add(contrast, [Change(kind) for kind in Kind])
    for kind in Kind:
        for of in ("ValueMismatch", "ShapeMismatch", "EngineCrash"):
            changes.add(parse(VALID), contrast)
            example = changes.examples["bits: output"]
            changes.examples[f"{kind}: {of}"] = example
    return changes


@pytest.mark.parametrize("identical", [False, True])
def test_a_verdict_fits_on_a_screen(identical: bool) -> None:
    lines = verdict(of_all_kinds(), identical=identical)
    assert SCREEN - 3 <= len(lines) < SCREEN
    assert lines[-1].startswith("verdict: FAILED: breaks: EngineCrash; ")
    assert any(line.startswith("conv2d, 13 dtypes") for line in lines)


@pytest.mark.parametrize(
    ("now", "was", "identical", "last"),
    [
        (as_it_was, as_it_was, True, "passed: nothing changed"),
        (moved, as_it_was, False, "passed: nothing that was right breaks"),
        (moved, as_it_was, True, "FAILED: bits: output"),
        (says_it_otherwise, as_it_was, False, "passed: nothing that was right breaks"),
        (says_it_otherwise, as_it_was, True, "FAILED: message"),
        (wrong, as_it_was, False, "FAILED: breaks: ValueMismatch"),
        (as_it_was, wrong, False, "passed: nothing that was right breaks"),
        (wrong, wrong, True, "passed: nothing changed"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_verdict_fails_for_what_breaks_or_for_any_change(
    now: Conv, was: Conv, identical: bool, last: str
) -> None:
    changes = counted(session_of(planted(now), planted(was)), LINES)
    assert verdict(changes, identical=identical)[-1] == f"verdict: {last}"


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        (Changes(), "nothing was compared with the baseline"),
        (Changes({"fold float32": Row(1)}, lost=("unfold",)), "no longer offered: unfold"),
        (Changes({"fold float32": Row(1)}, not_compared=1), "not all was compared"),
    ],
)
def test_a_verdict_fails_for_what_is_not_there(changes: Changes, last: str) -> None:
    assert verdict(changes, identical=True)[-1] == f"verdict: FAILED: {last}"


def test_a_share_is_rounded_down() -> None:
    row = Row(10**6, {OUTPUT: Part(10**6, 10**6 - 1), GRADIENTS: Part()}, Counter(bits=1))
    assert "  99.99%  " in verdict(Changes({"conv1d int8": row}), identical=False)[2]


# ---- What --baseline names ----

SOURCE = "def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1): ..."


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with an engine in a file and in a package, in two revisions."""
    folder = tmp_path / "checkout"
    (folder / "mypackage").mkdir(parents=True)
    git(folder, "init")
    for version in (1, 2):
        text = f"{SOURCE}\nversion = {version}\n"
        (folder / "mine.py").write_text(text)
        (folder / "mypackage" / "__init__.py").write_text("")
        (folder / "mypackage" / "conv.py").write_text(f"from .core import *\n{SOURCE}")
        (folder / "mypackage" / "core.py").write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "-m", f"version {version}")
    (folder / "mine.py").write_text(text.replace("2", "3"))
    return folder


@pytest.fixture
def importable(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository, from which the package is imported anew."""
    monkeypatch.syspath_prepend(checkout)
    for name in ("mypackage", "mypackage.conv", "mypackage.core"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return checkout


def test_a_revision_of_a_file_is_read_from_history(checkout: Path, tmp_path: Path) -> None:
    candidate = load(str(checkout / "mine.py"))
    found = load_baseline("HEAD~1", candidate, tmp_path / "history")
    assert (found.namespace.version, candidate.namespace.version) == (1, 3)
    assert found.origin.endswith(", version 1")
    assert [path.name for path in (tmp_path / "history").rglob("*.py")] == ["mine.py"]
    assert "= 3" in (checkout / "mine.py").read_text()


def test_a_revision_of_a_module_is_that_of_its_package(importable: Path, tmp_path: Path) -> None:
    candidate = load("mypackage.conv")
    found = load_baseline("HEAD~1", candidate, tmp_path / "history")
    assert (found.namespace.version, candidate.namespace.version) == (1, 2)


def test_a_revision_is_resolved_to_its_commit(checkout: Path) -> None:
    candidate = load(str(checkout / "mine.py"))
    commit = resolved("HEAD", candidate)
    git(checkout, "commit", "--allow-empty", "-m", "later")
    assert len(commit) == 40
    assert resolved("HEAD~1", candidate) == commit


def test_a_module_or_a_file_is_itself(checkout: Path, tmp_path: Path) -> None:
    candidate = load("engine")
    assert resolved("engine", candidate) == "engine"
    assert load_baseline("engine", candidate, tmp_path).namespace is engine
    assert load_baseline(str(checkout / "mine.py"), candidate, tmp_path).ops == ("conv1d",)


def test_what_stands_in_a_file_is_itself(checkout: Path, tmp_path: Path) -> None:
    spec = f"{checkout / 'holds.py'}:mine"
    (checkout / "holds.py").write_text("class mine:\n    conv1d = staticmethod(lambda: 7)\n")
    candidate = load("engine")
    assert resolved(spec, candidate) == spec
    assert load_baseline(spec, candidate, tmp_path).namespace.conv1d() == 7


def test_two_files_of_one_name_are_two_modules(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SOURCE)
    first, second = load(str(checkout / "mine.py")), load(str(tmp_path / "mine.py"))
    assert first.namespace.__name__ != second.namespace.__name__


def broken(checkout: Path, text: str) -> None:
    (checkout / "mypackage" / "core.py").write_text(text)
    git(checkout, "commit", "-am", "broken")
    (checkout / "mypackage" / "core.py").write_text(SOURCE)


@pytest.mark.parametrize(
    ("spec", "text", "told"),
    [
        ("HEAD", "import nothing", "HEAD: cannot import it: ModuleNotFoundError"),
        ("HEAD", "import mypackage.conv", "HEAD: mypackage/core.py imports mypackage by its abs"),
        ("HEAD", "conv1d = )", "HEAD: cannot import it: SyntaxError"),
        ("no_such", "", "no_such: neither a module, a file nor a revision in "),
        ("-x", "", "-x: neither a module, a file nor a revision in "),
        ("no_such.py", "", "no_such.py: no such file"),
        ("json", "", "json: offers none of the functions"),
    ],
)
def test_what_is_no_baseline_is_told_with_its_remedy(
    importable: Path, tmp_path: Path, spec: str, text: str, told: str
) -> None:
    broken(importable, text)
    with pytest.raises(EngineError) as found:
        load_baseline(spec, load("mypackage.conv"), tmp_path / "history")
    assert str(found.value).startswith(f"--baseline {told}")


def test_a_revision_without_the_engine_is_told(checkout: Path, tmp_path: Path) -> None:
    (checkout / "later.py").write_text(SOURCE)
    with pytest.raises(EngineError, match=r"--baseline HEAD: revision \w{10} has no later.py"):
        load_baseline("HEAD", load(str(checkout / "later.py")), tmp_path / "history")


def test_a_shallow_clone_is_told_of(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--depth=1", f"file://{checkout}", "shallow")
    candidate = load(str(tmp_path / "shallow" / "mine.py"))
    with pytest.raises(EngineError, match="shallow clone; get all of them with 'git fetch --unsh"):
        load_baseline("HEAD~1", candidate, tmp_path / "history")


def test_an_engine_in_no_checkout_has_no_revisions(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SOURCE)
    with pytest.raises(EngineError, match=r"mine.py is in no git checkout; expected MODULE or"):
        load_baseline("HEAD", load(str(tmp_path / "mine.py")), tmp_path / "history")
