"""The command line: options, exit codes, replay, what is printed and what is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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

DEADLY = """
import collections, ctypes, itertools, os, subprocess
import engine

def leave():
    subprocess.Popen(["sleep", "54321.5"])
    os._exit(0)

def planted(name, act):
    right = getattr(engine, name)
    def conv(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        y = right(input, weight, bias, stride, padding, dilation, groups)
        return act() if groups == 3 else y
    return conv

conv1d = planted("conv1d", leave)
conv2d = planted("conv2d", lambda: ctypes.string_at(0))
conv3d = planted("conv3d", lambda: collections.deque(itertools.count(), maxlen=0))
"""

REMEMBERS = """
import engine
kept = {}

def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    stride = kept.setdefault((input.shape, weight.shape), stride)
    return engine.conv2d(input, weight, bias, stride, padding, dilation, groups)
"""

CLAIMS_NOTHING = """
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    raise NotImplementedError
"""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """pytest in a process of its own, at the root of the project."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **environment},
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
        (
            ["--engine", "no.such.module"],
            "ERROR: --engine no.such.module: ModuleNotFoundError: No module",
        ),
        (["--engine", "no_such.py"], "ERROR: --engine no_such.py: no such file"),
        (["--engine", "json"], "ERROR: --engine json: offers none of the functions"),
        (["--engine", "engine:nothing"], "ERROR: --engine engine:nothing: engine has no"),
        (["--ops", "conv9d"], "ERROR: --ops: unknown 'conv9d'; expected conv1d"),
        (
            ["--ops=fold", "--dtypes=int8"],
            "ERROR: --ops, --dtypes, --data: none of these ops takes",
        ),
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
    assert f"\n{HOLDS}  # ShapeMismatch\n" in failing.read_text()
    (fault,) = json.loads(report.read_text())["faults"]
    assert (fault["kind"], fault["line"], fault["lines"]) == ("ShapeMismatch", HOLDS, [HOLDS])


@pytest.fixture
def deadly(tmp_path: Path) -> str:
    file = tmp_path / "deadly.py"
    file.write_text(DEADLY)
    return f"--engine={file}"


# What a run prints of each op that `DEADLY` has, in three groups: its death, and its case.
DEATHS = (
    "EngineCrash: the process ended with exit code 0 in this call\n"
    "  case      conv1d((1, 3, 1), (3, 1, 1), groups=3)\n",
    "EngineCrash: the process was killed by SIGSEGV in this call\n"
    "  case      conv2d((1, 3, 1, 1), (3, 1, 1, 1), groups=3)\n",
    "EngineHang: did not return within 5 s\n"
    "  case      conv3d((1, 3, 1, 1, 1), (3, 1, 1, 1, 1), groups=3)\n",
)


@pytest.mark.parametrize("processes", ["-n2", "-pno:xdist"])
@pytest.mark.parametrize(
    ("op", "death"), [*zip(("conv1d", "conv2d", "conv3d"), DEATHS, strict=True)]
)
def test_what_ends_a_process_is_named_and_shrunk_and_the_run_goes_on(
    deadly: str, processes: str, op: str, death: str, tmp_path: Path
) -> None:
    shards = "test_the_engine_equals_the_oracle and shard and (2 or 5)"
    run_of = (deadly, processes, "--ops", op, "-k", shards, "--examples=100")
    result = run(*run_of, "--hypothesis-seed=1", TMPDIR=str(tmp_path))
    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert death in result.stdout
    assert "2 failed" in result.stdout
    assert [*map(str, tmp_path.glob("convolutions-*")), *left_behind()] == []


@pytest.mark.parametrize("death", DEATHS)
def test_a_death_in_one_case_is_replayed_and_other_tests_run(deadly: str, death: str) -> None:
    case = death.splitlines()[1].removeprefix("  case      ")
    result = run(deadly, "--case", case, "-k", "the_oracle or linear")
    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert death in result.stdout
    assert "3 failed, 1 skipped" in result.stdout


def left_behind() -> list[str]:
    """The processes that `DEADLY` started and that still run."""
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    return [line.decode() for line in lines if b"54321.5" in line]


def test_a_failure_after_other_calls_is_replayed_by_several_cases(tmp_path: Path) -> None:
    file = tmp_path / "remembers.py"
    file.write_text(REMEMBERS)
    first, second = HOLDS.replace("(1, 2))", "(1, 1))"), HOLDS
    assert run(f"--engine={file}", "--case", second, "-k", "the_oracle").returncode == 0
    result = run(f"--engine={file}", "--case", first, "--case", second)
    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert f"  replay    pytest --engine={file} --case '{first}' --case '{second}'" in result.stdout


@contextmanager
def heard() -> Iterator[None]:
    """Processes that are started inside hear Ctrl-C, also where this one, in a shell's background,
    ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_a_run_at_once(tmp_path: Path) -> None:
    output = tmp_path / "output"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--examples=100000"]
    with output.open("w") as file, heard():
        started = subprocess.Popen([*command, "-k", "oracle and shard"], cwd=ROOT, stdout=file)
        time.sleep(8)
        started.send_signal(signal.SIGINT)
        assert started.wait(timeout=10) == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output.read_text()


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
