"""The side of a run that starts workers, gathers what they saw, and prints."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from ..cases.line import parse_source
from ..cases.sequence import CaseSequence, cases_of
from ..comparison.mismatch import EngineCrash, Mismatch
from ..statistics.claims import claims
from ..statistics.features import table
from ..triage.crashlog import FOUND, kept, lines
from ..triage.faults import Fault, Faults, as_json, lines_of
from ..triage.pattern import ALL, NONE, SOME
from ..triage.replay import Replayed, told
from ..triage.summaries import (
    by_function,
    counted_only,
    failing_file,
    listed,
    one_line,
    other_tests,
    shortly,
    shown_by,
    step_summary,
)
from ..triage.triage import Key
from .for_all import SHARDS
from .report import block, described, summary, versions
from .session import Session

PICTURE = (ALL, SOME, NONE, " ")  # the characters of a line of one
BLOCKS = 3  # faults that are printed whole, unless the run is verbose
SHORTLY = 3  # faults after these of which some lines are printed; the rest is counted
PACKAGE = Path(__file__).parents[1]
DOTS = 10  # tests that pass for each dot
OTHERS = 3  # failing tests of another kind that are all printed whole


def show(report: Any, found: list[Mismatch]) -> None:
    """Let `report` say what was found, and nothing else."""
    report.convolutions = [described(mismatch) for mismatch in found]
    report.longrepr = "\n".join(map(one_line, report.convolutions))
    report.sections.clear()


def _write_coloured(terminalreporter: Any, line: str) -> None:
    """A line of a picture: what differs stands out on a terminal."""
    for mark, same in groupby(line):
        terminalreporter.write("".join(same), red=mark == ALL, yellow=mark == SOME)
    terminalreporter.write("\n")


def parted(
    ranked: list[Fault], shown: Key | None, *, verbose: bool
) -> tuple[list[Fault], list[Fault], list[Fault]]:
    """The faults that are printed whole, in some lines, and only counted, `shown` above already."""
    settled = [fault for fault in ranked if fault.line and (fault.kind, fault.line) != shown]
    whole = settled[: None if verbose else BLOCKS - (shown is not None)]
    others = [fault for fault in ranked if not any(fault is one for one in whole)]
    others.sort(key=lambda fault: (fault.kind, fault.line) != shown)
    most = len(others) if verbose else SHORTLY
    return whole, others[:most], others[most:]


class Reporter:
    """A plugin of the process that prints: with xdist the one that has no tests of its own."""

    def __init__(self, config: pytest.Config, session: Session, folder: Path) -> None:
        self.config = config
        self.session = session
        self.faults = Faults()
        self.shown: Key | None = None  # the fault whose block was printed at once
        self.replayed: dict[str, Replayed] = {}  # by the line of its case
        self.passed = 0  # tests of this package
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
            source = parse_source(recent[-1])
            case = cases_of(source)[-1]
            headline = "the process died in this call, or after it"
            found = EngineCrash(case, self.session.engine, headline)
            found.sequence = source if isinstance(source, CaseSequence) else None
            show(report, [found])

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
        """Take a failure to its fault; the first fault is printed at once."""
        for found in getattr(report, "convolutions", ()):
            self.faults.add(report.nodeid, found)
        if line := getattr(report, "case", ""):
            self.replayed.setdefault(line, Replayed()).add(report)
        self._show_first()

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """One dot for ten tests of this package that pass: they are thousands, and hide others."""
        path = Path(os.path.normpath(self.config.rootpath / report.location[0]))
        if not (report.passed and report.when == "call" and path.is_relative_to(PACKAGE)):
            return None
        self.passed += 1
        return "passed", "." if self.passed % DOTS == 0 else "", "PASSED"

    def _show_first(self) -> None:
        """The block of the fault that was found first, by any process, as soon as it is known."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if self.shown is not None or reporter is None:
            return
        for found in self._kept():
            if found["settled"]:
                fault = self.faults.describe(found)
                self.shown = fault.kind, fault.line
                reporter.write_line("")  # ends a line of dots
                self._write_block(reporter, fault)
                return

    def _kept(self) -> list[dict[str, Any]]:
        return kept(self.folder / FOUND)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self.run = session
        green = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if self.session.options.asked and green and not self._told()[1]:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        green = exitstatus == pytest.ExitCode.OK
        if green and (self.session.compared_nothing or self._never_drawn()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _told(self) -> tuple[list[str], bool]:
        """What became of the cases that were asked about."""
        return told(self.session.options.asked, self.replayed)

    def _never_drawn(self) -> list[str]:
        """Pairs of features that a whole run of the ci profile should have drawn and has not."""
        if not self.session.engine.strict:
            return []
        return self.session.never_drawn(settings.get_profile("ci").max_examples * SHARDS * 3 // 2)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> Iterator[None]:
        """Print without the reports whose failures are faults: these are listed once, below.

        So are tests of another kind, if they are many.
        """
        failed = terminalreporter.stats.get("failed", [])
        others = [report for report in failed if not hasattr(report, "convolutions")]
        whole = self._printed(others)
        beside = [report for report in others if not any(report is one for one in whole)]
        if failed:
            terminalreporter.stats["failed"] = whole
        try:
            yield
        finally:
            if failed:
                terminalreporter.stats["failed"] = failed
        self._summarize(terminalreporter, green=exitstatus == pytest.ExitCode.OK)
        for line in other_tests(beside):
            terminalreporter.write_line(line)

    def _printed(self, others: list[Any]) -> list[Any]:
        """Which of these reports are printed whole: of many, most show the same mistake."""
        if len(others) <= OTHERS or self.config.get_verbosity() > 0:
            return others
        return [] if self.faults else [reports[0] for reports in by_function(others).values()]

    def _summarize(self, terminalreporter: Any, *, green: bool) -> None:
        is_complete = bool(self.faults)  # else the run was broken off before tests had reported
        for found in self._kept():
            if found["settled"]:
                self.faults.describe(found)
            elif not is_complete:
                self.faults.add("", {**found, "fault": None})
        if not (self.session.asked or self.faults or self.session.options.asked):
            return
        ranked = self.faults.ranked()
        while self.shown in self.faults.given:
            self.shown = self.faults.given[self.shown]
        if green or not ranked or self.config.get_verbosity() > 0:
            terminalreporter.section("convolutions checked against the reference")
            for line in summary(self.session.statistics):
                terminalreporter.write_line(line)
        self._write_claims(terminalreporter, green=green)
        self._write_faults(terminalreporter, ranked)
        for line in self._told()[0] if self.session.options.asked else ():
            terminalreporter.write_line(line)
        self._write_files(ranked)

    def _write_faults(self, terminalreporter: Any, ranked: list[Fault]) -> None:
        if not ranked:
            return
        n = self.faults.tests
        terminalreporter.section(listed(ranked, n))
        verbose = self.config.get_verbosity() > 0
        whole, short, rest = parted(ranked, self.shown, verbose=verbose)
        for fault in whole:
            self._write_block(terminalreporter, fault)
        for fault in short:
            above = (fault.kind, fault.line) == self.shown
            for line in shortly(fault, above=above):
                terminalreporter.write_line(line)
        for line in counted_only(rest):
            terminalreporter.write_line(line)
        if verbose:
            for place, fault in enumerate(ranked, 1):
                for test in fault.tests:
                    terminalreporter.write_line(f"fault {place} ({fault.kind}): {test}")

    def _write_block(self, terminalreporter: Any, fault: Fault) -> None:
        for line in block(fault.found, *shown_by(fault)):
            if {*line} <= {*PICTURE}:
                _write_coloured(terminalreporter, line)
            else:
                terminalreporter.write_line(line)

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
        if green and (lines := [*claims(statistics, self.session.options.features)]):
            terminalreporter.section("what this run proves")
            for line in lines:
                write(line)
        for pair in self._never_drawn():
            write(f"never drawn: {pair}: this run fails", red=True)

    def _write_files(self, ranked: list[Fault]) -> None:
        if path := self.config.getoption("--report"):
            Path(path).write_text(json.dumps(self._as_json(ranked), indent=1) + "\n")
        if path := self.config.getoption("--failing"):
            text = failing_file(ranked, self.faults.tests, self.session.engine.spec, path)
            Path(path).write_text(text, encoding="utf-8")
        if ranked and (path := os.environ.get("GITHUB_STEP_SUMMARY")):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(step_summary(ranked, self.faults.tests))

    def _as_json(self, ranked: list[Fault]) -> dict[str, Any]:
        return {
            "engine": self.session.engine.spec,
            "versions": versions(),
            "profile": settings.get_current_profile_name(),
            "seed": self.session.options.seed,
            "accuracy": dict(self.session.engine.accuracy),
            **self.session.scope,
            "exitstatus": int(self.run.exitstatus),
            **self.session.statistics.dump(),
            "faults": [as_json(fault) for fault in ranked],
            "failing": [*lines_of(ranked)],
        }
