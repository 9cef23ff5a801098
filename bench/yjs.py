"""Yjs clients: from an edit on one to its arrival at another, and 500 that type at once.

The npm servers of Hocuspocus and y-websocket run the same load for comparison: one server, which keeps nothing on disk.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.report import keep
from tests.live.npm import installed
from tests.support.nodes import Node, nodes
from tests.support.processes import free_port, is_listening, stop
from tests.support.waiting import wait

HERE = Path(__file__).parent / "npm"
EDITS, WARMUP = 1000, 50
CLIENTS, DOCUMENTS, RATE, SECONDS = 500, 100, 2, 20


def load(folder: Path, **task: Any) -> dict[str, Any]:
    """Runs the clients and returns what they measured."""
    command = ["node", str(HERE / "load.mjs"), str(folder), json.dumps(task)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300)
    return json.loads(done.stdout)


def pair(folder: Path, kind: str, urls: list[str]) -> dict[str, Any]:
    return load(
        folder, kind=kind, urls=urls, mode="pair", name="bench/pair", edits=EDITS, warmup=WARMUP
    )


def rooms(folder: Path, kind: str, url: str) -> dict[str, Any]:
    return load(
        folder,
        kind=kind,
        urls=[url],
        mode="rooms",
        name="bench/room",
        clients=CLIENTS,
        documents=DOCUMENTS,
        rate=RATE,
        seconds=SECONDS,
    )


def yjs_url(node: Node) -> str:
    return f"ws://127.0.0.1:{node.api_port}/api/v1/yjs"


@contextlib.contextmanager
def npm_server(folder: Path, kind: str) -> Iterator[str]:
    """URL of a server of Hocuspocus or y-websocket."""
    port = free_port(socket.SOCK_STREAM)
    command = {
        "hocuspocus": ["node", str(HERE / "hocuspocus.mjs"), str(folder), str(port)],
        "y-websocket": ["node", str(folder / "node_modules/@y/websocket-server/src/server.js")],
    }[kind]
    process = subprocess.Popen(
        command,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOST": "127.0.0.1", "PORT": str(port)},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait(lambda: is_listening(port), f"{kind} to listen")
        yield f"ws://127.0.0.1:{port}"
    finally:
        stop(process)


def main() -> None:
    folder = installed(HERE)
    figures: dict[str, Any] = {
        "edits": EDITS,
        "clients": CLIENTS,
        "documents": DOCUMENTS,
        "edits_a_second_each": RATE,
        "seconds": SECONDS,
    }
    with nodes(2) as two:
        figures["edit_to_edit_two_nodes"] = pair(folder, "y-websocket", [yjs_url(n) for n in two])
        figures["edit_to_edit_one_node"] = pair(folder, "y-websocket", [yjs_url(two[0])])
    with nodes(1) as (one,):
        before = one.memory_bytes()["all"]
        figures["many_clients"] = rooms(folder, "y-websocket", yjs_url(one))
        after = one.memory_bytes()["all"]
        figures["many_clients"]["node_bytes_per_client"] = round((after - before) / CLIENTS)
    for kind in ("y-websocket", "hocuspocus"):
        with npm_server(folder, kind) as url:
            figures[f"edit_to_edit_{kind}_server"] = pair(folder, kind, [url])
        with npm_server(folder, kind) as url:
            figures[f"many_clients_{kind}_server"] = rooms(folder, kind, url)
    keep("yjs", figures)


if __name__ == "__main__":
    if "--quick" in sys.argv:
        EDITS, CLIENTS, DOCUMENTS, SECONDS = 200, 100, 20, 5
    main()
