"""The store: the only process that opens RocksDB. Documents, the order of changes, and the feed.

Start with `service.py`; `staging.py` decides what a batch of requests changes, `committing.py` brings it to the disk.
"""

from __future__ import annotations

import ctypes
from typing import NoReturn

from peatnode.worker.context import WorkerContext
from peatnode.worker.run import run_worker

_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3


def _keep_memory_together() -> None:
    """RocksDB's threads would each have an arena of the allocator, that never shrinks."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 256 * 1024)


def run(context: WorkerContext) -> NoReturn:
    """The worker's process, from its fork on."""
    _keep_memory_together()
    from workers.store.main import main

    run_worker(context, main)
