"""The worker that serves HTTP, WebSocket, metrics and pages, with gunicorn and Falcon; DESIGN.md describes it.

Nothing outside imports more than `run`; what clients may send or receive enters here, what is stored does not.
"""

from __future__ import annotations

from typing import NoReturn

from peatnode.worker.context import WorkerContext


def run(context: WorkerContext) -> NoReturn:
    """The supervisor calls it in the forked child; the heavy imports happen here and not in the supervisor."""
    from workers.broker.main import main

    main(context)
