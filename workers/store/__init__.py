"""The store: the only process that opens RocksDB. It owns the documents, the order of changes and the feed.

The supervisor imports `run`; no other worker imports anything from here, they ask over store.sock. Begin to read with
DESIGN.md, then `service.py`.
"""

from __future__ import annotations

import ctypes
from typing import NoReturn

from peatnode.worker.context import WorkerContext
from peatnode.worker.run import run_worker

_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3


def _keep_memory_together() -> None:
    """Gives all threads one arena of the allocator. Each thread of RocksDB would have its own, which never shrinks."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 256 * 1024)


def run(context: WorkerContext) -> NoReturn:
    """The worker's process, from its fork on."""
    _keep_memory_together()
    from workers.store.main import main

    run_worker(context, main)
