"""A whole run against a wrong engine: each fault is printed once, and every file names it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from properties.session.reporter import Reporter, parted
from properties.triage.summaries import counted_only, other_tests

ROOT = Path(__file__).parents[2]
CASE = "conv2d((1, 1, 1, 2), (1, 1, 1, 1), stride=(1, 2))"

OURS = "properties/test_engine.py::test_the_engine_equals_the_oracle[conv1d((1, 1, 1), (1, 1, 1))]"

SWAPPED = """
import engine

def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if isinstance(stride, tuple):
        stride = stride[::-1]
    return engine.conv2d(input, weight, bias, stride, padding, dilation, groups)
"""


@dataclass
class Run:
    folder: Path
    code: int
    output: str

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()


def run(folder: Path, *arguments: str) -> Run:
    """pytest in a process of its own, from a folder with a blank in its name."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "properties.plugin"]
    done = subprocess.run(
        [*command, "--engine=my engine.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "GITHUB_STEP_SUMMARY": "step.md"},
    )
    return Run(folder, done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("with a blank")
    (made / "my engine.py").write_text(SWAPPED)
    return made


@pytest.fixture(scope="module")
def red(folder: Path) -> Run:
    """Two workers, a few shards, and every file that a run can write."""
    files = ("--report=report.json", "--failing=failing.txt", "--junitxml=junit.xml")
    tests = str(ROOT / "properties" / "test_engine.py")
    few = ("-n2", "--examples=30", "-k", "the_engine_equals_the_oracle and not long")
    return run(folder, *files, *few, "--ops=conv2d", tests)


def test_each_fault_is_one_block(red: Run) -> None:
    assert red.code == pytest.ExitCode.TESTS_FAILED
    assert red.output.count(f"\n  case      {CASE}\n") == 1
    assert red.output.count("ShapeMismatch: output has another shape") <= 2  # and in the list
    assert " faults in " in red.output or " fault in " in red.output


def test_the_first_block_is_printed_as_soon_as_it_is_found(red: Run) -> None:
    assert red.output.index("\n  replay    ") < red.output.index("[100%]")


def test_a_red_run_fits_on_two_screens(red: Run) -> None:
    lines = [line for line in red.output.splitlines() if "replay " not in line]
    assert len(lines) <= 80
    assert max(map(len, lines)) < 200


def test_what_fails_by_a_fault_is_not_listed_again(red: Run) -> None:
    assert "= FAILURES =" not in red.output
    assert "\nFAILED " not in red.output


def test_failing_tests_are_counted_in_all(red: Run) -> None:
    report = json.loads(red.text("report.json"))
    tests = {test for fault in report["faults"] for test in fault["tests"]}
    assert f" {len(tests)} failed" in red.output


def test_the_report_has_the_smallest_case_and_all_others(red: Run) -> None:
    faults = {fault["line"]: fault for fault in json.loads(red.text("report.json"))["faults"]}
    assert faults[CASE]["kind"] == "ShapeMismatch"
    assert len(faults[CASE]["lines"]) > 1
    assert "stride[0] ≠ stride[1]" in dict(map(tuple, faults[CASE]["rows"]))["needs"]


def test_the_failing_file_begins_with_the_faults(red: Run) -> None:
    lines = red.text("failing.txt").splitlines()
    assert lines[0].startswith("# ")
    assert lines[1] == "# the smallest case of each fault, most telling first"
    assert f"{CASE}  # ShapeMismatch" in lines[2:6]


def test_the_summary_of_a_step_names_the_faults(red: Run) -> None:
    assert f"| ShapeMismatch | `{CASE}` |" in red.text("step.md")


def test_junit_has_the_failures_as_properties(red: Run) -> None:
    found = ElementTree.fromstring(red.text("junit.xml")).iter("property")
    values = [one.get("value", "") for one in found if one.get("name") == "failure"]
    assert any(value.startswith("ShapeMismatch: output has another shape") for value in values)


class Listing(Reporter):
    """A reporter that writes nothing itself."""

    def _summarize(self, terminalreporter: Any, *, green: bool) -> None:
        self.green = green


def test_other_failures_are_listed_with_their_tracebacks(tmp_path: Path) -> None:
    mine, other = SimpleNamespace(convolutions=[]), SimpleNamespace()
    terminal = SimpleNamespace(stats={"failed": [mine, other]})
    listing = Listing(SimpleNamespace(), None, tmp_path)  # type: ignore[arg-type]
    steps = listing.pytest_terminal_summary(terminal, 1)
    next(steps)
    assert terminal.stats["failed"] == [other]
    assert next(steps, None) is None
    assert terminal.stats["failed"] == [mine, other]


STATUSES = f"""
{CASE}  # ShapeMismatch
{CASE.replace("(1, 2))", "(2, 1))")}  # ValueMismatch: once
conv2d((1, 1, 1, 2), (1, 1, 1, 1))  # ShapeMismatch
conv2d((1, 1, 1, 2), (1, 1, 1, 1), stride=2)
conv2d(nonsense)
conv1d((1, 1, 1), (1, 1, 1))  # ShapeMismatch
"""


def test_a_file_is_replayed_line_by_line(folder: Path) -> None:
    (folder / "lines.txt").write_text(STATUSES)
    result = run(folder, "--case", "lines.txt", "--pyargs", "properties")
    assert result.code == pytest.ExitCode.TESTS_FAILED
    words = [line.split()[0] for line in result.output.splitlines() if "conv" in line[8:14]]
    assert words[-6:] == ["FAILED", "CHANGED", "FIXED", "PASSED", "ERROR", "ERROR"]
    assert "6 cases: 2 ERROR, 1 FAILED, 1 CHANGED, 1 FIXED, 1 PASSED" in result.output


def test_a_file_of_which_all_is_fixed_ends_well(folder: Path) -> None:
    (folder / "fixed.txt").write_text("conv2d((1, 1, 1, 2), (1, 1, 1, 1))  # ShapeMismatch\n")
    result = run(folder, "--case", "fixed.txt", "--pyargs", "properties")
    assert result.code == pytest.ExitCode.OK
    assert "1 case: 1 FIXED" in result.output


def test_a_file_of_which_nothing_can_be_read_fails(folder: Path) -> None:
    (folder / "unreadable.txt").write_text("conv2d(nonsense)\n")
    result = run(folder, "--case", "unreadable.txt", "--pyargs", "properties")
    assert result.code == pytest.ExitCode.TESTS_FAILED
    assert "1 case: 1 ERROR" in result.output


def test_a_snippet_is_printed_and_no_test_runs(folder: Path) -> None:
    result = run(folder, "--case", CASE, "--snippet")
    assert result.code == pytest.ExitCode.OK
    assert result.output.startswith("# my engine.py against torch\n")
    assert "passed" not in result.output


@pytest.mark.parametrize("option", ["--snippet", "--keep=why"])
def test_a_script_or_a_line_to_keep_needs_a_case(folder: Path, option: str) -> None:
    result = run(folder, option)
    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert "need a --case" in result.output


# ---- Other tests beside the faults, such as those of the engine itself ----


def failed(test: str, message: str) -> Any:
    return SimpleNamespace(
        nodeid=f"test_others.py::{test}",
        longrepr=SimpleNamespace(reprcrash=SimpleNamespace(message=message)),
    )


MANY = [failed(f"test_alike[{n}]", "AssertionError: \n  no number" * 9) for n in range(4)]
ALONE = failed("test_alone", "ZeroDivisionError: so\n  it is")


def test_other_tests_are_listed_by_function() -> None:
    headline, many, alone = other_tests([ALONE, *MANY])
    assert headline == "5 other tests failed too (-v shows each):"
    assert many.startswith("     4  test_alike: AssertionError: no numberAssertionError:")
    assert many.endswith(" …")
    assert len(many) == 100
    assert alone == "     1  test_alone: ZeroDivisionError: so it is"


def test_of_many_functions_the_rest_is_counted() -> None:
    *_, last = other_tests([*MANY, *[failed(f"test_{n}[{n}]", "no") for n in range(12)]])
    assert last == "     3  of 3 more functions"


def test_no_other_tests_are_not_mentioned() -> None:
    assert other_tests([]) == []


class Reporting(Reporter):
    """A reporter of given faults, at a verbosity."""

    def __init__(self, faults: Any, verbosity: int) -> None:
        config: Any = SimpleNamespace(get_verbosity=lambda: verbosity, rootpath=ROOT)
        session: Any = SimpleNamespace()
        super().__init__(config, session, Path())
        self.faults = faults

    def _summarize(self, terminalreporter: Any, *, green: bool) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("others", "faults", "verbosity", "whole", "counts"),
    [
        ([*MANY, ALONE], True, 0, [], ["5", "4", "1"]),
        ([*MANY, ALONE], True, 1, [*MANY, ALONE], []),
        ([*MANY, ALONE], False, 0, [MANY[0], ALONE], ["3", "3"]),
        ([*MANY, ALONE], False, 1, [*MANY, ALONE], []),
        ([ALONE], True, 0, [ALONE], []),
    ],
    ids=["many", "verbose", "no fault", "no fault, verbose", "few"],
)
def test_other_tests_are_printed_whole_unless_they_are_many(
    others: list[Any], faults: bool, verbosity: int, whole: list[Any], counts: list[str]
) -> None:
    fault = SimpleNamespace(nodeid="test_engine.py::test", convolutions=[])
    written: list[str] = []
    terminal = SimpleNamespace(stats={"failed": [fault, *others]}, write_line=written.append)
    steps = Reporting(faults, verbosity).pytest_terminal_summary(terminal, 1)
    next(steps)
    assert terminal.stats["failed"] == whole
    assert next(steps, None) is None
    assert [line.split()[0] for line in written] == counts
    assert terminal.stats["failed"] == [fault, *others]


@pytest.mark.parametrize(
    ("shown", "verbose", "blocks", "short", "rest"),
    [
        ("", False, "abc", "def", "g"),
        ("a", False, "bc", "ade", "fg"),
        ("g", False, "ab", "gcd", "ef"),
        ("g", True, "abcdef", "g", ""),
    ],
)
def test_three_blocks_are_printed_with_the_one_that_was_printed_at_once(
    shown: str, verbose: bool, blocks: str, short: str, rest: str
) -> None:
    ranked: Any = [SimpleNamespace(kind="ValueMismatch", line=line) for line in "abcdefg"]
    key = ("ValueMismatch", shown) if shown else None
    parts = parted(ranked, key, verbose=verbose)
    assert ["".join(fault.line for fault in part) for part in parts] == [blocks, short, rest]


def test_what_is_only_counted_says_where_it_is_listed() -> None:
    kinds = ["ValueMismatch", "WrongError", "ValueMismatch"]
    faults: Any = [SimpleNamespace(kind=kind) for kind in kinds]
    assert counted_only(faults) == [
        "3 more faults (--failing, --report and -v have them): 2 ValueMismatch, 1 WrongError"
    ]
    assert counted_only([]) == []


def reported(nodeid: str, **more: Any) -> tuple[str, str, str] | None:
    where = {"nodeid": nodeid, "location": (nodeid.partition("::")[0], 1, "")}
    report = SimpleNamespace(**{"passed": True, "when": "call", **where, **more})
    return Reporting(faults=False, verbosity=0).pytest_report_teststatus(report)


def test_a_dot_stands_for_ten_tests_that_pass() -> None:
    location = (OURS.partition("::")[0], 1, "")
    reporter = Reporting(faults=False, verbosity=0)
    report = SimpleNamespace(nodeid=OURS, location=location, passed=True, when="call")
    told = [reporter.pytest_report_teststatus(report) for _ in range(20)]
    assert {(category, word) for category, _, word in filter(None, told)} == {("passed", "PASSED")}
    assert [letter for _, letter, _ in filter(None, told)] == ([""] * 9 + ["."]) * 2


def test_other_tests_have_their_own_dots() -> None:
    assert reported(OURS) == ("passed", "", "PASSED")
    assert reported(OURS, passed=False) is None
    assert reported(OURS, when="setup") is None
    assert reported("tests/test_mine.py::test_it") is None


@pytest.mark.parametrize("option", ["--report", "--failing", "--survey-file"])
def test_a_file_that_has_no_place_is_said_at_once(option: str, folder: Path) -> None:
    told = run(folder, option, "nowhere/file.md", "--ops=conv2d")
    assert told.code == pytest.ExitCode.USAGE_ERROR
    assert f"{option}: expected a file that can be written, got nowhere/file.md" in told.output


def test_a_folder_that_cannot_be_written_to_fails_no_test(tmp_path: Path) -> None:
    (tmp_path / ".pytest_cache").touch()  # in place of folders, which cannot be made then
    (tmp_path / ".hypothesis").touch()
    tests = str(ROOT / "properties" / "test_engine.py")
    few = ("--examples=2", "--ops=fold", "-k", "equals_the_oracle and shard and 3")
    command = [sys.executable, "-m", "pytest", "-p", "properties.plugin", f"--rootdir={tmp_path}"]
    done = subprocess.run(
        [*command, *few, tests], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "could not create cache path" in done.stdout
