"""The project as a user has it: a wheel, an empty directory, and an engine of their own."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = ("corpus.txt", "calls.txt", "deviations.txt", "py.typed")
SHARD = ("--examples=60", "-k", "test_the_engine_equals_the_oracle and shard and 1")
BUILD = "from hatchling.build import build_wheel; import sys; build_wheel(sys.argv[1])"

MINE = """
import warnings
import engine

warnings.warn("old", DeprecationWarning)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if isinstance(stride, tuple):
        stride = stride[::-1]
    return engine.conv2d(input, weight, bias, stride, padding, dilation, groups)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which the wheel is installed."""
    target = tmp_path_factory.mktemp("installed")
    if importlib.util.find_spec("hatchling") is None:
        return laid_out_as_a_wheel(target)
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(target)
    return target


def laid_out_as_a_wheel(target: Path) -> Path:
    """What the builder does, where there is none: the packages, and a record of the entry point."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, target / package, ignore=ignored)
    name, version = project["project"]["name"], project["project"]["version"]
    record = target / f"{name.replace('-', '_')}-{version}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = project["project"]["entry-points"]["pytest11"].items()
    lines = [f"{key} = {value}\n" for key, value in points]
    (record / "entry_points.txt").write_text("[pytest11]\n" + "".join(lines))
    return target


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """An empty directory, but for the user's package."""
    package = tmp_path / "work here" / "mypackage"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "conv.py").write_text(MINE, encoding="utf-8")
    return package.parent


def ran(installed: Path, here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=here,
        env={**environment, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("table", TABLES)
def test_the_tables_are_in_the_wheel(installed: Path, table: str) -> None:
    assert (installed / "properties" / table).read_bytes() == (
        ROOT / "properties" / table
    ).read_bytes()


WAYS = {
    "as the package": ("--pyargs", "properties"),
    "with workers": ("--pyargs", "properties", "-n2"),
    "with the plugin named": ("--pyargs", "properties", "-p", "properties.plugin"),
    "with no path": (),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_wheel_judges_a_users_package(
    installed: Path, here: Path, way: tuple[str, ...]
) -> None:
    result = ran(installed, here, "pytest", *way, "--engine", "mypackage.conv", *SHARD)
    assert result.returncode == pytest.ExitCode.TESTS_FAILED, result.stdout + result.stderr
    assert f"engine: mypackage.conv ({here}" in result.stdout
    assert "1 failed" in result.stdout
    assert "ShapeMismatch: output has another shape" in result.stdout


def test_a_line_that_failed_there_replays_there(installed: Path, here: Path) -> None:
    case = "conv2d((1, 1, 1, 2), (1, 1, 1, 1), stride=(1, 2))"
    words = ("--engine", "mypackage.conv", "--case", case, "-k", "equals_the_oracle")
    first = ran(installed, here, "pytest", *words)
    (line, *_) = re.findall(r"^  replay +(pytest .*)$", first.stdout, re.MULTILINE)
    again = ran(installed, here, *shlex.split(line), "-k", "equals_the_oracle")
    assert again.returncode == pytest.ExitCode.TESTS_FAILED
    assert f"  case      {case}" in again.stdout


def test_the_installed_harness_is_the_one_that_runs(installed: Path, here: Path) -> None:
    result = ran(installed, here, "pytest", "--pyargs", "properties", "--co", "-k", "shard and 1")
    assert f"engine: engine ({installed}" in result.stdout
    assert result.returncode == pytest.ExitCode.OK


def test_a_warning_fails_our_own_engine_wherever_it_is_installed(
    installed: Path, here: Path
) -> None:
    check = here / "test_mine.py"
    check.write_text("import warnings\n\ndef test(): warnings.warn('mine')\n", encoding="utf-8")
    result = ran(installed, here, "pytest", "-p", "properties.plugin", str(check))
    assert "UserWarning: mine" in result.stdout
    assert result.returncode == pytest.ExitCode.TESTS_FAILED


def test_a_survey_needs_no_path(installed: Path, here: Path) -> None:
    result = ran(installed, here, "pytest", "--survey", "--engine", "mypackage.conv")
    assert result.returncode == pytest.ExitCode.OK, result.stdout + result.stderr
    assert "D stride per axis of conv2d" in result.stdout
