"""What a green run proves, in numbers that the run itself counted."""

from __future__ import annotations

from collections.abc import Iterator

from .features import possible
from .statistics import Complete, Statistics

MISSED = 0.01  # the probability at which a sampled fault is called found


def claims(statistics: Statistics) -> Iterator[str]:
    """Lines of what was covered completely, and of what was only sampled."""
    for name, scope in sorted(statistics.scopes.items()):
        yield _complete(name, scope)
    if drawn := statistics.drawn:
        rarest = ", ".join(f"{op} {rarest_found(n):,}" for op, n in sorted(drawn.items()))
        yield (
            f"sampled: {drawn.total():,} valid cases; with probability {1 - MISSED:.0%} no fault "
            f"was missed that shows on 1 in so many of an op's cases: {rarest}"
        )
        every = len(possible())
        covered = every - len(never_covered(statistics))
        yield f"covered: {covered:,} of {every:,} pairs of features"


def _complete(name: str, scope: Complete) -> str:
    seen = scope.accepted + scope.rejected
    share = "complete" if seen == scope.whole else f"{seen:,} of {scope.whole:,}"
    return (
        f"{share}: {name}: {scope.accepted:,} geometries, in each of which a fault of degree "
        f"≤ 2 in the data escaped with probability ≤ {scope.escape:.1g}; "
        f"{scope.rejected:,} rejected as by torch"
    )


def rarest_found(n: int) -> int:
    """The rarest fault, 1 in so many cases, that `n` independent cases miss with `MISSED`."""
    # (1 - 1/m)**n <= MISSED; the largest m, rounded down
    return max(1, int(1 / (1 - MISSED ** (1 / n))))


def never_covered(statistics: Statistics) -> list[str]:
    """The pairs of features that valid cases can have and none of those drawn had."""
    return [pair for pair in possible() if not statistics.pairs[pair]]
