"""What a green run proves, in numbers that the run itself counted."""

from __future__ import annotations

from collections.abc import Iterator

from .coverage import possible
from .tally import Tally

MISSED = 0.01  # the probability at which a sampled fault is called found


def proven(tally: Tally) -> Iterator[str]:
    """Lines of what was covered completely, and of what was only sampled."""
    for name, scope in sorted(tally.scopes.items()):
        seen = scope.accepted + scope.rejected
        share = "complete" if seen == scope.whole else f"{seen:,} of {scope.whole:,}"
        yield (
            f"{share}: {name}: {scope.accepted:,} geometries, in each of which a fault of degree "
            f"≤ 2 in the data escaped with probability ≤ {scope.escape:.1g}; "
            f"{scope.rejected:,} rejected as by torch"
        )
    if tally.drawn:
        yield (
            f"sampled: {tally.drawn.total():,} valid cases; with probability {1 - MISSED:.0%} no "
            "fault was missed that shows on 1 in so many of an op's cases: "
            + ", ".join(f"{op} {shows_on(n):,}" for op, n in sorted(tally.drawn.items()))
        )
        every = len(possible())
        yield f"met: {every - len(never_met(tally)):,} of {every:,} pairs of features"


def shows_on(n: int) -> int:
    """The rarest fault, 1 in so many cases, that `n` independent cases miss with `MISSED`."""
    # (1 - 1/m)**n <= MISSED; the largest m, rounded down
    return max(1, int(1 / (1 - MISSED ** (1 / n))))


def never_met(tally: Tally) -> list[str]:
    """The pairs of features that valid cases can have and none of those drawn had."""
    return [pair for pair in possible() if not tally.pairs[pair]]
