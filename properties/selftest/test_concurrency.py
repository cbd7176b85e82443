"""Calls from two threads at once: what the threads share shows, and nothing else does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import engine
from properties.cases.line import CaseError, parse_source
from properties.cases.sequence import CaseSequence
from properties.comparison.engine import Engine
from properties.comparison.mismatch import (
    EngineHang,
    GlobalStateChanged,
    Status,
    ValueMismatch,
)
from properties.generation.sequences import at_once
from properties.session.options import Options
from properties.session.report import block, described, replay
from properties.session.session import Session

PAIR = "conv1d((1, 1, 2), (1, 1, 1)) || conv1d((1, 1, 2), (1, 1, 1), data='integers:0')"
REJECTED = "conv1d((1, 1, 2), (1, 1, 1)) || conv1d((1, 1, 2), (1, 1, 1), stride=0, blame='stride')"


def parsed(line: str) -> CaseSequence:
    source = parse_source(line)
    assert isinstance(source, CaseSequence)
    return source


def judged(conv1d: Callable[..., Any], line: str = PAIR) -> Status:
    """The verdict on an engine of this one function."""
    namespace = Engine("planted", SimpleNamespace(conv1d=conv1d))
    return Session(namespace, Options(namespace.ops)).in_order(parsed(line)).status


def right(*given: Any, **named: Any) -> Any:
    return engine.conv1d(*given, **named)


def test_bars_stand_between_cases_that_run_at_once() -> None:
    assert parsed(PAIR).at_once
    assert str(parsed(PAIR)) == PAIR
    assert not parsed(PAIR.replace(" ||", ";")).at_once


def test_a_line_has_one_kind_of_separator() -> None:
    with pytest.raises(CaseError, match="not both"):
        parse_source(f"{PAIR}; conv1d((1, 1, 1), (1, 1, 1))")


@pytest.mark.parametrize("line", [PAIR, REJECTED])
def test_an_engine_that_keeps_nothing_agrees(line: str) -> None:
    assert judged(right, line) is Status.AGREED


def test_our_engine_agrees_on_what_is_drawn() -> None:
    own = Session(Engine("engine", engine, strict=True), Options())
    statuses = [own.in_order(pair).status for pair in islice(at_once(0), 60)]
    assert {*statuses} <= {Status.AGREED, Status.REJECTED}


def with_a_shared_buffer() -> Callable[..., Any]:
    buffers: dict[Any, Any] = {}

    def conv1d(*given: Any, **named: Any) -> Any:
        y = right(*given, **named)
        buffer = buffers.setdefault((y.shape, y.dtype), np.empty_like(y))
        buffer[...] = y
        return buffer.copy()

    return conv1d


@pytest.mark.parametrize("attempt", range(5))
def test_a_buffer_that_threads_share_shows_every_time(attempt: int) -> None:
    with pytest.raises(ValueMismatch) as found:
        judged(with_a_shared_buffer())
    assert found.value.headline.endswith(", at once with another call")


def test_the_block_and_the_command_name_both_calls() -> None:
    with pytest.raises(ValueMismatch) as found:
        judged(with_a_shared_buffer())
    text = "\n".join(block(described(found.value)))
    assert "at once" in text
    assert "2. conv1d((1, 1, 2), (1, 1, 1), data='integers:0')" in text
    assert replay("engine", found.value.source) == f'pytest --case "{PAIR}"'


def test_threads_may_wait_for_one_another() -> None:
    lock = threading.Lock()
    buffered = with_a_shared_buffer()

    def conv1d(*given: Any, **named: Any) -> Any:
        with lock:
            return buffered(*given, **named)

    assert judged(conv1d) is Status.AGREED


def endless_in_threads(*given: Any, **named: Any) -> Any:
    while threading.current_thread() is not threading.main_thread():
        pass
    return right(*given, **named)


def test_what_never_returns_is_stopped() -> None:
    hanging = Engine("hanging", SimpleNamespace(conv1d=endless_in_threads))
    hanging.patience = 0.1
    with pytest.raises(EngineHang):
        Session(hanging, Options(hanging.ops)).in_order(parsed(PAIR))
    busy = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - busy < 0.1


def changing_in_threads(*given: Any, **named: Any) -> Any:
    if threading.current_thread() is not threading.main_thread():
        os.environ["CONVOLUTION"] = "1"
    return right(*given, **named)


def test_what_only_threads_leave_changed_is_named() -> None:
    with pytest.raises(GlobalStateChanged, match="the environment variables"):
        judged(changing_in_threads)


class Remembering(engine.Conv1d):
    """A layer that computes from what it has just been given, kept in itself."""

    def __call__(self, input: Any) -> Any:
        self.seen = np.array(input)
        right(self.seen, self.weight)  # takes its time
        return super().__call__(self.seen)


def judged_layer(line: str) -> Status:
    layers = Engine("remembering", SimpleNamespace(Conv1d=Remembering))
    return Session(layers, Options(layers.ops)).in_order(parsed(line)).status


def test_layers_of_the_same_values_are_one_layer() -> None:
    with pytest.raises(ValueMismatch):
        judged_layer("Conv1d((1, 1, 2), (1, 1, 1)) || Conv1d((1, 1, 2), (1, 1, 1), data='ramp')")


def test_layers_of_other_values_are_two_layers() -> None:
    line = "Conv1d((1, 1, 2), (1, 1, 2)) || Conv1d((1, 1, 2), (1, 1, 2), data='ramp')"
    assert judged_layer(line) is Status.AGREED
