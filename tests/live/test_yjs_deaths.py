"""Yjs clients while processes of the nodes are killed: nothing that was typed is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.yjs_clients import YjsClient, YjsClients
from tests.support.nodes import Node
from tests.support.waiting import wait

Mesh = Callable[[int], list[Node]]

TYPE_ON = (
    "const t = doc.getText('t'); let left = 300;"
    "const step = () => { t.insert(t.length, 'x'); if (--left) setTimeout(step, 5); }; step()"
)
"""300 letters, one each 5 ms at most."""


def processes(node: Node, name: str) -> list[int]:
    """Of the node's processes those of that name, the oldest first."""
    found = []
    for pid in node.pids():
        if Path(f"/proc/{pid}/comm").read_text().strip() == name:
            found.append(pid)
    return sorted(found)


def kill(node: Node, name: str) -> None:
    """The youngest process of a worker: of the broker, what serves."""
    os.kill(processes(node, name)[-1], signal.SIGKILL)


def wait_alike(opened: list[YjsClient], length: int) -> None:
    for client in opened:
        client.wait(f"doc.getText('t').length >= {length}", 40)
    assert {client.run("doc.getText('t').toString()") for client in opened} == {"x" * length}


@pytest.mark.parametrize("worker", ["peat-broker", "peat-store", "peat-sync", "peat-engine"])
def test_a_worker_killed_while_clients_type(mesh: Mesh, clients: YjsClients, worker: str) -> None:
    pair = mesh(2)
    opened = [clients.open(node.url, "n/d").wait_synced() for node in pair for _ in range(2)]
    for client in opened:
        client.run(TYPE_ON)
    opened[0].wait("doc.getText('t').length > 300")
    kill(pair[0], worker)
    wait_alike(opened, 1200)
    late = clients.open(pair[1].url, "n/d").wait_synced()
    wait_alike([late], 1200)
    if worker != "peat-broker":
        for client in opened:
            assert client.run("seen.connections") == 1, "nobody had to reconnect"


def test_a_node_killed_while_clients_type(mesh: Mesh, clients: YjsClients) -> None:
    """Of three: its clients go on when it is back, the others without it."""
    three = mesh(3)
    opened = [clients.open(node.url, "n/d").wait_synced() for node in three]
    opened[0].run("awareness.setLocalStateField('user', 'first')")
    opened[2].wait("[...awareness.getStates().values()].some((s) => s.user === 'first')")
    for client in opened:
        client.run(TYPE_ON)
    opened[1].wait("doc.getText('t').length > 300")
    three[0].kill()
    for client in opened[1:]:
        client.wait("doc.getText('t').length >= 600", 30)
    opened[2].wait("![...awareness.getStates().values()].some((s) => s.user === 'first')", 45)
    three[0].start()
    wait(lambda: three[0].is_connected(2), "the node to be back")
    wait_alike(opened, 900)
