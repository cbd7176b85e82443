"""Why a smallest case fails: where the result differs, and which of its parameters matter.

The smallest case is enlarged a little, and each of its parameters is varied alone and judged
again. What is said is what was seen: a parameter is said not to matter where the failure stayed
with every value that was tried, and a condition is said to be needed where it tells apart the
values with which the failure stayed from those with which it went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from ..cases.case import Case, Operand
from ..cases.edit import with_argument, with_operand, without_operand
from ..cases.operation import OPS, PADDING_MODES
from ..cases.sizes import (
    UNREADABLE,
    WHOLE,
    Axis,
    Key,
    Sizes,
    changed,
    following,
    keys,
    read,
    value_of,
    write,
)
from ..comparison.mismatch import EngineCrash, EngineHang, Mismatch, Status
from ..triage.pattern import picture
from ..triage.triage import Stopwatch
from .session import Predicate, Session

TIME = 1.5  # seconds that an explanation may take
PLACES = 6  # of the window, in a case that is enlarged
NAMES = {"size": "input", "taps": "kernel", "extra": "output_padding"}
WHOLES = {"channels": "channels of a group", "filters": "filters of a group"}
DTYPES = ("float32", "float64", "float16", "complex64", "int64", "uint8")
DATA = ("ones", "ramp", "integers:0", "integers:1", "reals:0")
LAYOUTS = ("contiguous", "fortran", "reversed", "strided", "swapped")

NEAR = 3  # values on both sides of a number that are tried
JOINTLY = ((1, 1), (2, 2), (1, 2), (2, 1))  # beyond the larger of two numbers
FOLLOWED = ("stride", "dilation", "taps", "padding")  # with the input's end, see `following`

Judge = Callable[[Case], bool | None]  # fails alike, holds, or neither can be said
Relation = tuple[str, Callable[[int, int], bool]]


def explained(session: Session, predicate: Predicate, found: Mismatch) -> Mismatch:
    """`found`, with the rows and the picture that explain it."""
    if found.sequence is not None or _is_costly(found):
        return found
    key = type(found).__name__, str(found.source)
    if key not in session.triage.explained:
        session.triage.explained[key] = _Explanation(session, predicate, found).parts()
    found.explanation, found.map = session.triage.explained[key]
    return found


def _is_costly(found: Mismatch) -> bool:
    """Whether each further failure costs a process, or the time of a call that hangs."""
    ended = isinstance(found, EngineCrash) and not any(
        name == "raised" for name, _ in found.details
    )
    return isinstance(found, EngineHang) or ended


class _Explanation:
    def __init__(self, session: Session, predicate: Predicate, found: Mismatch) -> None:
        self._session, self._predicate, self._found = session, predicate, found
        self._watch = Stopwatch(TIME)
        self._right = Status.REJECTED if found.case.blame else Status.AGREED
        self._judged = 0

    def parts(self) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        base, shown = self._enlarged()
        rows, lines = self._picture(shown)
        needed, free = _findings(base, self.fails)
        if needed:
            rows.insert(0, ("needs", ", ".join(needed)))
        if free:
            of = "" if lines and base == shown.case else f" of {base}"
            rows.insert(
                bool(needed),
                ("whatever", f"{', '.join(free)} ({self._judged} variations{of} judged)"),
            )
        return tuple(rows), tuple(lines)

    def fails(self, case: Case) -> bool | None:
        """Whether a case fails alike; None where that can't be said."""
        found = self._outcome(case)
        return type(found) is type(self._found) if isinstance(found, Mismatch) else found

    def _outcome(self, case: Case) -> Mismatch | bool | None:
        if self._watch.is_over or not self._session.draws(case):
            return None
        self._judged += 1
        try:
            verdict = self._session.judged(self._predicate, case)
        except Mismatch as mismatch:
            return mismatch if type(mismatch) is type(self._found) else None
        return False if verdict is not None and verdict.status is self._right else None

    def _enlarged(self) -> tuple[Case, Mismatch]:
        """A larger case that fails alike, and its failure; the smallest where there is none."""
        for case in enlarged(self._found.case):
            found = self._outcome(case)
            if isinstance(found, Mismatch):
                return case, found
        return self._found.case, self._found

    def _picture(self, shown: Mismatch) -> tuple[list[tuple[str, str]], list[str]]:
        if shown.wrong is None or not np.ndim(shown.wrong) or not shown.wrong.size:
            return [], []
        sentence, lines = picture(shown.case.op, shown.result, shown.wrong)
        return [("where", f"{shown.result} of {shown.case}: {sentence}")], lines


def enlarged(case: Case) -> Iterator[Case]:
    """Larger cases that have what `case` has: in all sizes, or in the input's alone."""
    sizes = read(case)
    if sizes is None or case.blame is not None:
        return
    wide = replace(
        sizes,
        batch=sizes.batch and max(2, sizes.batch),
        channels=max(2, sizes.channels),
        filters=max(2, sizes.filters),
    )
    data = (
        dict.fromkeys(("integers:0", case.data)) if case.rule in ("ones", "ramp") else [case.data]
    )
    for base in (wide, replace(sizes, batch=wide.batch), sizes):
        for more in (2, 0):
            axes = tuple(_with_places(case, axis, more) for axis in base.axes)
            for rule in data:
                with suppress(*UNREADABLE):
                    yield replace(write(case, replace(base, axes=axes), sizes), data=rule)


def _with_places(case: Case, axis: Axis, more: int) -> Axis:
    """The axis with so many taps more, and a window that has `PLACES` places."""
    axis = replace(axis, taps=axis.taps + more if axis.taps > 1 else axis.taps)
    if OPS[case.op].is_transposed:
        return replace(axis, size=max(PLACES, axis.size))
    size = axis.extent + (PLACES - 1) * axis.stride - 2 * axis.padding
    return replace(axis, size=max(axis.size, size, 1))


# ---- Which parameters matter ----


@dataclass
class _Seen:
    """The values of one number that were tried, and whether the failure stayed."""

    key: Key
    value: int  # of the case that is varied
    stayed: list[int] = field(default_factory=list)
    went: list[int] = field(default_factory=list)

    @property
    def gap(self) -> int | None:
        """The middle between where it went and where it stayed, if all of one is below the other
        and they are not next to each other."""
        stayed = [self.value, *self.stayed]
        if not self.went:
            return None
        for below, above in ((self.went, stayed), (stayed, self.went)):
            if max(below) + 1 < min(above):
                return (max(below) + min(above)) // 2
        return None


def _findings(base: Case, fails: Judge) -> tuple[list[str], list[str]]:
    """The conditions that are needed, and the parameters that do not matter."""
    needed, free = [], []
    if (sizes := read(base)) is not None and base.blame is None:
        varied = _Varied(base, sizes, fails)
        seen = [varied.tried(key) for key in keys(sizes) if _varies(base, sizes, key)]
        needed += _conditions(seen, varied)
        free += _not_mattering(seen, sizes)
    for name, now, variations in _kinds(base):
        outcomes = [(value, fails(case)) for value, case in variations]
        stayed = [value for value, outcome in outcomes if outcome]
        went = [value for value, outcome in outcomes if outcome is False]
        if stayed and not went:
            free.append(name)
        elif went:
            needed.append(_choice(name, [now, *stayed], went))
    return needed, free


class _Varied:
    """A case of which single numbers are changed and judged again."""

    def __init__(self, case: Case, sizes: Sizes, fails: Judge) -> None:
        self.case, self.sizes, self._fails = case, sizes, fails

    def fails(self, *changes: tuple[Key, int]) -> bool | None:
        """Whether the failure stays with these numbers changed: if the end of the input follows a
        step, so that the window has as many places, or if it stays where it is."""
        outcomes = [self._with(following, changes)]
        if not outcomes[0] and any(key[1] in FOLLOWED for key, _ in changes):
            outcomes.append(self._with(_changed, changes))
        said = [outcome for outcome in outcomes if outcome is not None]
        return any(said) if said else None

    def _with(
        self, change: Callable[..., Sizes], changes: Sequence[tuple[Key, int]]
    ) -> bool | None:
        new = self.sizes
        with suppress(*UNREADABLE):
            for key, value in changes:
                new = change(self.case, new, key, value)
            return self._fails(write(self.case, new, self.sizes))
        return None

    def tried(self, key: Key) -> _Seen:
        """The least values of a number, those around its own, and a far one; then the threshold."""
        seen = _Seen(key, value_of(self.sizes, key))
        least = 0 if key[1] in ("padding", "extra") else 1
        near = range(max(least, seen.value - NEAR), seen.value + NEAR + 1)
        for value in dict.fromkeys((*range(least, least + NEAR), *near, 2 * seen.value + 1)):
            self._try(seen, value)
        while (between := seen.gap) is not None:
            if not self._try(seen, between):
                break
        return seen

    def _try(self, seen: _Seen, value: int) -> bool:
        """Whether it could be said what a value does."""
        outcome = None if value == seen.value else self.fails((seen.key, value))
        if outcome is not None:
            (seen.stayed if outcome else seen.went).append(value)
        return outcome is not None


def _changed(case: Case, sizes: Sizes, key: Key, value: int) -> Sizes:
    return changed(sizes, key, value)


def _varies(case: Case, sizes: Sizes, key: Key) -> bool:
    """Whether a number may be another one: an unbatched call has no batch, a word no padding."""
    if key == (WHOLE, "batch"):
        return sizes.batch is not None
    given = {**OPS[case.op].arguments, **case.arguments}
    if key[1] == "padding":
        return "padding" in given and not isinstance(given["padding"], str)
    names = {"stride": "stride", "dilation": "dilation", "extra": "output_padding"}
    return names.get(key[1], "stride") in given or key[1] in ("size", "taps", "groups")


def _name(key: Key, sizes: Sizes) -> str:
    at, name = key
    if at == WHOLE:
        return WHOLES.get(name, name)
    named = NAMES.get(name, name)
    return named if len(sizes.axes) == 1 else f"{named}[{at}]"


RELATIONS: tuple[Relation, ...] = (
    ("≠", lambda a, b: a != b),
    ("=", lambda a, b: a == b),
    (">", lambda a, b: a > b),
    ("<", lambda a, b: a < b),
    ("≥", lambda a, b: a >= b),
    ("≤", lambda a, b: a <= b),
)


def _conditions(seen: list[_Seen], varied: _Varied) -> list[str]:
    """Of each number that matters, what tells apart where the failure stayed and where it went."""
    mattering, sizes = [one for one in seen if one.went], varied.sizes
    found: list[str] = []
    done: set[Key] = set()
    for i, one in enumerate(mattering):
        for other in mattering[i + 1 :]:
            if one.key in done or other.key in done or not _related(one, other):
                continue
            if sign := _between(one, other, varied):
                found.append(f"{_name(one.key, sizes)} {sign} {_name(other.key, sizes)}")
                done |= {one.key, other.key}
    alone = [one for one in mattering if one.key not in done]
    return [*(_condition(_name(one.key, sizes), one) for one in alone), *found]


def _related(one: _Seen, other: _Seen) -> bool:
    """Whether numbers can be compared that are of one name, or of one axis."""
    return WHOLE not in (one.key[0], other.key[0])


def _between(one: _Seen, other: _Seen, varied: _Varied) -> str:
    """The relation between two numbers that holds wherever the failure stayed, and nowhere else.

    It must hold where both are changed as well. A threshold of each alone says it more simply.
    """
    if _threshold(one) and _threshold(other):
        return ""
    pairs = [(v, other.value, True) for v in (one.value, *one.stayed)]
    pairs += [(v, other.value, False) for v in one.went]
    pairs += [(one.value, v, True) for v in other.stayed]
    pairs += [(one.value, v, False) for v in other.went]
    signs = [sign for sign, _ in RELATIONS if _tells(sign, pairs)]
    if not signs:
        return ""
    top = max(one.value, other.value)
    for a, b in ((top + i, top + j) for i, j in JOINTLY):
        if (outcome := varied.fails((one.key, a), (other.key, b))) is not None:
            pairs.append((a, b, outcome))
    return next((sign for sign in signs if _tells(sign, pairs)), "")


def _tells(sign: str, pairs: list[tuple[int, int, bool]]) -> bool:
    holds = dict(RELATIONS)[sign]
    return all(holds(a, b) is stayed for a, b, stayed in pairs)


def _threshold(one: _Seen) -> bool:
    stayed = [one.value, *one.stayed]
    return max(one.went) < min(stayed) or min(one.went) > max(stayed)


def _condition(name: str, one: _Seen) -> str:
    stayed = sorted([one.value, *one.stayed])
    if max(one.went) < stayed[0] and len(stayed) > 1:
        return f"{name} > {max(one.went)}"
    if min(one.went) > stayed[-1] and (len(stayed) > 1 or stayed[0] <= 1):
        return f"{name} < {min(one.went)}"
    if len(stayed) == 1:
        return f"{name} = {stayed[0]}"
    if len(one.went) == 1:
        return f"{name} ≠ {one.went[0]}"
    return f"{name} such as {_numbers(stayed)} (not {_numbers(sorted(one.went))})"


def _numbers(values: list[int]) -> str:
    return ", ".join(map(str, values))


def _not_mattering(seen: list[_Seen], sizes: Sizes) -> list[str]:
    """The numbers with which the failure stayed, whatever they were; one name for all axes."""
    free = [one.key for one in seen if one.stayed and not one.went]
    names: list[str] = []
    for at, name in free:
        alike = [one.key for one in seen if one.key[1] == name]
        every = at == WHOLE or all(key in free for key in alike)
        names.append(NAMES.get(name, WHOLES.get(name, name)) if every else _name((at, name), sizes))
    return [*dict.fromkeys(names)]


def _choice(name: str, stayed: list[str], went: list[str]) -> str:
    if len(went) < len(stayed):
        return f"{name} other than {', '.join(went)}"
    return f"{name} {' or '.join(stayed)} (not {', '.join(went)})"


Variations = list[tuple[str, Case]]


def _kinds(case: Case) -> Iterator[tuple[str, str, Variations]]:
    """What is no number: each with its value, the other values that it may have, and the cases."""
    op = OPS[case.op]
    arrays = {k: v for k, v in case.operands.items() if isinstance(v, Operand)}
    if "bias" in op.operands and case.blame != "bias":
        yield ("bias", *_other_bias(case))
    dtypes = [d for d in DTYPES if np.dtype(d).kind in op.kinds and d != case.dtype]
    yield "dtype", case.dtype, [(d, _with(case, arrays, dtype=d)) for d in dtypes]
    yield "data", case.data, [(d, replace(case, data=d)) for d in DATA if d != case.data]
    layouts = " and ".join(dict.fromkeys(array.layout for array in arrays.values()))
    others = [n for n in LAYOUTS if n != layouts]
    yield "layout", layouts, [(n, _with(case, arrays, layout=n)) for n in others]
    if "padding_mode" in op.arguments:
        now = case.arguments.get("padding_mode", "zeros")
        modes = [mode for mode in PADDING_MODES if mode != now]
        changed = [(mode, with_argument(case, "padding_mode", mode)) for mode in modes]
        yield "padding_mode", now, changed


def _other_bias(case: Case) -> tuple[str, Variations]:
    if "bias" in case.operands:
        return "given", [("left out", without_operand(case, "bias"))]
    op, weight = OPS[case.op], case.shapes.get("weight", (1, 1))
    filters = weight[1] * int(case.arguments.get("groups", 1)) if op.is_transposed else weight[0]
    return "left out", [("given", with_operand(case, "bias", Operand((filters,), case.dtype)))]


def _with(case: Case, arrays: dict[str, Operand], **other: str) -> Case:
    changed = {k: replace(v, **other) for k, v in arrays.items()}  # type: ignore[arg-type]
    return replace(case, operands={**case.operands, **changed})
