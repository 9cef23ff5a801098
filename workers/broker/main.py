"""Starts the broker."""

from __future__ import annotations

from typing import NoReturn

from peatnode.worker.context import WorkerContext


def main(context: WorkerContext) -> NoReturn:
    """Prepares shared counters before prometheus_client is imported, then runs the master."""
    if context.config.broker_workers > 1:
        from workers.broker.http.counters import share_counters

        share_counters(context.config.run_dir / "metrics")
    from workers.broker.server.master import run_master

    run_master(context)
