"""Known shortcomings: partial lines that excuse a failure, are learnt from one, and are strict."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import engine
from properties.cases.line import CaseError, parse
from properties.cases.partial import Partial, parse_partial, traits
from properties.comparison.deviations import Excuse, ExcuseError, parse_excuse, read_known
from properties.comparison.engine import Engine
from properties.comparison.mismatch import (
    EngineHang,
    Failure,
    Mismatch,
    RejectedValid,
    RelationBroken,
    Status,
    ValueMismatch,
)
from properties.generation import sampling
from properties.session.options import Options
from properties.session.session import Session
from properties.statistics.known import Known, in_the_words_of, learnt
from properties.statistics.statistics import traits_of

ROOT = Path(__file__).parents[2]
PLAIN = parse("conv2d((1, 1, 3, 3), (1, 1, 2, 2))")
JUDGED = Engine("judged", engine)


# ---- The language ----


@pytest.mark.parametrize(
    ("partial", "covered", "not_covered"),
    [
        ("conv2d()", "conv2d((1, 1, 1, 1), (1, 1, 1, 1))", "conv1d((1, 1, 1), (1, 1, 1))"),
        ("...(stride>1)", "conv1d((1, 1, 2), (1, 1, 1), stride=2)", "conv1d((1, 1, 2), (1, 1, 1))"),
        (
            "conv2d(dilation>1)",
            "conv2d((1, 1, 3, 3), (1, 1, 2, 2), dilation=[1, 2])",
            "conv2d((1, 1, 3, 3), (1, 1, 2, 2), dilation=(1, 1))",
        ),
        ("...(batch=None)", "conv1d((1, 2), (1, 1, 1))", "conv1d((1, 1, 2), (1, 1, 1))"),
        ("...(batch=0)", "conv1d((0, 1, 2), (1, 1, 1))", "conv1d((1, 2), (1, 1, 1))"),
        ("...(dtype='int8')", "conv1d(int8(1, 1), int8(1, 1, 1))", "conv1d((1, 1), (1, 1, 1))"),
        (
            "...(data='special')",
            "conv1d((1, 1), (1, 1, 1), data='special:7')",
            "conv1d((1, 1), (1, 1, 1), data='reals:7')",
        ),
        (
            "...(input_layout='swapped')",
            "conv1d(float32(1, 1, layout='crop:1+swapped'), (1, 1, 1))",
            "conv1d((1, 1), float32(1, 1, 1, layout='swapped'))",
        ),
        (
            "...(type='list')",
            "conv1d((1, 1), (1, 1, 1), stride=[1])",
            "conv1d((1, 1), (1, 1, 1), stride=(1,))",
        ),
        (
            "...(blame='stride')",
            "conv1d((1, 1), (1, 1, 1), stride=0, blame='stride')",
            "conv1d((1, 1), (1, 1, 1), groups=0, blame='groups')",
        ),
        ("conv2d(..., ..., (1,))", f"{PLAIN}"[:-1] + ", bias=(1,))", f"{PLAIN}"),
        ("conv1d(bias=...)", "conv1d((1, 1), (1, 1, 1), (1,))", "conv1d((1, 1), (1, 1, 1))"),
        ("...(padding='same')", "conv1d((1, 1), (1, 1, 1), padding='same')", f"{PLAIN}"),
    ],
)
def test_a_partial_line_covers_what_it_says(partial: str, covered: str, not_covered: str) -> None:
    assert parse_partial(partial).covers(parse(covered))
    assert not parse_partial(partial).covers(parse(not_covered))


def test_all_traits_of_a_case_cover_it() -> None:
    cases = [*islice(sampling.cases(3), 300), *islice(sampling.invalid_cases(3), 100)]
    assert [c for c in cases for trait in traits(c) if not covering(c.op, trait).covers(c)] == []


def covering(op: str, trait: str) -> Partial:
    return parse_partial(f"{op}({trait})")


@pytest.mark.parametrize(
    ("line", "column", "told"),
    [
        ("conv9d()  # no", 1, "expected an op"),
        ("conv2d(dtype='bf16')  # no", 14, "expected dtype= one of 'float32'"),
        ("conv2d(taps>1)  # no", 8, "expected NAME>INTEGER with one of batch"),
        ("conv2d(groups>'1')  # no", 15, "expected an integer"),
        ("...(bias=...)  # no", 5, "expected a condition or an argument of any op"),
        ("conv2d(groups>1)", 17, "expected a reason after '#'"),
        ("conv2d(groups>1)  #  ", 19, "expected a reason after '#'"),
        ("Wrong: conv2d()  # no", 1, "unknown kind 'Wrong'; expected"),
        ("ValueMismatch:  conv2d(x=1)  # no", 24, "conv2d has no 'x'"),
        ("conv2d() | conv2d((1,), 2x)  # no", 25, "not a call"),
    ],
)
def test_a_malformed_line_is_an_error_that_points_at_it(
    line: str, column: int, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "known.txt"
    file.write_text(f"# known\n\n{line}\n")
    with pytest.raises(ExcuseError) as caught:
        read_known(file)
    assert str(caught.value).startswith(f"{file}, line 3, column {column}: {told}")


def test_a_line_is_read_as_it_is_written() -> None:
    line = f"ValueMismatch: conv2d(groups>1, data='special') | {PLAIN}  # why: a # | b"
    assert parse_excuse(line).line == line


# ---- What a line excuses ----


def excuse(text: str) -> Excuse:
    return parse_excuse(f"{text}  # known")


def test_a_line_excuses_its_kind_alone_and_without_one_all() -> None:
    mismatch = ValueMismatch(PLAIN, JUDGED, "wrong")
    assert excuse("ValueMismatch: conv2d()").excuses(mismatch)
    assert excuse("conv2d()").excuses(mismatch)
    assert not excuse("RejectedValid: conv2d()").excuses(mismatch)
    assert not excuse("conv1d()").excuses(mismatch)


def test_a_relation_between_calls_known_to_be_wrong_says_nothing() -> None:
    broken = RelationBroken(parse("conv1d((1, 1), (1, 1, 1))"), JUDGED, "apart")
    broken.calls = (*broken.calls, PLAIN)
    assert excuse("ValueMismatch: conv2d()").excuses(broken)
    assert not excuse("RejectedValid: conv2d()").excuses(broken)


def test_a_call_known_to_hang_is_not_made_but_for_its_example() -> None:
    known = Known((excuse(f"EngineHang: conv2d(groups>1) | {PLAIN}"),))
    grouped = parse("conv2d((1, 2, 1, 1), (2, 1, 1, 1), groups=2)")
    assert known.spares(grouped)
    assert not known.spares(PLAIN)
    assert known.excusing(EngineHang(grouped, JUDGED, "hung"))


def test_a_line_is_needed_if_no_other_excuses_all_that_it_does() -> None:
    lines = tuple(map(excuse, ("conv1d()", "conv2d()", "conv3d()", "fold()")))
    unused = Known(lines).unused(["conv1d()\nconv2d()", "conv2d()", "fold()"])
    assert [str(line) for line in unused] == ["conv1d()", "conv3d()"]


# ---- A run ----


def shortcoming(conv2d: Any, *lines: str, recording: bool = False) -> Session:
    judged = Engine("short", SimpleNamespace(conv2d=conv2d))
    known = Known(tuple(map(excuse, lines)))
    return Session(judged, Options(judged.ops, known=known, recording=recording))


def without_groups(input: Any, weight: Any, *, groups: Any = 1) -> Any:
    if groups > 1:
        raise TypeError("no groups")
    return engine.conv2d(input, weight)


GROUPED = parse("conv2d((1, 2, 3, 3), (2, 1, 2, 2), groups=2)")


def equals(case: Any, session: Session) -> Any:
    return session.against_oracle(case)


def test_a_known_failure_is_counted_and_any_other_raised() -> None:
    session = shortcoming(without_groups, "RejectedValid: conv2d(groups>1)")
    verdict = session.check(equals, GROUPED)
    assert verdict is not None
    assert verdict.status is Status.KNOWN
    assert session.statistics.row("conv2d").known == 1
    assert session.statistics.known == {"RejectedValid: conv2d(groups>1)": 1}
    with pytest.raises(RejectedValid):
        shortcoming(without_groups, "RejectedValid: conv2d(groups>2)").check(equals, GROUPED)


def recorded(conv2d: Any, n: int = 800) -> list[str]:
    """The lines learnt from so many cases."""
    session = shortcoming(conv2d, recording=True)
    for case in islice(sampling.cases(5, ("conv2d",)), n):
        session.check(equals, case)
    failures = [*session.statistics.failures.values()]
    return [str(line) for line in learnt(failures, session.statistics.passes)]


def short(**only: Any) -> Any:
    """conv2d with shortcomings of three kinds."""

    def conv2d(input: Any, weight: Any, bias: Any = None, *rest: Any, **given: Any) -> Any:
        y = engine.conv2d(input, weight, bias, *rest, **given)
        if input.dtype == np.float16:
            raise TypeError("no kernel")
        if input.ndim == 3:
            raise ValueError("a batch is needed")
        if input.dtype.byteorder == ">":
            raise ValueError("big-endian")
        return y[..., :0] if len(input) == 0 else y

    return conv2d


def test_the_lines_learnt_say_what_the_failures_have_in_common() -> None:
    assert {*recorded(short())} == {
        "RejectedValid: conv2d(batch=None)",
        "RejectedValid: conv2d(dtype='float16')",
        "RejectedValid: conv2d(input_layout='swapped')",
        "ShapeMismatch: conv2d(batch=0)",
    }


CALLS = ("conv1d((1, 3), (1, 1, 1))", "conv2d((1, 3, 3), (1, 1, 1, 1))")


def test_lines_that_are_alike_for_all_ops_become_one() -> None:
    words = [line.replace("))", "), padding='same')") for line in CALLS]
    failures = [Failure("RejectedValid", (line,), line, "no") for line in words]
    passes = [f"agreed\t{traits_of(line)}" for line in CALLS]
    found = [str(line) for line in learnt(failures, passes)]
    assert found == ["RejectedValid: ...(padding='same')"]


def special(input: Any, *rest: Any, **given: Any) -> Any:
    y = engine.conv2d(input, *rest, **given)
    return y if np.isfinite(input).all() else np.nan_to_num(y)


def test_a_line_is_learnt_though_some_calls_that_it_covers_hold() -> None:
    assert recorded(special) == ["ValueMismatch: conv2d(data='special')"]


NARROW = "DtypeMismatch: conv2d(dilation>1, dtype='float64')"
SMALL = parse("conv2d(float64(1, 1, 1, 1), float64(1, 1, 1, 1), bias=float64(1))")
DILATED = f"{str(SMALL)[:-1]}, dilation=2)"


def test_a_line_says_what_its_shrunk_example_needs() -> None:
    failures = [Failure("DtypeMismatch", (line,), line, "no") for line in (str(SMALL), DILATED)]
    said = in_the_words_of(SMALL, excuse(NARROW), failures[1:], [])
    assert str(said) == "DtypeMismatch: conv2d(dtype='float64', bias=...)"
    assert said.source == SMALL


def test_a_line_keeps_its_words_where_those_of_its_example_cover_less() -> None:
    other = "conv2d(float64(1, 1, 1, 1), float64(1, 1, 1, 1), dilation=2)"
    kept = in_the_words_of(
        SMALL, excuse(NARROW), [Failure("DtypeMismatch", (other,), other, "")], []
    )
    assert str(kept) == NARROW


# ---- The command line ----

ENGINE = """
import numpy as np
import engine

def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    y = engine.conv1d(input, weight, bias, stride, padding, dilation, groups)
    if input.ndim == 2:
        raise ValueError("a batch is needed")
    if isinstance(padding, str):
        raise ValueError("padding must be integers")
    return y
"""


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A short run against the engine in `tmp_path`, of few properties."""
    file = tmp_path / "short.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--examples=40"]
    narrow = ["--dtypes=float32", "--data=integers,ones", f"--engine={file}", *arguments]
    return subprocess.run(
        [*command, *narrow],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "HYPOTHESIS_PROFILE": "dev"},
    )


def test_a_partial_engine_has_a_green_run_until_one_of_its_shortcomings_is_mended(
    tmp_path: Path,
) -> None:
    (tmp_path / "short.py").write_text(ENGINE)
    known = tmp_path / "known.txt"
    assert run(tmp_path, f"--write-known={known}").returncode == 0
    assert {line.partition(" |")[0] for line in known.read_text().splitlines()[2:]} == LINES
    green = run(tmp_path, f"--known={known}", "-n2")
    assert (green.returncode, "known shortcoming" in green.stdout) == (0, True), green.stdout
    (tmp_path / "short.py").write_text(ENGINE.replace("input.ndim == 2", "False"))
    mended = run(tmp_path, f"--known={known}")
    assert (mended.returncode, STRIKE in mended.stdout) == (1, True), mended.stdout


LINES = {"RejectedValid: conv1d(type='str')", "RejectedValid: conv1d(batch=None)"}
STRIKE = "no call fails like this any more; strike the line: RejectedValid: conv1d(batch=None)"


def test_a_malformed_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "short.py").write_text(ENGINE)
    (tmp_path / "known.txt").write_text("conv1d()\n")
    result = run(tmp_path, f"--known={tmp_path / 'known.txt'}")
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "known.txt, line 1, column 9: expected a reason" in result.stderr


def test_errors_of_lines_are_errors_of_cases() -> None:
    with pytest.raises(CaseError):
        parse_excuse("conv2d(")
    assert issubclass(RejectedValid, Mismatch)
