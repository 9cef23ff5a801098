"""Real sync workers exchange documents over QUIC on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peatnode.ipc import messages
from tests.support.sync_mesh import Worker, bind_udp, introduce
from tests.support.waiting import until


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


async def test_what_a_chain_learns_goes_through_its_middle(mesh: Mesh) -> None:
    a, b, c = [await mesh.add(f"node-{name}") for name in "abc"]
    introduce(a, b)
    introduce(b, c)
    await b.wait_connected(2)
    await until(mesh.are_equal)
    a.store.write("notes", "from-a")
    await until(lambda: ("notes", "from-a") in c.store.standin.documents, 2.0)
    (peer,) = await c.wait_connected(1)
    while set(peer.neighbours) != {"node-a", "node-c"}:  # sent a moment after a change
        await asyncio.sleep(0.01)
        (peer,) = await c.wait_connected(1)


async def test_a_feed_that_goes_quiet_is_no_end(mesh: Mesh) -> None:
    a, b = await mesh.add("node-a"), await mesh.add("node-b")
    introduce(a, b)
    await a.wait_connected(1)
    a.store.write("notes", "told")
    await until(mesh.are_equal)
    for worker in (a, b):  # whichever of the two begins a round
        worker.store.go_quiet()
        worker.store.write("notes", f"untold-{worker.node_id}")
    await until(mesh.are_equal, 20.0)

    def was_reopened(worker: Worker) -> bool:
        follows = [m for m in worker.store.asked if isinstance(m, messages.FollowChanges)]
        return len(follows) == 2 and follows[1].since == 1

    await until(lambda: was_reopened(a) and was_reopened(b), 40.0)
    a.store.write("notes", "later")
    await until(lambda: ("notes", "later") in b.store.standin.documents, 2.0)


async def test_both_dial_and_one_connection_stays(mesh: Mesh) -> None:
    a, b = await mesh.add("node-a"), await mesh.add("node-b")
    introduce(a, b, with_ids=False)
    (of_a,) = await a.wait_connected(1)
    (of_b,) = await b.wait_connected(1)
    a.store.write("notes", "one")
    await until(mesh.are_equal)
    assert (of_a.id, of_b.id) == ("node-b", "node-a")
    assert [peer.is_connected for peer in await a.peers()] == [True]


async def test_a_node_does_not_connect_to_itself(mesh: Mesh) -> None:
    a = await mesh.add("node-a")
    a.discovery.found("somebody", a.port)
    b = await mesh.add("node-b")
    introduce(a, b)
    assert [peer.id for peer in await a.wait_connected(1)] == ["node-b"]
    while (await a.peers())[
        1
    ].state != messages.PeerStatus.OURSELVES:  # the dial has led back to us
        await asyncio.sleep(0.01)
    _, somebody = await a.peers()
    assert (somebody.id, somebody.reason) == (
        "somebody",
        f"127.0.0.1:{a.port} leads to this node itself",
    )


async def test_twins_sync_and_are_reported(mesh: Mesh) -> None:
    a, b = await mesh.add("node-a"), await mesh.add("node-a")
    introduce(a, b, with_ids=False)
    (peer,) = await a.wait_connected(1)
    assert (peer.id, peer.is_twin) == ("node-a", True)
    a.store.write("notes", "one")
    await until(mesh.are_equal)


async def test_a_killed_worker_comes_back_and_fetches_what_it_missed(mesh: Mesh) -> None:
    a, b = await mesh.add("node-a"), await mesh.add("node-b")
    introduce(a, b)
    await a.wait_connected(1)
    b.kill()
    a.store.write("notes", "while it was dead")
    b.start_process()
    await until(mesh.are_equal)
    a.store.write("notes", "after")
    await until(mesh.are_equal)
    await a.wait_connected(1)
    await b.wait_connected(1)


async def test_a_killed_node_is_noticed(mesh: Mesh) -> None:
    a, b = await mesh.add("node-a"), await mesh.add("node-b")
    introduce(a, b)
    await a.wait_connected(1)
    b.kill()
    await a.wait_connected(0, 15.0)
    assert 'Peer disconnected peer=node-b reason="Idle timeout"' in a.log()


async def test_a_stopping_node_says_goodbye(mesh: Mesh) -> None:
    a, b = await mesh.add("node-a"), await mesh.add("node-b")
    introduce(a, b)
    await a.wait_connected(1)
    assert b.terminate() == 0
    await a.wait_connected(0, 1.0)
    assert "Peer disconnected peer=node-b reason=stopping" in a.log()


async def test_a_peer_that_has_gone_keeps_the_name_that_it_had(mesh: Mesh) -> None:
    """Also where discovery knows nothing but its address."""
    a, b = await mesh.add("node-a"), await mesh.add("node-b")
    a.discovery.found(f"127.0.0.1:{b.port}", b.port)
    await a.wait_connected(1)
    assert b.terminate() == 0
    await a.wait_connected(0, 5.0)
    (peer,) = await a.peers()
    assert (peer.id, peer.is_connected) == ("node-b", False)
    assert peer.addresses == (f"127.0.0.1:{b.port}",)
    assert abs(peer.last_seen - time.time()) < 60.0
    assert peer.bytes_received > 0
    reply: messages.MetricsReply = await a.ask(messages.GetMetrics())
    connected = [m for m in reply.metrics if m.name == "peatnode_sync_peer_connected"]
    assert [(m.labels, m.value) for m in connected] == [((("peer", "node-b"),), 0.0)]


async def test_bytes_are_counted_on_over_connections(mesh: Mesh) -> None:
    a, b = await mesh.add("node-a"), await mesh.add("node-b")
    introduce(a, b)
    await a.wait_connected(1)
    for number in range(500):
        a.store.write("notes", f"a document with quite a long name, number {number}")
    await until(mesh.are_equal)
    (before,) = await b.peers()
    a.kill()
    a.start_process()

    async def is_connected_anew() -> bool:
        return any(p.connected_since > before.connected_since for p in await b.peers())

    await until(is_connected_anew)
    (after,) = await b.peers()
    assert after.instance == before.instance
    assert after.bytes_received > before.bytes_received
    assert after.bytes_sent > before.bytes_sent


async def test_twins_have_one_line_in_the_metrics(mesh: Mesh) -> None:
    """Prometheus refuses a name and labels that come twice."""
    a, *twins = [await mesh.add(name) for name in ("node-a", "node-b", "node-b")]
    for twin in twins:
        introduce(a, twin)
        a.discovery.found(twin.instance, twin.port, node_id="node-b", instance=twin.instance)
    await a.wait_connected(2)
    reply: messages.MetricsReply = await a.ask(messages.GetMetrics())
    lines = [(metric.name, metric.labels) for metric in reply.metrics]
    assert len(set(lines)) == len(lines)


async def test_a_store_that_dies_and_returns_misses_nothing(mesh: Mesh) -> None:
    a, b = await mesh.add("node-a"), await mesh.add("node-b")
    introduce(a, b)
    await a.wait_connected(1)
    await a.store.close()
    b.store.write("notes", "from b")
    a.store.standin.write(("notes", "from a"), 7)
    await a.store.start()
    await until(mesh.are_equal)
    assert ("notes", "from a") in b.store.standin.documents
    assert ("notes", "from b") in a.store.standin.documents


async def test_topology_and_awareness_are_told_to_those_who_follow(mesh: Mesh) -> None:
    a, b, c = [await mesh.add(f"node-{name}") for name in "abc"]
    topology: list[messages.Message] = []
    awareness: list[messages.AwarenessSeen] = []
    follows = [
        asyncio.create_task(_collect(await c.link(), messages.FollowTopology(), topology)),
        asyncio.create_task(_collect(await c.link(), messages.FollowAwareness(), awareness)),
    ]
    introduce(a, b)
    introduce(b, c)
    await b.wait_connected(2)
    await until(lambda: messages.PeerConnected("node-b", b.instance) in topology)

    async def publish() -> None:
        while not awareness:
            (await a.link()).send(messages.PublishAwareness("notes", "one", b"cursor"))
            await asyncio.sleep(0.05)

    await asyncio.wait_for(publish(), 5.0)
    assert awareness[0] == messages.AwarenessSeen("notes", "one", b"cursor", b.instance)
    b.terminate()
    goodbye = messages.PeerDisconnected("node-b", b.instance, "stopping")
    await until(lambda: goodbye in topology)
    for follow in follows:
        follow.cancel()


async def _collect(link: object, question: object, into: list) -> None:  # type: ignore[type-arg]
    async for event in link.follow(question):  # type: ignore[attr-defined]
        into.append(event)


async def test_a_dual_stack_socket_reaches_both_families(mesh: Mesh) -> None:
    a = await mesh.add("node-a", udp=bind_udp("::"))
    b = await mesh.add("node-b")
    introduce(a, b)
    (peer,) = await a.wait_connected(1)
    assert peer.addresses == (f"127.0.0.1:{b.port}",)
    assert abs(peer.last_seen - time.time()) < 60.0
    assert peer.bytes_received > 0


async def test_a_path_that_loses_large_datagrams_is_dialled_carefully(mesh: Mesh) -> None:
    a, b = await mesh.add("node-a"), await mesh.add("node-b")
    narrow = NarrowPath(b.port)
    await narrow.open()
    a.discovery.found("node-b", narrow.port, node_id="node-b", instance=b.instance)
    for i in range(50):
        b.store.write("notes", f"n{i}")
    await a.wait_connected(1, 30.0)
    await until(mesh.are_equal)
    assert narrow.dropped
    narrow.close()


class NarrowPath(asyncio.DatagramProtocol):
    """Forwards to a port of loopback what is not larger than a datagram of the Internet."""

    def __init__(self, to: int) -> None:
        self._to = ("127.0.0.1", to)
        self._ways: dict[object, asyncio.DatagramTransport] = {}
        self.dropped = 0
        self.port = 0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=bind_udp())
        self.port = self._transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, address: object) -> None:
        if len(data) > 1400:
            self.dropped += 1
            return
        if address not in self._ways:
            asyncio.get_running_loop().create_task(self._open_way(address, data))
        else:
            self._ways[address].sendto(data, self._to)

    async def _open_way(self, address: object, data: bytes) -> None:
        path = self

        class Back(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: object) -> None:
                if len(data) > 1400:
                    path.dropped += 1
                else:
                    path._transport.sendto(data, address)  # type: ignore[arg-type]

        loop = asyncio.get_running_loop()
        way, _ = await loop.create_datagram_endpoint(Back, sock=bind_udp())
        self._ways[address] = way
        way.sendto(data, self._to)

    def close(self) -> None:
        self._transport.close()
        for way in self._ways.values():
            way.close()
