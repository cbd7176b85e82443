"""What a green run proves, in numbers that the run itself counted."""

from __future__ import annotations

from collections.abc import Iterator

from .features import possible
from .statistics import Statistics

MISSED = 0.01  # the probability at which a sampled fault is called found


def claims(statistics: Statistics) -> Iterator[str]:
    """Lines of what was covered completely, and of what was only sampled."""
    for name, scope in sorted(statistics.scopes.items()):
        seen = scope.accepted + scope.rejected
        share = "complete" if seen == scope.whole else f"{seen:,} of {scope.whole:,}"
        yield (
            f"{share}: {name}: {scope.accepted:,} geometries, in each of which a fault of degree "
            f"≤ 2 in the data escaped with probability ≤ {scope.escape:.1g}; "
            f"{scope.rejected:,} rejected as by torch"
        )
    if statistics.drawn:
        yield (
            f"sampled: {statistics.drawn.total():,} valid cases; with probability {1 - MISSED:.0%} no "
            "fault was missed that shows on 1 in so many of an op's cases: "
            + ", ".join(f"{op} {rarest_found(n):,}" for op, n in sorted(statistics.drawn.items()))
        )
        every = len(possible())
        yield f"met: {every - len(never_met(statistics)):,} of {every:,} pairs of features"


def rarest_found(n: int) -> int:
    """The rarest fault, 1 in so many cases, that `n` independent cases miss with `MISSED`."""
    # (1 - 1/m)**n <= MISSED; the largest m, rounded down
    return max(1, int(1 / (1 - MISSED ** (1 / n))))


def never_met(statistics: Statistics) -> list[str]:
    """The pairs of features that valid cases can have and none of those drawn had."""
    return [pair for pair in possible() if not statistics.pairs[pair]]
