"""Names, texts and lists of neighbours that a member made to do harm, over real QUIC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from peatnode.codec.frames import frame
from peatnode.ipc.messages import GetMetrics, GetPeerLog
from peatnode.model.peer_limits import MAX_NEIGHBOURS
from peatnode.protocol.wire import messages as wire
from tests.support.insider import authenticate, authentication, credentials, insider, stranger
from tests.support.sync_mesh import Worker
from tests.support.waiting import until

FORGED = "x\n2026-01-01T00:00:00.000Z ERROR sync forged\x1b[2J\x9b31m\u202e\u2028forged"


@pytest.fixture
async def victim(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Worker]:
    form = getattr(request, "param", "text")
    worker = Worker(tmp_path, "victim", environment={"PEAT_LOG_FORMAT": form})
    await worker.open()
    await worker.peers()
    yield worker
    assert worker.is_running
    lines = worker.log_path.read_text().split("\n")
    assert not [line for line in lines if line and not line.isprintable()]
    assert not [line for line in lines if line.startswith(("2026-01-01", "forged"))]
    await worker.close()


in_both_formats = pytest.mark.parametrize("victim", ["text", "json"], indirect=True)
"""Of the log."""


async def rejected(worker: Worker, reason: str) -> float:
    metrics = (await worker.ask(GetMetrics())).metrics
    return sum(one.value for one in metrics if ("reason", reason) in one.labels)


@in_both_formats
async def test_a_member_of_a_name_that_no_node_can_have_is_refused(victim: Worker) -> None:
    async with stranger(victim) as client:
        for content in authentication(client, credentials(FORGED)).begin():
            client.say(frame(content))
        await until(lambda: client.closed)
        assert client.closed.error_code == 1
    await until(lambda: "malformed hello" in victim.log())
    assert not await victim.peers()


@in_both_formats
async def test_no_text_of_a_member_forges_a_line(victim: Worker) -> None:
    async with stranger(victim) as client:
        await authenticate(client, replace(credentials("member"), software=FORGED))
        (peer,) = await victim.wait_connected(1)
        assert peer.version.isprintable()
        assert peer.version.startswith("x\ufffd2026")
        client._quic.close(error_code=0, reason_phrase=f"bye {FORGED}")
        client.transmit()
        await victim.wait_connected(0)
    await until(lambda: "Peer disconnected" in victim.log())
    events = (await victim.ask(GetPeerLog())).events
    assert any(event.detail.startswith("bye x\ufffd2026") for event in events)
    assert all(event.detail.isprintable() for event in events)


async def test_too_many_neighbours_are_dropped_and_the_connection_stays(victim: Worker) -> None:
    """65,000 of them in one frame once made /topology 73 MB."""
    async with stranger(victim) as client:
        member = await insider(client)
        await victim.wait_connected(1)
        long = tuple((f"n{n}".ljust(253, "x"), n.to_bytes(16, "big")) for n in range(65_000))
        member.send(wire.Neighbours(True, long, ()))
        short = tuple((f"n{n}", n.to_bytes(16, "big")) for n in range(5000))
        member.send(wire.Neighbours(True, short, ()))
        member.send(wire.AskRange(77, 0, 0, b""))
        await member.wait(lambda message: getattr(message, "number", 0) == 77)
        (peer,) = await victim.wait_connected(1)
        assert len(peer.neighbours) == MAX_NEIGHBOURS
        assert await rejected(victim, "message too large") == 1
        assert await rejected(victim, "too many neighbours") == 1


async def test_a_neighbour_of_a_name_that_no_node_can_have_ends_the_connection(
    victim: Worker,
) -> None:
    async with stranger(victim) as client:
        member = await insider(client)
        member.send(wire.Neighbours(True, ((FORGED, bytes(16)),), ()))
        await until(lambda: client.closed)
        assert client.closed.error_code == 2
