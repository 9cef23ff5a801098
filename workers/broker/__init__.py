"""The worker that serves HTTP, WebSockets, metrics and pages; DESIGN.md describes it.

Code between clients and the other workers enters; other packages import nothing but `run`.
"""

from __future__ import annotations

from typing import NoReturn

from peatnode.worker.context import WorkerContext


def run(context: WorkerContext) -> NoReturn:
    """Runs in the forked child, so that its heavy imports do not happen in the supervisor."""
    from workers.broker.main import main

    main(context)
