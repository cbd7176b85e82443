"""What a green run proves, in numbers that the run itself counted.

Complete scopes. In a scope that is enumerated, each accepted geometry was compared once, on data
drawn uniformly from S integers (2R + 1 of them, R + 1 if unsigned), exactly. A fault whose effect
on a result is a polynomial of degree at most 2 in the data, and not the zero polynomial at that
geometry, vanishes there with probability at most 2 / S (Schwartz and Zippel). So a fault of this
kind that shows at all in the scope was missed with at most that probability. It says nothing of
other channels, groups or dtypes, of faults that depend on magnitudes, or of gradients that the
engine does not offer. An engine with a declared accuracy is compared under its bound: no
probability follows.

Sampled cases. The plain sampler's cases are independent: a fault that shows on a share p of an
op's cases is missed by n of them with probability (1 - p)^n. The line names, for each op, the
largest m for which p = 1/m is missed with probability at most `MISSED`. Hypothesis' cases depend
on one another, so they are not counted here.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor, log10

from .features import Asked, possible
from .statistics import Scope, Statistics

MISSED = 0.01  # the probability with which a sampled fault may be missed


def claims(statistics: Statistics, asked: Asked | None = None) -> Iterator[str]:
    """Lines of what was covered completely, and of what was only sampled.

    Features are counted of what the run has `asked` for.
    """
    for name, scope in sorted(statistics.scopes.items()):
        yield _complete(name, scope)
    if independent := statistics.independent:
        rarest = ", ".join(f"{op} {rarest_found(n):,}" for op, n in sorted(independent.items()))
        yield (
            f"sampled: {independent.total():,} valid cases, drawn independently: a fault that "
            f"shows on 1 in so many of an op's cases was missed with probability ≤ {MISSED:.0%}: "
            f"{rarest}"
        )
    if statistics.drawn:
        every = len(possible(asked))
        covered = every - len(never_covered(statistics, asked))
        yield f"covered: {covered:,} of {every:,} pairs of features"


def _complete(name: str, scope: Scope) -> str:
    seen = scope.accepted + scope.rejected
    share = "complete" if seen == scope.whole else f"{seen:,} of {scope.whole:,}"
    escaped = (
        f"a fault of degree ≤ 2 in the data escaped each with probability ≤ "
        f"{rounded_up(scope.escape)}"
        if scope.escape < 1
        else "within the declared accuracy, not exactly"
    )
    return (
        f"{share}: {name}: {_compared(scope)} of {scope.accepted:,} geometries agree; {escaped}; "
        f"{scope.rejected:,} rejected as by torch"
    )


def _compared(scope: Scope) -> str:
    """Whether the gradients were compared as well."""
    if scope.gradients == scope.accepted:
        return "values and gradients"
    return f"values (gradients of {scope.gradients:,})" if scope.gradients else "values alone"


def rounded_up(probability: float) -> str:
    """Two significant digits, never less than `probability`."""
    if probability <= 0:
        return "0"
    exponent = floor(log10(probability)) - 1
    digits = ceil(probability / 10.0**exponent)
    return f"{digits * 10.0**exponent:.1e}"


def rarest_found(n: int) -> int:
    """The rarest fault, 1 in so many cases, that `n` independent cases miss with `MISSED`."""
    # (1 - 1/m)**n <= MISSED; the largest m, rounded down
    return max(1, int(1 / (1 - MISSED ** (1 / n))))


def never_covered(statistics: Statistics, asked: Asked | None = None) -> list[str]:
    """The pairs of features that valid cases can have and none of those drawn had."""
    return [pair for pair in possible(asked) if not statistics.pairs[pair]]
