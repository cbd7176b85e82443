"""The import of an engine is tried in a child first: it may exit, crash, or never end."""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress

from .outcome import one_line

SECONDS = 60  # of real time that an import may take: large frameworks need ten, cold


def why_not(load: Callable[[], object]) -> str:
    """What `load` raises, or does instead of returning, in a child; "" if it returns."""
    if not hasattr(os, "fork"):
        return ""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        os.close(reading)
        _try(load, writing)
    os.close(writing)
    try:
        return _answer(pid, reading)
    finally:
        os.close(reading)


def _try(load: Callable[[], object], writing: int) -> None:
    """In the child: say what `load` raises, and end."""
    said = "\0"
    try:
        with suppress(OSError):
            os.setpgid(0, 0)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for shown in (1, 2):  # the import in this process prints again
            os.dup2(nowhere, shown)
        faulthandler.disable()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
        said += where(error)
    finally:
        with suppress(OSError):
            os.write(writing, said.encode(errors="replace")[:4000])
        os._exit(0)


def where(error: BaseException) -> str:
    """An error in one line, with the file and the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((f for f in reversed(frames) if "importlib" not in f.filename), None)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{one_line(error)} ({error.filename}:{error.lineno})"
    if last is None or last.filename == __file__:
        return one_line(error)
    return f"{one_line(error)} ({last.filename}:{last.lineno})"


def _answer(pid: int, reading: int) -> str:
    said, until = b"", time.monotonic() + SECONDS
    while (left := until - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            part = os.read(reading, 4096)
            said += part
            if not part or said.startswith(b"\0"):
                break
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL) if not said else None
    status = os.waitpid(pid, 0)[1]
    if said:
        return said[1:].decode(errors="replace")
    if time.monotonic() >= until:
        return f"its import did not end within {SECONDS} s"
    if os.WIFSIGNALED(status):
        return f"its import was killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"its import ended the process with exit code {os.WEXITSTATUS(status)}"
