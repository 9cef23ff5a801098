"""From `peatnode run` to ready, compared with a Python that only imports the same libraries."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.report import keep, spread
from tests.support.nodes import nodes

IMPORTS = "import aioquic.quic.connection, falcon.asgi, gunicorn.app.base, rocksdict, uvicorn, y_py, msgpack, structlog"


def main() -> None:
    starts, bare = [], []
    with nodes(1, start=False) as (node,):
        for _ in range(7):
            starts.append(node.start())
            node.stop()
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", IMPORTS], check=True)
            bare.append(time.perf_counter() - began)
    ours, theirs = spread(starts), spread(bare)
    keep(
        "start",
        {
            "seconds": ours,
            "bare_imports": theirs,
            "ratio": round(ours["median"] / theirs["median"], 2),
        },
    )


if __name__ == "__main__":
    main()
