"""The one way to start whole nodes: `peatnode run` in processes on loopback, each with a data directory of its own."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.processes import LoggedProcess, free_port, node_environment, peatnode
from tests.support.waiting import wait


class Node(LoggedProcess):
    """One node, which can be stopped or killed and started again."""

    def __init__(self, name: str, directory: Path, api_port: int, quic_port: int) -> None:
        super().__init__(directory.parent / f"{name}.log")
        self.name, self.directory = name, directory
        self.api_port, self.quic_port = api_port, quic_port
        self.peers: list[int] = []
        """QUIC ports of its static peers."""
        self.settings: dict[str, str] = {}
        """More variables of the environment."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}/api/v1"

    def environment(self) -> dict[str, str]:
        variables = {
            "HOSTNAME": self.name,
            "PEAT_STATIC_PEERS": ",".join(f"127.0.0.1:{port}" for port in self.peers),
            "PEAT_BROKER_PORT": str(self.api_port),
            "PEAT_QUIC_PORT": str(self.quic_port),
            "PEAT_LOG": "info",
            **self.settings,
        }
        return node_environment(self.directory, **variables)

    def launch(self) -> None:
        self.spawn([str(Path(sys.executable).with_name("peatnode")), "run"], self.environment())

    def start(self, limit: float = 30) -> float:
        """Launches the node and waits until it is ready; returns the seconds that this took."""
        started = time.perf_counter()
        self.launch()
        wait(self.is_ready, f"{self.name} to be ready", limit, pause=0.005)
        return time.perf_counter() - started

    def is_ready(self) -> bool:
        self.check_running()
        with contextlib.suppress(OSError):
            return bool(self.get("/ready")["ready"])
        return False

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            content: dict[str, Any] = json.load(answer)
            return content

    def root(self) -> str:
        """Fingerprint of all documents of the node."""
        store = self.get("/node")["store"]
        return str(store["root"]) if store else f"{self.name} cannot reach its store"

    def is_connected(self, peers: int) -> bool:
        return sum(peer["connected"] for peer in self.get("/peers")["peers"]) >= peers

    def peer(self, name: str) -> dict[str, Any]:
        """What the node tells of a peer; nothing if it does not know it."""
        return next((peer for peer in self.get("/peers")["peers"] if peer["id"] == name), {})

    def metrics(self, name: str) -> dict[str, float]:
        """The samples of a metric by their labels, such as `reason="too_large"`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.api_port}/metrics", timeout=10) as got:
            text = got.read().decode()
        samples = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
        return {labels: float(value) for labels, value in samples}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of `peatnode` on the machine of the node, which it finds by its data directory."""
        return peatnode(*arguments, PEAT_DATA_DIR=str(self.directory))

    def pids(self) -> list[int]:
        """The supervisor and everything below it."""
        found, queue = [], [self.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    queue += map(int, (task / "children").read_text().split())
        return found

    def memory_bytes(self) -> dict[str, int]:
        """Proportional set size by process, and in all."""
        sizes: dict[str, int] = {}
        for pid in self.pids():
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                size = next(
                    int(line.split()[1]) * 1024
                    for line in text.splitlines()
                    if line.startswith("Pss:")
                )
                sizes[f"{name}:{pid}"] = size
        return sizes | {"all": sum(sizes.values())}

    def cpu_seconds(self) -> float:
        """User and system time of every process, from the scheduler's own account (ns), so that short turns count."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9


def start_all(mesh: Sequence[Node]) -> None:
    """Starts nodes at the same time, and waits until each is ready and has the others as peers."""
    for node in mesh:
        node.launch()
    for node in mesh:
        wait(node.is_ready, f"{node.name} to be ready")
    for node in mesh:
        wait(lambda node=node: node.is_connected(len(mesh) - 1), f"{node.name} to have its peers")


@contextlib.contextmanager
def nodes(count: int, start: bool = True) -> Iterator[list[Node]]:
    """`count` nodes that know each other by static addresses, stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="peatnode-bench-") as directory:
        made = []
        for number in range(count):
            data = Path(directory) / f"node-{number}"
            data.mkdir()
            made.append(
                Node(
                    f"node-{number}",
                    data,
                    free_port(socket.SOCK_STREAM),
                    free_port(socket.SOCK_DGRAM),
                )
            )
        for node in made:
            node.peers = [other.quic_port for other in made if other is not node]
        try:
            if start:
                start_all(made)
            yield made
        finally:
            for node in made:
                node.stop()
