"""Real sync workers exchange documents over QUIC on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peatnode.ipc import messages
from tests.process.sync_mesh import Worker, introduce, until


class Mesh:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.workers: list[Worker] = []

    async def add(self, node_id: str, **options: object) -> Worker:
        worker = Worker(self._directory, node_id, **options)  # type: ignore[arg-type]
        self.workers.append(worker)
        await worker.open()
        return worker

    def are_equal(self) -> bool:
        return len({worker.store.standin.root for worker in self.workers}) == 1


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    mesh = Mesh(tmp_path)
    yield mesh
    for worker in mesh.workers:
        await worker.close()


async def test_what_was_written_apart_is_exchanged_and_then_pushed(mesh: Mesh) -> None:
    a, b = await mesh.add("node-a"), await mesh.add("node-b")
    for i in range(30):
        a.store.write("notes", f"a{i}")
        b.store.write("notes", f"b{i}")
    introduce(a, b)
    await until(mesh.are_equal)
    a.store.write("notes", "later")
    await until(lambda: ("notes", "later") in b.store.standin.documents, 2.0)
    (peer,) = await a.wait_connected(1)
    assert (peer.id, peer.instance, peer.rtt_ms > 0) == ("node-b", b.instance, True)
    assert f"Sync ready (blobs + documents) endpoint_id={peer.endpoint_id}" in b.log()
    assert f"Peer connected peer=node-b endpoint_id={peer.endpoint_id} addresses=[" in a.log()


async def test_replicas_are_counted_when_a_peer_has_it_on_disk(mesh: Mesh) -> None:
    a, b = await mesh.add("node-a"), await mesh.add("node-b")
    introduce(a, b)
    await a.wait_connected(1)
    a.store.write("notes", "one")
    reply = await a.ask(messages.WaitReplicas(a.store.standin.sequence, 1, 5.0))
    assert (reply.count, reply.peers) == (1, ("node-b",))
    assert ("notes", "one") in b.store.standin.documents
    reply = await a.ask(messages.WaitReplicas(a.store.standin.sequence, 2, 0.1))
    assert reply.count == 1
