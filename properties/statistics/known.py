"""Known shortcomings of an engine: what excuses a failure, and lines learnt from failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations

from ..cases.case import Case
from ..cases.line import parse, parse_source
from ..cases.partial import ANY, Partial, parse_partial
from ..cases.partial import traits as traits_of_case
from ..cases.sequence import CaseSequence, cases_of
from ..comparison.deviations import WRONG, Excuse
from ..comparison.mismatch import (
    AcceptedInvalid,
    EngineHang,
    Failure,
    Mismatch,
    RelationBroken,
    Status,
    WrongError,
)
from .statistics import simplicity, traits_of

Source = Case | CaseSequence
Traits = frozenset[str]


@dataclass(frozen=True)
class Known:
    """The lines of a file of known shortcomings."""

    excuses: tuple[Excuse, ...] = ()

    def excusing(self, mismatch: Mismatch) -> tuple[str, ...]:
        """The lines that excuse `mismatch`."""
        return tuple(str(excuse) for excuse in self.excuses if excuse.excuses(mismatch))

    def spares(self, source: Source) -> bool:
        """Whether the engine is not called, because it is known not to return.

        Each such call would cost its whole time; the example of the line is called all the same.
        """
        hangs = [excuse for excuse in self.excuses if excuse.kind == EngineHang.__name__]
        if not hangs or source in self.examples:
            return False
        return any(excuse.covers(case) for excuse in hangs for case in cases_of(source))

    @property
    def examples(self) -> tuple[Source, ...]:
        return tuple(excuse.source for excuse in self.excuses if excuse.source is not None)

    @property
    def broken_relations(self) -> tuple[Source, ...]:
        """The examples that only a relation shows."""
        lines = [excuse for excuse in self.excuses if excuse.kind == RelationBroken.__name__]
        return Known(tuple(lines)).examples

    def unused(self, used: Iterable[str]) -> tuple[Excuse, ...]:
        """The lines without which all that was excused still would be.

        `used` are the lines that excused a failure together, with line breaks between: where one
        that is needed anyway is among them, the others are not needed for it.
        """
        together = [frozenset(lines.split("\n")) for lines in used]
        stale: set[str] = set()
        for line in map(str, self.excuses):
            if all(lines - stale - {line} for lines in together if line in lines):
                stale.add(line)
        return tuple(excuse for excuse in self.excuses if str(excuse) in stale)


NOTHING_KNOWN = Known()

# ---- Learning lines: what do the calls that fail have in common, and those that hold do not? ----

MOST = 3  # traits in one line
FAR = 0.5  # of the way from the share of all the op's calls that fail to all of them
OFTENER = 4  # times as often as the op's calls in general, if no line is nearer to all of them,
MAJORITY = 0.6  # and of so much of what is left
ALWAYS = 0.98  # an op of which so many calls fail has no other line
SAMPLE = 400  # failures from which lines are tried
TRIED = 60  # lines of each number of traits

Line = tuple[Traits, Failure, str]  # what a line says, its example, and how often it holds
OfOp = tuple[str, str, Traits, Failure, str]  # the same, with its kind and op before


def learnt(failures: Sequence[Failure], passes: Iterable[str]) -> list[Excuse]:
    """Few and general lines that cover all `failures`, and hardly a call that holds.

    For each kind of failure and op: again and again, the line that covers most of what is left,
    among those with the fewest traits that fail far more often than the op's calls in general.
    Where no traits do, it is the op alone. Lines that are alike for several ops become one, if no
    call of any op with these traits holds. A relation is left out that a known call explains.

    `passes` are the status, the op and the traits of each call that holds, with tabs between.
    """
    broken = RelationBroken.__name__
    single = [f for f in failures if len(f.calls) == 1 and f.kind != broken]
    lines = _lines(single, passes)
    others = [failure for failure in failures if failure not in single]
    left = [failure for failure in others if not any(_explains(line, failure) for line in lines)]
    return needed([*lines, *_lines(left, passes, single)], failures)


USUAL = ("dtype='float32'", "data='ones'")  # what a shrunk case has unless it needs another


def in_the_words_of(
    small: Case, line: Excuse, failures: Sequence[Failure], others: Sequence[Excuse]
) -> Excuse:
    """`line` with `small` for its example, and in its traits, if they cover what needs the line."""
    words = [trait for trait in _sorted(traits_of_case(small)) if trait not in USUAL]
    unlike = line.partial.op == ANY and any(trait.startswith("bias=") for trait in words)
    example = replace(line, source=small) if line.covers(small) else line
    if unlike or not words:
        return example
    partial = _partial(line.partial.op, words)
    said = replace(line, partial=partial, source=small)
    alone = [f for f in failures if _explains(line, f) and not any(_explains(o, f) for o in others)]
    return said if all(_explains(said, failure) for failure in alone) else example


def _partial(op: str, words: Sequence[str]) -> Partial:
    """The partial line of an op that says all these traits."""
    compared = [trait for trait in words if ">" in trait.partition("=")[0]]
    named = [trait for trait in words if trait not in compared]
    return parse_partial(f"{op}({', '.join((*compared, *named))})")


def needed(lines: Sequence[Excuse], failures: Sequence[Failure]) -> list[Excuse]:
    """The lines that are needed, each with the simplest failure that no other covers."""
    lines = [*{str(line): line for line in lines}.values()]
    used = {"\n".join(str(line) for line in lines if _explains(line, f)) for f in failures}
    stale = Known(tuple(lines)).unused(used)
    lines = [line for line in lines if line not in stale]
    found = []
    for line in lines:
        alone = [f for f in failures if [other for other in lines if _explains(other, f)] == [line]]
        example = min(alone, key=simplicity)
        kept = line.reason.partition(": ")[0] == example.headline.partition(": ")[0]
        reason = line.reason if kept else _in_one_line(example.headline)
        found.append(replace(line, source=parse_source(example.source), reason=reason))
    return found


def _explains(line: Excuse, failure: Failure) -> bool:
    """Whether one of several calls that may be at fault is known to fail."""
    broken = failure.kind == RelationBroken.__name__ and line.kind in WRONG
    alike = broken or line.kind == failure.kind
    return alike and any(line.covers(_parsed(call)) for call in failure.calls)


@lru_cache(1 << 14)
def _parsed(line: str) -> Case:
    return parse(line)


def _lines(
    failures: Sequence[Failure], passes: Iterable[str], others: Sequence[Failure] = ()
) -> list[Excuse]:
    """Lines for `failures`; `others` are calls that fail too."""
    held: dict[tuple[str, str], list[Traits]] = {}
    for key in passes:
        status, op, *found = key.split("\t")
        held.setdefault((status, op), []).append(frozenset(found))
    wrong: dict[str, list[Traits]] = {}
    groups: dict[tuple[str, str], dict[Failure, Traits]] = {}
    for failure in (*failures, *others):
        op, *found = traits_of(failure.calls[0]).split("\t")
        if failure in others:
            wrong.setdefault(op, []).append(frozenset(found))
        else:
            groups.setdefault((failure.kind, op), {})[failure] = frozenset(found)
    lines = [
        (kind, op, *line)
        for (kind, op), of_kind in sorted(groups.items())
        for line in _covering(of_kind, wrong.get(op, []), held.get((_opposite(kind), op), []))
    ]
    return [*_joined(lines, held)]


def _opposite(kind: str) -> str:
    """The status of the calls that a failure of this kind is told apart from."""
    is_of_rejections = kind in (AcceptedInvalid.__name__, WrongError.__name__)
    return Status.REJECTED if is_of_rejections else Status.AGREED


def _covering(
    failures: Mapping[Failure, Traits], wrong: Sequence[Traits], held: Sequence[Traits]
) -> Iterator[Line]:
    left, wrong = dict(failures), [*wrong, *failures.values()]
    while left:
        line = _best([*left.values()], wrong, held)
        covered = [failure for failure, traits in left.items() if line <= traits]
        fail, hold = _counts(line, [*failures.values()], held)
        often = f" (on {fail:,} of {fail + hold:,} kinds of such calls)" if hold > fail else ""
        yield line, min(covered, key=simplicity), often
        left = {failure: traits for failure, traits in left.items() if not line <= traits}


def _best(left: Sequence[Traits], wrong: Sequence[Traits], held: Sequence[Traits]) -> Traits:
    usual = len(wrong) / (len(wrong) + len(held))
    for enough, share in ((usual + FAR * (1 - usual), 0.0), (usual * OFTENER, MAJORITY)):
        if (line := _likeliest(left, wrong, held, enough, share)) is not None:
            return line
    return frozenset()


def _likeliest(
    left: Sequence[Traits],
    wrong: Sequence[Traits],
    held: Sequence[Traits],
    enough: float,
    share: float,
) -> Traits | None:
    """The line with fewest traits, and then of most failures, of which `enough` calls fail, and
    which covers a `share` of what is left."""
    step = max(1, len(left) // SAMPLE)
    always = len(wrong) >= ALWAYS * (len(wrong) + len(held))
    for size in range(0 if always else 1, MOST + 1):
        support = Counter(
            frozenset(chosen)
            for traits in left[::step]
            for chosen in combinations(_sorted(traits), size)
        )
        likeliest = sorted(support.items(), key=lambda found: (-found[1], _rank(found[0])))
        for line, _ in likeliest[:TRIED]:
            fail, hold = _counts(line, wrong, held)
            if fail >= enough * (fail + hold) and support[line] * step >= share * len(left):
                return line
    return None


def _counts(line: Traits, wrong: Sequence[Traits], held: Sequence[Traits]) -> tuple[int, int]:
    """How many of the calls with all these traits fail, and how many hold."""
    fail, hold = (sum(line <= traits for traits in every) for every in (wrong, held))
    return fail, hold


# Which trait tells most, where several say the same: the first, then by name.
_TELLING = ("blame", "dtype", "padding_mode", "padding", "groups", "batch", "dilation", "stride")
_LEAST = ("form", "type")  # how a call is said: hardly ever what it is about


def _rank(traits: Iterable[str]) -> list[tuple[int, str]]:
    return sorted(map(_trait_rank, traits))


def _trait_rank(trait: str) -> tuple[int, str]:
    name = trait.partition("=")[0].partition(">")[0]
    if name in _LEAST:
        return len(_TELLING) + 1, trait
    return _TELLING.index(name) if name in _TELLING else len(_TELLING), trait


def _sorted(traits: Iterable[str]) -> list[str]:
    return sorted(traits, key=_trait_rank)


def _joined(
    lines: Sequence[OfOp], held: Mapping[tuple[str, str], Sequence[Traits]]
) -> Iterator[Excuse]:
    """Lines that are alike but for the op as one."""
    alike: dict[tuple[str, Traits], list[OfOp]] = {}
    for line in lines:
        alike.setdefault((line[0], line[2]), []).append(line)
    for (_, traits), found in alike.items():
        operands = any(trait.startswith(("bias=", "blame=")) for trait in traits)
        status = _opposite(found[0][0])
        apart = [traits for (kind, _), every in held.items() if kind == status for traits in every]
        holds_somewhere = any(traits <= other for other in apart)
        if len(found) > 1 and traits and not operands and not holds_somewhere:
            yield _excuse(ANY, min(found, key=lambda line: simplicity(line[3])))
        else:
            yield from (_excuse(line[1], line) for line in found)


def _excuse(op: str, line: OfOp) -> Excuse:
    kind, _, traits, example, often = line
    partial = _partial(op, _sorted(traits))
    reason = _in_one_line(example.headline)
    return Excuse(kind, partial, reason + often, parse_source(example.source))


def _in_one_line(text: str) -> str:
    return " ".join(text.split()).replace("#", "number")
