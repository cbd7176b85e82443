"""The options of a run: which cases are judged, of which ops and dtypes, from which seed."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import settings

from ..cases.case import DTYPES, Case
from ..cases.files import read_lines, without_comment
from ..cases.line import CaseError, parse_source
from ..cases.operation import OPS
from ..cases.rules import RULES
from ..cases.sequence import CaseSequence, cases_of, is_at_once
from ..comparison.deviations import ExcuseError, read_known
from ..comparison.engine import Engine, Errors
from ..comparison.mismatch import KINDS
from ..generation.narrowing import EVERYTHING, LAYOUTS, Narrowing
from ..generation.valid import drawable
from ..statistics.features import LAID_OUT
from ..statistics.known import NOTHING_KNOWN, Known
from ..statistics.part import WHOLE, Part
from ..triage.replay import Asked


@dataclass(frozen=True)
class Options:
    """What a run was asked for; it never changes."""

    ops: tuple[str, ...] = tuple(OPS)
    dtypes: tuple[str, ...] = DTYPES
    narrowing: Narrowing = EVERYTHING  # the data, the layouts, and whether invalid calls count
    known: Known = NOTHING_KNOWN  # shortcomings, which are counted and not failures
    recording: bool = False  # no failure is raised: all are written down
    seed: int = 0
    asked: tuple[Asked, ...] = ()  # by --case: nothing but these
    budget: float = 0.0  # seconds to spend on plain sampling
    workers: int = 1  # processes that share the work
    part: Part = WHOLE  # of the work, that this run does
    identical: bool = False  # nothing may have changed against the baseline

    @classmethod
    def of(cls, config: pytest.Config, engine: Engine) -> Options:
        """The options of `config` for `engine`; what can't be used is a `pytest.UsageError`."""
        asked = _read_sources(config.getoption("--case"), engine)
        narrowing = _narrowing(config, engine)
        dtypes = _chosen(config, "--dtypes", DTYPES, DTYPES)
        dtypes = tuple(dtype for dtype in dtypes if narrowing.takes(dtype))
        ops = _chosen(config, "--ops", engine.ops, tuple(OPS))
        ops = tuple(op for op in ops if drawable(OPS[op], dtypes))
        if not ops:
            raise pytest.UsageError(
                "--ops, --dtypes, --data: none of these ops takes one of these dtypes and data"
            )
        budget = config.getoption("--budget") or 0.0
        known, recording = _known(config), bool(config.getoption("--write-known"))
        part, identical = Part.read(config.getoption("--shard")), config.getoption("--identical")
        if asked and not (asked := tuple(part.share(asked))):
            raise pytest.UsageError(f"--shard {part}: --case has fewer lines than there are parts")
        if asked and budget:
            raise pytest.UsageError("--case runs exactly these cases: expected no --budget")
        if identical and not config.getoption("--baseline"):
            raise pytest.UsageError("--identical: to what? Add --baseline REV, MODULE or FILE.py")
        return cls(
            *(ops, dtypes, narrowing, known, recording, _seed(config)),
            *(asked, budget, _workers(config), part, identical),
        )

    def digest(self, name: str, shard: int) -> int:
        """The seed of one shard of a test: another one for each, also in the other parts."""
        return zlib.crc32(f"{self.seed}:{name}:{shard}".encode()) + (self.part.index << 32)

    def share(self, cases: Iterable[Case], shard: int = 0, shards: int = 1) -> Iterator[Case]:
        """Those of `cases` that are one shard's, in this part of the work."""
        return islice(cases, self.part.index * shards + shard, None, self.part.of * shards)

    @cached_property
    def cases(self) -> tuple[Case | CaseSequence, ...]:
        """What --case asks about and can be judged."""
        return tuple(one.source for one in self.asked if one.source is not None)

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The kind of failure that is expected of a case."""
        return {one.line: one.kind for one in self.asked}

    @property
    def narrowed(self) -> dict[str, tuple[str, ...]]:
        """What the run was narrowed to, by the name of the option, for its header."""
        asked = {"data": self.narrowing.rules, "layouts": self.narrowing.layouts}
        every = {"data": tuple(RULES), "layouts": LAYOUTS}
        return {name: chosen for name, chosen in asked.items() if chosen != every[name]}

    @property
    def features(self) -> dict[str, tuple[str, ...]]:
        """What is left of the features that cases are counted by."""
        families = tuple(dict.fromkeys(OPS[op].family for op in self.ops))
        kept = {
            f"{name}-layout": tuple(word for word in words if word in self.narrowing.layouts)
            for name, words in LAID_OUT.items()
        }
        return {"op": families, "dtype": self.dtypes, "data": self.narrowing.rules, **kept}


def _known(config: pytest.Config) -> Known:
    if not (name := config.getoption("--known")):
        return NOTHING_KNOWN
    try:
        return Known(read_known(Path(name)))
    except OSError as error:
        raise pytest.UsageError(f"--known {name}: {error.strerror}") from None
    except ExcuseError as error:
        raise pytest.UsageError(f"--known: {error}") from None


def _narrowing(config: pytest.Config, engine: Engine) -> Narrowing:
    rules = _chosen(config, "--data", tuple(RULES), tuple(RULES))
    layouts = _chosen(config, "--layouts", LAYOUTS, LAYOUTS)
    if layouts == ("of",):
        raise pytest.UsageError(
            "--layouts: 'of' lies in the memory of an operand before it, and the first one needs "
            "a layout too: --layouts contiguous,of"
        )
    return Narrowing(rules, layouts, engine.errors is not Errors.IGNORE)


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


def _read_sources(texts: Sequence[str], engine: Engine) -> tuple[Asked, ...]:
    """What each --case names; several lines are one sequence, which runs in order."""
    files = [text for text in texts if _is_file(text)]
    lines = [text for text in texts if not _is_file(text)]
    asked = [one for file in files for one in _read_file(Path(file), engine)]
    given = [_parsed(line) for line in lines]
    for case in (case for source in given for case in cases_of(source)):
        if case.op not in engine.ops:
            raise pytest.UsageError(f"--case: {engine.spec} offers no {case.op}: {case}")
    asked += [Asked(str(source), source) for source in given if is_at_once(source)]
    cases = [case for source in given if not is_at_once(source) for case in cases_of(source)]
    if cases:
        source = CaseSequence(tuple(cases)) if len(cases) > 1 else cases[0]
        asked.append(Asked(str(source), source))
    return tuple({one.line: one for one in reversed(asked)}.values())[::-1]


def _is_file(text: str) -> bool:
    return "(" not in text and Path(text).is_file()


def _read_file(path: Path, engine: Engine) -> list[Asked]:
    pairs = [without_comment(line) for line in read_lines(path)]
    if not pairs:
        raise pytest.UsageError(f"--case: {path} holds no case")
    return [Asked.of(line, _kind(comment), engine.ops) for line, comment in pairs]


def _kind(comment: str) -> str:
    """The kind of failure with which a comment begins, if it does."""
    first = comment.split(maxsplit=1)[0].rstrip(":,") if comment else ""
    return first if first in KINDS else ""


def _parsed(line: str) -> Case | CaseSequence:
    try:
        return parse_source(line.strip())
    except CaseError as error:
        raise pytest.UsageError(f"--case: {error}") from None


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
