"""The broker: HTTP, WebSocket, metrics and pages, served by gunicorn and Falcon."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from peatnode.worker.context import WorkerContext


def run(context: WorkerContext) -> NoReturn:
    """Called by the supervisor in the forked child."""
    if context.config.broker_workers > 1:
        from workers.broker.http.counters import share_counters

        share_counters(context.config.run_dir / "metrics")
    from workers.broker.server.master import run_master

    run_master(context)
