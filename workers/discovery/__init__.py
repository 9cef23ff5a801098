"""The discovery worker: watches the sources of peers, and reports which peers are found, changed or lost.

A source enters as a package with a row in `peatnode.config.sources`; only `run` is called from outside.
"""

from __future__ import annotations

from typing import NoReturn

from peatnode.worker.context import WorkerContext
from peatnode.worker.run import run_worker


def run(context: WorkerContext) -> NoReturn:
    """Runs the worker in the forked child. The heavy imports happen here, not in the supervisor."""
    from workers.discovery.main import main

    run_worker(context, main)
