"""Tests run in a child of the pytest process, so that nothing an engine does ends the run.

One child runs test after test, and sends each one's reports and what it counted. When it dies, or
is silent too long, another takes its place and runs the same test again, carefully: each case is
judged in a process of its own, so that the failure has its case and is shrunk like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from ..comparison.engine import IMPATIENCE
from ..comparison.mismatch import Mismatch
from ..statistics.statistics import Statistics
from ..triage.crashlog import CrashLog
from .confirmation import called
from .earlier_calls import after_others
from .isolation import CAN_FORK, Channel, Child, Death, Isolation, Judge, Sparing, here, settle_in
from .report import described
from .reporter import show
from .session import Predicate, Result, Session, Source, by_oracle, in_order

Reports = list[Any]
COMMON: dict[str, Predicate] = {p.__name__: p for p in (in_order, by_oracle)}  # of no one test


def isolates(config: pytest.Config) -> bool:
    """Whether tests run in a child: a debugger, and what measures coverage, want them here."""
    debugged = config.getoption("usepdb") or config.getoption("trace")
    return CAN_FORK and not debugged and not config.pluginmanager.hasplugin("_cov")


class IsolatedRun:
    """A plugin of each process that has tests to run."""

    def __init__(self, config: pytest.Config, session: Session) -> None:
        self._config, self._session = config, session
        self._isolation = Isolation(session)
        self._child: Child | None = None
        self._items: list[pytest.Item] = []
        self._collected: Reports | None = None  # in the child, the reports of the present test

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Any:
        if item.get_closest_marker("selftest"):
            return None  # they judge the harness, and start processes of their own
        if self._collected is not None:
            self._collected += runtestprotocol(item, log=False, nextitem=nextitem)
            return True
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item, nextitem):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._end()

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child.crashlog.close()
            self._child = None

    def _reports(self, item: pytest.Item, nextitem: pytest.Item | None) -> Reports:
        """What a child says of `item`, or that it died."""
        try:
            reports = self._asked(item, nextitem, careful=False)
            return self._again(item, nextitem, reports) if isinstance(reports, Death) else reports
        except BaseException:  # a person's Ctrl-C
            self._end()
            raise

    def _again(self, item: pytest.Item, nextitem: pytest.Item | None, death: Death) -> Reports:
        """The reports of a test at which a child died."""
        reports = self._known(item, death) or self._carefully(item, nextitem, death)
        if death.hung:
            self._session.engine.patience = IMPATIENCE  # of the children to come
        return reports

    def _carefully(self, item: pytest.Item, nextitem: pytest.Item | None, death: Death) -> Reports:
        """What a careful child says of the test; the death, if it passes."""
        again: Reports | Death = death
        of_both = holds_against_baseline(item)
        if predicate_of(item) and (of_both or not death.alone or self._excuses(death)):
            self._isolation.warm_up()
            again = self._asked(item, nextitem, careful=True)
        if isinstance(again, Death):
            return self._of_death(item, death)
        passed = not any(report.failed for report in again)
        if passed and not (of_both or self._excuses(death)):
            return self._of_death(item, death)
        return again

    def _known(self, item: pytest.Item, death: Death) -> Reports:
        """The report of a death by a fault that is known, which simplifies the last call."""
        found = death.mismatch(self._session.engine) if predicate_of(item) else None
        asked = self._session.options.cases or holds_against_baseline(item)
        if found is None or asked or self._session.excused(found):
            return []
        last = copy(found)
        last.case = called(found) or found.case
        found.fault = self._session.triage.death(last)
        return self._failed(item, death, found) if found.fault else []

    def _excuses(self, death: Death) -> bool:
        """Whether it is known that the engine ends its process at this case."""
        found = death.mismatch(self._session.engine)
        return found is not None and self._session.excused(found) is not None

    def _asked(
        self, item: pytest.Item, nextitem: pytest.Item | None, *, careful: bool
    ) -> Reports | Death:
        items = self._items = item.session.items
        if self._child is None:
            self._child = Child(self._serve, CrashLog(self._session.found))
        following = items.index(nextitem) if nextitem else None
        self._child.send((items.index(item), following, careful))
        while True:
            message = self._child.receive()
            if isinstance(message, Death):
                self._end()
                return message
            kind, *content = message
            if kind == "done":
                return self._taken(*content)
            self._child.send(self._judged_alone(item, *content))

    def _judged_alone(self, item: pytest.Item, common: str, source: Source) -> Result:
        predicate = COMMON.get(common) or predicate_of(item)
        return self._isolation(predicate, source) if predicate else None

    def _taken(
        self, reports: Sequence[Any], counted: dict[str, Any], asked: bool, left: float
    ) -> Reports:
        """Add what a child counted, and read its reports."""
        self._session.triage.left = left
        self._session.statistics.merge(counted)
        self._session.asked |= asked
        read = self._config.hook.pytest_report_from_serializable
        return [read(config=self._config, data=report) for report in reports]

    def _of_death(self, item: pytest.Item, death: Death) -> Reports:
        """The report of a death that no careful run explains."""
        found = death.mismatch(self._session.engine) if predicate_of(item) else None
        if found:
            if not death.alone:
                before = found.recent[:-1]
                found = after_others(self._isolation, found, self._session.draws, before)
            asked = bool(self._session.options.cases)  # about exactly this
            found.settled = asked or (found.depends and not found.once)
            if found.settled and not asked:
                self._session.triage.add(found)
                self._session.keep(described(found))
        return self._failed(item, death, found)

    def _failed(self, item: pytest.Item, death: Death, found: Mismatch | None) -> Reports:
        self._session.asked |= predicate_of(item) is not None
        text = death.how.replace("this call", "this test")
        report = pytest.TestReport(item.nodeid, item.location, {}, "failed", text, "call")
        if found:
            show(report, [found])
        return [report]

    def _serve(self, channel: Channel) -> None:
        """In the child: run each test that is asked for."""
        settle_in(self._session, channel)
        self._leave_the_network()
        while True:
            at, following, careful = channel.receive()
            nextitem = None if following is None else self._items[following]
            channel.send(self._run(channel, self._items[at], nextitem, careful))

    def _leave_the_network(self) -> None:
        """In the child: xdist's connection belongs to the parent."""
        manager = self._config.pluginmanager
        for plugin in manager.get_plugins():
            if type(plugin).__name__ == "WorkerInteractor":
                manager.unregister(plugin)

    def _run(
        self, channel: Channel, item: pytest.Item, nextitem: pytest.Item | None, careful: bool
    ) -> tuple[Any, ...]:
        session = self._session
        session.statistics = Statistics(rounded=session.statistics.rounded)
        session.alone = Isolation(session) if careful else _Remote(channel)
        judge = Judge(session)
        session.elsewhere = Sparing(judge if careful else here(session))
        self._collected = []
        try:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        finally:
            judge.close()
        write = self._config.hook.pytest_report_to_serializable
        reports = [write(config=self._config, report=r) for r in self._collected]
        return "done", reports, session.statistics.whole(), session.asked, session.triage.left


class _Remote:
    """The isolation of the parent, as its child asks for it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __call__(self, predicate: Predicate, source: Source) -> Result:
        self._channel.send(("alone", predicate.__name__, source))
        return self._channel.receive()  # type: ignore[no-any-return]


def predicate_of(item: pytest.Item) -> Predicate | None:
    """The predicate of which `item` is a test, if it is one."""
    found = getattr(getattr(item, "function", None), "property", None)
    return found and found.predicate


def holds_against_baseline(item: pytest.Item) -> bool:
    """Whether a death may be the baseline's, which is no failure of the test."""
    found = getattr(getattr(item, "function", None), "property", None)
    return found is not None and bool(found.of_baseline)
