"""The broker: HTTP, WebSocket, metrics and pages, served by gunicorn and Falcon."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from peatnode.supervision.worker import WorkerContext


def run(context: WorkerContext) -> NoReturn:
    """Called by the supervisor in the forked child."""
    from workers.broker.arbiter import run_arbiter

    run_arbiter(context)
