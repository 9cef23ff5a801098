"""The sync worker: owns the UDP socket, the QUIC connections and the state of each peer.

Sockets, links and timers enter here, while decisions belong in `peatnode.protocol`; only `run` is called
from outside.
"""

from __future__ import annotations

from typing import NoReturn

from peatnode.worker.context import WorkerContext
from peatnode.worker.run import run_worker


def run(context: WorkerContext) -> NoReturn:
    """Runs the worker in the forked child. The heavy imports happen here, not in the supervisor."""
    from workers.sync.main import main

    run_worker(context, main)
