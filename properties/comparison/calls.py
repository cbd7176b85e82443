"""The table of calls: what no case line can say, evaluated by the engine and by torch.

A line of `calls.txt` is ``id | verdict argument | call | error``. The call is a Python expression
over torch's names, and over arrays that both libraries make alike: ``ones(1, 2, dtype=int8)``.
The argument is the one that the engine blames; ``call``, if none is at fault. The error, where it
is given, is the whole text of the engine's: ``ArgumentError: conv2d() stride: expected …``.

========  ==========================================================================
agrees    both accept, with equal results
computes  torch has no kernel or rejects, the engine computes
differs   both accept, with different results
rejects   both reject, the engine with torch's type of error or a subclass
retypes   both reject, the engine with another type of error
deviates  the engine rejects, torch accepts
unsafe    the engine rejects; torch, which would read foreign memory, is not asked
own       the engine rejects; torch has no such function, argument or dtype
========  ==========================================================================
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..cases.files import read_lines

FILE = Path(__file__).parents[1] / "calls.txt"
VERDICTS = (*("agrees", "computes", "differs", "rejects", "retypes", "deviates", "unsafe", "own"),)
DTYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)

Names = dict[str, Any]


class Row(NamedTuple):
    """One line of the table."""

    id: str
    verdict: str
    argument: str
    call: str
    error: str


def read_rows(*verdicts: str) -> list[Row]:
    """The rows of the table that have one of these verdicts; without any, all."""
    rows = [_row(line) for line in read_lines(FILE)]
    return [row for row in rows if not verdicts or row.verdict in verdicts]


def _row(line: str) -> Row:
    """A row; the error may be left out."""
    name, verdict, call, *error = [part.strip() for part in line.split(" | ")]
    kind, _, argument = verdict.partition(" ")
    return Row(name, kind, argument, call, *error or [""])


def names(*namespaces: Any, dtypes: Any, tensor: Callable[[Any], Any]) -> Names:
    """What a call may name: a library's functions and layers, dtypes, and makers of arrays.

    Parameters
    ----------
    *namespaces : object
        What has the functions and layers as attributes.
    dtypes : object
        What has the library's dtypes as attributes, by NumPy's names.
    tensor : callable
        Makes the library's array of a NumPy array.
    """
    found = {name: value for space in namespaces for name, value in vars(space).items()}
    known = {name: getattr(dtypes, name) for name in DTYPES}
    return {**found, **known, **_makers(known, tensor), "np": np}


def _makers(dtypes: Mapping[str, Any], tensor: Callable[[Any], Any]) -> Names:
    """The functions that make an array, in the dtype `dtype` of the library."""
    numpy_names = {dtype: name for name, dtype in dtypes.items()}

    def maker(make: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, dtype: Any = dtypes["float32"]) -> Any:
            return tensor(make(*arguments).astype(numpy_names.get(dtype, dtype)))

        return call

    return {
        "ones": maker(lambda *shape: np.ones(shape)),
        "zeros": maker(lambda *shape: np.zeros(shape)),
        "full": maker(np.full),
        "arange": maker(np.arange),
    }


def evaluated(call: str, names: Names) -> Any:
    """The value of `call`, an array where it is a tensor; or the exception that it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of empty weights, and of even kernels once
        try:
            value = eval(call, dict(names))
        except Exception as error:  # noqa: BLE001 - whatever it raises is the outcome
            return error
    return value.detach().numpy() if hasattr(value, "detach") else value


def are_alike(value: Any, expected: Any) -> bool:
    """Equal arrays, also in dtype; or, for layers, equal text."""
    if not isinstance(expected, np.ndarray):
        return repr(value) == repr(expected)
    return value.dtype == expected.dtype and np.array_equal(value, expected)


def whole_error(error: Exception) -> str:
    """An error as the table has it: its type, by name, and its text."""
    return f"{type(error).__name__}: {error}"
