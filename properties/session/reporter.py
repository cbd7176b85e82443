"""The side of a run that starts workers, gathers what they saw, and prints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from ..cases.line import parse_source
from ..cases.sequence import cases_of
from ..comparison.mismatch import EngineCrash, Mismatch
from .claims import claims
from .crashlog import FOUND, kept, lines
from .features import table
from .for_all import SHARDS
from .report import block, replay, summary, versions
from .session import Session


def show(report: Any, found: list[Mismatch]) -> None:
    """Let `report` say what was found, and nothing else."""
    report.longrepr = "\n\n".join(map(block, found))
    report.sections.clear()
    report.user_properties.append(("convolutions", [[block(m), str(m.source)] for m in found]))


class Reporter:
    """A plugin of the process that prints: with xdist the one that has no tests of its own."""

    def __init__(self, config: pytest.Config, session: Session, folder: Path) -> None:
        self.config = config
        self.session = session
        self.failing: dict[str, str] = {}  # from a failure's block to its case's line
        self.folder = folder  # of this run, for all its processes

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["convolution_seed"] = self.session.options.seed
        node.workerinput["convolution_folder"] = str(self.folder)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any, sched: Any) -> None:
        """Name the case at which a worker died: where there is no fork, it judges itself."""
        path = self.folder / str(report.node.gateway.id)
        if path.is_file() and (recent := lines(path.read_bytes())):
            case = cases_of(parse_source(recent[-1]))[-1]
            headline = "the process died in this call, or after it"
            show(report, [EngineCrash(case, self.session.engine, headline)])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        seen = getattr(node, "workeroutput", {}).get("convolutions")
        if seen:
            self.session.statistics.merge(seen["statistics"])
            self.session.asked |= seen["asked"]

    def pytest_unconfigure(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Show each distinct failure once."""
        failures = dict(report.user_properties).get("convolutions")
        if not failures:
            return
        fresh = [text for text, _ in failures if text not in self.failing]
        for text, line in failures:
            self.failing[text] = line
        report.longrepr = "\n\n".join(fresh) or "the same as above"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self.run = session
        green = exitstatus == pytest.ExitCode.OK
        if green and (self.session.compared_nothing or self._never_drawn()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _never_drawn(self) -> list[str]:
        """Pairs of features that a whole run of the ci profile should have drawn and has not."""
        if not self.session.engine.strict:
            return []
        return self.session.never_drawn(settings.get_profile("ci").max_examples * SHARDS // 2)

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        shown = {k: v for k, v in kept(self.folder / FOUND).items() if k not in self.failing}
        if not (self.session.asked or shown or self.failing):
            return
        terminalreporter.section("convolutions checked against the reference")
        write = terminalreporter.write_line
        for line in (*summary(self.session.statistics), *shown):
            write(line)
        self.failing |= shown
        lines = [*dict.fromkeys(self.failing.values())]
        for line in lines:
            write(replay(self.session.engine.spec, parse_source(line)), red=True)
        self._write_claims(terminalreporter, green=exitstatus == pytest.ExitCode.OK)
        self._write_files(lines)

    def _write_claims(self, terminalreporter: Any, *, green: bool) -> None:
        """What the run proves, or why it fails though no test failed."""
        write: Callable[..., None] = terminalreporter.write_line
        statistics = self.session.statistics
        if self.session.compared_nothing:
            write("nothing was compared: this run fails", red=True)
        if statistics.pairs and self.config.get_verbosity() > 0:
            terminalreporter.section("how often features occurred together")
            for line in table(statistics.pairs):
                write(line)
        if green and (lines := [*claims(statistics)]):
            terminalreporter.section("what this run proves")
            for line in lines:
                write(line)
        for pair in self._never_drawn():
            write(f"never drawn: {pair}: this run fails", red=True)

    def _write_files(self, lines: list[str]) -> None:
        if path := self.config.getoption("--report"):
            Path(path).write_text(json.dumps(self._as_json(lines), indent=1) + "\n")
        if path := self.config.getoption("--failing"):
            Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def _as_json(self, failing: list[str]) -> dict[str, Any]:
        return {
            "engine": self.session.engine.spec,
            "versions": versions(),
            "profile": settings.get_current_profile_name(),
            "seed": self.session.options.seed,
            **self.session.scope,
            "exitstatus": int(self.run.exitstatus),
            **self.session.statistics.dump(),
            "failing": failing,
        }
