"""The engine: y-py and the live documents. It may crash, and it is replaced when it grows.

The supervisor imports `run`; no other worker imports anything from here, the store asks over engine.sock.
`document.py` is the only module that imports y-py.
"""

from __future__ import annotations

import os
from typing import NoReturn

from peatnode.worker.context import WorkerContext
from peatnode.worker.run import run_worker


def run(context: WorkerContext) -> NoReturn:
    """The worker's process, from its fork on."""
    os.environ["RUST_BACKTRACE"] = "0"  # else the first panic costs 55 MB
    from workers.engine.main import main

    run_worker(context, main)
