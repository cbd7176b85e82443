"""What one case may cost, and how its quantities are drawn from it.

No largest value is set anywhere. A case may cost so many multiply-adds, elements of an array and
matrix products; each quantity drawn uses up a factor of that, and what is left bounds the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

Choose = Callable[[int], int]  # an integer in 0 … n - 1, of which 0 is the simplest
T = TypeVar("T")

WORK = 1 << 16  # multiply-adds of an output: a few milliseconds for engine and oracle
ELEMENTS = 1 << 13  # of an array, its border included
CALLS = 1 << 8  # of a matrix product, one for each group of each sample: torch makes no fewer
BLOCKS = (8, 16, 32, 64)  # beside their multiples lie the remainders of blocked algorithms


def pick(choose: Choose, menu: Sequence[T]) -> T:
    return menu[choose(len(menu))]


def tall(choose: Choose, least: int, most: int) -> int:
    """From `least` to `most`, every octave as likely; half of them beside a multiple of a block."""
    low = least << choose((most // least).bit_length())
    value = low + choose(min(low, most - low + 1))
    blocks = [block for block in BLOCKS if block <= value]
    if not blocks or choose(2) == 0:
        return value
    block = pick(choose, blocks)
    return max(least, min(most, value // block * block + pick(choose, (0, 1, -1))))


@dataclass
class Budget:
    """What is left for the quantities that are not drawn yet, factor by factor.

    `work` bounds the multiply-adds N·G·C·O·K·Y of N samples, G groups of C channels and O filters,
    K taps and Y places. Three arrays have elements: the `wide` one, which the windows visit, the
    `narrow` one, with an element for each place, and the `weight`. The products of groups and
    samples are `calls`.
    """

    left: dict[str, int]

    @classmethod
    def of(cls, work: int = WORK, elements: int = ELEMENTS) -> Budget:
        arrays = {"wide": elements, "narrow": elements, "weight": elements}
        return cls({"work": work, "calls": CALLS, **arrays})

    def room(self, *accounts: str) -> int:
        """The largest factor that all `accounts` have room for."""
        return min(self.left[account] for account in accounts)

    def spend(self, factor: int, *accounts: str) -> None:
        for account in accounts:
            self.left[account] //= max(1, factor)  # an empty batch costs what one sample does

    def root(self, n: int) -> Budget:
        """What each of `n` equal factors may use."""
        # the term lets a cube be whole: 27 ** (1 / 3) is a little more or less than 3
        return Budget({k: max(1, int(v ** (1 / n) + 1e-9)) for k, v in self.left.items()})


@dataclass(frozen=True)
class Quantities:
    """How the quantities of one case are drawn: small as a rule, those in `tall` far beyond."""

    choose: Choose
    tall: frozenset[str]
    budget: Budget = field(default_factory=Budget.of)

    def draw(self, name: str, small: int, most: int) -> int:
        """1 … `small`, each as likely, or if tall 1 … `most`, each octave as likely."""
        if name in self.tall:
            return tall(self.choose, 1, most)
        return 1 + self.choose(min(small, most))

    def over(self, budget: Budget) -> Quantities:
        return replace(self, budget=budget)

    def without_tall(self) -> Quantities:
        return replace(self, tall=frozenset())
