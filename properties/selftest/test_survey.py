"""A survey says what an engine can do: each fault shows in its own cell, with a case."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import engine
from properties.cases.case import DTYPES
from properties.cases.line import parse
from properties.cases.operation import OPS
from properties.comparison.engine import IMPATIENCE, Engine
from properties.session.options import Options
from properties.session.session import Session
from properties.statistics.features import FEATURES, features
from properties.survey.cells import REJECTS, bases, questions
from properties.survey.judging import Answer, Finding, Surveyor
from properties.survey.table import Table, as_json, as_markdown, on_terminal

from .gallery.planting import Call, planted
from .test_plugin import run

Shown = dict[str, str]  # from a cell's name to its answer


def session_of(namespace: Any, ops: tuple[str, ...] = ()) -> Session:
    judged = Engine("planted", namespace)
    judged.patience = IMPATIENCE
    return Session(judged, Options(ops or judged.ops))


def surveyed(namespace: Any, op: str, seconds: float = 300.0) -> list[Finding]:
    return Surveyor(session_of(namespace), seconds).survey(OPS[op])


def shown(findings: list[Finding]) -> Shown:
    """The cells that do not agree."""
    return {
        f"{f.of} {f.which}".strip(): str(f.answer)
        for f in findings
        if f.answer is not Answer.AGREES
    }


@pytest.mark.parametrize("op", OPS)
def test_the_cases_of_a_feature_have_it(op: str) -> None:
    cells = questions(OPS[op], "float32", DTYPES, bases(OPS[op]))
    counted = [cell for cell in cells if cell.which in FEATURES.get(cell.of, ())]
    assert counted
    assert all((c.of, c.which) in {*features(case)} for c in counted for case in c.cases)


@pytest.mark.parametrize("op", OPS)
def test_every_argument_that_can_be_wrong_has_a_cell(op: str) -> None:
    cells = questions(OPS[op], "float32", DTYPES, bases(OPS[op]))
    blamed = {cell.which for cell in cells if cell.of == REJECTS}
    assert {"input", "stride", "padding", "dilation"} <= blamed <= {*OPS[op].parameters}


@pytest.mark.parametrize("op", ["conv1d", "conv_transpose2d", "Conv3d", "ConvTranspose1d", "fold"])
def test_our_engine_agrees_in_every_cell(op: str) -> None:
    findings = surveyed(engine, op)
    assert shown(findings) == {}
    assert len(findings) > 40


def wrongly(fault: Callable[[Call], Any]) -> SimpleNamespace:
    """The right conv2d and its gradients, with a fault."""
    return SimpleNamespace(conv2d=planted(fault, 2), grad=engine.grad)


def swapped_stride(c: Call) -> Any:
    return c.right(stride=c.stride[::-1])


def no_words(c: Call) -> Any:
    if c.padding == "same":
        raise ValueError("expected a number")
    return c.right()


def no_groups(c: Call) -> Any:
    if c.groups > 1:
        raise NotImplementedError
    return c.right()


def exits_if_dilated(c: Call) -> Any:
    return os._exit(0) if c.dilation == (2, 2) else c.right()


def sleeps_if_dilated(c: Call) -> Any:
    return time.sleep(60) if c.dilation == (2, 2) else c.right()


def writes_to_its_bias(c: Call) -> Any:
    y = c.right()
    if c.b is not None and c.b.flags.writeable:
        c.b[...] = 0
    return y


def in_float64(c: Call) -> Any:
    return c.right().astype(np.float64)


def always_wrong(c: Call) -> Any:
    return c.right() + 1


FAULTS: tuple[tuple[Callable[[Call], Any], Shown], ...] = (
    (swapped_stride, {"stride per axis": "differs", "tall stride": "differs"}),
    (no_words, {"padding same": "rejects"}),
    (no_groups, dict.fromkeys(("groups many", "groups depthwise", "tall groups"), "not claimed")),
    (exits_if_dilated, {"dilation >1": "crashes"}),
    (sleeps_if_dilated, {"dilation >1": "hangs"}),
    (writes_to_its_bias, {"conduct arguments unwritten": "differs"}),
    (always_wrong, {"plain": "differs"}),
)


@pytest.mark.parametrize(
    ("fault", "cells"), FAULTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_fault_shows_in_its_cell_alone(fault: Callable[[Call], Any], cells: Shown) -> None:
    found = shown(surveyed(wrongly(fault), "conv2d"))
    assert {name: found.get(name) for name in cells} == cells
    assert found.keys() - cells.keys() <= {"conduct repeatable"}


def test_an_engine_that_gives_float64_is_surveyed_in_float64() -> None:
    findings = surveyed(wrongly(in_float64), "conv2d")
    found = shown(findings)
    assert findings[0].why == "in float64, where float32 does not agree"
    assert found["dtype float32"] == "differs"
    assert "dtype float64" not in found
    assert "stride >1" not in found


def test_what_torch_rejects_and_the_engine_computes_is_accepted() -> None:
    def conv1d(*given: Any, **named: Any) -> Any:
        said = {"groups": int(named["groups"] or 1)} if "groups" in named else {}
        return engine.conv1d(*given, **{**named, **said})

    assert shown(surveyed(SimpleNamespace(conv1d=conv1d, grad=engine.grad), "conv1d")) == {
        "rejects a bad groups": "accepts"
    }


def test_one_wrong_gradient_says_nothing_of_the_others() -> None:
    def conv1d_weight(*given: Any, **named: Any) -> Any:
        return 2 * engine.grad.conv1d_weight(*given, **named)

    grad = SimpleNamespace(conv1d_input=engine.grad.conv1d_input, conv1d_weight=conv1d_weight)
    assert shown(surveyed(SimpleNamespace(conv1d=engine.conv1d, grad=grad), "conv1d")) == {
        "gradient grad_weight": "differs",
        "gradient grad_bias": "not offered",
    }


def test_what_the_time_does_not_suffice_for_is_not_judged() -> None:
    assert shown(surveyed(engine, "conv1d", seconds=0.0)) == {"plain": "not judged"}


def test_the_case_of_a_cell_is_small_and_shows_it() -> None:
    (found,) = [f for f in surveyed(wrongly(no_words), "conv2d") if f.answer is Answer.REJECTS]
    assert found.case == "conv2d((1, 1, 1, 1), (1, 1, 1, 1), padding='same')"
    assert found.why == "raised on a valid call; ValueError: expected a number"
    assert str(parse(found.case)) == found.case


# ---- The table ----


def finding(op: str, of: str, which: str, answer: Answer) -> Finding:
    case = f"{op}((1, 1, 1), (1, 1, 1))" if answer is not Answer.AGREES else ""
    return Finding(op, of, which, answer, case, "", 1, 1)


AGREES, DIFFERS, REJECTED = Answer.AGREES, Answer.DIFFERS, Answer.REJECTS
FINDINGS = [
    *[finding(op, "plain", "", AGREES) for op in OPS],
    *[finding(op, "bias", "with", AGREES) for op in ("conv1d", "conv2d", "conv3d", "Conv1d")],
    *[finding("conv1d", "dtype", d, AGREES) for d in DTYPES],
    *[finding(op, "dtype", "float16", REJECTED) for op in ("Conv1d", "Conv2d")],
    finding("Conv3d", "dtype", "float16", DIFFERS),
]


def test_ops_of_a_family_that_answer_alike_share_a_column() -> None:
    columns = [column.ops for column in Table(FINDINGS).columns]
    assert ("conv1d", "conv2d", "conv3d") in columns
    assert ("Conv1d", "Conv2d") in columns
    assert ("Conv3d",) in columns


def test_features_that_are_answered_alike_share_a_row() -> None:
    rows = [row.whiches for row in Table(FINDINGS).rows if row.of == "dtype"]
    assert rows == [tuple(d for d in DTYPES if d != "float16"), ("float16",)]


def test_a_table_of_every_op_is_readable_at_100_columns() -> None:
    apart = [finding(op, "tall", "batch", [*Answer][OPS[op].axes]) for op in OPS]
    lines = [*on_terminal(Table([*FINDINGS, *apart]), "engine")]
    assert max(map(len, lines)) <= 100


def test_every_cell_that_does_not_agree_stands_below_with_its_case() -> None:
    text = "\n".join(on_terminal(Table(FINDINGS), "my.engine"))
    assert "R dtype float16 of Conv1d, Conv2d\n    Conv1d((1, 1, 1), (1, 1, 1))" in text
    assert "D dtype float16 of Conv3d\n    Conv3d((1, 1, 1), (1, 1, 1))" in text
    assert "replay one: pytest --engine=my.engine --case 'Con" in text


def test_the_files_hold_every_answer() -> None:
    cells = json.loads(as_json(FINDINGS, "engine"))["cells"]
    assert [cell["answer"] for cell in cells] == [f.answer for f in FINDINGS]
    markdown = as_markdown(Table(FINDINGS), "engine")
    assert "| R | Conv1d, Conv2d | dtype float16 | `Conv1d((1, 1, 1), (1, 1, 1))` |  |" in markdown


# ---- The command, and adapters of other engines ----

OF_NUMPY = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if groups != 1 or isinstance(padding, str) or input.ndim != 4:
        raise NotImplementedError
    (s, t), (p, q), (d, e) = (np.broadcast_to(v, 2) for v in (stride, padding, dilation))
    kernel = [(k - 1) * i + 1 for k, i in zip(weight.shape[2:], (d, e))]
    x = sliding_window_view(np.pad(input, [(0, 0), (0, 0), (p, p), (q, q)]), kernel, (2, 3))
    y = np.einsum("ncyxkl,ockl->noyx", x[:, :, ::s, ::t, ::d, ::e], weight)
    return y if bias is None else y + bias[:, None, None]
"""

OF_SCIPY = """
import numpy as np
from scipy.signal import correlate


def conv(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    n = weight.ndim - 2
    if padding in ("same", "valid") or groups != 1 or np.any(np.array(dilation) != 1):
        raise NotImplementedError
    x = np.pad(input, [(0, 0), (0, 0), *[(p, p) for p in np.broadcast_to(padding, n)]])
    sums = [[sum(map(lambda a, b: correlate(a, b, "valid"), s, w)) for w in weight] for s in x]
    y = np.array(sums)[(..., *[slice(None, None, s) for s in np.broadcast_to(stride, n)])]
    return y if bias is None else y + bias.reshape(-1, *[1] * n)


conv1d = conv2d = conv3d = conv
"""


def written(tmp_path: Path, text: str) -> str:
    file = tmp_path / "adapter.py"
    file.write_text(text, encoding="utf-8")
    return f"--engine={file}"


def answers(path: Path) -> Shown:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {f"{c['op']} {c['of']} {c['which']}".strip(): c["answer"] for c in cells}


def survey_of(tmp_path: Path, text: str, *options: str) -> tuple[Shown, str]:
    result = tmp_path / f"survey{len(options)}.json"
    done = run("--survey", written(tmp_path, text), f"--survey-file={result}", *options)
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    return answers(result), done.stdout


def test_an_adapter_of_numpy_is_surveyed_alike_with_and_without_workers(tmp_path: Path) -> None:
    found, text = survey_of(tmp_path, OF_NUMPY)
    again, _ = survey_of(tmp_path, OF_NUMPY, "-n2", "-p", "no:randomly")
    assert found == again
    assert found["conv2d stride per axis"] == "agrees"
    assert found["conv2d groups depthwise"] == "not claimed"
    assert "not offered, so not drawn: conv1d" in text


def test_an_adapter_of_scipy_is_surveyed(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    found, _ = survey_of(tmp_path, OF_SCIPY)
    assert len(OF_SCIPY.strip().splitlines()) <= 15
    assert found["conv3d stride per axis"] == found["conv1d dtype int64"] == "agrees"
    assert found["conv2d dilation >1"] == "not claimed"
    assert found["conv2d dtype complex64"] == "differs"  # correlate conjugates


DIES = """
import ctypes

def conv1d(*arguments, **options):
    ctypes.string_at(0)

def conv2d(*arguments, **options):
    while True:
        pass
"""


def test_an_engine_that_crashes_or_hangs_does_not_end_the_survey(tmp_path: Path) -> None:
    found, text = survey_of(tmp_path, DIES)
    assert found == {"conv1d plain": "crashes", "conv2d plain": "hangs"}
    assert "killed by SIGSEGV" in text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--survey", "--budget=1"], "--survey: expected no --budget"),
        (["--survey", "--examples=1"], "--survey: expected no --examples"),
        (["--survey-file=x.txt"], "--survey-file: expected FILE.md or FILE.json, got 'x.txt'"),
        (["--survey", "--ops=conv9d"], "--ops: unknown 'conv9d'"),
    ],
    ids=" ".join,
)
def test_options_that_a_survey_cannot_use_are_usage_errors(options: list[str], told: str) -> None:
    result = run(*options)
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert told in result.stderr
