"""A table of calls, good and bad, each written once and evaluated by torch and by the engine.

A line of `torch_cases.txt` is ``id | verdict | expression``. The verdict says how the two relate:

- ``agrees``: both accept, with equal results;
- ``rejects ARGUMENT``: both reject, and the engine names this argument (``call``: Python does);
- ``deviates ARGUMENT``: the engine rejects this argument, torch accepts; by design;
- ``computes``: torch has no kernel or rejects, the engine computes; by design;
- ``differs``: both accept, with different results; by design;
- ``unsafe ARGUMENT``: the engine rejects; torch, which reads foreign memory, is not asked.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch

DTYPES = [
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
]


class Row(NamedTuple):
    id: str
    verdict: str
    argument: str
    expression: str


def rows(*verdicts: str) -> list[Row]:
    """The lines of the table that have one of these verdicts, or all."""
    text = Path(__file__).with_name("torch_cases.txt").read_text(encoding="utf-8")
    found = []
    for line in text.splitlines():
        name, verdict, expression = [part.strip() for part in line.split("|")]
        kind, _, argument = verdict.partition(" ")
        found.append(Row(name, kind, argument, expression))
    return [row for row in found if not verdicts or row.verdict in verdicts]


def torch_names() -> dict[str, Any]:
    names = {**vars(torch.nn.functional), **vars(torch.nn), **vars(torch.nn.grad), "np": np}
    names |= {
        "ones": lambda *shape, dtype=torch.float32: torch.ones(shape).to(dtype),
        "zeros": lambda *shape, dtype=torch.float32: torch.zeros(shape).to(dtype),
        "full": lambda shape, value, dtype=torch.float32: torch.full(shape, value, dtype=dtype),
        "arange": lambda *ends, dtype=torch.float32: torch.arange(*ends, dtype=dtype),
        "array": lambda values: torch.tensor(values, dtype=torch.float32),
    }
    return names | {name: getattr(torch, name) for name in DTYPES}


def engine_names(engine: ModuleType) -> dict[str, Any]:
    names = {**vars(engine), **vars(engine.grad), "np": np}
    names |= {
        "ones": lambda *shape, dtype=np.float32: np.ones(shape, dtype),
        "zeros": lambda *shape, dtype=np.float32: np.zeros(shape, dtype),
        "full": lambda shape, value, dtype=np.float32: np.full(shape, value, dtype),
        "arange": lambda *ends, dtype=np.float32: np.arange(*ends, dtype=dtype),
        "array": lambda values: np.array(values, np.float32),
    }
    return names | {name: getattr(np, name) for name in DTYPES}


def outcome(names: dict[str, Any], expression: str) -> Any:
    """The value of the expression, or the exception that it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of empty weights, and of even kernels once
        try:
            value = eval(expression, dict(names))
        except Exception as error:  # noqa: BLE001 - whatever it raises is the outcome
            return error
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value


def alike(value: Any, expected: Any, exact: bool) -> bool:
    """Equal arrays (only in shape and dtype if their weights are random), or equal text."""
    if not isinstance(expected, np.ndarray):
        return repr(value) == repr(expected)
    same = value.shape == expected.shape and value.dtype == expected.dtype
    return same and (not exact or bool(np.array_equal(value, expected)))
