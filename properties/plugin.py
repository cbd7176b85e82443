"""The pytest plugin: options, one thread per worker, profiles, header, collection, and failures.

What a process knows of its run is one `Session`; the process that prints has a `Reporter` beside.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

# Before NumPy and torch load: workers already use every core.
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_pool] = "1"

from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from . import entry
from .cases.case import Case
from .cases.files import CORPUS, read_cases
from .cases.operation import OPS
from .cases.sequence import CaseSequence, cases_of
from .comparison.engine import Errors
from .comparison.loading import OWN, EngineError, load
from .comparison.mismatch import RelationBroken, mismatches
from .gate.gate import Gate, baseline_of
from .session.for_all import PIECES, Property
from .session.isolated_run import IsolatedRun, isolates
from .session.known_run import KnownShortcomings
from .session.measuring import measure
from .session.options import Options
from .session.report import versions
from .session.reporter import Reporter, show
from .session.session import Session
from .survey import run as survey
from .triage.crashlog import FOUND, CrashLog
from .triage.replay import keep
from .triage.snippet import script

pytest_plugins = ["properties.entry"]  # the options, unless the installed package gave them

# What our own engine is held to. torch 2.13 warns once per process when an even kernel meets
# padding='same'; the result is right.
# In a read-only checkout neither pytest nor Hypothesis can remember failures: that is said, and
# harms nothing.
WARNINGS = (
    *("error", "default::pytest.PytestCacheWarning"),
    "default:The database setting is not configured:hypothesis.errors.HypothesisWarning",
    "ignore:Using padding='same' with even kernel lengths:UserWarning",
)

SELFTEST = Path(__file__).parent / "selftest"
METAMORPHIC = Path(__file__).parent / "test_metamorphic.py"

# Without Hypothesis' shrinking and explanation: `shrinking` reaches simpler cases in less time, and
# a failure's block explains.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)


def _profile(name: str, examples: int, **more: Any) -> None:
    common: dict[str, Any] = {"deadline": None, "phases": PHASES, "print_blob": False}
    settings.register_profile(name, max_examples=examples, **common, **more)


# Examples per shard. `ci` is deterministic, which to Hypothesis also means: no database.
_profile("dev", 400)
_profile("ci", 2000, derandomize=True, database=None)
_profile("nightly", 100_000)


REJECTIONS = {
    Errors.EXACT: "held to torch's type of error, and to the argument where the message names one",
    Errors.REJECTS: "of whatever type and text, wherever torch rejects",
    Errors.IGNORE: "not judged: only calls that torch takes are",
}
ArgsSource = pytest.Config.ArgsSource
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
    if survey.is_asked_for(config):
        config.pluginmanager.register(survey.Survey(config, session), survey.NAME)
    # what an outsider warns of is not ours to judge
    for line in WARNINGS if session.engine.strict else ("ignore",):
        config.addinivalue_line("filterwarnings", line)
    if entry.is_asked_for(config) and config.args_source is ArgsSource.INVOCATION_DIR:
        config.args = [str(Path(__file__).parent)]  # a run that names no path, from elsewhere
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reporter(config, session, folder), "convolution-reporter")
        config.pluginmanager.register(KnownShortcomings(config, session), "convolution-known")
        if session.baseline:
            config.pluginmanager.register(Gate(config, session), "convolution-gate")
        if why := config.getoption("--keep"):
            keep(_asked_about(config), why)


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
        tried = hasattr(config, "workerinput")  # by the process that started this one
        engine = load(config.getoption("--engine") or OWN, tried=tried)
        if asked := config.getoption("--errors"):
            engine.errors = Errors(asked)
        options = Options.of(config, engine)
        _check_files(config)
        baseline = baseline_of(config, engine, folder)
    except (EngineError, pytest.UsageError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise pytest.UsageError(str(error)) from None
    worker = getattr(config, "workerinput", {}).get("workerid", "main")
    crashlog = CrashLog(folder / FOUND, folder / worker)
    return Session(engine, options, crashlog, baseline=baseline)


def _check_files(config: pytest.Config) -> None:
    """Say at once, and not when all is computed, that a file can't be written."""
    for option in ("--report", "--failing", "--write-known"):
        if name := config.getoption(option):
            _check_file(option, name)
    for name in config.getoption("--survey-file"):
        _check_file("--survey-file", name)


def _check_file(option: str, name: str) -> None:
    path = Path(name).absolute()
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise pytest.UsageError(
            f"{option}: expected a file that can be written, got {name}: create its folder, "
            "or name another place"
        )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """With --snippet, print a script in place of running tests."""
    if not config.getoption("--snippet"):
        return None
    config._do_configure()
    session = config.stash[session_key]
    sys.stdout.write(script(_asked_about(config), session.engine))
    return 0


def _asked_about(config: pytest.Config) -> list[Case]:
    """The cases of --case, one after another."""
    sources = config.stash[session_key].options.cases
    if not sources:
        raise pytest.UsageError("--snippet and --keep need a --case that they are about")
    return [case for source in sources for case in cases_of(source)]


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
    if missing := engine.gradients_not_offered:
        lines.append(f"gradients not offered, so not judged: {', '.join(missing)}")
    if engine.left:
        lines.append(f"its import left {', '.join(engine.left)} changed; this was brought back")
    if engine.accuracy:
        bounds = ", ".join(f"{dtype} {form} × {n}" for dtype, (form, n) in engine.accuracy.items())
        lines.append(f"declared, so that no sum is exact and errors are held to norms: {bounds}")
    lines += [
        f"drawn only: {k} {', '.join(names)}" for k, names in session.options.narrowed.items()
    ]
    if engine.errors is not (Errors.EXACT if engine.strict else Errors.REJECTS):
        lines.append(f"rejections: {REJECTIONS[engine.errors]}")
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
    if hasattr(metafunc.function, "relation"):  # which says nothing of how else a call can fail
        wanted = ("", RelationBroken.__name__)
        sources = [source for source in sources if options.kinds[str(source)] in wanted]
    cases = tuple(sources) if found.takes_lines else ()
    if found.takes_corpus and found.takes is Case and not options.asked:
        cases = tuple(case for case in read_cases(CORPUS) if session.draws(case))
    shards = [] if options.asked or _lacks_baseline(found, session) else [*range(found.shards)]
    if found.spends_budget and options.budget:
        shards = [*range(PIECES * options.workers)]
    if found.takes_lines and not options.asked:
        known = options.known
        every = found.takes_corpus or found.takes is CaseSequence
        examples = known.examples if every else known.broken_relations
        cases += tuple(c for c in examples if isinstance(c, found.takes) and session.draws(c))
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
    shared = listed if session.options.asked else session.options.part.share(listed)
    others = {*listed} - {*shared}
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
    options, strict = session.options, session.engine.strict
    found: Property | None = getattr(getattr(item, "function", None), "property", None)
    if found is None:
        others = item.get_closest_marker("selftest") or (strict and not options.asked)
        return isinstance(item, survey.OpItem) or bool(others and not options.budget)
    without = found.of_rejections and session.engine.errors is Errors.IGNORE
    if without or _lacks_baseline(found, session):
        return False
    if options.budget:
        return found.spends_budget or found.of_baseline
    if found.spends_budget or (options.asked and not found.takes_lines):
        return False
    return strict or not found.own_only


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


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Learn how fast the engine is, in each process that has tests."""
    if session.items and not session.config.option.collectonly:
        measure(session.config.stash[session_key])


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
        item.user_properties.extend(("failure", line) for line in report.longrepr.splitlines())
    if isinstance(source := _source(item), (Case, CaseSequence)):
        report.case, report.verdict = str(source), item.config.stash[session_key].status
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker sends what it counted."""
    mine = session.config.stash[session_key]
    if hasattr(session.config, "workerinput"):
        session.config.workeroutput["convolutions"] = {  # type: ignore[attr-defined]
            "statistics": mine.statistics.whole(),
            "asked": mine.asked,
        }
