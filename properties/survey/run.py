"""The run of a survey: an item of pytest for each op, and the table at the end."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from ..cases.operation import OPS
from ..session.isolation import CAN_FORK
from ..session.session import Session
from .judging import SECONDS, Answer, Finding, Surveyor
from .table import WRITERS, Table, on_terminal

UNUSED = (  # with a survey, these would say nothing
    *("--case", "--budget", "--examples", "--data", "--layouts", "--known", "--write-known"),
    *("--baseline", "--report", "--failing"),
)


def is_asked_for(config: pytest.Config) -> bool:
    """Whether a run is a survey; options that it can't use are a `pytest.UsageError`."""
    files = config.getoption("--survey-file")
    if not (config.getoption("--survey") or files):
        return False
    for option in UNUSED:
        if config.getoption(option):
            raise pytest.UsageError(f"--survey: expected no {option}, which a survey does not use")
    for file in files:
        if Path(file).suffix not in WRITERS:
            raise pytest.UsageError(f"--survey-file: expected FILE.md or FILE.json, got {file!r}")
    return True


class OpItem(pytest.Item):
    """The survey of one op; it always passes."""

    def runtest(self) -> None:
        plugin: Any = self.config.pluginmanager.get_plugin(NAME)
        self.user_properties.append((NAME, plugin.findings(self.name)))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.config.rootpath, None, f"survey of {self.name}"


NAME = "convolution-survey"


def busy() -> float:
    """How many processes share a processor: so many times longer does a survey take."""
    processors = os.cpu_count() or 1
    return max(1.0, os.getloadavg()[0] / processors) if CAN_FORK else 1.0


class Survey:
    """A plugin of every process of the run."""

    def __init__(self, config: pytest.Config, session: Session) -> None:
        self._config, self._session = config, session
        self._found: list[Finding] = []
        self._start = 0.0
        self._surveyed = 0

    def pytest_ignore_collect(self) -> bool:
        """No test is run, so none is imported."""
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        items[:] = [OpItem.from_parent(session, name=op) for op in self._session.options.ops]

    def findings(self, op: str) -> list[dict[str, Any]]:
        """What is found of one op, fit to be sent."""
        found = Surveyor(self._session, self._seconds()).survey(OPS[op])
        return [{**vars(f), "answer": f.answer.value} for f in found]

    def _seconds(self) -> float:
        """The time for one more op: its share, and what those before it left of theirs."""
        self._start = self._start or time.monotonic()
        self._surveyed += 1
        options = self._session.options
        share = SECONDS * busy() * options.workers / len(options.ops)
        return self._surveyed * share - (time.monotonic() - self._start)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call":
            found = dict(report.user_properties).get(NAME, [])
            self._found += [Finding(**{**f, "answer": Answer(f["answer"])}) for f in found]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self._found:  # the run was stopped before the first op
            return
        engine = self._session.engine.spec
        terminalreporter.section(f"what {engine} can do")
        for line in on_terminal(Table(self._found), engine):
            terminalreporter.write_line(line)
        for file in self._config.getoption("--survey-file"):
            write = WRITERS[Path(file).suffix]
            Path(file).write_text(write(self._found, engine), encoding="utf-8")
