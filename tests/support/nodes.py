"""Real nodes for the benchmarks: `peatnode run` in processes, on loopback, each with its own data directory."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.waiting import wait

SECRET = base64.b64encode(bytes(range(32))).decode()


@dataclass
class Node:
    """One running node. `start` returns when it says that it is ready."""

    name: str
    directory: Path
    api_port: int
    quic_port: int
    peers: list[int] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    """More variables of the environment."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}/api/v1"

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PEAT_")}
        return kept | {
            "HOSTNAME": self.name,
            "PEAT_FORMATION_SECRET": SECRET,
            "PEAT_DISCOVERY": "static",
            "PEAT_STATIC_PEERS": ",".join(f"127.0.0.1:{port}" for port in self.peers),
            "PEAT_DATA_DIR": str(self.directory),
            "PEAT_BROKER_HOST": "127.0.0.1",
            "PEAT_BROKER_PORT": str(self.api_port),
            "PEAT_QUIC_PORT": str(self.quic_port),
            "PEAT_QUIC_HOST": "127.0.0.1",
            "PEAT_LOG": "info",
            **self.settings,
        }

    def launch(self) -> None:
        with (self.directory.parent / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name("peatnode")), "run"],
                env=self.environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self, limit: float = 30) -> float:
        """Launches and waits; returns the seconds from launch to ready."""
        started = time.perf_counter()
        self.launch()
        wait(lambda: self.is_ready(), f"{self.name} to be ready", limit, pause=0.005)
        return time.perf_counter() - started

    def is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            log = self.directory.parent / f"{self.name}.log"
            raise SystemExit(
                f"{self.name} ended with {self.process.returncode}:\n{log.read_text()[-3000:]}"
            )
        with contextlib.suppress(OSError):
            return self.get("/ready")["ready"]
        return False

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def log(self) -> str:
        return (self.directory.parent / f"{self.name}.log").read_text()

    def kill(self) -> None:
        """As a power cut would: the supervisor first, which takes all others along."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def root(self) -> str:
        """Fingerprint of all that the node holds."""
        store = self.get("/node")["store"]
        return store["root"] if store else f"{self.name} does not tell now"

    def is_connected(self, peers: int) -> bool:
        return sum(peer["connected"] for peer in self.get("/peers")["peers"]) >= peers

    def pids(self) -> list[int]:
        """The supervisor and everything below it."""
        assert self.process is not None
        found, queue = [], [self.process.pid]
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

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def free_port(kind: int) -> int:
    """A port below the range of outgoing connections that nobody holds now."""
    start = 20000 + os.getpid() % 9000
    for port in range(start, 32000):
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
    raise SystemExit("no free port")


_given: set[int] = set()


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
                for node in made:
                    node.start()
                for node in made:
                    wait(
                        lambda node=node: node.is_connected(count - 1),
                        f"{node.name} to have its peers",
                    )
            yield made
        finally:
            for node in made:
                node.stop()
