"""Runs one worker as the supervisor would; its configuration is in the environment.

`one_worker.py NAME INSTANCE SEED CONTROL_FD LISTENER=FD…`
"""

import importlib
import os
import socket
import sys

from peatnode.config import load_config
from peatnode.worker.context import WorkerContext


def main() -> None:
    name, instance, seed, control, *listeners = sys.argv[1:]
    sockets = {}
    for listener in listeners:
        key, _, fd = listener.partition("=")
        sockets[key] = socket.socket(fileno=int(fd))
    context = WorkerContext(
        name,
        load_config(os.environ),
        instance,
        bytes.fromhex(seed),
        socket.socket(fileno=int(control)),
        sockets,
    )
    importlib.import_module(f"workers.{name}").run(context)


if __name__ == "__main__":
    main()
