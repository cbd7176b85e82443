"""Calls that were accepted before: what was checked once is not checked in full again.

Whether a call is accepted, and its geometry, depend on the types, shapes and dtypes of its operands
and on its options alone. Where all of these equal those of an accepted call, its geometry is used
again. Operands are plain arrays then, and integers have no other type than int: True and 1.0
equal 1, but are no sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from .geometry import Geometry

Check: TypeAlias = Callable[..., tuple[Any, ...]]

SCALARS = {int, str}  # types of which equal values are the same
MOST = 1024  # calls that are remembered by one check


def remembered(check: Check) -> Check:
    """Let `check` look at each call of equal types, shapes, dtypes and options only once.

    It takes a name, the number of axes, three operands and the options, and returns the geometry
    and the arrays among the operands, with their batch axis.
    """
    known: dict[Any, Geometry] = {}

    def checked(
        function: str, axes: int, first: Any, second: Any, third: Any, options: Any
    ) -> tuple[Any, ...]:
        forms = (form(first), form(second), form(third))
        if NotImplemented in forms or not are_plain(options):
            return check(function, axes, first, second, third, options)
        key = (function, axes, forms, options)
        g = known.get(key)
        if g is not None:
            # An array that is one axis short of a batch is unbatched.
            arrays = [o for o in (first, second, third) if type(o) is not tuple]
            return (g, *[a if a is None or a.ndim != axes + 1 else a[None] for a in arrays])
        result = check(function, axes, first, second, third, options)
        if len(known) >= MOST:
            known.clear()
        known[key] = result[0]
        return result

    return checked


def form(operand: Any) -> Any:
    """What the checks see of an operand: shape and dtype, sizes, or None; else NotImplemented."""
    kind = type(operand)
    if kind is np.ndarray:
        return operand.shape, operand.dtype
    if operand is None or (kind is tuple and are_plain(operand)):
        return operand
    return NotImplemented


def are_plain(values: tuple[Any, ...]) -> bool:
    """Whether values that equal these are the same."""
    kinds = {*map(type, values)}
    if tuple in kinds:
        kinds |= {type(v) for value in values if type(value) is tuple for v in value}
        kinds.discard(tuple)
    return kinds <= SCALARS
