"""Peers that are remembered: what is told of them, forgetting them, and the log of what happened to them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from peatnode.client import (
    AsyncClient,
    Client,
    Conflict,
    NotFound,
    PeerConnected,
    PeerDisconnected,
    PeerLogEntry,
    SyncEvent,
)
from peatnode.ipc import messages
from peatnode.ipc.messages import PeerEvent, PeerState
from peatnode.model.members import PeerEventKind
from peatnode.model.states import PeerStatus
from tests.api.conftest import API_TOKEN, READ_TOKEN, Serve, Served
from tests.api.test_documents import check_problem
from tests.api.test_node import peer
from tests.support.waiting import until

EVENTS = (
    PeerEvent(10.0, "n2", PeerEventKind.CONNECTED, "127.0.0.1:1"),
    PeerEvent(20.5, "n2", PeerEventKind.DISCONNECTED, "no answer for 15 s"),
)


def absent_peer(name: str) -> PeerState:
    return replace(
        peer(name, is_connected=False),
        state=PeerStatus.ABSENT,
        reason="connection refused",
        absent_since=30.0,
        failing_since=31.0,
        last_equal=29.0,
        root=bytes([1] * 16),
        documents=7,
        is_remembered=True,
        is_expected=True,
        documents_per_second=12.34,
        seconds_left=5.67,
    )


async def test_an_absent_peer_has_all_that_is_known_of_it(served: Served) -> None:
    served.node.peers = (absent_peer("n2"), peer("n4"))
    absent, connected = (await served.http.get("/peers")).json()["peers"]
    expected = {
        "state": "absent",
        "connected": False,
        "remembered": True,
        "expected": True,
        "absent_since": 30.0,
        "failing_since": 31.0,
        "last_equal": 29.0,
        "root": "01" * 16,
        "documents": 7,
        "documents_per_second": 12.3,
        "seconds_left": 5.7,
    }
    assert {name: absent[name] for name in expected} == expected
    unknown = ("absent_since", "failing_since", "last_equal", "documents", "seconds_left")
    assert [connected[name] for name in unknown] == [None] * 5
    assert connected["root"] == ""


async def test_an_absent_peer_is_forgotten(served: Served) -> None:
    served.node.peers = (absent_peer("n2"), peer("n4"))
    gone = await served.http.delete("/peers/n2")
    assert (gone.status_code, gone.content) == (204, b"")
    assert [one["id"] for one in (await served.http.get("/peers")).json()["peers"]] == ["n4"]
    problem = check_problem(await served.http.delete("/peers/n2"), 404, "not-found")
    assert problem["where"] == "id"


async def test_a_connected_peer_is_not(served: Served) -> None:
    served.node.peers = (peer("n4"),)
    problem = check_problem(await served.http.delete("/peers/n4"), 409, "connected")
    assert problem["detail"] == "n4 is connected."
    check_problem(await served.http.delete("/peers/n4?force"), 400, "bad-parameter")
    assert len(served.node.peers) == 1


async def test_forgetting_needs_the_token_that_writes(serve: Serve) -> None:
    served = await serve(api_token=API_TOKEN, read_token=READ_TOKEN)
    served.node.peers = (absent_peer("n2"),)
    reader = {"authorization": f"Bearer {READ_TOKEN}"}
    check_problem(await served.http.delete("/peers/n2", headers=reader), 403, "read-only")
    assert (await served.http.get("/peer-log", headers=reader)).status_code == 200
    check_problem(await served.http.get("/peer-log"), 401, "unauthorized")
    writer = {"authorization": f"Bearer {API_TOKEN}"}
    assert (await served.http.delete("/peers/n2", headers=writer)).status_code == 204


async def test_the_log_of_peers(served: Served) -> None:
    assert (await served.http.get("/peer-log")).json() == {"count": 0, "events": []}
    served.node.peer_log = EVENTS
    content = (await served.http.get("/peer-log")).json()
    assert content["count"] == 2
    assert content["events"][1] == {
        "time": 20.5,
        "peer": "n2",
        "kind": "disconnected",
        "detail": "no answer for 15 s",
    }
    check_problem(await served.http.get("/peer-log?limit=1"), 400, "bad-parameter")


async def test_nothing_is_said_while_the_worker_is_away(serve: Serve) -> None:
    served = await serve(ask_seconds=0.3)
    await served.node.stop_worker("sync")
    check_problem(await served.http.get("/peer-log"), 503, "unavailable")
    check_problem(await served.http.delete("/peers/n2"), 503, "unavailable")


async def test_the_clients(served: Served) -> None:
    served.node.peer_log = EVENTS
    served.node.peers = (absent_peer("n2"), absent_peer("n3"), peer("n4"))
    entries = (
        PeerLogEntry(10.0, "n2", "connected", "127.0.0.1:1"),
        PeerLogEntry(20.5, "n2", "disconnected", "no answer for 15 s"),
    )
    url = f"http://127.0.0.1:{served.port}"
    async with AsyncClient(url) as client:
        assert await client.peer_log() == entries
        absent = await client.peer("n2")
        assert (absent.is_remembered, absent.is_expected, absent.absent_since) == (True, True, 30.0)
        assert (absent.root, absent.documents, absent.seconds_left) == ("01" * 16, 7, 5.7)
        await client.forget_peer("n2")
        with pytest.raises(NotFound):
            await client.forget_peer("n2")
        with pytest.raises(Conflict, match="connected"):
            await client.forget_peer("n4")

    def block() -> None:
        with Client(url) as client:
            assert client.peer_log() == entries
            client.forget_peer("n3")
            assert [one.id for one in client.peers()] == ["n4"]

    await asyncio.to_thread(block)


async def test_a_change_names_the_peer_that_sent_it(served: Served) -> None:
    served.node.peers = (replace(peer("n2"), instance="2" * 32),)
    for number, origin in enumerate(("2" * 32, "3" * 32, "client:17", "")):
        served.node.put("c", f"d{number}", {}, origin)
    url = f"http://127.0.0.1:{served.port}"
    async with AsyncClient(url) as client:
        events = client.events(since=0, types=["SyncEvent"])
        past = [await anext(events) for _ in range(4)]
        assert [one.origin_peer for one in past if isinstance(one, SyncEvent)] == ["n2", "", "", ""]
        assert isinstance(past[0], SyncEvent)
        assert past[0].origin == "2" * 32
        served.node.put("c", "d4", {}, "2" * 32)
        live = await anext(events)
        assert isinstance(live, SyncEvent)
        assert live.origin_peer == "n2"


async def test_events_of_peers_name_the_node_and_its_instance(served: Served) -> None:
    async with AsyncClient(f"http://127.0.0.1:{served.port}") as client:
        events = client.events(types=["PeerConnected", "PeerDisconnected"])
        task = asyncio.create_task(anext(events))
        await until(lambda: bool(served.node.topology))
        served.node.announce(messages.PeerConnected("n2", "2" * 32))
        assert await task == PeerConnected("n2", "2" * 32)
        served.node.announce(messages.PeerDisconnected("n2", "2" * 32, "goodbye"))
        assert await anext(events) == PeerDisconnected("n2", "goodbye", "2" * 32)


async def test_a_peer_is_blocked_whether_it_is_known_or_not(served: Served) -> None:
    served.node.peers = (peer("n4"),)
    for name, query in (("n4", "?reason=it%20deletes"), ("n9", "")):
        done = await served.http.put(f"/peers/{name}/block{query}")
        assert (done.status_code, done.content) == (204, b"")
    found = (await served.http.get("/peers")).json()["peers"]
    told = [(one["id"], one["state"], one["blocked_since"], one["reason"]) for one in found]
    assert told == [("n4", "blocked", 40.0, "it deletes"), ("n9", "blocked", 40.0, "")]
    assert (await served.http.delete("/peers/n4/block")).status_code == 204
    check_problem(await served.http.delete("/peers/n4/block"), 404, "not-found")


async def test_a_block_that_makes_no_sense_is_refused(served: Served) -> None:
    assert check_problem(await served.http.put("/peers/memory/block"), 422, "invalid")
    check_problem(await served.http.put("/peers/n2/block?force"), 400, "bad-parameter")
    check_problem(
        await served.http.put(f"/peers/n2/block?reason={'x' * 201}"), 400, "bad-parameter"
    )
    assert served.node.peers == ()


async def test_blocking_needs_the_token_that_writes(serve: Serve) -> None:
    served = await serve(api_token=API_TOKEN, read_token=READ_TOKEN)
    reader = {"authorization": f"Bearer {READ_TOKEN}"}
    for method in ("PUT", "DELETE"):
        done = await served.http.request(method, "/peers/n2/block", headers=reader)
        check_problem(done, 403, "read-only")
    writer = {"authorization": f"Bearer {API_TOKEN}"}
    assert (await served.http.put("/peers/n2/block", headers=writer)).status_code == 204


async def test_the_client_blocks_and_unblocks(served: Served) -> None:
    async with AsyncClient(f"http://127.0.0.1:{served.port}") as client:
        await client.block_peer("n2", "a & b")
        (one,) = await client.peers()
        assert (one.state, one.reason, one.blocked_since) == ("blocked", "a & b", 40.0)
        await client.unblock_peer("n2")
        with pytest.raises(NotFound):
            await client.unblock_peer("n2")


async def test_paused_deletions_are_shown_and_allowed(served: Served) -> None:
    paused = replace(peer("n4"), deletions_paused_since=50.0, deletions_refused=7)
    served.node.peers = (paused, peer("n5"))
    four, five = (await served.http.get("/peers")).json()["peers"]
    names = ("deletions_paused_since", "deletions_refused")
    assert [[one[name] for name in names] for one in (four, five)] == [[50.0, 7], [None, 0]]
    done = await served.http.delete("/peers/n4/deletion-pause")
    assert (done.status_code, done.content) == (204, b"")
    check_problem(await served.http.delete("/peers/n4/deletion-pause"), 404, "not-found")
    async with AsyncClient(f"http://127.0.0.1:{served.port}") as client:
        with pytest.raises(NotFound):
            await client.allow_deletions("n4")


async def test_allowing_deletions_needs_the_token_that_writes(serve: Serve) -> None:
    served = await serve(api_token=API_TOKEN, read_token=READ_TOKEN)
    reader = {"authorization": f"Bearer {READ_TOKEN}"}
    done = await served.http.delete("/peers/n2/deletion-pause", headers=reader)
    check_problem(done, 403, "read-only")
