"""The part of a run's work that --shard gives to one of several jobs or machines.

Of what is listed or enumerated (the corpus, lines of --case, complete scopes, the cases that are
held against a baseline, tests without random cases) each part has every N-th: together they are
the whole, each exactly once. Random searches are multiplied: each part has seeds of its own, so
that N parts search N times as much; the first one has those of a run without --shard.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import pytest

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One of so many parts, counted from 0."""

    index: int = 0
    of: int = 1

    @classmethod
    def read(cls, text: str | None) -> Part:
        """The part that ``K/N`` names, K from 1 to N; without a text, the whole."""
        if text is None:
            return WHOLE
        found = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise pytest.UsageError(
                f"--shard: expected K/N with 1 ≤ K ≤ N, such as 2/4 for the second of four parts, "
                f"got {text!r}"
            )
        return cls(int(found[1]) - 1, int(found[2]))

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.of}"

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Every N-th of `items`."""
        return items[self.index :: self.of]


WHOLE = Part()
