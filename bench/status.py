"""`peatnode status` beside 30 connected and 1,000 absent peers that the node remembers.

Measured are the answers of the workers with the report that is made of them (what `status` does on the sockets), the
same over HTTP, and the whole command, compared with `peatnode version`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.report import keep
from peatnode.cli.status.from_sockets import inspect_sockets
from peatnode.config import Config, load_config
from peatnode.identity import endpoint_private_key
from peatnode.ipc.link import Link
from peatnode.ipc.messages import KeepMembership
from peatnode.model.members import RememberedPeer
from peatnode.model.peers import Address
from peatnode.protocol.connect.dial_plan import Dial
from peatnode.protocol.wire.messages import Message
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait
from workers.sync.main import make_credentials
from workers.sync.quic.connection import PeerConnection
from workers.sync.quic.endpoint import QuicEndpoint
from workers.sync.quic.paths import socket_address

CONNECTED = 30
REMEMBERED = 1000
RUNS = 30
PROCESS_RUNS = 7


class SilentPeer:
    """A member that connects and says nothing."""

    def __init__(self, config: Config) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        key = endpoint_private_key(config.secret.reveal(), config.node_id)
        credentials = make_credentials(config, secrets.token_bytes(32))
        self.endpoint = QuicEndpoint(sock, key, credentials, self)

    def dial(self, port: int) -> None:
        address = Address("127.0.0.1", port)
        to = socket_address(self.endpoint.family, address.host, port)
        self.endpoint.dial(to, Dial("node", address, 1, use_min_datagram=False))

    def peer_authenticated(self, connection: PeerConnection) -> None: ...
    def message_received(self, connection: PeerConnection, message: Message) -> None: ...
    def connection_closed(self, connection: PeerConnection) -> None: ...
    def input_rejected(self, reason: str) -> None: ...


async def remember(run_dir: Path) -> None:
    """Has the store of the node keep REMEMBERED members, whose addresses nobody has."""
    now = time.time()
    members = [
        RememberedPeer(
            f"absent-{n}.cluster-name",
            secrets.token_hex(16),
            tuple([f"127.1.{n // 250}.{n % 250}:{port}" for port in (11204, 11205)]),
            "peatnode/0.2.0",
            now - 86_400,
            now - 3600,
            now - 3700,
            secrets.token_bytes(16),
            100_000,
        )
        for n in range(REMEMBERED)
    ]
    async with await Link.connect(run_dir / "store.sock", "bench") as link:
        await link.ask(KeepMembership(tuple(members), (), (), ()))


def restart_sync(node: Node) -> None:
    """Kills the sync worker, so that the next one reads what the store keeps."""
    (pid,) = [worker["pid"] for worker in node.get("/node")["workers"] if worker["name"] == "sync"]
    os.kill(pid, signal.SIGKILL)
    wait(lambda: shown(node) == (REMEMBERED, 0), "the members to be read")


def shown(node: Node) -> tuple[int, int]:
    """How many peers the node shows, and how many of them are connected."""
    with contextlib.suppress(OSError):
        peers = node.get("/peers")
        return peers["count"], peers["connected"]
    return 0, 0


def summary(times: list[float], cpu_seconds: float) -> dict[str, float]:
    """Milliseconds, and those of CPU: other work on the machine lengthens only the former."""
    return {
        "median": round(statistics.median(times), 1),
        "max": round(max(times), 1),
        "cpu": round(cpu_seconds * 1000 / len(times), 1),
    }


def cpu_of_all(node: Node) -> float:
    """CPU seconds of the node, of this process, and of the commands that it has run."""
    own = os.times()
    return node.cpu_seconds() + own.user + own.system + own.children_user + own.children_system


def measure_calls(node: Node, call: Callable[[], object], runs: int) -> dict[str, float]:
    times, cpu = [], cpu_of_all(node)
    for _ in range(runs):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000)
    return summary(times, cpu_of_all(node) - cpu)


async def measure(node: Node) -> dict:
    config = load_config(node.environment())
    await remember(config.run_dir)
    await asyncio.to_thread(restart_sync, node)
    peers = [SilentPeer(replace(config, hostname=f"peer-{n}")) for n in range(CONNECTED)]
    for peer in peers:
        peer.dial(node.quic_port)
        await asyncio.sleep(0.05)
    expected = (REMEMBERED + CONNECTED, CONNECTED)
    while await asyncio.to_thread(shown, node) != expected:
        await asyncio.sleep(0.1)
    times, cpu = [], cpu_of_all(node)
    for _ in range(RUNS):
        began = time.perf_counter()
        report = await inspect_sockets(config.run_dir)
        times.append((time.perf_counter() - began) * 1000)
        if report.unanswered or not report.findings:
            raise SystemExit(f"{report.unanswered}, {len(report.findings)} findings")
    sockets = summary(times, cpu_of_all(node) - cpu)
    peatnode = str(Path(sys.executable).with_name("peatnode"))

    def command(*arguments: str) -> Callable[[], object]:
        return lambda: subprocess.run(
            [peatnode, *arguments], env=node.environment(), stdout=subprocess.DEVNULL, check=False
        )

    def read_over_http() -> None:
        urllib.request.urlopen(node.url + "/peers", timeout=10).read()

    figures = {
        "connected": CONNECTED,
        "remembered": REMEMBERED,
        "sockets_ms": sockets,
        "http_peers_ms": await asyncio.to_thread(measure_calls, node, read_over_http, RUNS),
        "status_ms": await asyncio.to_thread(measure_calls, node, command("status"), PROCESS_RUNS),
        "version_ms": await asyncio.to_thread(
            measure_calls, node, command("version"), PROCESS_RUNS
        ),
    }
    before = node.cpu_seconds()
    await asyncio.sleep(30)
    figures["percent_of_a_core"] = round(100 * (node.cpu_seconds() - before) / 30, 2)
    for peer in peers:
        peer.endpoint.close_all()
    return figures


def main() -> None:
    with nodes(1) as (node,):
        keep("status", asyncio.run(measure(node)))


if __name__ == "__main__":
    main()
