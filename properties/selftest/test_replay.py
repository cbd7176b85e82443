"""Red CI to local: what --case says of each line, and which lines the corpus keeps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from properties.cases.files import CORPUS, FORMER, kept, read_cases, without_comment
from properties.cases.operation import OPS
from properties.triage.replay import Asked, Replayed, told

ONES = "conv1d((1, 1, 1), (1, 1, 1))"


def report(*kinds: str, passed: bool = False, verdict: str = "agreed") -> Any:
    """A test's report: of failures, of an error that is none, or of a verdict."""
    found: dict[str, Any] = {"failed": not passed, "passed": passed, "when": "call"}
    if kinds:
        found["convolutions"] = [{"kind": kind, "shown": kind} for kind in kinds]
    return SimpleNamespace(**found, verdict=verdict)


PASSES = report(passed=True)


@pytest.mark.parametrize(
    ("kind", "reports", "word"),
    [
        ("ValueMismatch", [PASSES], "FIXED"),
        ("ValueMismatch", [PASSES, report("ValueMismatch")], "FAILED"),
        ("ValueMismatch", [report("RelationBroken"), report("ValueMismatch")], "FAILED"),
        ("ValueMismatch", [report("ShapeMismatch")], "CHANGED"),
        ("ValueMismatch", [report()], "ERROR"),
        ("ValueMismatch", [], "ERROR"),
        ("ValueMismatch", [report(passed=True, verdict="not claimed")], "ERROR"),
        ("", [PASSES], "PASSED"),
        ("", [report("ShapeMismatch")], "FAILED"),
    ],
)
def test_each_line_ends_in_one_word(kind: str, reports: list[Any], word: str) -> None:
    replayed = Replayed()
    [*map(replayed.add, reports)]
    assert replayed.outcome(Asked.of(ONES, kind, tuple(OPS)))[0] == word


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("conv9d((1, 1, 1), (1, 1, 1))", "column 1: expected an op, one of conv1d"),
        ("unfold((1, 1, 1, 1), kernel_size=1)", "the engine offers no unfold"),
    ],
)
def test_a_line_that_cannot_be_judged_is_an_error_and_says_why(line: str, reason: str) -> None:
    word, more = Replayed().outcome(Asked.of(line, "", ("conv1d",)))
    assert word == "ERROR"
    assert more.startswith(reason)


def test_the_words_are_counted_and_all_must_be_fixed() -> None:
    asked = [Asked.of(ONES, "ValueMismatch", tuple(OPS)), Asked("nonsense", None, "", "why")]
    fixed = Replayed()
    fixed.add(PASSES)
    lines, good = told(asked, {ONES: fixed})
    assert lines == [
        *(f"FIXED   {ONES}  # ValueMismatch", "ERROR   nonsense  # why"),
        "2 cases: 1 FIXED, 1 ERROR",
    ]
    assert (good, told(asked[:1], {ONES: fixed})[1]) == (False, True)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (f"{ONES}  # ValueMismatch", (ONES, "ValueMismatch")),
        (ONES, (ONES, "")),
        ("conv1d(x, data='#')  # '", ("conv1d(x, data='#')", "'")),
    ],
)
def test_a_comment_is_no_part_of_a_line(line: str, parts: tuple[str, str]) -> None:
    assert without_comment(line) == parts


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    copy = tmp_path / "corpus.txt"
    copy.write_text(CORPUS.read_text(encoding="utf-8"), encoding="utf-8")
    return copy


NEW = "conv1d((1, 1, 77), (1, 1, 3), stride=3)"


def test_a_line_is_kept_under_its_heading_with_its_reason(corpus: Path) -> None:
    assert kept(NEW, "the tail was dropped", corpus)
    text = corpus.read_text(encoding="utf-8")
    assert f"{FORMER}\n\n# the tail was dropped\n{NEW}\n\n" in text
    assert text.index(NEW) < text.index("# Faults of torch itself")
    assert len(read_cases(corpus)) == len(read_cases(CORPUS)) + 1


def test_a_second_line_stands_after_the_first(corpus: Path) -> None:
    kept(NEW, "one", corpus)
    kept(NEW.replace("77", "78"), "two", corpus)
    text = corpus.read_text(encoding="utf-8")
    assert text.count(FORMER) == 1
    assert text.index("# one") < text.index("# two")


def test_a_line_that_stands_there_is_not_kept_again(corpus: Path) -> None:
    before = corpus.read_text(encoding="utf-8")
    assert not kept(str(read_cases(corpus)[5]), "again", corpus)
    assert corpus.read_text(encoding="utf-8") == before
