"""The benchmark runs, and says what it measured; no test here depends on a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from properties import benchmark
from properties.cases.line import parse
from properties.comparison.loading import load_package


def report(folder: Path, *options: str) -> Any:
    """What two small cases write in two rounds."""
    file = folder / "report.json"
    benchmark.main(["--only", "i,g", "--rounds", "2", "--json", str(file), *options])
    return json.loads(file.read_text(encoding="utf-8"))


def test_a_report_has_the_output_and_the_gradients_of_each_case(tmp_path: Path) -> None:
    found = report(tmp_path)
    parts = [(result["case"], result["part"]) for result in found["results"]]
    assert parts == [(c, p) for c in "ig" for p in ("forward", "gradients")]
    assert all({*result["best"]} == {"engine", "torch"} for result in found["results"])
    assert all(result["ratio"] > 0 for result in found["results"])
    assert found["machine"]["threads"] == {"torch": 1, "blas": "1"}


def test_tiny_calls_stay_out_of_the_means(tmp_path: Path) -> None:
    found = report(tmp_path)
    ratios = {r["part"]: r["ratio"] for r in found["results"] if r["case"] == "g"}
    assert found["means"] == pytest.approx(ratios)


def test_a_baseline_is_measured_beside_and_against_itself(tmp_path: Path) -> None:
    results = report(tmp_path, "--baseline", "engine")["results"]
    assert all({*r["best"]} == {"engine", "again", "baseline", "torch"} for r in results)
    assert all(r["noise"] == r["best"]["again"] / r["best"]["baseline"] for r in results)
    assert all(r["ratio"] == r["best"]["engine"] / r["best"]["baseline"] for r in results)


def test_another_copy_of_the_engine_is_loaded_beside() -> None:
    found = load_package("copy", Path(engine.__file__).parent, "engine_beside")
    assert found.namespace.conv2d is not engine.conv2d
    assert found.namespace.conv2d.__module__ == "engine_beside.functional"


def test_what_is_neither_module_nor_file_nor_revision_is_no_baseline(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert benchmark.main(["--only", "i", "--baseline", "no_such"]) == 2
    assert "--baseline no_such: neither a module" in capsys.readouterr().err


def result(ratio: float, middle: float, noise: float | None) -> benchmark.Result:
    quartiles = ratio, middle, middle
    return benchmark.Result(
        "a", "", "forward", {}, {}, ratio, quartiles, 1.0, 1.0, 0.0, tiny=False, noise=noise
    )


@pytest.mark.parametrize(
    ("found", "slower"),
    [
        pytest.param(result(1.3, 1.3, 1.0), True, id="slower"),
        pytest.param(result(1.3, 1.3, None), True, id="held against torch"),
        pytest.param(result(1.3, 1.0, 1.0), False, id="slower in its best time alone"),
        pytest.param(result(1.0, 1.3, 1.0), False, id="slower in its median alone"),
        pytest.param(result(1.3, 1.3, 1.25), False, id="within the noise"),
        pytest.param(result(1.3, 1.3, 0.8), False, id="within the noise, the other way"),
    ],
)
def test_a_ratio_counts_beyond_the_noise(found: benchmark.Result, slower: bool) -> None:
    assert benchmark.is_slower(found, 1.1) is slower


def test_what_seems_slow_is_measured_again_with_more_rounds() -> None:
    few, many = benchmark.RETRIES
    slow, fast = [result(1.3, 1.3, 1.0)], [result(1.0, 1.0, 1.0)]
    assert benchmark.settled(slow, {few: slow, many: fast}.__getitem__, 1.1) is fast


def test_what_is_not_slow_is_measured_once() -> None:
    fast = [result(1.0, 1.0, 1.0)]
    assert benchmark.settled(fast, lambda times: [], 1.1) is fast


def test_what_the_noise_hides_is_said() -> None:
    hidden = [result(1.3, 1.3, 1.25)]
    assert [*benchmark.undecided(hidden, 1.1)] == [
        "undecided: a forward: 1.30 ×, with a noise of 1.25 ×"
    ]


@pytest.mark.parametrize(("limit", "code"), [("1e-9", 1), ("1e9", 0)])
def test_a_ratio_above_the_limit_fails(limit: str, code: int) -> None:
    assert benchmark.main(["--only", "i", "--rounds", "1", "--fail-above", limit]) == code


def test_an_unknown_case_is_named() -> None:
    with pytest.raises(benchmark.BadOption, match="--only z: expected some of L, a, b"):
        benchmark.chosen("a,z")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "z"], "error: --only z: expected some of L, a"),
        (["--engine", "no_such"], "error: --engine no_such: ModuleNotFoundError"),
        (["--baseline", "no_such"], "error: --baseline no_such: neither"),
        (["--json", "no/such.json"], "error: --json no/such.json: expected a file in a folder"),
        (["--plot", "no/such.png"], "error: --plot no/such.png: expected a file in a folder"),
        (["--plot", "such.gif"], "error: --plot such.gif: expected a file whose name ends in .png"),
    ],
)
def test_a_bad_option_is_named_before_anything_is_measured(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.main(options) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        *[(["--rounds", text], "an integer of at least 1") for text in ("0", "-1", "x", "1.5")],
        *[(["--fail-above", text], "a positive number") for text in ("0", "-1", "nan", "inf", "x")],
    ],
)
def test_numbers_that_measure_nothing_are_refused(
    option: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(option)
    assert f"expected {expected}, got" in capsys.readouterr().err


def test_a_plot_needs_matplotlib(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert benchmark.main(["--plot", "such.png"]) == 2
    assert "pip install -e '.[benchmark]'" in capsys.readouterr().err


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    benchmark.main(["--only", "i", "--rounds", "2", "--plot", str(tmp_path / "ratios.png")])
    assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")


def test_tiny_calls_alone_have_no_mean(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    benchmark.main(["--only", "i", "--rounds", "2", "--json", str(file)])
    assert json.loads(file.read_text(encoding="utf-8"))["means"] == {}


def test_quartiles_are_between_the_ratios_that_were_measured(tmp_path: Path) -> None:
    found = [result["ratios"] for result in report(tmp_path)["results"]]
    assert all(ratios == sorted(ratios) and ratios[0] > 0 for ratios in found)


def test_a_letter_stands_for_all_layers_of_the_corpus() -> None:
    assert [*benchmark.chosen("L")] == [*benchmark.layers()]
    assert "conv2d((1, 3, 224, 224), (64, 3, 7, 7), stride=2" in benchmark.layers()["L1"]


def test_pinned_kernels_are_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    benchmark.main(["--only", "i", "--rounds", "1"])
    assert "WARNING: OPENBLAS_CORETYPE pins NumPy's kernels" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "adds"),
    [
        ("conv2d((2, 4, 5, 5), (6, 2, 3, 3), groups=2)", 2 * 6 * 9 * 2 * 9),
        ("conv_transpose1d((2, 4, 5), (4, 3, 2), stride=2)", 2 * 4 * 5 * 3 * 2),
    ],
)
def test_multiply_adds_are_counted_once_for_each_product(line: str, adds: int) -> None:
    assert benchmark.multiply_adds(parse(line)) == adds


def test_results_that_differ_are_not_compared() -> None:
    case = parse("conv1d((1, 1, 3), (1, 1, 2))")
    right: benchmark.Calls = {"forward": lambda: np.array(1.0)}
    wrong: benchmark.Calls = {"forward": lambda: np.array(2.0)}
    with pytest.raises(SystemExit, match="differ"):
        benchmark.assert_alike(case, right, wrong)
