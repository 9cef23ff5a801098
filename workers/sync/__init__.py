"""The sync worker: owns the UDP socket, the QUIC connections and the state of each peer.

Only `run` may be imported from outside; QUIC enters through `quic`, logic belongs in `peatnode.protocol`.
"""

from __future__ import annotations

from typing import NoReturn

from peatnode.worker.context import WorkerContext
from peatnode.worker.run import run_worker


def run(context: WorkerContext) -> NoReturn:
    """In the forked child; the heavy imports happen here and not in the supervisor."""
    from workers.sync.main import main

    run_worker(context, main)
