"""The options of a run: which cases are judged, of which ops and dtypes, from which seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from ..cases.case import DTYPES, Case
from ..cases.files import read_lines
from ..cases.line import CaseError, parse_source
from ..cases.operation import OPS
from ..cases.sequence import CaseSequence, cases_of, is_at_once
from ..comparison.engine import Engine
from ..generation.valid import drawable


@dataclass(frozen=True)
class Options:
    """What a run was asked for; it never changes."""

    ops: tuple[str, ...] = tuple(OPS)
    dtypes: tuple[str, ...] = DTYPES
    seed: int = 0
    cases: tuple[Case | CaseSequence, ...] = ()  # of --case: nothing but these
    budget: float = 0.0  # seconds to spend on plain sampling
    workers: int = 1  # processes that share the work

    @classmethod
    def of(cls, config: pytest.Config, engine: Engine) -> Options:
        """The options of `config` for `engine`; what can't be used is a `pytest.UsageError`."""
        cases = _read_sources(config.getoption("--case"))
        for case in [case for source in cases for case in cases_of(source)]:
            if case.op not in engine.ops:
                raise pytest.UsageError(f"--case: {engine.spec} offers no {case.op}: {case}")
        dtypes = _chosen(config, "--dtypes", DTYPES, DTYPES)
        ops = _chosen(config, "--ops", engine.ops, tuple(OPS))
        ops = tuple(op for op in ops if drawable(OPS[op], dtypes))
        if not ops:
            raise pytest.UsageError("--ops, --dtypes: none of these ops takes one of these dtypes")
        budget = config.getoption("--budget") or 0.0
        return cls(ops, dtypes, _seed(config), cases, budget, _workers(config))


def _seed(config: pytest.Config) -> int:
    """The run's seed: as asked for, 0 in the deterministic profile, else a new one."""
    if hasattr(config, "workerinput"):
        return int(config.workerinput["convolution_seed"])
    asked = config.getoption("--hypothesis-seed", None)
    if asked not in (None, "random"):
        return int(asked)
    return 0 if settings().derandomize else random.SystemRandom().randrange(2**32)


def _workers(config: pytest.Config) -> int:
    if hasattr(config, "workerinput"):
        return int(config.workerinput["workercount"])
    return 1


def _read_sources(texts: Sequence[str]) -> tuple[Case | CaseSequence, ...]:
    """What each --case names; several lines are one sequence, which runs in order."""
    files = [text for text in texts if _is_file(text)]
    lines = [text for text in texts if not _is_file(text)]
    sources = [source for file in files for source in _read_file(Path(file))]
    given = [_parsed(line, "") for line in lines]
    sources += [source for source in given if is_at_once(source)]
    cases = [case for source in given if not is_at_once(source) for case in cases_of(source)]
    if cases:
        sources.append(CaseSequence(tuple(cases)) if len(cases) > 1 else cases[0])
    return tuple(sources)


def _is_file(text: str) -> bool:
    return "(" not in text and Path(text).is_file()


def _read_file(path: Path) -> list[Case | CaseSequence]:
    sources = [_parsed(line, f" {path}") for line in read_lines(path)]
    if not sources:
        raise pytest.UsageError(f"--case: {path} holds no case")
    return sources


def _parsed(line: str, where: str) -> Case | CaseSequence:
    try:
        return parse_source(line.strip())
    except CaseError as error:
        raise pytest.UsageError(f"--case{where}: {error}") from None


def _chosen(
    config: pytest.Config, option: str, offered: tuple[str, ...], known: tuple[str, ...]
) -> tuple[str, ...]:
    text = config.getoption(option)
    if text is None:
        return offered
    names = tuple(text.split(","))
    for name in names:
        if name not in known:
            raise pytest.UsageError(f"{option}: unknown {name!r}; expected {', '.join(known)}")
        if name not in offered:
            raise pytest.UsageError(f"{option}: {name} is not offered by the engine")
    return names
