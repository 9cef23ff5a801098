"""The discovery worker: watches the sources of peers and reports which are found, changed or lost.

A source enters as a package with one row in `peatnode.config.sources`; only `run` is called from outside.
"""

from __future__ import annotations

from typing import NoReturn

from peatnode.worker.context import WorkerContext
from peatnode.worker.run import run_worker


def run(context: WorkerContext) -> NoReturn:
    """The worker's process, from its fork on."""
    from workers.discovery.main import main

    run_worker(context, main)
