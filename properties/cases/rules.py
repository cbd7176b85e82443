"""The data rules: what fills a case's arrays, and what each of them shows.

Every rule is a function of a `Place`: which operand, its shape and dtype, the range R in which
sums are exact, the most terms K of any result, and the stream of bits. `RULES` is the one table
of them. A rule is exact if any order of summation gives one value of each result: its values are
integers, and the sum of the absolute values of any result's terms stays below 2**p.

R is the widest range for which K·R² + R (complex: 4·K·R² + 2R) stays below 2**p, with K the most
terms of the value or any gradient and p the accumulator's significand bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ldexp, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .bits import Bits
from .layouts import repeats, source
from .operation import OPS, rank

if TYPE_CHECKING:
    from .case import Case

# Bits of the significand in which a dtype's sums are formed; for integers, bits without the sign.
BITS = {
    "float16": 24,
    "float32": 24,
    "float64": 53,
    "complex64": 24,
    "complex128": 53,
    "int8": 7,
    "int16": 15,
    "int32": 31,
    "int64": 63,
    "uint8": 8,
    "uint16": 16,
    "uint32": 32,
    "uint64": 64,
}

SIGNIFICAND = {"float16": 11, "float32": 24, "float64": 53, "complex64": 24, "complex128": 53}
# Products of factors below 2**10 reach 2**16, where float16 overflows, now and then. A sum of K of
# them is some √K times as large, so that each factor is that much smaller: by the root of √K.
BEYOND = 10
FEW = 8  # what `lopsided` leaves of the sparse side of one sum


@dataclass(slots=True)
class Place:
    """An array to be filled."""

    case: Case
    name: str  # of the operand, or grad_output
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    range: int  # R
    terms: int  # K
    bits: Bits

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def is_only(self) -> bool:
        """Whether the op has no other operand: unfold and fold multiply nothing."""
        return len(OPS[self.case.op].operands) == 1


def ones(place: Place) -> Any:
    """1 everywhere: what a person reads most easily."""
    return np.ones(place.shape, place.dtype)


def ramp(place: Place) -> Any:
    """1, 2, 3, … in C order, starting over above R."""
    values = (np.arange(place.size) % max(1, place.range) + 1).astype(place.dtype)
    if place.dtype.kind == "c":
        values.imag = np.roll(values.real, -1)
    return values.reshape(place.shape)


def integers(place: Place) -> Any:
    """Uniform over -R … R, unsigned 0 … R.

    A fault that is a polynomial of degree d in the data and does not vanish at that geometry
    escapes with probability at most d/(2R + 1), unsigned d/(R + 1) (Schwartz and Zippel).
    """
    return _uniform(place, place.size, place.range).reshape(place.shape)


def reals(place: Place) -> Any:
    """A random significand times 2**-4 … 2**3: rounding errors, under the bound."""
    return _dyadic(place, 3).reshape(place.shape)


def special(place: Place) -> Any:
    """Zeros, small integers and subnormals, with some three elements that are not finite.

    They are three however many elements there are: more would hide the rest.
    """
    tiny = np.finfo(place.dtype).smallest_subnormal
    menu: Any = np.array([1, 2, -1, 0, -3, 3, tiny, -2, -0.0, 1, 5 * tiny, 2, -1, 0], place.dtype)
    chosen = place.bits.below(max(16, place.size), place.size).astype(np.intp)
    values = menu[chosen % len(menu)]
    for at, rare in enumerate((np.inf, -np.inf, np.nan)):
        values[chosen == at] = rare
    return values.reshape(place.shape)


def wrap(place: Place) -> Any:
    """Integers over the dtype's whole range: exact modulo 2**bits."""
    return place.bits.words(place.size).astype(place.dtype).reshape(place.shape)


def sparse(place: Place) -> Any:
    """Integers of which one in 2 to 16 is not zero; some rows along one axis are all zero.

    Shows what depends on a zero: blocks, channels or samples that are skipped as empty, an index
    of the elements that are not zero, a sum divided by their number. A fault in one product
    escapes if one of its factors is zero, so nearly always at the lowest density.
    """
    bits = place.bits
    density, axis, tall = 1 + bits.choice(4), bits.choice(max(1, len(place.shape))), place.size
    values = integers(place)
    if not tall or not place.shape:
        return values
    values[(bits.words(tall) >> np.uint64(64 - density) != 0).reshape(place.shape)] = 0
    rows = bits.below(4, place.shape[axis]) == 0
    values[(slice(None),) * axis + (rows,)] = 0
    values.flat[bits.choice(tall)] = max(1, place.range)  # never all zeros
    return values


def constant(place: Place) -> Any:
    """One value everywhere, or one for each row along the first or the second axis.

    Half of the values are R itself: no data of the range give a larger sum, so that a sum kept
    in too narrow a type or cut off at a limit shows. So do shortcuts for kernels or inputs that
    are flat, a border that counts as data, and a wrong number of terms. Within a row a wrong
    index, tap or order of axes escapes always.
    """
    kept = place.bits.choice(3) - 1
    rows = place.shape[kept] if 0 <= kept < len(place.shape) else 1
    values = _not_zero(_uniform(place, rows, place.range), place)
    if place.bits.choice(2):
        values[:] = _widest_of_sign(values, place)
    shape = tuple([n if axis == kept else 1 for axis, n in enumerate(place.shape)])
    return np.array(np.broadcast_to(values.reshape(shape), place.shape))


def symmetric(place: Place) -> Any:
    """Integers that mirror or repeat themselves along one axis or more.

    An axis is a palindrome, its opposite (v[n-1-i] = -v[i]), repeats each row, or is left as it
    is; two last axes of one length may be each other's transpose. Shows shortcuts for symmetric
    kernels, taps that are folded onto their mirror, equal rows computed once. A flip of an axis
    or two axes exchanged escape always where the data are equal under it.
    """
    values, bits = integers(place), place.bits
    kinds = [bits.choice(4) for _ in place.shape]
    if kinds and not any(kinds):
        kinds[-1] = 1
    for axis, (kind, n) in enumerate(zip(kinds, place.shape, strict=True)):
        values = _SYMMETRIES[kind](values, axis, n)
    square = len(place.shape) > 1 and place.shape[-1] == place.shape[-2]
    if square and bits.choice(2):
        upper = np.triu(np.ones(place.shape[-2:], bool))
        values = np.where(upper, values, values.swapaxes(-1, -2))
    return values


def _palindrome(values: Any, axis: int, n: int) -> Any:
    at = np.arange(n)
    return values.take(np.minimum(at, n - 1 - at), axis)


def _opposite(values: Any, axis: int, n: int) -> Any:
    if n < 2 or values.dtype.kind == "u":
        return _palindrome(values, axis, n)
    at = np.arange(n)
    signs = np.sign(n - 1 - 2 * at).astype(values.real.dtype)  # 1 … 1, 0, -1 … -1
    shape = [n if i == axis else 1 for i in range(values.ndim)]
    return _palindrome(values, axis, n) * signs.reshape(shape)


def _repeated(values: Any, axis: int, n: int) -> Any:
    return values.take(np.arange(n) // 2 * 2, axis)


_SYMMETRIES: tuple[Callable[[Any, int, int], Any], ...] = (
    lambda values, axis, n: values,
    _palindrome,
    _repeated,
    _opposite,
)


def onehot(place: Place) -> Any:
    """One element that is not zero, in all or in each row of the first axis; the seed says in
    which operand: the input, the weight, the gradient of the output, or all. Others are integers.

    A result is then a copy of the other operand, moved: an impulse response. Shows shortcuts for
    kernels that only move, and where a product lands, with nothing to cancel it. A fault that
    needs two products, or that one element, escapes unless the draw meets it.
    """
    values = integers(place)
    hot = ("input", "weight", "grad_output", place.name)[place.case.seed % 4]
    if not place.size or not (place.name == hot or place.is_only):
        return values
    rows = place.shape[0] if place.shape and place.bits.choice(2) else 1
    flat = values.reshape(rows, -1)  # (rows, elements of each)
    chosen = np.arange(rows), place.bits.below(flat.shape[1], rows).astype(np.intp)
    kept = _not_zero(flat[chosen], place)
    flat[:] = 0
    flat[chosen] = kept
    return values


def extreme(place: Place) -> Any:
    """Reals whose products or factors are near overflow or underflow; the seed says how.

    Products just below the largest finite number, products about the least normal one, a huge
    input with a weight mostly subnormal, or the reverse. No sum of terms of the case overflows,
    in any order, in the dtype of its sums. float16 is narrower than that: there the large
    products lie on both sides of 65504, and a result beyond it is inf. Shows a float32 sum of
    float64 data, results that saturate, squares and norms, subnormals flushed to zero, and
    scaling that leaves the range. Under the bound, which counts underflow.
    """
    return _dyadic(place, _exponent(place)).reshape(place.shape)


def _exponent(place: Place) -> int:
    """Every value of this operand is below 2 to this power."""
    limits = np.finfo(place.dtype)
    parts = 2 if place.dtype.kind == "c" else 0
    most = int(limits.maxexp) - 3 - place.terms.bit_length() - parts
    least = int(limits.minexp) + 1
    large, small = (most, least) if place.is_only else (most // 2, (least + 2) // 2)
    if BITS[place.dtype.name] > SIGNIFICAND[place.dtype.name]:  # results are narrower than sums
        most = int(limits.maxexp)
        large = most if place.is_only else BEYOND - place.terms.bit_length() // 4
    if _shares(place.case):  # each may stand in the place of another
        return large
    exponents = (
        {"bias": most, "": large},
        {"bias": least + 2, "": small},
        {"input": most, "weight": least, "bias": most + least, "": 0},
        {"input": least, "weight": most, "bias": most + least, "": 0},
    )[place.case.seed % 4]
    return exponents.get(place.name, exponents[""])


def cancelling(place: Place) -> Any:
    """Integers whose sums lose all their digits: every product has its negative beside it.

    One side is constant; the other has, along one axis, two halves or neighbours of opposite
    sign. Of sums over both only the bias is left, -1 … 1, exactly, where S is K·R². Shows sums
    with fewer bits than the data need (any rounding of a part leaves a remainder), small results
    taken for zero, and division by the result. Uniform data give results of √K·R², beside which
    both hide. A wrong index within the constant side escapes always.
    """
    flat = "weight" if place.case.seed % 2 else "input"
    if place.name == "bias":
        return _uniform(place, place.size, min(1, place.range)).reshape(place.shape)
    if place.name == flat and not place.is_only:
        value = _not_zero(_uniform(place, 1, place.range), place)
        return np.full(place.shape, value[0], place.dtype)
    return _in_pairs(place)


def _in_pairs(place: Place) -> Any:
    """Along one axis half of the values are the others' negatives; of an odd one out, 0."""
    values = integers(place)
    axes = [axis for axis, n in enumerate(place.shape) if n > 1]
    if not axes or not place.size:
        return values
    axis, halves = axes[place.bits.choice(len(axes))], place.bits.choice(2)
    n = place.shape[axis]
    along = np.moveaxis(values, axis, 0)
    first, second = slice(0, n // 2), slice(n // 2, n // 2 * 2)
    if not halves:
        first, second = slice(0, n // 2 * 2, 2), slice(1, n // 2 * 2, 2)
    along[second] = np.negative(along[first])  # modulo 2**bits if unsigned
    along[n // 2 * 2 :] = 0
    return values


def lopsided(place: Place) -> Any:
    """One operand wide, over ±2**(p - 4), the other -1, 0 and 1, at most 8 of them in one sum.

    Wide is the weight or, by the seed or if the border is a copy, the input. So float32 keeps 20
    bits (complex64 18, float64 49; float16 holds 11) at any K up to tens of thousands, where one
    range for both leaves 7. Shows operands that are rounded before they are multiplied (TF32 has
    11 bits, bfloat16 8): each product differs. Sums of more than 8 large terms are not formed:
    what overflows a narrow sum escapes, and so does what a zero hides. A fault that is linear in
    the wide operand and does not vanish for the sparse one as drawn escapes with probability at
    most 1/(2W + 1), W the wide range.
    """
    if place.is_only or _shares(place.case) or _repeats(place.case):
        return integers(place)
    wide = "input" if place.case.seed % 2 or _copies_border(place.case) else "weight"
    if place.name in (wide, "bias"):
        return _uniform(place, place.size, _wide(place.dtype)).reshape(place.shape)
    return _few(place, _kept_axis(place, wide))


def _wide(dtype: np.dtype[Any]) -> int:
    """The range of the wide side: 8 terms and a bias stay below 2**p, and float16 finite."""
    if dtype.kind == "c":  # a complex product by three real ones has parts of 4 times a factor
        return 1 << BITS[dtype.name] - 6
    return 1 << min(BITS[dtype.name] - 4, SIGNIFICAND.get(dtype.name, 64))


def _kept_axis(place: Place, wide: str) -> int | None:
    """The axis over which no sum with the wide side runs; None if all run over every axis."""
    op, axes = OPS[place.case.op], len(place.shape)
    if place.name == "weight":
        kept = 1 if op.is_transposed else 0
    else:
        unbatched = axes < rank(op, "input")
        kept = (1 if place.name == "grad_output" and wide == "input" else 0) - unbatched
    return kept if 0 <= kept < axes else None


def _few(place: Place, kept: int | None) -> Any:
    """-1, 0 and 1 (unsigned 0 and 1), with at most `FEW` nonzeros in each row of axis `kept`."""
    values = np.zeros(place.shape, place.dtype)
    if not place.size:
        return values
    along = values[None] if kept is None else np.moveaxis(values, kept, 0)
    rows, each = along.shape[0], place.size // along.shape[0]
    signs = _not_zero(_uniform(place, rows * FEW, 1), place, 1)
    if not along.shape[1:]:
        along[:] = signs[::FEW]
        return values
    at = np.unravel_index(place.bits.below(each, rows * FEW).astype(np.intp), along.shape[1:])
    along[(np.repeat(np.arange(rows), FEW), *at)] = signs
    return values


def _copies_border(case: Case) -> bool:
    mode: str = case.arguments.get("padding_mode", "zeros")
    return mode != "zeros"


def _layouts(case: Case) -> list[str]:
    return [case.grad_output, *(getattr(v, "layout", "") for v in case.operands.values())]


def _shares(case: Case) -> bool:
    """Whether an operand is in another's memory, and has its values."""
    return any(map(source, _layouts(case)))


def _repeats(case: Case) -> bool:
    """Whether a layout repeats rows of an operand."""
    return any(map(repeats, _layouts(case)))


def _uniform(place: Place, n: int, r: int) -> Any:
    """`n` integers over -r … r, unsigned 0 … r."""
    dtype, bits = place.dtype, place.bits
    if dtype.kind == "c":
        values = np.empty(n, dtype)
        values.real, values.imag = (bits.below(2 * r + 1, n).astype(np.int64) - r for _ in "ri")
        return values
    if dtype.kind in "iu":  # they wrap exactly: never all zeros
        r = max(1, r)
    if dtype.kind == "u":
        return bits.below(r + 1, n).astype(dtype)
    return (bits.below(2 * r + 1, n).astype(np.int64) - r).astype(dtype)


def _not_zero(values: Any, place: Place, r: int | None = None) -> Any:
    """`values` with R, or `r`, for every zero."""
    values[values == 0] = max(1, place.range) if r is None else r
    return values


def _widest_of_sign(values: Any, place: Place) -> Any:
    """R with the sign of each value; of a complex one, of each part."""
    r = max(1, place.range)
    if place.dtype.kind != "c":
        return np.where(values < 0, -r if place.dtype.kind != "u" else r, r).astype(place.dtype)
    return np.where(values.real < 0, -r, r) + 1j * np.where(values.imag < 0, -r, r)


def _dyadic(place: Place, top: int) -> Any:
    """Random signs and significands below 1, times 2**(top - 7) … 2**top."""
    if place.dtype.kind != "c":
        return _dyadic_of(place, place.dtype, top)
    values = np.empty(place.size, place.dtype)
    part = values.real.dtype
    values.real, values.imag = (_dyadic_of(place, part, top) for _ in "ri")
    return values


def _dyadic_of(place: Place, dtype: np.dtype[Any], top: int) -> Any:
    """Exact products by powers of two; only a subnormal is rounded, once, as IEEE 754 says."""
    words = place.bits.words(place.size)
    precision = SIGNIFICAND[dtype.name]
    magnitude = (words >> np.uint64(64 - precision)).astype(np.float64)  # the top bits
    sign = 1.0 - 2.0 * (words & np.uint64(1))
    exponent = (words >> np.uint64(1) & np.uint64(7)).astype(np.intp)
    powers = np.array([ldexp(1.0, top - 7 + e) for e in range(8)])
    return (sign * (magnitude * 2.0**-precision) * powers[exponent]).astype(dtype)


@dataclass(frozen=True, slots=True)
class Rule:
    """One data rule."""

    fill: Callable[[Place], Any]
    kinds: str  # of the dtypes that it fills; others get ones
    exact: bool  # any order of summation gives one value of each result
    seeded: bool = True  # written NAME:SEED

    def fills(self, dtype: str) -> bool:
        kind: str = np.dtype(dtype).kind
        return kind in self.kinds


RULES = {
    "ones": Rule(ones, "fciu", exact=True, seeded=False),
    "ramp": Rule(ramp, "fciu", exact=True, seeded=False),
    "integers": Rule(integers, "fciu", exact=True),
    "reals": Rule(reals, "fc", exact=False),
    "special": Rule(special, "f", exact=False),
    "wrap": Rule(wrap, "iu", exact=True),
    "sparse": Rule(sparse, "fciu", exact=True),
    "constant": Rule(constant, "fciu", exact=True),
    "symmetric": Rule(symmetric, "fciu", exact=True),
    "onehot": Rule(onehot, "fciu", exact=True),
    "extreme": Rule(extreme, "fc", exact=False),
    "cancelling": Rule(cancelling, "fciu", exact=True),
    "lopsided": Rule(lopsided, "fciu", exact=True),
}
