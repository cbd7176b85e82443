"""The pytest plugin: options, one thread per worker, profiles, header, replay, summary."""

from __future__ import annotations

import os

# Before NumPy and torch load: workers already use every core.
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_pool] = "1"

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from .case import parse
from .corpus import CORPUS, read_cases
from .court import Court
from .coverage import table
from .harness import Harness
from .holds import PIECES, Property
from .judge import EngineCrash, Mismatch, mismatches
from .ops import OPS
from .proof import proven
from .recorder import dies, last_line
from .report import block, replay, summary, versions
from .smaller import smallest
from .subject import OWN

SELFTEST = Path(__file__).parent / "selftest"
METAMORPHIC = Path(__file__).parent / "test_metamorphic.py"

# Hypothesis' own explanation costs 6-8 times the shrinking on Python 3.11; the block explains.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink)


def _profile(name: str, examples: int, **more: Any) -> None:
    common: dict[str, Any] = {"deadline": None, "phases": PHASES, "print_blob": False}
    settings.register_profile(name, max_examples=examples, **common, **more)


# Examples per shard. `ci` is deterministic, which to Hypothesis also means: no database.
_profile("dev", 1000)
_profile("ci", 5000, derandomize=True, database=None)
_profile("nightly", 100_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("convolutions", "the engine in the dock")
    group.addoption(
        "--engine",
        default=OWN,
        metavar="SPEC",
        help="judge MODULE, MODULE:ATTRIBUTE or FILE.py: any namespace with functions named as "
        "in torch.nn.functional (default: engine)",
    )
    group.addoption(
        "--case",
        action="append",
        default=[],
        metavar="LINE",
        help="run exactly this case (or each line of this file) through every property",
    )
    group.addoption("--ops", metavar="NAMES", help="draw only these ops: conv1d,conv2d,…")
    group.addoption("--dtypes", metavar="NAMES", help="draw only these dtypes: float32,…")
    group.addoption(
        "--examples", type=int, metavar="N", help="cases per shard, instead of the profile's"
    )
    group.addoption(
        "--budget",
        type=float,
        metavar="SECONDS",
        help="spend this wall-clock time, in every worker, on cases from a plain random generator",
    )
    group.addoption("--report", metavar="FILE", help="write the summary as JSON")
    group.addoption("--failing", metavar="FILE", help="write failing lines, fit for --case FILE")


harness_key = pytest.StashKey[Harness]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "selftest: judges the harness, not the engine")
    config.addinivalue_line("markers", "metamorphic: needs no oracle, so no torch")
    if settings.get_current_profile_name() == "default":
        settings.load_profile("dev")
    if examples := config.getoption("--examples"):
        base = settings.get_profile(settings.get_current_profile_name())
        name = settings.get_current_profile_name()
        settings.register_profile(name, base, max_examples=examples)
        settings.load_profile(name)
    if getattr(config.option, "maxschedchunk", 1) is None:
        config.option.maxschedchunk = 1  # shards are few and long: a worker takes one at a time
    harness = config.stash[harness_key] = Harness(config)
    if not harness.subject.own:  # what an outsider warns of is not ours to judge
        config.addinivalue_line("filterwarnings", "ignore")
    if not harness.is_worker and config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(Controller(harness))


class Controller:
    """The side of the run that starts workers and gathers what they saw."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness

    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["convolution_seed"] = self.harness.court.seed
        node.workerinput["convolution_folder"] = str(self.harness.folder)

    def pytest_handlecrashitem(self, crashitem: str, report: Any, sched: Any) -> None:
        """Name the case at which a worker's process died."""
        if line := last_line(self.harness.folder / report.node.gateway.id):
            court, case = self.harness.court, parse(line)
            headline = "the process died after this case, which alone does not end it"
            if dies(lambda: court.against_torch(case)):
                headline = "the process died in this call"
                case = smallest(case, lambda case: dies(lambda: court.against_torch(case)))
            _show(report, [EngineCrash(case, court.subject, headline)])

    def pytest_testnodedown(self, node: Any, error: object) -> None:
        seen = getattr(node, "workeroutput", {}).get("convolutions")
        if seen:
            self.harness.tally.merge(seen["tally"])
            self.harness.court.asked |= seen["asked"]


def pytest_unconfigure(config: pytest.Config) -> None:
    harness = config.stash.get(harness_key, None)
    if harness and not harness.is_worker:
        shutil.rmtree(harness.folder, ignore_errors=True)


def pytest_report_header(config: pytest.Config) -> list[str]:
    harness = config.stash[harness_key]
    subject, profile = harness.subject, settings.get_current_profile_name()
    lines = [
        f"engine: {subject.spec} ({subject.origin}) against {versions()}",
        f"profile: {profile}, {settings().max_examples} cases per shard; "
        f"seed {harness.court.seed} (again with --hypothesis-seed={harness.court.seed})",
    ]
    if missing := [op for op in OPS if op not in subject.ops]:
        lines.append(f"not offered, so not drawn: {', '.join(missing)}")
    return lines


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    statement: Property | None = getattr(metafunc.function, "property", None)
    if statement is None:
        return
    harness = metafunc.config.stash[harness_key]
    cases = harness.cases if statement.takes_lines else []
    if statement.takes_corpus and not harness.cases:
        cases = [case for case in read_cases(CORPUS) if harness.court.draws(case)]
    shards = [] if harness.cases else [*range(statement.shards)]
    if statement.spends_budget and harness.court.budget:
        shards = [*range(PIECES * harness.workers)]
    ids = [*map(str, cases), *(f"shard {i}" for i in shards)]
    metafunc.parametrize("source", [*cases, *shards], ids=ids)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    harness = config.stash[harness_key]
    for item in items:
        if SELFTEST in item.path.parents:
            item.add_marker("selftest")
    kept = [item for item in items if _is_asked_for(harness, item)]
    config.hook.pytest_deselected(items=list({*items} - {*kept}))
    items[:] = sorted(
        kept, key=lambda item: _source(item) is None or isinstance(_source(item), int)
    )


def _source(item: pytest.Item) -> Any:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("source") if callspec else None


def _is_asked_for(harness: Harness, item: pytest.Item) -> bool:
    """With --case only properties run; with another engine only what judges that engine."""
    statement: Property | None = getattr(getattr(item, "function", None), "property", None)
    for_this_engine = harness.subject.own or (statement is not None and not statement.own_only)
    if harness.court.budget:
        return statement is not None and statement.spends_budget
    if statement is None:
        is_selftest = item.get_closest_marker("selftest") is not None
        return is_selftest or (for_this_engine and not harness.cases)
    if statement.spends_budget or (harness.cases and not statement.takes_lines):
        return False
    return for_this_engine


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the harness's own tests out unless they are marked or named.

    What is marked metamorphic stands in one file; others may not even import without torch.
    """
    if config.option.markexpr == "metamorphic" and collection_path.suffix == ".py":
        return None if collection_path == METAMORPHIC else True
    named = config.option.markexpr or any("selftest" in argument for argument in config.args)
    return True if collection_path == SELFTEST and not named else None


@pytest.fixture
def court(request: pytest.FixtureRequest) -> Court:
    """The engine in the dock, before its judges."""
    return request.config.stash[harness_key].court


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show our block in place of a traceback through Hypothesis."""
    report: Any = yield
    if found := mismatches(call.excinfo.value) if call.excinfo else []:
        _show(report, found)
    return report


def _show(report: Any, found: list[Mismatch]) -> None:
    """Let `report` say what was found, and nothing else."""
    report.longrepr = "\n\n".join(map(block, found))
    report.sections.clear()
    report.user_properties.append(("convolutions", [[block(m), str(m.case)] for m in found]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: Any) -> None:
    """On the side that prints: show each distinct failure once."""
    failures = dict(report.user_properties).get("convolutions")
    if not failures or not _printing:
        return
    harness = _printing[-1]
    fresh = [text for text, _ in failures if text not in harness.failing]
    for text, line in failures:
        harness.failing[text] = line
    report.longrepr = "\n\n".join(fresh) or "the same as above"


_printing: list[Harness] = []


def pytest_sessionstart(session: pytest.Session) -> None:
    harness = session.config.stash[harness_key]
    if not harness.is_worker:
        _printing.append(harness)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    harness = session.config.stash[harness_key]
    if harness.is_worker:
        session.config.workeroutput["convolutions"] = {  # type: ignore[attr-defined]
            "tally": harness.tally.dump(),
            "asked": harness.court.asked,
        }
        return
    _printing.remove(harness)
    if exitstatus == pytest.ExitCode.OK and (harness.compared_nothing or harness.never_drawn):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    harness = config.stash[harness_key]
    kept = harness.kept()
    if not (harness.court.asked or kept or harness.failing):
        return
    write = terminalreporter.write_line
    terminalreporter.section("convolutions checked against the reference")
    for line in summary(harness.tally):
        write(line)
    for text in kept:
        write(text)
    harness.failing |= kept
    lines = [*dict.fromkeys(harness.failing.values())]
    for line in lines:
        write(replay(harness.subject.spec, line), red=True)
    _write_proof(terminalreporter, harness, green=exitstatus == pytest.ExitCode.OK)
    if path := config.getoption("--report"):
        Path(path).write_text(json.dumps(_as_json(harness, lines), indent=1) + "\n")
    if path := config.getoption("--failing"):
        Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _write_proof(terminalreporter: Any, harness: Harness, *, green: bool) -> None:
    """What the run proves, or why it fails though nothing failed."""
    write = terminalreporter.write_line
    if harness.compared_nothing:
        write("nothing was compared: this run fails", red=True)
    if harness.tally.pairs and harness.config.get_verbosity() > 0:
        terminalreporter.section("how often features met")
        for line in table(harness.tally.pairs):
            write(line)
    if green and (lines := [*proven(harness.tally)]):
        terminalreporter.section("what this run proves")
        for line in lines:
            write(line)
    for pair in harness.never_drawn:
        write(f"never drawn: {pair}: this run fails", red=True)


def _as_json(harness: Harness, failing: list[str]) -> dict[str, Any]:
    return {
        "engine": harness.subject.spec,
        "versions": versions(),
        "profile": settings.get_current_profile_name(),
        "seed": harness.court.seed,
        **harness.tally.dump(),
        "failing": failing,
    }
