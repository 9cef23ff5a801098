"""Whole nodes in a Kubernetes of the test's own: one that does not come back is forgotten, one that restarts is not."""

import asyncio
import dataclasses
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubernetes_api.account import make_account, make_server_tls
from tests.support.kubernetes_api.cluster import Cluster, Pod, make_slice
from tests.support.kubernetes_api.server import FakeApi
from tests.support.nodes import Node
from tests.support.processes import free_port

Peer = dict[str, Any] | None
"""What a node says of a peer; None: nothing."""

Condition = Callable[[Peer], bool]


@dataclasses.dataclass
class Pods:
    """Nodes that are the pods of one StatefulSet, and the API server that they ask."""

    directory: Path
    api: FakeApi
    cluster: Cluster
    settings: dict[str, str]
    nodes: list[Node] = dataclasses.field(default_factory=list)

    def add(self) -> Node:
        name = f"peat-mesh-{len(self.nodes)}"
        directory = self.directory / name
        directory.mkdir()
        api_port, quic_port = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
        node = Node(name, directory, api_port, quic_port)
        node.settings = dict(self.settings)
        self.nodes.append(node)
        return node

    def show(self, node: Node) -> None:
        """Its endpoint, as the controller writes it while the pod is there."""
        endpoint = Cluster.endpoint(Pod(node.name, ("127.0.0.1",)), "127.0.0.1")
        self.api.write(f"slice-of-{node.name}", make_slice("slices", [endpoint], node.quic_port))

    async def start(self, node: Node) -> None:
        self.show(node)
        await asyncio.to_thread(node.start)

    async def stop(self, node: Node) -> None:
        """SIGTERM, as the kubelet sends it; its endpoint goes when the container has ended."""
        node.signal(15)
        assert await asyncio.to_thread(node.wait_exit, 10.0) == 0, node.log()[-3000:]
        self.api.write(f"slice-of-{node.name}", None)


@pytest.fixture
async def pods(tmp_path: Path) -> AsyncIterator[Pods]:
    account = tmp_path / "account"
    account.mkdir()
    api = FakeApi()
    cluster = Cluster(api.write)
    expected = tmp_path / "expected"
    expected.write_text("peat-mesh-0\npeat-mesh-1\n")  # as the chart's ConfigMap
    async with api.serve(make_server_tls(account)) as port:
        settings = {
            "PEAT_DISCOVERY": "kubernetes",
            "PEAT_EXPECTED_PEERS_FILE": str(expected),
            "PEAT_LOG": "debug",
            **make_account(account, port),
        }
        made = Pods(tmp_path, api, cluster, settings)
        try:
            yield made
        finally:
            for node in made.nodes:
                await asyncio.to_thread(node.stop)


async def peers(node: Node) -> dict[str, dict[str, Any]]:
    found = (await asyncio.to_thread(node.get, "/peers"))["peers"]
    return {peer["id"]: peer for peer in found}


async def findings(node: Node) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (await asyncio.to_thread(node.get, "/ready"))["findings"]
    return found


async def until(condition: Condition, one: Node, other: Node, seconds: float = 10.0) -> None:
    """Waits until it holds for what the first node says of the other one."""
    limit = time.monotonic() + seconds
    while not condition(peer := (await peers(one)).get(other.name)):
        assert time.monotonic() < limit, f"{condition.__name__}: {peer}\n{one.log()[-2000:]}"
        await asyncio.sleep(0.02)


def is_connected(peer: Peer) -> bool:
    return peer is not None and peer["connected"]


def is_absent(peer: Peer) -> bool:
    return peer is not None and peer["state"] == "absent" and peer["remembered"]


def is_unknown(peer: Peer) -> bool:
    return peer is None


async def test_a_pod_that_does_not_come_back_is_forgotten_and_one_that_restarts_is_not(
    pods: Pods,
) -> None:
    stays, goes = pods.add(), pods.add()
    pods.cluster.scale(2)
    await pods.start(stays)
    await pods.start(goes)
    await until(is_connected, stays, goes)

    # A rolling restart.
    await pods.stop(goes)
    await until(is_absent, stays, goes, 5.0)
    assert any(goes.name in finding["message"] for finding in await findings(stays))
    await pods.start(goes)
    await until(is_connected, stays, goes)

    # Scaled down: a moment later nobody misses it, although the mounted list still names it.
    pods.cluster.scale(1)
    await pods.stop(goes)
    await until(is_unknown, stays, goes, 5.0)
    assert await findings(stays) == []

    # Scaled up again, it is what it was.
    pods.cluster.scale(2)
    await pods.start(goes)
    await until(is_connected, stays, goes)

    # Uninstalled: the set, then the permission to read it, then the pods.
    pods.api.write("peat-mesh", None)
    pods.api.faults.set_status = 403
    await pods.stop(goes)
    await until(is_unknown, stays, goes, 5.0)
