"""Failures of one kind that end in one case are one fault, shrunk once, whoever finds them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import engine
from properties.cases.case import Case
from properties.cases.line import parse, parse_source
from properties.cases.sequence import CaseSequence
from properties.comparison.engine import Engine
from properties.comparison.mismatch import (
    ArgumentModified,
    EngineCrash,
    EngineHang,
    GradientMismatch,
    Mismatch,
    NotRepeatable,
    RejectedValid,
    RelationBroken,
    ShapeMismatch,
    ValueMismatch,
    Verdict,
)
from properties.session.confirmation import settled
from properties.session.options import Options
from properties.session.report import block, described
from properties.session.session import Session, by_oracle, in_order
from properties.shrinking import simplifies
from properties.triage.crashlog import CrashLog
from properties.triage.faults import Faults, lines_of
from properties.triage.summaries import failing_file, listed, shortly, shown_by, step_summary

from .gallery.planting import Call, planted

ONES = "conv1d((1, 1, 1), (1, 1, 1))"
TAPS = "conv1d((1, 1, 2), (1, 1, 2), data='ramp')"
LARGE = "conv1d((2, 4, 9), (6, 2, 3), bias=(6,), stride=2, groups=2, data='integers:3')"


@pytest.mark.parametrize(
    ("simple", "case", "is_so"),
    [
        (TAPS, LARGE, True),
        (TAPS, "conv2d((1, 1, 4, 4), (1, 1, 1, 2), data='reals:1')", True),
        (TAPS, "Conv2d((1, 1, 4, 4), (1, 1, 2, 2), stride=2, data='reals:1')", True),
        (TAPS, ONES, False),
        (TAPS, "conv1d((1, 1, 2), (1, 1, 2))", False),
        (TAPS, "conv_transpose1d((1, 1, 2), (1, 1, 2), data='ramp')", False),
        ("Conv1d((1, 1, 1), (1, 1, 1))", ONES, False),
        ("conv1d((1, 1, 1), (1, 1, 1), stride=2)", LARGE, True),
        ("conv1d((1, 1, 1), (1, 1, 1), stride=3)", LARGE, False),
        ("conv1d((1, 1, 1), (1, 1, 1), dilation=2)", LARGE, False),
        ("conv1d((1, 3, 1), (3, 1, 1), groups=3)", LARGE, False),
        ("conv1d((0, 1, 1), (1, 1, 1))", LARGE, False),
        ("conv1d((1, 1), (1, 1, 1))", LARGE, False),
        ("conv1d(float16(1, 1, 1), float16(1, 1, 1))", LARGE, False),
        ("conv1d(float32(1, 1, 1, layout='reversed'), (1, 1, 1))", LARGE, False),
        ("conv1d((1, 1, 1), (1, 1, 1), padding='same')", LARGE, False),
        ("conv1d((1, 1, 1), (1, 1, 1), stride=[1])", LARGE, False),
        ("conv1d((1, 1, 1), (1, 1, 1), stride=0, blame='stride')", LARGE, False),
        ("conv2d((1, 1, 1, 2), (1, 1, 1, 2))", "conv2d((1, 1, 3, 1), (1, 1, 3, 1))", True),
    ],
)
def test_a_case_simplifies_another_in_every_respect_or_not(
    simple: str, case: str, is_so: bool
) -> None:
    assert simplifies(parse(simple), parse(case)) is is_so


def flipped(c: Call) -> Any:
    return c.right(w=c.w[..., ::-1])


def session_of(fault: Any, log: CrashLog | None = None) -> Session:
    functions = {f"conv{n}d": planted(fault, n) for n in (1, 2)}
    judged = Engine("planted", SimpleNamespace(**functions))
    return Session(judged, Options(judged.ops), log)


def failure(session: Session, line: str) -> Mismatch:
    with pytest.raises(Mismatch) as caught:
        session.check(in_order if ";" in line else by_oracle, parse_source(line))
    return caught.value


def settled_in(session: Session, line: str, **limited: bool) -> Mismatch:
    predicate = in_order if ";" in line else by_oracle
    return settled(session, predicate, failure(session, line), **limited)


def test_the_first_failure_is_shrunk_and_says_where_it_came_from() -> None:
    found = settled_in(session_of(flipped), LARGE)
    assert (str(found.case), found.origin, found.settled) == (TAPS, LARGE, True)


def test_a_failure_of_a_known_fault_is_not_shrunk_again() -> None:
    session = session_of(flipped)
    settled_in(session, LARGE)
    before = len(session.triage.verdicts)
    found = settled_in(session, "conv2d((1, 1, 5, 5), (1, 1, 3, 3), data='integers:1')")
    assert found.fault == ("ValueMismatch", TAPS)
    assert len(session.triage.verdicts) == before


def test_what_another_process_found_is_known(tmp_path: Path) -> None:
    first = session_of(flipped, CrashLog(tmp_path / "found"))
    second = session_of(flipped, CrashLog(tmp_path / "found"))
    settled_in(first, LARGE)
    assert settled_in(second, LARGE).fault == ("ValueMismatch", TAPS)


def test_what_is_limited_is_left_as_it_is_when_the_time_is_spent() -> None:
    session = session_of(flipped)
    session.triage.left = 0
    found = settled_in(session, LARGE, limited=True)
    assert (str(found.case), found.settled, found.fault) == (LARGE, False, None)


def test_shrinking_what_is_limited_spends_the_time() -> None:
    session = session_of(flipped)
    before = session.triage.left
    settled_in(session, LARGE, limited=True)
    assert session.triage.left < before


def test_a_sequence_of_which_one_case_fails_alone_is_that_case() -> None:
    found = settled_in(session_of(flipped), f"{ONES}; {TAPS}")
    assert (found.sequence, str(found.case), found.origin) == (None, TAPS, TAPS)


def stride_twice(c: Call) -> Any:
    return c.right(stride=tuple(2 * s if s > 1 else s for s in c.stride))


def test_a_second_fault_is_told_from_the_first() -> None:
    session = session_of(lambda c: stride_twice(c) if max(c.stride) > 1 else flipped(c))
    first = settled_in(session, "conv1d((1, 1, 9), (1, 1, 3), data='integers:1')")
    second = settled_in(session, "conv1d((1, 1, 9), (1, 1, 1), stride=2, data='integers:1')")
    assert str(first.case) == TAPS
    assert str(second.case) == "conv1d((1, 1, 3), (1, 1, 1), stride=2)"


def breaks_with(line: str) -> Any:
    """A relation that a case breaks where it has two taps or more, as long as `line` has."""

    def predicate(case: Case, session: Session) -> Verdict:
        if case.shapes["weight"][-1] >= parse(line).shapes["weight"][-1]:
            raise RelationBroken(case, session.engine, "left = right: the sides differ")
        return session.against_oracle(parse(ONES))

    return predicate


def broken(session: Session, line: str, taps: str) -> Mismatch:
    predicate = breaks_with(taps)
    with pytest.raises(RelationBroken) as caught:
        session.check(predicate, parse(line))
    return settled(session, predicate, caught.value)


def test_a_relation_that_breaks_by_a_fault_is_named_with_it() -> None:
    session = session_of(flipped)
    settled_in(session, LARGE)
    assert broken(session, LARGE, TAPS).fault == ("ValueMismatch", TAPS)


def test_a_relation_that_breaks_first_leads_to_the_fault() -> None:
    found = broken(session_of(lambda c: c.right() + 1), LARGE, ONES)
    assert (type(found), str(found.case)) == (ValueMismatch, ONES)
    assert (found.shown, found.origin) == ("RelationBroken", LARGE)


def test_a_relation_that_breaks_where_torch_agrees_is_a_fault_of_its_own() -> None:
    found = broken(session_of(Call.right), LARGE, TAPS)
    assert (type(found), found.settled) == (RelationBroken, True)


def test_a_relation_whose_calls_differ_from_torch_leads_to_their_fault() -> None:
    session = session_of(flipped)
    found = RelationBroken(parse(ONES), session.engine, "left = right", ("left", f"{TAPS} + data"))
    cause = settled(session, breaks_with(ONES), found)
    assert (type(cause), str(cause.case), cause.shown) == (ValueMismatch, TAPS, "RelationBroken")


# ---- The run as a whole ----


def record(line: str, kind: type[Mismatch] = ValueMismatch, **more: Any) -> dict[str, Any]:
    found = kind(parse(line), Engine("planted", engine), "output is wrong")
    vars(found).update(more)
    return described(found)


def merged(*found: dict[str, Any]) -> Faults:
    faults = Faults()
    for place, one in enumerate(found):
        faults.add(f"test_engine.py::test_equal[{place}]", one)
    return faults


SMALLEST = record(TAPS, settled=True, origin=LARGE)


def summed(faults: Faults) -> list[tuple[str, int]]:
    return [(fault.line, len(fault.tests)) for fault in faults.ranked()]


def test_failures_that_end_in_one_case_are_one_fault() -> None:
    again = record(LARGE, fault=["ValueMismatch", TAPS])
    assert summed(merged(SMALLEST, again, SMALLEST)) == [(TAPS, 3)]


def test_what_was_not_shrunk_goes_to_the_fault_that_simplifies_it() -> None:
    assert summed(merged(record(LARGE), SMALLEST)) == [(TAPS, 2)]


def test_what_no_fault_simplifies_is_grouped_by_kind() -> None:
    stride, dilation = (ONES.replace("))", f"), {step}=2)") for step in ("stride", "dilation"))
    assert summed(merged(SMALLEST, record(stride), record(dilation))) == [(TAPS, 1), ("", 2)]


def test_the_headline_counts_faults_and_tests() -> None:
    faults = merged(SMALLEST, SMALLEST, record(ONES))
    assert listed(faults.ranked(), faults.tests) == (
        "1 fault and 1 kind of failure not shrunk in 3 failing tests"
    )


def test_a_wrong_value_is_told_before_conduct_and_more_tests_before_fewer() -> None:
    conduct = record(ONES, ArgumentModified, settled=True)
    gradient = record(LARGE, GradientMismatch, settled=True)
    found = merged(conduct, conduct, conduct, SMALLEST, gradient, gradient)
    assert [fault.kind for fault in found.ranked()] == [
        *("GradientMismatch", "ValueMismatch", "ArgumentModified")
    ]


STRIDE = ONES.replace("))", "), stride=2)")


def after(line: str, kind: type[Mismatch] = ValueMismatch, **more: Any) -> dict[str, Any]:
    """A failure of `line` after a call of ONES."""
    found = kind(parse(line), Engine("planted", engine), "output is wrong")
    found.sequence = CaseSequence((parse(ONES), parse(line)))
    vars(found).update({"settled": True, **more})
    return described(found)


def test_all_that_needs_earlier_calls_is_one_fault() -> None:
    once = record(LARGE, ShapeMismatch, depends=True)
    found = merged(once, after(TAPS), after(LARGE), after(STRIDE, GradientMismatch))
    (fault,) = found.ranked()
    assert (fault.kind, len(fault.tests)) == ("ValueMismatch", 4)
    assert shown_by(fault)[1:] == [
        ("also", "shows as ShapeMismatch in 1 case after other calls"),
        ("also", "shows as GradientMismatch in 1 case after other calls"),
    ]


def test_conduct_that_needs_earlier_calls_is_another_fault_than_a_value() -> None:
    assert len(merged(after(TAPS), after(TAPS, NotRepeatable)).ranked()) == 2


def test_a_failure_that_shows_alone_does_not_go_to_one_that_needs_earlier_calls() -> None:
    assert len(merged(after(TAPS), record(STRIDE, ShapeMismatch)).ranked()) == 2


def test_conduct_of_which_the_same_is_said_is_one_fault() -> None:
    small, large = (record(line, ArgumentModified, settled=True) for line in (TAPS, STRIDE))
    other = {**record(ONES, ArgumentModified, settled=True), "headline": "wrote to its weight"}
    assert summed(merged(small, small, large, other)) == [(TAPS, 3), (ONES, 1)]


def raised(line: str, text: str, **more: Any) -> dict[str, Any]:
    return record(line, RejectedValid, settled=True, details=(("raised", text),), **more)


def test_errors_of_the_same_words_are_one_fault() -> None:
    first = raised(TAPS, "ValueError: no shape (1,1,88,1) in (2,)")
    same = raised(STRIDE, "ValueError: no shape (7,) in (1, 15)")
    other = raised(ONES, "ValueError: no size 7")
    assert summed(merged(first, first, same, other)) == [(TAPS, 3), (ONES, 1)]


@pytest.mark.parametrize(
    ("first", "second", "function"),
    [
        ("AssertionError: ", "AssertionError: ", ""),
        ("ValueError: no float16", "ValueError: no float64", ""),
        ("ValueError: no size 1", "ValueError: no size 2", "grad.conv1d_input"),
    ],
)
def test_errors_that_may_have_two_causes_are_two_faults(
    first: str, second: str, function: str
) -> None:
    two = raised(TAPS, first), raised(STRIDE, second, function=function)
    assert len(merged(*two).ranked()) == 2


def test_what_is_given_to_another_fault_keeps_its_kinds_and_relations() -> None:
    first = record(TAPS, ArgumentModified, settled=True)
    other = record(STRIDE, ArgumentModified, settled=True)
    by_relation = record(LARGE, RelationBroken, fault=["ArgumentModified", STRIDE])
    faults = merged(first, first, first, other, by_relation)
    (fault,) = faults.ranked()
    assert (fault.kinds, [*fault.relations]) == ({"RelationBroken": [LARGE]}, ["test_equal"])
    assert lines_of([fault])[LARGE] == "RelationBroken"
    assert faults.given == {("ArgumentModified", STRIDE): ("ArgumentModified", TAPS)}


def test_an_exception_and_a_death_at_one_case_are_two_faults() -> None:
    text = (("raised", "IndexError: no"),)
    exception = record(ONES, EngineCrash, settled=True, details=text)
    assert len(merged(exception, record(STRIDE, EngineCrash, settled=True)).ranked()) == 2


def test_a_death_is_no_known_exception() -> None:
    session = session_of(flipped)
    known, last = (EngineCrash(parse(line), session.engine, "ends") for line in (ONES, STRIDE))
    session.triage.add(known)
    assert session.triage.death(last) == ("EngineCrash", ONES)
    other = session_of(flipped)
    known.details = (("raised", "IndexError: no"),)
    other.triage.add(known)
    assert other.triage.death(last) is None


def test_what_fails_at_once_does_not_go_to_what_fails_in_order() -> None:
    found = ValueMismatch(parse(ONES), Engine("planted", engine), "output is wrong")
    found.sequence = CaseSequence((parse(ONES), parse(TAPS)), at_once=True)
    found.settled = found.depends = True
    assert len(merged(after(TAPS), described(found)).ranked()) == 2


def test_two_faults_at_one_line_are_listed_once_by_the_more_telling_kind() -> None:
    faults = merged(record(TAPS, ArgumentModified, settled=True), SMALLEST).ranked()
    text = failing_file(faults, 2, "engine", "failing.txt").splitlines()
    assert text[1:] == [
        "# the smallest case of each fault, most telling first",
        *(f"{TAPS}  # ValueMismatch", "# all others that failed", f"{LARGE}  # ValueMismatch"),
    ]


def test_ranking_twice_changes_nothing() -> None:
    faults = merged(SMALLEST, record(LARGE), record(STRIDE, ShapeMismatch, settled=True))
    assert faults.ranked() is faults.ranked()
    faults.add("test_engine.py::another", SMALLEST)
    assert faults.tests == 4
    faults.add("test_engine.py::one_more", record(LARGE))
    assert faults.tests == 5


def test_a_hang_at_a_larger_case_is_the_same_fault() -> None:
    small, large = (record(line, EngineHang, settled=True) for line in (TAPS, LARGE))
    (fault,) = merged(large, large, small).ranked()
    assert (fault.line, len(fault.tests)) == (TAPS, 3)


def test_a_wrong_value_at_a_larger_case_may_be_another_fault() -> None:
    assert len(merged(SMALLEST, record(LARGE, settled=True)).ranked()) == 2


def test_what_was_seen_once_says_so() -> None:
    (fault,) = merged(record(LARGE, depends=True, once=True)).ranked()
    (first, *_) = shortly(fault, above=False)
    assert first.endswith("not alone, and not after the calls before it: earlier ones, or chance")


def test_what_needs_earlier_calls_goes_to_the_fault_that_is_known() -> None:
    session = session_of(flipped)
    session.alone = lambda predicate, source: None  # nothing fails alone
    known = ShapeMismatch(parse(STRIDE), session.engine, "output has another shape")
    known.sequence = CaseSequence((parse(ONES), parse(STRIDE)))
    session.triage.add(known)
    found = settled_in(session, LARGE)
    assert (found.fault, found.depends) == (("ShapeMismatch", str(known.sequence)), True)


def fails(c: Call) -> Any:
    raise ZeroDivisionError("no")


def silent(case: Case, session: Session) -> None:
    """A predicate that says nothing of any case."""


def test_a_crash_in_a_relation_goes_to_the_fault_of_which_it_says_nothing() -> None:
    session = session_of(fails)
    session.triage.add(failure(session, ONES))
    assert settled(session, silent, failure(session, LARGE)).fault == ("EngineCrash", ONES)


def test_the_failing_line_of_a_relation_that_makes_a_crashing_call_is_this_call() -> None:
    session = session_of(fails)
    found = EngineCrash(parse(ONES), session.engine, "raised", ("call", LARGE))
    by_call = settled(session, silent, found)
    assert (str(by_call.case), by_call.origin, by_call.shown) == (ONES, LARGE, "EngineCrash")


class Torchless(Session):
    """A session where torch is not installed."""

    @property
    def oracle(self) -> Engine:
        raise ImportError("no torch")


def test_a_crash_in_a_relation_is_reported_where_there_is_no_torch() -> None:
    session = Torchless(Engine("planted", engine), Options())
    found = EngineCrash(parse(ONES), session.engine, "raised", ("call", TAPS))
    assert settled(session, silent, found).settled


def test_a_sequence_goes_to_the_fault_that_another_process_found(tmp_path: Path) -> None:
    first, second = (session_of(flipped, CrashLog(tmp_path / "found")) for _ in range(2))
    first.keep(after(STRIDE, ShapeMismatch))
    found = ValueMismatch(parse(ONES), second.engine, "output is wrong")
    found.sequence = CaseSequence((parse(ONES), parse(ONES)))
    assert settled(second, in_order, found).fault == ("ShapeMismatch", f"{ONES}; {STRIDE}")


def test_another_kind_at_larger_cases_is_named_with_the_fault() -> None:
    larger = [record(LARGE, ShapeMismatch, settled=True), record(STRIDE, ShapeMismatch)]
    first = record("conv1d((0, 1, 1), (1, 1, 1))", ShapeMismatch, settled=True)
    faults = merged(SMALLEST, first, first, *larger)
    (_, shown) = shown_by(faults.ranked()[1])
    assert shown == ("also", "shows as ShapeMismatch in 1 case that this one simplifies")


def test_a_relation_is_named_with_its_fault() -> None:
    by_relation = record(LARGE, RelationBroken, fault=["ValueMismatch", TAPS])
    (fault,) = merged(SMALLEST, {**by_relation}).ranked()
    assert shown_by(fault)[-1] == ("also", "breaks 1 metamorphic relation: equal")


def test_the_failing_file_has_the_faults_first_and_then_all_lines() -> None:
    faults = merged(SMALLEST, record(STRIDE, ShapeMismatch, settled=True, origin=STRIDE))
    text = failing_file(faults.ranked(), 2, "my.py", "failing.txt")
    assert text.splitlines() == [
        "# 2 faults in 2 failing tests; again with: pytest --engine=my.py --case failing.txt",
        "# the smallest case of each fault, most telling first",
        *(f"{TAPS}  # ValueMismatch", f"{STRIDE}  # ShapeMismatch"),
        *("# all others that failed", f"{LARGE}  # ValueMismatch"),
    ]


def test_a_line_that_failed_only_after_other_calls_is_a_comment_of_the_failing_file() -> None:
    faults = merged(after(TAPS), record(LARGE, depends=True))
    assert failing_file(faults.ranked(), 2, "engine", "failing.txt").splitlines() == [
        "# 1 fault in 2 failing tests; again with: pytest --case failing.txt",
        "# the smallest case of each fault, most telling first",
        f"{ONES}; {TAPS}  # ValueMismatch",
        *("# these failed only after other calls", f"# {LARGE}  # ValueMismatch"),
    ]


def test_a_line_that_fails_alone_too_is_no_comment_of_the_failing_file() -> None:
    alone = record(LARGE, ShapeMismatch, settled=True)
    faults = merged(after(TAPS), record(LARGE, depends=True), alone).ranked()
    assert f"\n{LARGE}  # ShapeMismatch\n" in failing_file(faults, 3, "engine", "failing.txt")


def test_a_green_run_has_an_empty_failing_file() -> None:
    assert failing_file([], 0, "engine", "failing.txt") == ""


def test_a_line_is_listed_once_with_the_kind_of_its_fault() -> None:
    assert lines_of(merged(SMALLEST, SMALLEST).ranked()) == {
        TAPS: "ValueMismatch",
        LARGE: "ValueMismatch",
    }


def test_the_summary_of_a_step_is_a_table_and_the_commands() -> None:
    faults = merged(SMALLEST)
    text = step_summary(faults.ranked(), 1)
    assert text.startswith("### 1 fault in 1 failing test\n\n| kind | smallest case | tests |\n")
    assert f"| ValueMismatch | `{TAPS}` | 1 |" in text
    assert f'pytest --engine=planted --case "{TAPS}"' in text


def test_a_block_is_short_and_narrow() -> None:
    found = settled_in(session_of(flipped), LARGE)
    lines = block(described(found))
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
