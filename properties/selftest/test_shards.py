"""--shard divides what is listed, multiplies what is drawn, and the parts are merged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from properties import merge
from properties.cases.case import Case
from properties.cases.operation import OPS
from properties.generation.exhaustive import one_axis
from properties.session.options import Options
from properties.statistics.part import WHOLE, Part
from properties.statistics.statistics import Row, Statistics

from .test_plugin import run

PARTS = [Part(index, 3) for index in range(3)]


# ---- Which part has what ----


@pytest.mark.parametrize(("text", "part"), [("1/1", WHOLE), ("2/4", Part(1, 4)), (None, WHOLE)])
def test_a_part_is_read(text: str | None, part: Part) -> None:
    assert Part.read(text) == part


@pytest.mark.parametrize("text", ["", "2", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.0/2"])
def test_what_is_no_part_is_a_usage_error(text: str) -> None:
    with pytest.raises(pytest.UsageError, match="--shard: expected K/N with 1 ≤ K ≤ N, such as"):
        Part.read(text)


@pytest.mark.parametrize("part", [WHOLE, *PARTS], ids=str)
def test_the_text_of_a_part_reads_as_that_part(part: Part) -> None:
    assert Part.read(str(part)) == part


def test_parts_of_what_is_enumerated_are_the_whole_each_once() -> None:
    whole = [*one_axis(["conv1d"])]
    options = [Options(part=part) for part in PARTS]
    shares = [[*o.share(whole, shard, 8)] for o in options for shard in range(8)]
    assert sorted(str(case) for share in shares for case in share) == sorted(map(str, whole))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_every_shard_of_every_part_has_a_seed_of_its_own() -> None:
    many = [Options(seed=7, part=Part(index, 1000)) for index in range(1000)]
    seeds = [o.digest(name, shard) for o in many for name in ("a", "b") for shard in range(20)]
    assert len({*seeds}) == len(seeds)


def test_the_first_part_draws_what_a_whole_run_draws() -> None:
    assert Options(part=PARTS[0]).digest("a", 3) == Options().digest("a", 3)


def ids(*arguments: str) -> set[str]:
    """The tests that a run would do."""
    output = run("--co", "-q", "properties/test_engine.py", "properties/test_calls.py", *arguments)
    return {*re.findall(r"^properties/.*::.*$", output.stdout, re.MULTILINE)}


def test_listed_tests_are_divided_and_searches_are_not() -> None:
    whole, parts = ids(), [ids(f"--shard={part}") for part in PARTS]
    searches = {name for name in whole if "[shard " in name}
    assert [part & searches for part in parts] == [searches] * 3
    assert sorted(n for part in parts for n in part - searches) == sorted(whole - searches)
    assert len(whole - searches) > 1000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--shard=3/2"], "ERROR: --shard: expected K/N with 1 ≤ K ≤ N, such as 2/4 for the"),
        (["--identical"], "ERROR: --identical: to what? Add --baseline REV, MODULE or FILE.py"),
        (["--baseline=no/such"], "ERROR: --baseline no/such: neither a module, a file nor a"),
        (["--baseline=json"], "ERROR: --baseline json: offers none of the functions"),
    ],
)
def test_bad_options_are_usage_errors(arguments: list[str], told: str) -> None:
    result = run(*arguments)
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert told in result.stderr


# ---- Merging ----


def fault(line: str, *tests: str, kind: str = "ValueMismatch") -> dict[str, Any]:
    return {
        "kind": kind,
        "line": line,
        "headline": "output is wrong",
        "replay": f"pytest --case '{line}'",
        "settled": True,
        "tests": [*tests],
        "properties": ["test_the_engine_equals_the_oracle"],
        "relations": [],
        "lines": [line],
    }


def part(shard: str = "1/2", **given: Any) -> dict[str, Any]:
    """What --report writes of one of two parts."""
    statistics = Statistics()
    cases = [*one_axis(["conv1d"])][:100]
    statistics.expect("one_axis", cases)
    for case in Options(part=Part.read(shard)).share(cases):
        statistics.complete("one_axis", case, verdict_on(case))
    run_of: dict[str, Any] = {"engine": "engine", "versions": "numpy 2", "profile": "ci", "seed": 1}
    asked = {"shard": shard, "against": None, "identical": False, "exitstatus": 0}
    return {**run_of, **asked, **statistics.dump(), "faults": [], "failing": [], **given}


def verdict_on(case: Case) -> Any:
    from properties.comparison.mismatch import Status, Verdict  # noqa: PLC0415

    return Verdict(Status.AGREED, {"output": 0.0, "grad_input": 0.0})


@pytest.fixture
def merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Merges reports: the exit code, what is printed, and the merged report."""

    def merging(*parts: Any) -> tuple[int, str, Any]:
        files = [tmp_path / f"{i}.json" for i in range(len(parts))]
        for file, content in zip(files, parts, strict=True):
            file.write_text(json.dumps(content))
        whole, failing = tmp_path / "whole.json", tmp_path / "failing.txt"
        given = [f"--report={whole}", f"--failing={failing}", *map(str, files)]
        code = merge.main(given)
        return code, capsys.readouterr().out, json.loads(whole.read_text())

    return merging


def test_claims_are_computed_from_the_sums(merged: Any) -> None:
    code, output, _ = merged(part("2/2"), part("1/2"))
    assert code == 0
    assert "complete: one_axis conv1d: values and gradients of 100 geometries agree" in output


def test_a_missing_part_fails_and_makes_no_claim_of_completeness(merged: Any) -> None:
    code, output, _ = merged(part("1/2"))
    assert code == 1
    assert "MISSING: 2/2" in output
    assert "50 of 100: one_axis conv1d" in output


def test_faults_of_one_kind_and_case_are_one(merged: Any) -> None:
    first = [fault("a", "t1", "t2"), fault("b", "t1")]
    second = [fault("a", "t2", "t3"), fault("a", "t3", kind="EngineCrash")]
    parts = part("1/2", faults=first, failing=["a", "b"], exitstatus=1), part("2/2", faults=second)
    code, output, whole = merged(*parts)
    assert code == 1
    tests = [(f["kind"], f["line"], f["tests"]) for f in whole["faults"]]
    assert tests[0] == ("ValueMismatch", "a", ["t1", "t2", "t3"])
    assert len(tests) == 3
    assert whole["failing"] == ["a", "b"]
    assert "ValueMismatch: output is wrong, in 3 tests\n  replay    pytest --case 'a'" in output


def test_seeds_and_shards_of_all_parts_are_listed(merged: Any) -> None:
    whole = merged(part("1/2", seed=1), part("2/2", seed=2))[2]
    assert (whole["seed"], whole["shard"]) == ("1, 2", "1/2, 2/2")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ((part("1/2"), part("1/2")), "the same part more than once: 1/2 of seed 1"),
        ((part("1/2"), part("2/2", engine="other")), "its engine is 'other', that of .* 'engine'"),
        (([],), "expected a file that --report wrote, got other JSON"),
        (({"ops": {}},), "expected a file that --report wrote, got other JSON"),
    ],
)
def test_what_cannot_be_merged_is_told(merged: Any, parts: Any, told: str) -> None:
    with pytest.raises(SystemExit, match=told):
        merged(*parts)


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(SystemExit, match=r"no_such\.json: expected a file that --report wrote: "):
        merge.main(["no_such.json"])


def test_every_op_can_be_merged() -> None:
    statistics = Statistics({op: Row(checked=1) for op in OPS})
    twice = merge.merged([part(**statistics.dump()), part("2/2", **statistics.dump())])
    assert {row["checked"] for row in twice["ops"].values()} == {2}


# ---- Whole runs ----

WAS = """
import engine

def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return engine.conv1d(input, weight, bias, stride, padding, dilation, groups)
"""
# the last channel first, where there are several; no padding, where there are several groups
NOW = """
import engine

def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if groups == 1 and getattr(input, "ndim", 0) == 3 and getattr(weight, "ndim", 0) == 3:
        input, weight = input[:, ::-1], weight[:, ::-1]
    padding = 0 if groups == 2 and padding == 1 else padding
    return engine.conv1d(input, weight, bias, stride, padding, dilation, groups)
"""
LESS = ("-k", "corpus or random", "--ops=conv1d", "--examples=40")


@pytest.fixture
def reported(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Holds an engine against another one: its report, without times and seeds, and the output."""
    was, now = tmp_path / "was.py", tmp_path / "now.py"
    was.write_text(WAS)
    now.write_text(NOW)

    def reporting(name: str, *options: str) -> tuple[str, str]:
        report = tmp_path / name
        given = (f"--engine={now}", f"--baseline={was}", f"--report={report}", *options)
        output = run("properties/test_baseline.py", *given).stdout
        return of_baseline(report), output

    return reporting


def of_baseline(report: Path) -> str:
    return json.dumps(json.loads(report.read_text())["baseline"], indent=1)


def test_a_verdict_does_not_depend_on_the_processes(reported: Any) -> None:
    two, output = reported("two.json", "-n2", *LESS)
    one, _ = reported("one.json", "-pno:xdist", *LESS)
    assert two == one
    smallest = "conv1d((1, 2, 1), (2, 1, 1), padding=1, groups=2)"
    assert f" cases): {smallest}\n    was  right\n    now  output has another" in output
    assert "\nverdict: FAILED: breaks: " in output


def test_parts_count_what_the_whole_counts(reported: Any, tmp_path: Path) -> None:
    whole, _ = reported("whole.json", *LESS)
    for_each = {f"--shard={k}/2": f"--hypothesis-seed={k}" for k in (1, 2)}
    files = [tmp_path / f"{seed[-1]}.json" for seed in for_each.values()]
    [reported(f.name, *of, *LESS) for f, of in zip(files, for_each.items(), strict=True)]
    assert merge.main([*map(str, files), f"--report={tmp_path / 'merged.json'}"]) == 1
    assert of_baseline(tmp_path / "merged.json") == whole


BITS = "conv1d((1, 11, 6), (2, 11, 3), data='reals:1')"


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--identical",), 1)])
def test_identical_fails_for_a_bit(reported: Any, options: tuple[str, ...], code: int) -> None:
    _, output = reported("r.json", "--case", BITS, *options)
    assert f"bits: output (1 cases): {BITS}\n" in output
    assert ("verdict: FAILED: bits: output" in output) == (code == 1)
