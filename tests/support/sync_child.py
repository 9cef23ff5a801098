"""Runs a real sync worker: `sync_child.py RUN_DIR NODE_ID SECRET INSTANCE CONTROL_FD UNIX_FD UDP_FD`."""

from __future__ import annotations

import base64
import os
import socket
import sys
import time

from peatnode.config import load_config
from peatnode.worker.context import WorkerContext
from workers.sync import run


def main() -> None:
    run_dir, node_id, secret, instance, *fds = sys.argv[1:]
    control, unix, udp = (socket.socket(fileno=int(fd)) for fd in fds)
    config = load_config(
        {
            "HOSTNAME": node_id,
            "PEAT_FORMATION_SECRET": base64.b64encode(secret.encode().ljust(32, b".")).decode(),
            "PEAT_DATA_DIR": run_dir,
            "PEAT_RUN_DIR": run_dir,
            "PEAT_DISCOVERY": "mdns",
            "PEAT_LOG": os.environ.get("PEAT_LOG", "info,peatnode=debug"),
        }
    )
    run(WorkerContext("sync", config, instance, control, {"sync": unix, "quic": udp}, time.time()))


if __name__ == "__main__":
    main()
