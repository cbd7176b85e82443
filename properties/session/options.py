"""The options of a run: which cases are judged, of which ops and dtypes, from which seed."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import settings

from ..cases.case import DTYPES, Case
from ..cases.files import read_lines
from ..cases.line import CaseError, parse_source
from ..cases.operation import OPS
from ..cases.sequence import CaseSequence, cases_of
from ..comparison.engine import Engine
from ..generation.valid import drawable
from .part import WHOLE, Part


@dataclass(frozen=True)
class Options:
    """What a run was asked for; it never changes."""

    ops: tuple[str, ...] = tuple(OPS)
    dtypes: tuple[str, ...] = DTYPES
    seed: int = 0
    cases: tuple[Case | CaseSequence, ...] = ()  # of --case: nothing but these
    budget: float = 0.0  # seconds to spend on plain sampling
    workers: int = 1  # processes that share the work
    part: Part = WHOLE  # of the work, that this run does
    identical: bool = False  # nothing may have changed against the baseline

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
        part, identical = Part.read(config.getoption("--shard")), config.getoption("--identical")
        if identical and not config.getoption("--baseline"):
            raise pytest.UsageError("--identical: to what? Add --baseline REV, MODULE or FILE.py")
        common = ops, dtypes, _seed(config), cases, budget, _workers(config)
        return cls(*common, part, identical)

    def digest(self, name: str, shard: int) -> int:
        """The seed of one shard of a test: another one for each, also in the other parts."""
        return zlib.crc32(f"{self.seed}:{name}:{shard}".encode()) + (self.part.index << 32)

    def share(self, cases: Iterable[Case], shard: int = 0, shards: int = 1) -> Iterator[Case]:
        """Those of `cases` that are one shard's, in this part of the work."""
        return islice(cases, self.part.index * shards + shard, None, self.part.of * shards)


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
    cases = [case for line in lines for case in cases_of(_parsed(line, ""))]
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
