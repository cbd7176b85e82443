"""The README is true: its commands run, and print what it shows."""

from __future__ import annotations

import doctest
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# What .ci/run runs itself, letter by letter.
ELSEWHERE = ("pip install -e '.[test]'", "pytest -n auto", "pytest -n auto -m selftest")


def shown() -> list[tuple[str, str]]:
    """Every command of a console block, and the output that the README shows for it."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def as_pattern(output: str) -> str:
    """`output` as a pattern: an ellipsis stands for anything, a time for any time."""
    return ".*?".join(map(re.escape, output.strip().split("...")))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, with the README's engine in it."""
    kept = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
    copy = Path(shutil.copytree(ROOT, tmp_path / "project", ignore=kept))
    (engine,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (copy / "my_engine.py").write_text(engine, encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("command", "output"), [pair for pair in shown() if pair[0] not in ELSEWHERE]
)
def test_a_command_prints_what_the_readme_shows(command: str, output: str, project: Path) -> None:
    words = shlex.split(command)
    assert words.pop(0) == "pytest"
    ran = [sys.executable, "-m", "pytest", *words]
    result = subprocess.run(
        ran, cwd=project, capture_output=True, text=True, timeout=600, check=False
    )
    assert re.search(as_pattern(output), result.stdout, re.DOTALL), result.stdout


def test_the_examples_are_true() -> None:
    text = "\n".join(re.findall(r"```pycon\n(.*?)```", README, re.DOTALL))
    examples = doctest.DocTestParser().get_doctest(text, {}, "README.md", "README.md", 0)
    assert examples.examples
    assert doctest.DocTestRunner(verbose=False).run(examples).failed == 0


def test_a_newcomer_reads_it_in_a_few_minutes() -> None:
    assert len(README.splitlines()) <= 180


def test_the_continuous_integration_runs_the_readmes_commands() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    shown_commands = {command for command, _ in shown()} & set(ELSEWHERE)
    assert [c for c in shown_commands if c not in script] == []
