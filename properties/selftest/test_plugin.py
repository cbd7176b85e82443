"""The command line: options, exit codes, replay, what is printed and what is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOLDS = "conv2d((1, 1, 1, 2), (1, 1, 1, 1), stride=(1, 2))"

SWAPPED = """
import engine

def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if isinstance(stride, tuple):
        stride = stride[::-1]
    return engine.conv2d(input, weight, bias, stride, padding, dilation, groups)
"""

DIES = """
import ctypes
import engine

def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    y = engine.conv1d(input, weight, bias, stride, padding, dilation, groups)
    return ctypes.string_at(0) if groups == 3 else y
"""

CLAIMS_NOTHING = """
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    raise NotImplementedError
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest in a process of its own, at the root of the project."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def swapped(tmp_path: Path) -> str:
    file = tmp_path / "swapped.py"
    file.write_text(SWAPPED)
    return f"--engine={file}"


def test_a_case_that_holds_exits_with_0() -> None:
    assert run("--case", HOLDS).returncode == 0


def test_a_case_that_fails_exits_with_1_and_prints_the_block(swapped: str) -> None:
    result = run(swapped, "--case", HOLDS)
    assert result.returncode == 1
    assert f"ShapeMismatch: output has another shape\n  case      {HOLDS}\n" in result.stdout
    assert f"  replay    pytest {swapped} --case '{HOLDS}'\n" in result.stdout


def test_an_engine_outside_the_project_is_found_without_an_equals_sign(swapped: str) -> None:
    result = run("--engine", swapped.removeprefix("--engine="), "--case", HOLDS)
    assert result.returncode == 1
    assert "ShapeMismatch: output has another shape" in result.stdout


def test_other_runs_of_pytest_do_not_load_the_harness(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test(): assert 'torch' not in sys.modules"
    )
    assert "1 passed" in run(str(tmp_path), f"--rootdir={tmp_path}").stdout


def test_a_file_of_cases_runs_each_line(tmp_path: Path) -> None:
    file = tmp_path / "cases.txt"
    file.write_text(f"# two of them\n{HOLDS}\n\nconv1d((1, 1, 3), (1, 1, 2))\n")
    assert "4 passed" in run(f"--case={file}", "-k", "not metamorphic").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--case", "conv2d((1,), (1,)"], "ERROR: --case: column 7: not a call"),
        (["--case", "no_such_file"], "ERROR: --case: column 1: expected a call such as"),
        (["--engine", "no.such.module"], "ERROR: --engine no.such.module: cannot import"),
        (["--engine", "no_such.py"], "ERROR: --engine no_such.py: no such file"),
        (["--engine", "json"], "ERROR: --engine json: offers none of the functions"),
        (["--engine", "engine:nothing"], "ERROR: --engine engine:nothing: engine has no"),
        (["--ops", "conv9d"], "ERROR: --ops: unknown 'conv9d'; expected conv1d"),
        (["--ops=fold", "--dtypes=int8"], "ERROR: --ops, --dtypes: none of these ops takes"),
        (["--dtypes", "bfloat16"], "ERROR: --dtypes: unknown 'bfloat16'; expected float32"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_options_are_usage_errors(arguments: list[str], told: str) -> None:
    result = run(*arguments)
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert told in result.stderr


def test_an_op_that_the_engine_does_not_offer_is_no_case_for_it(swapped: str) -> None:
    assert "offers no conv1d" in run(swapped, "--case", "conv1d((1, 1, 1), (1, 1, 1))").stderr


def test_a_run_that_compared_nothing_fails(tmp_path: Path) -> None:
    file = tmp_path / "claims_nothing.py"
    file.write_text(CLAIMS_NOTHING)
    result = run(f"--engine={file}", "--case", HOLDS)
    assert result.returncode == 1
    assert "nothing was compared: this run fails" in result.stdout


def test_the_header_names_what_is_not_offered(swapped: str) -> None:
    assert "not offered, so not drawn: conv1d, conv_transpose1d" in run(swapped, "--co").stdout


def test_failing_lines_and_the_summary_are_written(swapped: str, tmp_path: Path) -> None:
    failing, report = tmp_path / "failing.txt", tmp_path / "report.json"
    run(swapped, "--case", HOLDS, f"--failing={failing}", f"--report={report}")
    assert failing.read_text() == f"{HOLDS}\n"
    assert json.loads(report.read_text())["failing"] == [HOLDS]


def test_a_crash_is_named_and_shrunk(tmp_path: Path) -> None:
    file = tmp_path / "dies.py"
    file.write_text(DIES)
    result = run(f"--engine={file}", "-n1", "-k", "equals_the_oracle and shard", "--examples=200")
    assert result.returncode == 1
    assert "EngineCrash: the process died in this call" in result.stdout
    assert "  case      conv1d((1, 3, 1), (3, 1, 1), groups=3)\n" in result.stdout


def test_a_budget_finds_shrinks_and_reports(swapped: str) -> None:
    result = run(swapped, "--budget=2", "-n2")
    assert result.returncode == 1
    assert "ShapeMismatch: output has another shape" in result.stdout


def test_a_seed_draws_the_same_cases_again() -> None:
    first, second = (
        run("-k", "oracle and shard and 3", "--hypothesis-seed=5", "--examples=50", "-q").stdout
        for _ in range(2)
    )
    assert counted(first) == counted(second) != []


def counted(output: str) -> list[str]:
    """The lines of the summary that count what was drawn, but for the time it took."""
    return [line for line in output.splitlines() if line.startswith(("sampled:", "covered:"))]


def test_torch_as_it_ships_can_be_judged() -> None:
    assert run("--engine=oracle.shipped", "--case", HOLDS).returncode == 0
