"""The pytest plugin: options, one thread per worker, profiles, header, collection, and failures.

What a process knows of its run is one `Session`; the process that prints has a `Reporter` beside.
"""

from __future__ import annotations

import os
import shutil
import tempfile

# Before NumPy and torch load: workers already use every core.
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_pool] = "1"

from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from .cases.case import Case
from .cases.files import CORPUS, read_cases
from .cases.operation import OPS
from .comparison.loading import OWN, EngineError, load
from .comparison.mismatch import mismatches
from .session.crashlog import FOUND, CrashLog
from .session.for_all import PIECES, Property
from .session.gate import Gate, baseline_of
from .session.isolated_run import IsolatedRun, isolates
from .session.options import Options
from .session.report import versions
from .session.reporter import Reporter, show
from .session.session import Session

pytest_plugins = ["properties.entry"]  # the options, unless the installed package gave them

SELFTEST = Path(__file__).parent / "selftest"
METAMORPHIC = Path(__file__).parent / "test_metamorphic.py"

# Without Hypothesis' shrinking and explanation: `shrinking` reaches simpler cases in less time, and
# a failure's block explains.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)


def _profile(name: str, examples: int, **more: Any) -> None:
    common: dict[str, Any] = {"deadline": None, "phases": PHASES, "print_blob": False}
    settings.register_profile(name, max_examples=examples, **common, **more)


# Examples per shard. `ci` is deterministic, which to Hypothesis also means: no database.
_profile("dev", 1000)
_profile("ci", 2000, derandomize=True, database=None)
_profile("nightly", 100_000)


session_key = pytest.StashKey[Session]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "selftest: judges the harness, not the engine")
    config.addinivalue_line("markers", "metamorphic: needs no oracle, so no torch")
    _load_profile(config.getoption("--examples"))
    if getattr(config.option, "maxschedchunk", 1) is None:
        config.option.maxschedchunk = 1  # shards are few and long: a worker takes one at a time
    folder = _folder(config)
    session = config.stash[session_key] = _session(config, folder)
    if isolates(config):
        config.pluginmanager.register(IsolatedRun(config, session), "convolution-isolation")
    if not session.engine.strict:  # what an outsider warns of is not ours to judge
        config.addinivalue_line("filterwarnings", "ignore")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reporter(config, session, folder), "convolution-reporter")
        if session.baseline:
            config.pluginmanager.register(Gate(config, session), "convolution-gate")


def _load_profile(examples: int | None) -> None:
    if settings.get_current_profile_name() == "default":
        settings.load_profile("dev")
    if examples:
        name = settings.get_current_profile_name()
        settings.register_profile(name, settings.get_profile(name), max_examples=examples)
        settings.load_profile(name)


def _folder(config: pytest.Config) -> Path:
    """What the processes of this run share; the process that prints removes it."""
    if hasattr(config, "workerinput"):
        return Path(config.workerinput["convolution_folder"])
    return Path(tempfile.mkdtemp(prefix="convolutions-"))


def _session(config: pytest.Config, folder: Path) -> Session:
    try:
        engine = load(config.getoption("--engine") or OWN)
        options = Options.of(config, engine)
        baseline = baseline_of(config, engine, folder)
    except (EngineError, pytest.UsageError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise pytest.UsageError(str(error)) from None
    worker = getattr(config, "workerinput", {}).get("workerid", "main")
    crashlog = CrashLog(folder / FOUND, folder / worker)
    return Session(engine, options, crashlog, baseline=baseline)


def pytest_report_header(config: pytest.Config) -> list[str]:
    session = config.stash[session_key]
    engine, profile = session.engine, settings.get_current_profile_name()
    options, seed = session.options, session.options.seed
    lines = [
        f"engine: {engine.spec} ({engine.origin}) against {versions()}",
        f"profile: {profile}, {settings().max_examples} cases per shard; "
        f"seed {seed} (again with --hypothesis-seed={seed})",
    ]
    if engine.declared:
        sums = ", ".join(f"{dtype} in {sums}" for dtype, sums in engine.declared.items())
        lines.append(f"declared, so that its bounds are wider: sums of {sums}")
    if session.baseline:
        lines.append(f"baseline: {session.baseline.spec} ({session.baseline.origin})")
    if options.part.of > 1:
        lines.append(f"shard {options.part}: a part of all lines and tests, other random cases")
    if missing := [op for op in OPS if op not in engine.ops]:
        lines.append(f"not offered, so not drawn: {', '.join(missing)}")
    return lines


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    found: Property | None = getattr(metafunc.function, "property", None)
    if found is None:
        return
    session = metafunc.config.stash[session_key]
    options = session.options
    sources = [source for source in options.cases if isinstance(source, found.takes)]
    cases = tuple(sources) if found.takes_lines else ()
    if found.takes_corpus and found.takes is Case and not options.cases:
        cases = tuple(case for case in read_cases(CORPUS) if session.draws(case))
    shards = [] if options.cases or _lacks_baseline(found, session) else [*range(found.shards)]
    if found.spends_budget and options.budget:
        shards = [*range(PIECES * options.workers)]
    ids = [*map(str, cases), *(f"shard {i}" for i in shards)]
    metafunc.parametrize("source", [*cases, *shards], ids=ids)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    session = config.stash[session_key]
    for item in items:
        if SELFTEST in item.path.parents:
            item.add_marker("selftest")
    kept = [item for item in items if _is_asked_for(session, item)]
    listed = [item for item in kept if not isinstance(_source(item), int)]
    others = {*listed} - {*session.options.part.share(listed)}
    kept = [item for item in kept if item not in others]
    config.hook.pytest_deselected(items=list({*items} - {*kept}))
    items[:] = sorted(
        kept, key=lambda item: _source(item) is None or isinstance(_source(item), int)
    )


def _source(item: pytest.Item) -> Any:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("source") if callspec else None


def _is_asked_for(session: Session, item: pytest.Item) -> bool:
    """With --case only properties run; with another engine only what judges that engine."""
    found: Property | None = getattr(getattr(item, "function", None), "property", None)
    for_this_engine = session.engine.strict or (found is not None and not found.own_only)
    if found is not None and _lacks_baseline(found, session):
        return False
    if session.options.budget:
        return found is not None and (found.spends_budget or found.of_baseline)
    if found is None:
        is_selftest = item.get_closest_marker("selftest") is not None
        return is_selftest or (for_this_engine and not session.options.cases)
    if found.spends_budget or (session.options.cases and not found.takes_lines):
        return False
    return for_this_engine


def _lacks_baseline(found: Property, session: Session) -> bool:
    return found.of_baseline and session.baseline is None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the harness's own tests out unless they are marked or named.

    What is marked metamorphic stands in one file; others may not even import without torch.
    """
    if config.option.markexpr == "metamorphic" and collection_path.suffix == ".py":
        return None if collection_path == METAMORPHIC else True
    named = config.option.markexpr or any("selftest" in argument for argument in config.args)
    return True if collection_path == SELFTEST and not named else None


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Session:
    """The state of this run: the engine that is judged, and the answers that are trusted."""
    return request.config.stash[session_key]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show a failure's block in place of a traceback through Hypothesis."""
    report: Any = yield
    if found := mismatches(call.excinfo.value) if call.excinfo else []:
        show(report, found)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker sends what it counted."""
    mine = session.config.stash[session_key]
    if hasattr(session.config, "workerinput"):
        session.config.workeroutput["convolutions"] = {  # type: ignore[attr-defined]
            "statistics": mine.statistics.dump(),
            "asked": mine.asked,
        }
