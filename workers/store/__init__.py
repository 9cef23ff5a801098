"""The store worker: the only process that opens RocksDB, and the owner of the documents, their changes and the feed.

The supervisor imports `run`; no other worker imports from here, and all of them send messages to store.sock.
"""

from __future__ import annotations

import ctypes
from typing import NoReturn

from peatnode.worker.context import WorkerContext
from peatnode.worker.run import run_worker

_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3


def _keep_memory_together() -> None:
    """Gives all threads one arena of the allocator. Otherwise each thread of RocksDB has one, which never shrinks."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 256 * 1024)


def run(context: WorkerContext) -> NoReturn:
    """Runs the worker in its forked process."""
    _keep_memory_together()
    from workers.store.main import main

    run_worker(context, main)
