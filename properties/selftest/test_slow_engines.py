"""A slow engine is noticed, gets the time that it needs, and what it is spared is counted."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

import engine
from properties.cases.data import arrays
from properties.cases.files import CORPUS, read_cases
from properties.cases.line import parse
from properties.comparison.engine import IMPATIENCE, Engine
from properties.comparison.mismatch import Mismatch, Verdict
from properties.comparison.pace import Pace, size
from properties.session.measuring import measure
from properties.session.options import Options
from properties.session.session import Session
from properties.statistics.quota import EACH, Quota, expected, is_slow, leaves_out, left_out
from properties.statistics.statistics import Statistics

from .gallery import loops
from .test_plugin import run

SLOW, FAST = Pace(2e-6, 4e-6), Pace(1e-9, 1e-9)
LAYER = parse("conv2d((1, 64, 56, 56), (64, 64, 3, 3), padding=1)")
SMALL = parse("conv2d((1, 2, 5, 5), (3, 2, 3, 3), bias=(3,), stride=2, data='integers:1')")
LARGE = parse("conv2d((1, 8, 16, 16), (8, 8, 3, 3), padding=1, data='integers:1')")


def at_pace(pace: Pace, namespace: Any = engine) -> Engine:
    judged = Engine("paced", namespace)
    judged.paces = dict.fromkeys(judged.ops, pace)
    return judged


@pytest.mark.parametrize(
    ("line", "elements", "products"),
    [
        ("conv1d((1, 2, 5), (3, 2, 2))", 10 + 12, 12 * 4),
        ("conv2d((4, 5, 5), (6, 2, 1, 1), groups=2)", 100 + 150, 150 * 2),
        ("conv_transpose1d((1, 2, 5), (2, 3, 2), stride=2)", 10 + 30, 10 * 6),
        ("unfold((1, 1, 3, 3), 2)", 9 + 16, 0),
        ("conv1d((1, 2, 5), (3, 2, 2), stride=0, blame='stride')", 0, 0),
    ],
)
def test_the_size_of_a_call_is_what_loops_would_visit(
    line: str, elements: int, products: int
) -> None:
    assert size(parse(line)) == (elements, products)


def test_loops_of_python_are_measured_as_slow_and_numpy_as_fast() -> None:
    slow, fast = (Session(judged, Options(judged.ops)) for judged in engines())
    measure(slow)
    measure(fast)
    assert (is_slow(slow.engine), is_slow(fast.engine)) == (True, False)
    assert 1e-7 < slow.engine.paces["conv2d"].per_product < 1e-3


def engines() -> tuple[Engine, Engine]:
    return Engine("loops", loops), Engine("engine", engine)


def test_an_engine_that_dies_when_it_is_measured_has_no_pace() -> None:
    judged = Engine("dies", SimpleNamespace(conv1d=lambda *_, **__: exec("import os; os._exit(3)")))
    measure(Session(judged, Options(judged.ops)))
    assert judged.paces == {}


def waits(*given: Any, **named: Any) -> None:
    time.sleep(600)


def test_measuring_an_engine_that_hangs_ends_soon() -> None:
    judged = Engine("waits", SimpleNamespace(conv3d=waits))
    judged.patience = 0.1
    start = time.monotonic()
    measure(Session(judged, Options(judged.ops)))
    assert time.monotonic() - start < 20
    assert judged.paces["conv3d"] == Pace()


def test_a_call_is_given_no_thousand_times_what_the_pace_says() -> None:
    judged, operands = at_pace(FAST), arrays(LAYER).operands
    usual = FAST.seconds(LAYER)
    assert Engine("unknown", engine)._time(LAYER, operands) > 1e4
    assert judged._time(LAYER, operands) == pytest.approx(1 + 1000 * usual)
    judged.patience = IMPATIENCE
    assert judged._time(LAYER, operands) == pytest.approx(0.1 + 100 * usual)


def test_a_fast_engine_is_spared_nothing() -> None:
    judged = at_pace(FAST)
    quota = Quota(judged, Statistics(), asked=1)
    assert all(quota.admits(case) for case in [LARGE] * 100)
    assert not any(leaves_out(judged, case) for case in read_cases(CORPUS))


def test_layers_of_the_corpus_are_left_out_and_small_lines_are_not() -> None:
    judged = at_pace(SLOW)
    assert leaves_out(judged, LAYER)
    assert not leaves_out(judged, SMALL)
    kept = [case for case in read_cases(CORPUS) if not leaves_out(judged, case)]
    assert len(kept) > 500
    assert sum(expected(judged, case) for case in kept) < 60


def test_a_part_of_a_search_ends_when_its_time_is_up() -> None:
    statistics = Statistics()
    quota = Quota(at_pace(SLOW), statistics, asked=100)
    first = quota.admits(SMALL)
    time.sleep(100 * EACH)
    later = quota.admits(SMALL)
    quota.close()
    assert (first, later) == (True, False)
    assert [*left_out(statistics)] == [
        "slow engine: 1 parts of searches ended early: 1 of 100 cases judged in them, some 1 each"
    ]


def test_cases_that_would_take_most_of_the_time_are_left_out_and_counted() -> None:
    statistics = Statistics()
    quota = Quota(at_pace(SLOW), statistics, asked=1000)
    assert not quota.admits(LARGE)
    assert [*left_out(statistics)] == ["slow engine: 1 drawn cases left out as too large"]


def test_what_is_left_out_is_merged_over_workers() -> None:
    here, there = Statistics(), Statistics()
    there.left_out["lines"] = 3
    here.merge(there.dump())
    assert [*left_out(here)] == ["slow engine: 3 corpus tests left out, each would take over 5 s"]


def lagging(seconds: float) -> SimpleNamespace:
    """A right engine that keeps the processor busy before it answers."""

    def conv2d(*given: Any, **named: Any) -> Any:
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass
        return engine.conv2d(*given, **named)

    return SimpleNamespace(conv2d=conv2d)


def judged_at(pace: Pace, seconds: float) -> Verdict:
    judged = at_pace(pace, lagging(seconds))
    judged.patience = 0.1
    return Session(judged, Options(judged.ops)).against_oracle(SMALL)


def test_a_slow_call_is_no_hang_where_the_engine_is_known_to_be_slow() -> None:
    assert judged_at(Pace(per_product=0.1 / size(SMALL)[1]), 0.1)


def test_the_same_call_of_a_fast_engine_is_a_hang() -> None:
    with pytest.raises(Mismatch, match="EngineHang"):
        judged_at(FAST, 0.1)


def test_loops_are_right() -> None:
    session = Session(Engine("loops", loops), Options())
    lines = [SMALL, parse("conv_transpose2d((1, 2, 3, 3), (2, 2, 2, 2), stride=2, data='reals:1')")]
    ratios = [session.against_oracle(case).ratios for case in lines]
    assert [*map(len, ratios)] == [3, 3]


def test_a_run_of_loops_ends_green_and_says_what_it_left_out() -> None:
    start = time.monotonic()
    spec = "--engine=properties.selftest.gallery.loops"
    result = run(spec, "--ops=conv2d", "--examples=100", "-k", "oracle and not axis and not axes")
    assert result.returncode == pytest.ExitCode.OK, result.stdout
    assert "corpus tests left out, each would take over 5 s" in result.stdout
    assert "parts of searches ended early" in result.stdout
    assert time.monotonic() - start < 200
