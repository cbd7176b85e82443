"""Known shortcomings in a run: what is written, counted, and no longer needed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..cases.case import Case
from ..cases.partial import ANY
from ..comparison.deviations import Excuse
from ..comparison.mismatch import EngineHang, Failure, Verdict
from ..shrinking import smallest
from ..statistics.known import in_the_words_of, learnt, needed
from .isolation import CAN_FORK, Isolation, Judge
from .options import Options
from .session import Session

TIME = 30.0  # seconds in which the examples that are written are shrunk
HEADER = """\
# Known shortcomings of {engine}, written by --write-known: KIND: CALLS | EXAMPLE  # REASON
# Give this file to --known. A line that excuses nothing any more fails a whole run: strike it.
"""


class KnownShortcomings:
    """A plugin of the process that prints."""

    def __init__(self, config: pytest.Config, session: Session) -> None:
        self._config, self._session = config, session
        self._stale: list[Excuse] = []

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a whole run in which a line excused nothing."""
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if ended and self._session.asked and not session.shouldfail and is_whole(self._config):
            self._stale = [*self._unused()]
        if self._stale and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _unused(self) -> Iterator[Excuse]:
        """The lines that had their chance, and excused nothing."""
        for excuse in self._session.options.known.unused(self._session.statistics.known):
            if had_its_chance(excuse, self._session):
                yield excuse

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        write = terminalreporter.write_line
        for excuse in self._stale:
            write(f"--known: no call fails like this any more; strike the line: {excuse}", red=True)
        if (path := self._config.getoption("--write-known")) and self._session.asked:
            write(self._written(Path(path)))

    def _with_small_examples(self, lines: list[Excuse], failures: list[Failure]) -> list[Excuse]:
        """Shrink the examples, each in another process, as long as there is time.

        What is left of an example is what its failure needs: the line says that, if it can.
        """
        if not CAN_FORK:
            return lines
        Isolation(self._session).warm_up()  # which loads torch: not a part of the time
        until = time.monotonic() + TIME
        judge, found = Judge(self._session), [*lines]
        for at, excuse in enumerate(lines):
            others = [line for i, line in enumerate(found) if i != at]
            if isinstance(excuse.source, Case):
                small = _smallest(excuse, others, excuse.source, judge, until)
                found[at] = in_the_words_of(small, excuse, failures, others)
        judge.close()
        return needed(found, failures)

    def _written(self, path: Path) -> str:
        """Write the file, and say what is in it."""
        statistics, options = self._session.statistics, self._session.options
        failures = [*statistics.failures.values()]
        lines = self._with_small_examples(learnt(failures, statistics.passes), failures)
        kept = [excuse for excuse in options.known.excuses if excuse not in self._stale]
        text = "".join(f"{excuse.line}\n" for excuse in (*kept, *lines))
        engine = self._session.engine.spec
        path.write_text(HEADER.format(engine=engine) + text, encoding="utf-8")
        count = sum(row.known for row in statistics.rows.values())
        return f"{path}: {len(kept) + len(lines)} known shortcomings, of {count:,} calls that fail"


def _smallest(
    excuse: Excuse, others: list[Excuse], example: Case, judge: Judge, until: float
) -> Case:
    """The simplest case that fails as the example does, and that no other line covers."""

    def fails(case: Case) -> bool:
        alike = [other for other in others if other.kind == excuse.kind]
        if time.monotonic() > until or any(other.covers(case) for other in alike):
            return False
        verdict = judge(equals, case)
        failures = verdict.failures if isinstance(verdict, Verdict) else ()
        return any(failure.kind == excuse.kind for failure in failures)

    return smallest(example, fails)


def equals(case: Case, session: Session) -> Verdict:
    return session.against_oracle(case)


def is_whole(config: pytest.Config) -> bool:
    """Whether the run was asked for all properties, and for no single case."""
    options = config.option
    narrowed = (options.keyword, options.markexpr, options.case, options.budget, options.shard)
    again = getattr(options, "lf", False)
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    here = Path(__file__).parents[1]
    parts = [a for a in config.args if named and Path(a.partition("::")[0]).resolve() != here]
    return not any((*narrowed, again, *parts))


def had_its_chance(excuse: Excuse, session: Session) -> bool:
    """Whether a whole run calls what the line covers: its example, or its op without narrowing."""
    if excuse.source is not None:
        return session.draws(excuse.source)
    if excuse.kind == EngineHang.__name__:
        return False  # such calls are not made, so nothing shows that it is mended
    options = session.options
    everything = Options(options.ops)
    same = (options.dtypes, options.narrowing) == (everything.dtypes, everything.narrowing)
    return same and excuse.partial.op in (ANY, *options.ops)
