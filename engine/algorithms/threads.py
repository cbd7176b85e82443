"""Blocks of a result on several threads, because NumPy lets go of the interpreter as it computes.

Each block is computed as by one thread alone, so the number of threads changes no bit. There is
one thread unless more are asked for: NumPy's BLAS may use threads of its own, which then get in
the way (OPENBLAS_NUM_THREADS=1 stops that). Costs some 50 µs a call, and a block's memory for each
thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

_further: list[ThreadPoolExecutor] = []  # of one thread each


def set_num_threads(number: int) -> None:
    """Compute the blocks of large convolutions on so many threads, as torch's function does.

    Parameters
    ----------
    number : int, at least 1
        One, as at first, computes in the calling thread alone. The result has the same bits
        whatever the number.

    Raises
    ------
    TypeError
        `number` is no integer.
    ValueError
        `number` is less than 1.

    Examples
    --------
    >>> engine.set_num_threads(2)
    >>> engine.get_num_threads()
    2
    >>> engine.set_num_threads(1)
    """
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"set_num_threads: expected an integer, got {type(number).__name__}")
    if number < 1:
        raise ValueError(f"set_num_threads: expected at least 1, got {number}")
    _further[:] = [ThreadPoolExecutor(1) for _ in range(number - 1)]


def get_num_threads() -> int:
    """The number of threads that compute the blocks of one convolution, as torch's function.

    Returns
    -------
    int
        1 unless `set_num_threads` has set another number.

    Examples
    --------
    >>> engine.set_num_threads(2)
    >>> engine.get_num_threads()
    2
    >>> engine.set_num_threads(1)
    """
    return 1 + len(_further)


def each(compute: Callable[..., None], blocks: Iterable[tuple[Any, ...]]) -> None:
    """Call `compute` with each of `blocks`, of which no two write to the same memory."""
    left = iter([*blocks])  # each thread takes the next one

    def some() -> None:
        for block in left:
            compute(*block)

    futures = [pool.submit(copy_context().run, some) for pool in _further]
    some()
    for future in futures:
        future.result()


if hasattr(os, "register_at_fork"):  # a process that is forked has none of these threads
    os.register_at_fork(after_in_child=_further.clear)
