"""The engine worker: y-py and the live documents, in a process that may crash and is replaced when it has grown.

The supervisor imports `run`; no other worker imports from here, and only `document.py` may import y-py.
"""

from __future__ import annotations

import os
from typing import NoReturn

from peatnode.worker.context import WorkerContext
from peatnode.worker.heartbeat import answer_in_loop
from peatnode.worker.run import run_worker


def run(context: WorkerContext) -> NoReturn:
    """Runs the worker in its forked process."""
    os.environ["RUST_BACKTRACE"] = "0"  # otherwise the first panic takes 55 MB
    from workers.engine.main import main

    run_worker(context, main, answer_in_loop)  # it forks, so it has no threads
