"""A script shows a case without the harness, whatever the engine, the data and the layout."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from itertools import islice
from pathlib import Path

import pytest

from properties.cases.case import Case
from properties.cases.line import parse
from properties.cases.operation import OPS
from properties.comparison.loading import load
from properties.generation import sampling
from properties.triage.snippet import script

ROOT = Path(__file__).parents[2]
OWN = load("engine")

FLIPPED = """
from types import SimpleNamespace
import engine

def flipped(right):
    return lambda input, weight, *rest, **given: right(input, weight[..., ::-1], *rest, **given)

conv1d = flipped(engine.conv1d)
conv2d = engine.conv2d

class Conv1d(engine.Conv1d):
    def backward(self, input, grad_output):
        found = super().backward(input, grad_output)
        return (found[0], -found[1], *found[2:])

grad = SimpleNamespace(
    conv1d_input=engine.grad.conv1d_input,
    conv2d_weight=lambda *given, **more: -engine.grad.conv2d_weight(*given, **more),
)
"""

# Without the harness: an import of it fails.
ALONE = "import sys\nsys.modules['properties'] = sys.modules['hypothesis'] = None\n"


def ran(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own."""
    file = folder / "shows.py"
    file.write_text(ALONE + text)
    command = [sys.executable, file.name]
    found = {**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=found, timeout=120
    )


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    file = tmp_path / "wrong one.py"
    file.write_text(FLIPPED)
    return file


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("conv1d((1, 1, 2), (1, 1, 2), data='ramp')", "output: engine float32 (1, 1, 1)"),
        ("conv2d((1, 1, 2, 2), (1, 1, 2, 2))", "grad_weight: engine float32 (1, 1, 2, 2)"),
        ("Conv1d((1, 1, 2), (1, 1, 2), bias=(1,))", "grad_weight: engine float32 (1, 1, 2)"),
        (
            "conv1d(float64(1, 40, 9, layout='reversed'), float64(2, 40, 3), data='reals:1')",
            "output: engine float64 (1, 2, 7)",
        ),
    ],
)
def test_a_script_shows_the_difference_in_a_fresh_process(
    wrong: Path, line: str, shown: str
) -> None:
    result = ran(script([parse(line)], load(str(wrong))), wrong.parent)
    assert result.returncode == 1, result.stderr
    assert f"{shown}, torch" in result.stdout
    assert result.stdout.endswith("differs\n")


def test_a_script_of_a_module_imports_it(wrong: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong.rename(wrong.with_name("wrong_module.py"))
    monkeypatch.syspath_prepend(wrong.parent)
    text = script([parse("conv2d((1, 1, 2), (1, 1, 1, 1))")], load("wrong_module"))
    assert "import wrong_module\n" in text
    assert ran(text, wrong.parent).returncode == 1


def run_here(case: Case) -> tuple[object, str]:
    """The exit code of a script of our own engine, and what it prints."""
    output = StringIO()
    with redirect_stdout(output), pytest.raises(SystemExit) as ended:
        exec(compile(script([case], OWN), "script", "exec"), {})
    return bool(ended.value.code), output.getvalue()


EXACT = ("ones", "ramp", "integers", "constant", "sparse", "onehot", "symmetric", "lopsided")
DRAWN = [c for c in islice(sampling.cases(11), 90) if c.rule in EXACT and c.output_shape]
LARGE = (
    "(2, 16, 9, 9), {0}(16, 8, 3, 3), bias={0}(16), padding='same', groups=2, data='integers:3')"
)


@pytest.mark.parametrize(
    "case",
    [
        *DRAWN,
        parse("conv2d(float16" + LARGE.format("float16")),
        parse("conv2d(int8" + LARGE.format("int8")),
        parse("conv1d((1, 1, 4), float32(1, 1, 3, layout='of:input'), data='ramp')"),
        parse("conv1d(float32(1, 1, 4, layout='readonly+align:5'), (1, 1, 3), data='ramp')"),
        parse("conv1d((1, 1, 1), (1, 1, 1), stride=0, blame='stride')"),
        parse("conv1d(float64(1, 1, 1), (1, 1, 1), blame='weight')"),
        parse("unfold(None, kernel_size=1, blame='input')"),
    ],
    ids=str,
)
def test_where_the_engine_is_right_the_script_agrees(case: Case) -> None:
    assert run_here(case) == (False, run_here(case)[1])


def test_cases_of_every_kind_are_written_as_scripts() -> None:
    ops, layouts = {case.op for case in DRAWN}, {str("layout" in str(case)) for case in DRAWN}
    assert ops > {*OPS} - {"fold", "unfold"} or len(ops) > 8
    assert layouts == {"True", "False"}


def test_large_integers_take_a_few_lines() -> None:
    text = script([parse("conv2d((1, 64, 56, 56), (64, 64, 3, 3), data='integers:3')")], OWN)
    assert len(text.splitlines()) < 150
    assert max(map(len, text.splitlines())) < 150


def test_cases_in_order_are_one_script() -> None:
    cases = [parse("conv1d((1, 1, 2), (1, 1, 2))"), parse("conv1d((1, 1, 2), (1, 1, 1))")]
    assert "found = [case_1(), case_2()]" in script(cases, OWN)
