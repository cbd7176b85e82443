"""A stream of random bits that is the same on every machine and NumPy version.

They come from ``PCG64(seed).random_raw``, whose stream NumPy guarantees (it guarantees none for
Generator's methods), and become integers by rejection.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Bits:
    """A stream of raw 64-bit words; operands are filled from it in order."""

    def __init__(self, seed: int) -> None:
        self._words = np.random.PCG64(seed)

    def words(self, n: int) -> Any:
        return self._words.random_raw(n)  # (n,) uint64

    def choice(self, n: int) -> int:
        """One integer in 0 … n - 1, of so few that the remainder's bias does not matter."""
        return int(self._words.random_raw()) % n

    def below(self, limit: int, n: int) -> Any:
        """`n` integers, uniform over 0 … limit - 1: masked words, those too large drawn anew."""
        shift = np.uint64(64 - max(1, (limit - 1).bit_length()))
        found = self.words(n) >> shift
        while (wrong := np.flatnonzero(found >= np.uint64(limit))).size:
            found[wrong] = self.words(wrong.size) >> shift
        return found
