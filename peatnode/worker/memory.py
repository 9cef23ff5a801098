"""The memory of a process: measuring it, and telling the garbage collector what stays."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

MEMORY_SECONDS = 30.0
"""How old a worker's figure for its memory may be."""


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process; 0 where the kernel does not tell."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # it has just ended, or /proc is not what it should be
        pass
    return 0


def family_memory_bytes(pid: int) -> int:
    """Of a process and all that it has forked: gunicorn's workers are the broker's memory."""
    total = memory_bytes(pid)
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            total += sum(family_memory_bytes(int(child)) for child in children.read_text().split())
    return total


class MemoryGauge:
    """Measures this process now and then: the kernel walks through all pages for it, a millisecond or two."""

    def __init__(self, measure: Callable[[int], int]) -> None:
        self._measure = measure
        self._bytes = 0
        self._due: float | None = None

    def read(self) -> int:
        """Bytes, not older than MEMORY_SECONDS."""
        now = time.monotonic()
        if self._due is None or now >= self._due:
            self._bytes = self._measure(os.getpid())
            # The first is taken while the worker starts: the next one comes soon.
            self._due = now if self._due is None else now + MEMORY_SECONDS
        return self._bytes


def settle_memory() -> None:
    """What has been imported is here to stay: the collector looks no more at it, and begins its work."""
    gc.freeze()
    gc.enable()
