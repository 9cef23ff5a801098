"""The store: the only process that opens RocksDB. Documents, the order of changes, and the feed.

Start with `service.py`; `staging.py` decides what a group of requests changes, `committing.py` brings it to the disk.
"""

from __future__ import annotations

from typing import NoReturn

from peatnode.supervision.worker import WorkerContext, run_worker


def run(context: WorkerContext) -> NoReturn:
    """The worker's process, from its fork on."""
    from workers.store.service import main

    run_worker(context, main)
