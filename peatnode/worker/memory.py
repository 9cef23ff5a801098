"""Measures the memory of a process, and excludes imported modules from garbage collection."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

MEMORY_SECONDS = 30.0
"""Maximum age of a measurement."""


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process in bytes; 0 if the kernel does not report it."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().split("\n"):
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # the process has just exited, or /proc is not mounted as usual
        pass
    return 0


def family_memory_bytes(pid: int) -> int:
    """The sum over a process and its descendants,
    so that gunicorn's processes count as memory of the broker."""
    total = memory_bytes(pid)
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            total += sum(family_memory_bytes(int(child)) for child in children.read_text().split())
    return total


class MemoryGauge:
    """Caches the memory of this process. A measurement takes 1 to 2 ms,
    because the kernel visits all pages."""

    def __init__(self, measure: Callable[[int], int]) -> None:
        self._measure = measure
        self._bytes = 0
        self._due: float | None = None

    def read(self) -> int:
        """Bytes, measured at most MEMORY_SECONDS ago."""
        now = time.monotonic()
        if self._due is None or now >= self._due:
            self._bytes = self._measure(os.getpid())
            # The first measurement is taken while the worker starts, so the next call measures again.
            self._due = now if self._due is None else now + MEMORY_SECONDS
        return self._bytes


def settle_memory() -> None:
    """Excludes all present objects from garbage collection (imported modules stay), then enables it."""
    gc.freeze()
    gc.enable()
