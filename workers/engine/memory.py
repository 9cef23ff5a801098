"""The memory of the engine's process, and the bound on it."""

from __future__ import annotations

import os
import resource
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Resident memory of this process."""
    return _pages(1) * _PAGE


def limit_address_space(spare: int) -> None:
    """The process may map `spare` bytes more than it has. Python then raises MemoryError, and y-py ends the process."""
    limit = _pages(0) * _PAGE + spare
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        limit = min(limit, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def _pages(column: int) -> int:
    return int(Path("/proc/self/statm").read_text().split()[column])
