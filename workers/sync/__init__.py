"""The sync worker: the UDP socket, the QUIC connections, and what is known of each peer."""

from __future__ import annotations

from typing import NoReturn

from peatnode.worker.context import WorkerContext
from peatnode.worker.run import run_worker


def run(context: WorkerContext) -> NoReturn:
    """In the forked child; the heavy imports happen here and not in the supervisor."""
    from workers.sync.main import main

    run_worker(context, main)
