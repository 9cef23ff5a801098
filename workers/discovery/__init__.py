"""Discovery: watches the sources of peers (Kubernetes, mDNS, a static list) and says who is found, changed or lost.

Start with `service.py`; `merge.py` puts the sources together, `endpointslices.py` is the machine behind Kubernetes.
"""

from __future__ import annotations

from typing import NoReturn

from peatnode.worker.context import WorkerContext
from peatnode.worker.run import run_worker


def run(context: WorkerContext) -> NoReturn:
    """The worker's process, from its fork on."""
    from workers.discovery.service import main

    run_worker(context, main)
