"""The options of a run: which cases are judged, of which ops and dtypes, from which seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from ..cases.case import DTYPES, Case
from ..cases.files import read_lines
from ..cases.line import CaseError, parse
from ..cases.operation import OPS
from ..comparison.engine import Engine
from ..generation.valid import drawable


@dataclass(frozen=True)
class Options:
    """What a run was asked for; it never changes."""

    ops: tuple[str, ...] = tuple(OPS)
    dtypes: tuple[str, ...] = DTYPES
    seed: int = 0
    cases: tuple[Case, ...] = ()  # of --case: nothing but these
    budget: float = 0.0  # seconds to spend on plain sampling
    workers: int = 1  # processes that share the work

    @classmethod
    def of(cls, config: pytest.Config, engine: Engine) -> Options:
        """The options of `config` for `engine`; what can't be used is a `pytest.UsageError`."""
        cases = tuple(case for text in config.getoption("--case") for case in _read_cases(text))
        for case in cases:
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


def _read_cases(text: str) -> list[Case]:
    """The case of one --case, or every case in the file that it names."""
    path = Path(text)
    is_file = "(" not in text and path.is_file()
    lines = read_lines(path) if is_file else [text]
    if not lines:
        raise pytest.UsageError(f"--case: {path} holds no case")
    try:
        return [parse(line.strip()) for line in lines]
    except CaseError as error:
        raise pytest.UsageError(f"--case{f' {path}' * is_file}: {error}") from None


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
