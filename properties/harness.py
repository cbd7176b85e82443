"""What the options of a run say: the engine, the cases, the space, the seed; and what it found."""

from __future__ import annotations

import json
import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from .case import DTYPES, Case, CaseError, parse
from .corpus import read_lines
from .court import Court
from .holds import SHARDS
from .judge import Mismatch
from .ops import OPS
from .proof import never_met
from .recorder import Recorder
from .report import block
from .space import drawable
from .subject import Subject, SubjectError, load
from .tally import Tally


class Harness:
    """One run, on the controller and on every worker."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        try:
            self.subject: Subject = load(config.getoption("--engine"))
        except SubjectError as error:
            raise pytest.UsageError(str(error)) from None
        self.cases = [c for text in config.getoption("--case") for c in _read_cases(text)]
        for case in self.cases:
            if case.op not in self.subject.ops:
                raise pytest.UsageError(f"--case: {self.subject.spec} offers no {case.op}: {case}")
        self.ops = _chosen(config, "--ops", self.subject.ops, tuple(OPS))
        self.dtypes = _chosen(config, "--dtypes", DTYPES, DTYPES)
        self.ops = tuple(op for op in self.ops if drawable(OPS[op], self.dtypes))
        if not self.ops:
            raise pytest.UsageError("--ops, --dtypes: none of these ops takes one of these dtypes")
        self.tally = Tally()
        self.failing: dict[str, str] = {}  # block -> line
        self.court = Court(self.subject, self.ops, self.dtypes, self._seed(), self.tally)
        self.court.budget = config.getoption("--budget") or 0.0
        self.folder = self._folder()
        if self.is_worker:
            self.court.recorder = Recorder(self.folder / config.workerinput["workerid"])  # type: ignore[attr-defined]
        self.court.keep = self._keep

    def _seed(self) -> int:
        """The run's seed: as asked for, 0 in the deterministic profile, else a new one."""
        if hasattr(self.config, "workerinput"):
            return int(self.config.workerinput["convolution_seed"])
        asked = self.config.getoption("--hypothesis-seed", None)
        if asked not in (None, "random"):
            return int(asked)
        return 0 if settings().derandomize else random.SystemRandom().randrange(2**32)

    def _folder(self) -> Path:
        """Where workers leave what must outlive them."""
        if self.is_worker:
            return Path(self.config.workerinput["convolution_folder"])  # type: ignore[attr-defined]
        return Path(tempfile.mkdtemp(prefix="convolutions-"))

    def _keep(self, mismatch: Mismatch) -> None:
        """Write down a failure as soon as it is found."""
        with (self.folder / "found").open("a", encoding="utf-8") as file:
            kind = f"{type(mismatch).__name__} {os.getpid()} {mismatch.case.op}"
            file.write(json.dumps([kind, block(mismatch), str(mismatch.case)]) + "\n")

    def kept(self) -> dict[str, str]:
        """Failures written down by any worker and not yet shown: block -> line."""
        file = self.folder / "found"
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        latest = {kind: (text, case) for kind, text, case in map(json.loads, lines)}
        return {text: case for text, case in latest.values() if text not in self.failing}

    @property
    def workers(self) -> int:
        """How many processes share the work."""
        if self.is_worker:
            return int(self.config.workerinput["workercount"])  # type: ignore[attr-defined]
        return 1

    @property
    def compared_nothing(self) -> bool:
        return self.court.asked and not self.tally.checked

    @property
    def never_drawn(self) -> list[str]:
        """Pairs of features that a whole run of the ci profile should have drawn and has not."""
        whole = self.subject.own and (self.ops, self.dtypes) == (self.subject.ops, DTYPES)
        enough = settings.get_profile("ci").max_examples * SHARDS // 2
        return never_met(self.tally) if whole and self.tally.drawn.total() >= enough else []

    @property
    def is_worker(self) -> bool:
        return hasattr(self.config, "workerinput")


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
