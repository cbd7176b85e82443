"""Simpler cases: shrinking over `Case` itself, to one canonical smallest failure.

The moves are those that a person would try: an axis less, an operand or an argument less, simpler
data, a smaller size, alone or with the sizes that hang on it. Every move leads strictly down in
one total order on cases, `order`, which compares in this sequence:

1. the axes of the op, and whether it is a layer;
2. the arrays given, other values in place of arrays (None before all else), the arguments given;
3. what is not in the plainest form: an argument, a layout, the rank of an operand (unbatched);
4. the dtypes, in the sequence of `DTYPES`;
5. the data rule, in the sequence of `RULES`, then its seed;
6. the steps (stride, padding, …), by how much they are above torch's default;
7. the number of elements, how many sizes are not 1, and the sizes themselves, the input's last;
8. the line: its length, then its letters.

All but the line are natural numbers, and there are finitely many lines of one length: no chain of
ever simpler cases is endless, so the search ends. It is also bounded, by `LIMIT` evaluations.

The first moves ask for much (the plainest call of all, large sizes cut to 16), so that an
evaluation soon costs little; large sizes fall by halves. What is left at the end is compared with
every simpler case of a few elements, as a fault that needs certain data shows only here and there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, replace
from functools import partial
from itertools import combinations_with_replacement, islice, permutations
from math import prod
from typing import Any

from .cases.case import DTYPES, LAYOUTS, RULES, Case, Operand, literal
from .cases.edit import (
    natural,
    reshaped,
    with_argument,
    with_operand,
    without_argument,
    without_operand,
)
from .cases.forms import oddness, written_otherwise
from .cases.line import RULE
from .cases.operation import OPS, PER_AXIS, Op, per_axis, rank, work
from .cases.sequence import CaseSequence
from .cases.sizes import (
    STEPS,
    UNREADABLE,
    WHOLE,
    Axis,
    Key,
    Sizes,
    changed,
    following,
    grown,
    keys,
    read,
    resized,
    value_of,
    write,
)

LIMIT = 1000  # evaluations of one search; the median takes 60, a ResNet layer at most 400
HEAVY = 16  # sizes above this are cut first
SEEDS = 8  # of a data rule, tried from 0 on
ENDS = 8  # of the input, tried after a step has changed
FEW_STEPS = 8  # smaller values of one number, all tried
ALONE = (4, 6, 8, 12, 16, 24, 32, 48, 64)  # of one size where all others are 1, tried at the end
FEW = 40  # cases of the fewest elements, compared with at the end
CHEAP = 1 << 16  # multiply-adds; above it no call may cost more than the one before
MANY = 1 << 12  # elements that a product of sizes may make of one size

Move = Callable[[Case], Iterator[Case]]
Order = tuple[Any, ...]


def smallest(case: Case, fails: Callable[[Case], bool], limit: int = LIMIT) -> Case:
    """The last of ever simpler cases that still `fails`, from which no move leads further.

    Parameters
    ----------
    case : Case
        What fails already: it is not evaluated again.
    fails : callable
        Whether a case fails in the same way; it may be given calls that are not valid.
    limit : int
        The most evaluations of `fails`.
    """
    tried = {str(case)}
    turn = idle = 0
    while idle < len(MOVES):
        for simpler in _downwards(MOVES[turn], case):
            if (line := str(simpler)) not in tried and len(tried) <= limit:
                tried.add(line)
                if fails(simpler):
                    case, idle = simpler, 0
                    break
        else:
            turn, idle = (turn + 1) % len(MOVES), idle + 1
    return case


def smallest_sequence(
    sequence: CaseSequence, fails: Callable[[CaseSequence], bool]
) -> CaseSequence:
    """Fewer calls first, then simpler ones: all of them together, or each alone."""
    seen = {str(sequence)}
    moving = True
    while moving:
        moving = False
        for cases in _shorter_or_simpler(sequence.cases):
            simpler = replace(sequence, cases=cases)
            if str(simpler) not in seen:
                seen.add(str(simpler))
                if fails(simpler):
                    sequence, moving = simpler, True
                    break
    return sequence


def _shorter_or_simpler(cases: tuple[Case, ...]) -> Iterator[tuple[Case, ...]]:
    if len(cases) > 2:
        yield from (cases[:i] + cases[i + 1 :] for i in range(len(cases)))
    yield from zip(*map(moves, cases), strict=False)
    for i, case in enumerate(cases):
        yield from ((*cases[:i], simpler, *cases[i + 1 :]) for simpler in moves(case))


def moves(case: Case) -> Iterator[Case]:
    """All cases one move simpler than `case`, the largest moves first; not all are valid."""
    for move in MOVES:
        yield from _downwards(move, case)


def _downwards(move: Move, case: Case) -> Iterator[Case]:
    """What a move leads to, where it is a case, leads down and is not a call that costs more."""
    start, limit = order(case), max(CHEAP, work(OPS[case.op], case.operands))
    is_free = case.blame is None or move in (_blamed, _other_blame)
    wrong = None if is_free else fault(case)
    for simpler in move(case):
        sizes = (n for array in _arrays(simpler).values() for n in array.shape)
        is_possible = min(sizes, default=0) >= 0 and order(simpler) < start
        is_possible = is_possible and work(OPS[simpler.op], simpler.operands) <= limit
        if is_possible and (is_free or fault(simpler) == wrong):
            yield simpler


def simplifies(simple: Case, case: Case) -> bool:
    """Whether `simple` is `case` made simpler in some respects and odder in none.

    Of two failures of a kind, the one is then a step of the other's shrinking. Each size, step and
    number of axes is at most that of `case`; dtype, data and layouts are the same or plainer; and
    whatever is given in `simple` is given in `case`.
    """
    if _function_family(simple) != _function_family(case) or simple.blame != case.blame:
        return False
    if OPS[simple.op].is_layer and not OPS[case.op].is_layer:
        return False
    given = all(_is_no_odder(simple, case, name) for name in simple.arguments)
    return given and _is_plainer(simple, case) and _is_no_larger(simple, case)


def _function_family(case: Case) -> str:
    return OPS[case.op].family.lower().replace("convtranspose", "conv_transpose")


def _is_no_odder(simple: Case, case: Case, name: str) -> bool:
    """Whether an argument is given in both; words and odd forms are alike."""
    if name not in case.arguments:
        return False
    value, other = simple.arguments[name], case.arguments[name]
    if isinstance(value, str):
        return bool(value == other)
    return name == simple.blame or _is_plain(simple, name) or type(value) is type(other)


def _is_plainer(simple: Case, case: Case) -> bool:
    """Whether dtype, data, layouts and the form of the call are plainer, or the same."""
    if not simple.operands.keys() <= case.operands.keys():
        return False
    if _place(simple.rule, RULES) > _place(case.rule, RULES):
        return False
    mine, others = _arrays(simple), _arrays(case)
    if not mine.keys() <= others.keys():
        return mine.keys() == others.keys() and simple.operands == case.operands
    arrays = all(
        _place(array.dtype, DTYPES) <= _place(others[name].dtype, DTYPES)
        and array.layout in (LAYOUTS[0], others[name].layout)
        for name, array in mine.items()
    )
    forms = (f for f in fields(Case) if f.name in ("grad_output", "sizes", "positional"))
    return arrays and all(
        getattr(simple, f.name) in (f.default, getattr(case, f.name)) for f in forms
    )


def _is_no_larger(simple: Case, case: Case) -> bool:
    """Whether every size and step is at most as large, for some choice of axes."""
    small, large = read(simple), read(case)
    if small is None or large is None:
        return False
    for name in ("batch", "groups", "channels", "filters"):
        less, more = getattr(small, name), getattr(large, name)
        if less != more and not 0 < (less or 0) <= (more or 0):  # none at all is odder than a few
            return False
    chosen = permutations(large.axes, len(small.axes))
    return any(all(map(_is_axis_no_larger, small.axes, axes)) for axes in chosen)


def _is_axis_no_larger(small: Axis, large: Axis) -> bool:
    return all(getattr(small, f.name) <= getattr(large, f.name) for f in fields(Axis))


# ---- The order ----


def order(case: Case) -> Order:
    """What makes one case simpler than another: of two, the one whose order is less."""
    op, line = OPS[case.op], str(case)
    arrays = _arrays(case)
    others = [v for k, v in case.operands.items() if k not in arrays]
    # of the last operand first: a larger input is plainer than a larger weight
    apart = [[abs(n - 1) for n in v.shape] for v in reversed(arrays.values())]  # 0 counts as 2
    steps = _steps_above(case)
    return (
        *(op.axes, op.is_layer),
        *(len(arrays), sum(v is not None for v in others), len(case.arguments)),
        sum(not _is_plain(case, name) for name in case.arguments) + _unusual(case),
        sum(oddness(case.arguments[k]) for k in case.arguments if not _is_plain(case, k)),
        sum(_place(v.layout, LAYOUTS) for v in arrays.values()),
        sum(abs(rank(op, k) - len(v.shape)) for k, v in arrays.items()),
        sum(_place(v.dtype, DTYPES) for v in arrays.values()),
        *(_place(case.rule, RULES), case.seed),
        *(sum(steps), sum(n > 0 for n in steps)),
        sum(prod(n + 1 for n in shape) for shape in apart),
        *(sum(n > 0 for shape in apart for n in shape), apart),
        *(len(line), line),
    )


def _place(name: str, menu: Sequence[str]) -> int:
    """Where `name` stands among the simple to the odd; what is not listed is odder than all."""
    return menu.index(name) if name in menu else len(menu)


def _steps_above(case: Case) -> list[int]:
    """How far each step is above its default, axis by axis; what is no integer says nothing."""
    op, found = OPS[case.op], []
    for name, value in case.arguments.items():
        default = 1 if op.arguments[name] is None else op.arguments[name]
        if name != case.blame and _is_numeric(op, name):
            try:
                values = per_axis(value, 1 if name == "groups" else op.axes)
            except UNREADABLE:
                continue
            found += [abs(v - default) for v in values]
    return found


def _is_plain(case: Case, name: str) -> bool:
    """Whether an argument stands in the plainest form: one integer, or unlike ones in a tuple."""
    if name == case.blame or not _is_numeric(OPS[case.op], name):
        return True
    value = case.arguments[name]
    try:
        plain = natural(per_axis(value, OPS[case.op].axes))
    except UNREADABLE:
        return False
    return literal(value) == literal(plain)


def _is_numeric(op: Op, name: str) -> bool:
    """Whether torch takes one integer for an argument; of a layer it wants all output sizes."""
    return name in (*PER_AXIS, "groups") or (name == "output_size" and not op.is_layer)


def _unusual(case: Case) -> int:
    """The other fields of the case and of its operands that have not their default."""
    known = {"arguments", "data", "blame", "dtype", "layout"}
    things: list[Any] = [case, *(v for v in case.operands.values() if isinstance(v, Operand))]
    return sum(
        getattr(thing, f.name) != f.default
        for thing in things
        for f in fields(thing)
        if f.name not in known and f.default is not MISSING
    )


# ---- Moves over the call as a whole ----


def plain_call(op: Op) -> Case:
    """The plainest call of an op: all sizes 1, and what has no default."""
    operands = {name: Operand(()) for name in op.operands[: op.required]}
    needed = {name: 1 for name in op.arguments if _is_needed(op, name)}
    return write(Case(op.name, operands, needed), Sizes(1, 1, 1, 1, (Axis(1, 1),) * op.axes))


def _is_needed(op: Op, name: str) -> bool:
    return op.arguments[name] is None and not op.is_layer


def _plainest(case: Case) -> Iterator[Case]:
    """The plainest call of the op, then the same with this case's dtype and data."""
    if case.blame is None:
        plain = plain_call(OPS[case.op])
        yield plain
        typed = {k: replace(v, dtype=case.dtype) for k, v in plain.operands.items()}
        yield replace(plain, operands=typed, data=case.data)


def _function(case: Case) -> Iterator[Case]:
    """A layer as the function that it calls."""
    function = case.op[0].lower() + case.op[1:]
    function = function.replace("Transpose", "_transpose")
    if OPS[case.op].is_layer and case.blame in (None, *OPS[function].arguments, "input", "weight"):
        known = {k: v for k, v in case.arguments.items() if k in OPS[function].arguments}
        yield replace(case, op=function, arguments=known)


def _fewer_axes(case: Case) -> Iterator[Case]:
    """The same in one dimension less, without any of the axes."""
    op = OPS[case.op]
    fewer = f"{op.family}{op.axes - 1}d"
    if fewer not in OPS:
        return
    sizes = read(case)
    for axis in range(op.axes):
        if sizes is None:
            yield _cut(case, fewer, axis)
        else:
            axes = _without(sizes.axes, axis)
            yield write(replace(case, op=fewer), replace(sizes, axes=axes), sizes)


def _cut(case: Case, fewer: str, axis: int) -> Case:
    """An irregular case without an axis, counted from the last."""
    operands, arguments = {}, {}
    for name, value in case.operands.items():
        cut = isinstance(value, Operand) and name != "bias" and len(value.shape) > axis
        operands[name] = resized(value, _without(value.shape, -1 - axis)) if cut else value
    for name, value in case.arguments.items():
        cut = isinstance(value, (tuple, list)) and len(value) == OPS[case.op].axes
        arguments[name] = _without(value, -1 - axis) if cut else value
    return replace(case, op=fewer, operands=operands, arguments=arguments)


def _without(values: Any, axis: int) -> Any:
    at = axis % len(values)
    return values[:at] + values[at + 1 :]


def _fewer_given(case: Case) -> Iterator[Case]:
    """Without an optional operand or an argument, whose place the input's size may take."""
    op = OPS[case.op]
    for name in op.operands[op.required :]:
        if name in case.operands and name != case.blame:
            yield without_operand(case, name)
    sizes = read(case)
    for name in case.arguments:
        if name == case.blame or _is_needed(op, name):
            continue
        if name == "groups" and case.arguments[name] != 1 and case.blame in op.operands[1:]:
            continue  # others may then be to blame
        fewer = without_argument(case, name)
        yield fewer
        if sizes and name in STEPS:
            moved = sizes
            for at in range(op.axes):
                moved = following(case, moved, (at, STEPS[name]), op.arguments[name])
            yield write(fewer, moved, sizes)
        if sizes and case.arguments[name] == "same":
            yield from _as_size_or_number(case, sizes)


def _as_size_or_number(case: Case, sizes: Sizes) -> Iterator[Case]:
    """What padding 'same' adds as part of the input, then as a number."""
    border = [a.extent - 1 for a in sizes.axes]
    axes = (replace(a, size=a.size + n) for a, n in zip(sizes.axes, border, strict=True))
    yield write(without_argument(case, "padding"), replace(sizes, axes=tuple(axes)), sizes)
    yield with_argument(case, "padding", natural(tuple(n - n // 2 for n in border)))


def _forms(case: Case) -> Iterator[Case]:
    """Everything in its plainest form: an integer, else a tuple of integers; default fields."""
    for name, value in case.arguments.items():
        if not _is_plain(case, name):
            with suppress(*UNREADABLE):
                plain = natural(per_axis(value, OPS[case.op].axes))
                yield with_argument(case, name, plain)
                yield from (with_argument(case, name, v) for v in written_otherwise(value))
            if isinstance(value, (tuple, list)):
                yield with_argument(case, name, value[:1])
    yield from _with_defaults(case, "arguments", "blame")
    for name, value in case.operands.items():
        if isinstance(value, Operand):
            plainer = _with_defaults(value, "dtype", "layout")
            yield from (with_operand(case, name, v) for v in plainer)


def _with_defaults(thing: Any, *kept: str) -> Iterator[Any]:
    """`thing`, a Case or an Operand, with one field more at its default."""
    for f in fields(thing):
        if f.name not in kept and f.default not in (MISSING, getattr(thing, f.name)):
            yield replace(thing, **{f.name: f.default})


# ---- Moves over dtypes, layouts and data ----


def _arrays(case: Case) -> dict[str, Operand]:
    return {k: v for k, v in case.operands.items() if isinstance(v, Operand)}


def _dtypes(case: Case) -> Iterator[Case]:
    """All arrays in a simpler dtype; one of a blamed case alone."""
    arrays = _arrays(case)
    odd = max((_place(v.dtype, DTYPES) for v in arrays.values()), default=0)
    for dtype in DTYPES[:odd]:
        changed = {k: replace(v, dtype=dtype) for k, v in arrays.items()}
        yield replace(case, operands={**case.operands, **changed})
        for name in arrays if case.blame else ():
            yield with_operand(case, name, changed[name])


def _layouts(case: Case) -> Iterator[Case]:
    """Plain layouts, all, all but one, or one; else the simplest other one."""
    arrays = _arrays(case)
    plain = {k: replace(v, layout=LAYOUTS[0]) for k, v in arrays.items()}
    plainest = replace(case, operands={**case.operands, **plain})
    yield plainest
    odd = max((_place(v.layout, LAYOUTS) for v in arrays.values()), default=0)
    for name, array in plain.items():
        for layout in LAYOUTS[1 : odd + 1]:
            yield with_operand(plainest, name, replace(array, layout=layout))
    for name, array in arrays.items():
        for layout in LAYOUTS[: _place(array.layout, LAYOUTS)]:
            yield with_operand(case, name, replace(array, layout=layout))


def _data(case: Case) -> Iterator[Case]:
    """A simpler rule, else a smaller seed."""
    for rule in RULES[: _place(case.rule, RULES)]:
        yield replace(case, data=rule if RULE.fullmatch(rule) else f"{rule}:0")
    for seed in range(min(SEEDS, case.seed)):
        yield replace(case, data=f"{case.rule}:{seed}")


# ---- Moves over sizes ----


COUNTED = ("batch", "channels", "filters", "size", "taps")
# Numbers of which the product says as much: terms, places, channels of all groups.
PRODUCTS = (("channels", "taps"), ("batch", "size"), ("groups", "filters"), ("groups", "channels"))


def _large_cut(case: Case) -> Iterator[Case]:
    """Large sizes cut to `HEAVY`, all at once, to four times as much, then one by one."""
    sizes = read(case)
    if sizes is None:
        return
    for most in (HEAVY, 4 * HEAVY):
        cut = sizes
        for key in _above(sizes, most):
            cut = following(case, cut, key, most)
        yield write(case, cut, sizes)
    for key in _above(sizes, HEAVY):
        yield write(case, following(case, sizes, key, HEAVY), sizes)


def _above(sizes: Sizes, most: int) -> list[Key]:
    return [key for key in keys(sizes) if value_of(sizes, key) > most]


def _smaller(key: Key, case: Case) -> Iterator[Case]:
    """One size or step made smaller; the end of the input moves with a step, or stays, or both."""
    sizes = read(case)
    if sizes is None or key not in keys(sizes):
        return
    for less in _less(value_of(sizes, key), 0 if key[1] in ("padding", "extra") else 1):
        yield write(case, following(case, sizes, key, less), sizes)
        yield write(case, changed(sizes, key, less), sizes)
        yield from _between(case, sizes, key, less)


def _between(case: Case, sizes: Sizes, key: Key, less: int) -> Iterator[Case]:
    """All other ends of the input, from that which follows a step to that which stays."""
    new = changed(sizes, key, less)
    if key[0] == WHOLE:
        return
    end = (key[0], "size")
    ends = sorted(value_of(x, end) for x in (following(case, sizes, key, less), new))
    for size in range(ends[0] + 1, min(ends[1], ends[0] + ENDS)):
        yield write(case, changed(new, end, size), sizes)


def _less(size: int, least: int = 1) -> Iterator[int]:
    """The least few, then what is half as far from them, a quarter, and so on up to `size`."""
    if size < least:  # nothing at all is odder than a little
        yield from (least, least + 1)
    yield from range(least, min(size, least + (FEW_STEPS if size <= 2 * FEW_STEPS else 3)))
    gap = size - least
    while gap > 1:
        gap //= 2
        yield size - gap


def _concentrated(case: Case) -> Iterator[Case]:
    """The product of two sizes in one of them: 65 taps say more than 5 channels of 13 taps."""
    sizes = read(case)
    if sizes is None:
        return
    for names in PRODUCTS:
        factors = [key for key in keys(sizes) if key[1] in names and value_of(sizes, key) > 0]
        for one, other in permutations(factors, 2):
            product = value_of(sizes, one) * value_of(sizes, other)
            if value_of(sizes, one) > 1 and product < MANY:
                single = following(case, sizes, one, 1)
                yield write(case, following(case, single, other, product), sizes)


def _permuted(case: Case) -> Iterator[Case]:
    """The axes in another sequence, and the numbers of one kind alone, from small to large."""
    sizes = read(case)
    if sizes is None:
        return
    for axes in permutations(sizes.axes):
        yield write(case, replace(sizes, axes=axes), sizes)
    for f in fields(Axis):
        values = sorted(getattr(axis, f.name) for axis in sizes.axes)
        rows = zip(sizes.axes, values, strict=True)
        alone = tuple(replace(axis, **{f.name: n}) for axis, n in rows)
        yield write(case, replace(sizes, axes=alone), sizes)


def _fewest(case: Case) -> Iterator[Case]:
    """The cases of the fewest elements, with this case's arguments and data, and with plainer."""
    if case.blame is not None:
        return
    for move in (_function, _fewer_axes, _fewer_given, _data):
        for simpler in _downwards(move, case):
            yield from islice(_of_few_elements(simpler), FEW // 4)
    yield from islice(_of_few_elements(case), FEW)
    plain_data = (simpler for simpler in _data(case) if ":" not in simpler.data)
    for simpler in (*plain_data, case):
        yield from _of_one_size(simpler)


def _of_few_elements(case: Case) -> Iterator[Case]:
    """Cases that differ from `case` in sizes alone, from the fewest elements on."""
    if (sizes := read(case)) is None:
        return
    free = [key for key in keys(sizes) if key[1] in COUNTED]
    bases = dict.fromkeys(_all_one(replace(sizes, groups=n), free) for n in (1, sizes.groups))
    for n in range(4):
        for more in combinations_with_replacement(free, n):
            yield from (write(case, grown(base, more), sizes) for base in bases)


def _of_one_size(case: Case) -> Iterator[Case]:
    """One size alone, and all others 1."""
    if (sizes := read(case)) is None:
        return
    free = [key for key in keys(sizes) if key[1] in COUNTED]
    least = _all_one(sizes, free)
    for key in free:
        yield from (write(case, following(case, least, key, n), sizes) for n in ALONE)


def _all_one(sizes: Sizes, free: Sequence[Key]) -> Sizes:
    for key in free:
        sizes = changed(sizes, key, 1)
    return sizes


# ---- Moves over cases that must be rejected ----


def fault(case: Case) -> tuple[bool, ...]:
    """What is wrong with the operands of a case: where that changes, another would be to blame."""
    op, sizes, arrays = OPS[case.op], read(case), _arrays(case)
    name = case.blame or ""
    blamed = arrays.get(name)
    fits = op.is_transposed or case.arguments.get("padding") == "same"
    return (
        sizes is None,
        fits or sizes is None or all(axis.places > 0 for axis in sizes.axes),
        len({array.dtype for array in arrays.values()}) > 1,
        blamed is not None and len(blamed.shape) != rank(op, name),
        blamed is not None and 0 in blamed.shape,
        name in op.operands and blamed is None,
    )


def _other_blame(case: Case) -> Iterator[Case]:
    """The plainest call with another fault."""
    if case.blame is None:
        return
    op = OPS[case.op]
    plain = plain_call(op)
    for name in op.operands[: 1 if op.is_layer else None]:  # a layer is made from its weight
        shape = plain.shapes.get(name, (1, 1))
        values: tuple[Any, ...] = (None, Operand(shape[1:]), Operand(()))
        for value in values[name == "bias" :]:
            yield with_operand(replace(plain, blame=name), name, value)
    for name in op.arguments:
        for value in (0, -1):
            yield with_argument(replace(plain, blame=name), name, value)


def _blamed(case: Case) -> Iterator[Case]:
    """Another value of the argument at fault: of each type the plainest, then near this one."""
    name = case.blame or ""
    if name in case.operands and not (OPS[case.op].is_layer and name != "input"):
        yield with_operand(case, name, None)
        yield with_operand(case, name, 0)
        if isinstance(value := case.operands[name], Operand):
            usual = rank(OPS[case.op], name)
            shapes = ((1,) * n for n in range(usual + 3) if n != usual)
            yield from (with_operand(case, name, resized(value, shape)) for shape in shapes)
    if name in case.arguments:
        value = case.arguments[name]
        yield from (with_argument(case, name, v) for v in (*PLAINEST, *_nearer(value)))


PLAINEST: tuple[Any, ...] = (0, -1, 1.0, True, None, 1, 2)


def _nearer(value: Any) -> Iterator[Any]:
    """An integer nearer to 0, or a sequence without an element or with a plainer one."""
    if isinstance(value, int):
        sign = -1 if value < 0 else 1
        yield from (sign * n for n in _less(abs(value), 0))
    if isinstance(value, (tuple, list)):
        for at, item in enumerate(value):
            kind, head, tail = type(value), value[:at], value[at + 1 :]
            yield from (item, kind((*head, *tail)))
            yield from (kind((*head, v, *tail)) for v in (*PLAINEST, *_nearer(item)))


def _irregular(case: Case) -> Iterator[Case]:
    """Shapes that follow no sizes: all of them plain, one, or one number smaller; and the steps."""
    if case.blame is None or read(case) is not None:
        return
    arrays = {k: v for k, v in case.operands.items() if isinstance(v, Operand)}
    plain = {
        k: replace(v, shape=tuple(min(n, 1) if k == case.blame else 1 for n in v.shape))
        for k, v in arrays.items()
    }
    yield replace(case, operands={**case.operands, **plain})
    for name, array in arrays.items():
        yield with_operand(case, name, plain[name])
        for at, size in enumerate(array.shape):
            for less in _less(size) if size > 0 or name != case.blame else ():
                yield reshaped(case, name, (*array.shape[:at], less, *array.shape[at + 1 :]))
    for name, value in case.arguments.items():
        if name != case.blame and isinstance(value, (int, tuple)):
            each = (value,) * OPS[case.op].axes if name in PER_AXIS and type(value) is int else ()
            lower = (
                v for form in (value, each) for v in _lower(form, 0 if "padding" in name else 1)
            )
            yield from (with_argument(case, name, v) for v in lower)


def _lower(value: Any, least: int) -> Iterator[Any]:
    """A smaller integer, or integers of which one is smaller; none below `least`."""
    if type(value) is int:
        yield from _less(value, least)
    if isinstance(value, tuple):
        for at, item in enumerate(value):
            yield from (natural((*value[:at], v, *value[at + 1 :])) for v in _lower(item, least))


SIZED = [
    *((WHOLE, f.name) for f in fields(Sizes) if f.name != "axes"),
    *((at, f.name) for at in range(3) for f in fields(Axis)),
]
MOVES: tuple[Move, ...] = (
    *(_plainest, _large_cut, _function, _fewer_axes, _fewer_given, _other_blame, _blamed),
    *(_forms, _layouts, _dtypes, _data),
    *(partial(_smaller, key) for key in SIZED),
    *(_concentrated, _permuted, _irregular, _fewest),
)
