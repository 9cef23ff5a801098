"""A peer that is gone is shown as absent, with since when and why, and is found again without discovery."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from peatnode.errors import LinkError
from peatnode.ipc import messages
from tests.support.sync_mesh import Worker, introduce
from tests.support.waiting import until


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def make(node_id: str, **options: object) -> Worker:
        worker = Worker(tmp_path, node_id, **options)  # type: ignore[arg-type]
        workers.append(worker)
        return worker

    yield make
    for worker in workers:
        await worker.close()


async def test_a_lost_peer_stays_shown_and_is_dialled_where_it_was(
    start: Callable[..., Worker],
) -> None:
    expected = {"PEAT_EXPECTED_PEERS": "node-a,node-b,node-c"}
    a, b = start("node-a", environment=expected), start("node-b")
    await a.open()
    await b.open()
    introduce(a, b)
    await a.wait_connected(1)
    a.store.write("notes", "one")

    async def told_documents() -> int:
        (told,) = await a.wait_connected(1)
        return told.documents if told.is_in_sync else -1

    async def are_equal() -> bool:
        return await told_documents() == 1

    await until(are_equal)
    went = time.time()
    assert b.terminate() == 0
    await a.wait_connected(0, 5.0)
    a.discovery.lost("node-b")
    b.discovery.peers.clear()

    async def has_failed() -> bool:
        return bool((await a.peers())[0].failing_since)

    await until(has_failed, 10.0)
    reply: messages.PeersReply = await a.ask(messages.GetPeers())
    absent, never_seen = reply.peers
    assert (reply.expected, reply.missing) == (2, ("node-b", "node-c"))
    assert (absent.id, absent.state, absent.instance) == ("node-b", "absent", b.instance)
    assert (absent.is_remembered, absent.is_expected, absent.is_in_sync) == (True, True, False)
    assert went - 1 <= absent.absent_since <= absent.failing_since <= time.time()
    assert went - 60 <= absent.last_equal <= absent.absent_since
    assert absent.out_of_sync_since == absent.last_equal
    assert (absent.root, absent.documents) == (reply.root, 1)
    assert absent.reason
    assert absent.addresses == (f"127.0.0.1:{b.port}",)
    assert (never_seen.id, never_seen.state, never_seen.absent_since) == ("node-c", "absent", 0.0)
    assert not never_seen.is_remembered

    metrics: messages.MetricsReply = await a.ask(messages.GetMetrics())
    values = {(m.name, dict(m.labels).get("peer", "")): m.value for m in metrics.metrics}
    assert values["peatnode_sync_peers_expected", ""] == 2
    assert values["peatnode_sync_peers_remembered", ""] == 1
    assert values["peatnode_sync_peer_connected", "node-b"] == 0
    assert values["peatnode_sync_peer_in_sync", "node-b"] == 0
    assert values["peatnode_sync_peer_behind_seconds", "node-b"] > 0
    assert 0 < values["peatnode_sync_peer_absent_seconds", "node-b"] < 60
    assert ("peatnode_sync_peer_clock_offset_seconds", "node-b") not in values
    assert values["peatnode_sync_peer_connected", "node-c"] == 0
    assert ("peatnode_sync_peer_absent_seconds", "node-c") not in values

    async def is_kept() -> bool:
        kept = [m for m in a.store.asked if isinstance(m, messages.KeepMembership)]
        return any(peer.last_seen >= went for keep in kept for peer in keep.peers)

    await until(is_kept)
    a.kill()
    a.start_process()

    async def is_shown_again() -> bool:
        with contextlib.suppress(LinkError):  # of the killed process
            return [peer.id for peer in await a.peers()] == ["node-b", "node-c"]
        return False

    await until(is_shown_again)
    again = start("node-b", udp=b.udp.dup())  # another process at its address, which knows nobody
    await again.open()
    (peer,) = await a.wait_connected(1, 40.0)
    assert (peer.id, peer.instance, peer.absent_since) == ("node-b", again.instance, 0.0)
    assert (peer.failing_since, peer.reason == "" or not peer.is_in_sync) == (0.0, True)
    assert [each.id for each in await a.peers()] == ["node-b", "node-c"]
    assert not again.discovery.peers


async def test_the_file_of_expected_peers_is_read_while_the_node_runs(
    start: Callable[..., Worker], tmp_path: Path
) -> None:
    path = tmp_path / "peers"
    path.write_text("node-a\nnode-b\n")
    a = start("node-a", environment={"PEAT_EXPECTED_PEERS_FILE": str(path)})
    await a.open()
    assert (await a.ask(messages.GetPeers())).missing == ("node-b",)
    path.write_text("node-a\nnode-b\nnode-c\n")

    async def are_two() -> bool:
        return bool((await a.ask(messages.GetPeers())).missing == ("node-b", "node-c"))

    await until(are_two, 10.0)
