"""Docstrings of functions and classes that differ in their number of axes alone."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import Any, TypeVar

Documented = TypeVar("Documented", bound=Callable[..., Any])

SIZES = {1: "L", 2: "HW", 3: "DHW"}  # the letters that torch's documentation gives to the axes


def documented(common: object, *, axes: int) -> Callable[[Documented], Documented]:
    """Put what `common` says, but for its first line, before the examples of a docstring.

    There, {X}, {K} and {Y} become the sizes of the input, the kernel and the result, {x} the first
    of the input's, and {n} the number of axes.
    """
    letters = SIZES[axes]
    words = {
        "X": ", ".join(letters),
        "K": ", ".join([f"k{letter}" for letter in letters]),
        "Y": ", ".join([f"{letter}'" for letter in letters]),
        "x": letters[0],
        "n": axes,
    }

    def complete(thing: Documented) -> Documented:
        if thing.__doc__ and common.__doc__:  # python -OO leaves none
            own, heading, examples = cleandoc(thing.__doc__).partition("Examples\n")
            _, _, sections = cleandoc(common.__doc__).partition("\n\n")
            thing.__doc__ = f"{own}{sections.format(**words)}\n\n{heading}{examples}"
        return thing

    return complete
