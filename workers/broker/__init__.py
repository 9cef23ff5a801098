"""The worker that serves HTTP, WebSocket, metrics and pages; DESIGN.md describes it.

Code between clients and the other workers enters; others import nothing but `run`.
"""

from __future__ import annotations

from typing import NoReturn

from peatnode.worker.context import WorkerContext


def run(context: WorkerContext) -> NoReturn:
    """The supervisor calls it in the forked child; heavy imports happen here, not in the supervisor."""
    from workers.broker.main import main

    main(context)
