"""Following what happens: server-sent events, WebSockets, watched collections; resuming, gaps, the slow."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from peatnode.ipc.messages import PeerConnected, PeerDisconnected, TopologyChanged
from tests.api.conftest import Serve, Served
from tests.api.test_documents import check_problem
from tests.support.waiting import until


@dataclass
class Sent:
    """One server-sent event."""

    id: str = ""
    event: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class EventReader:
    """Parses a stream of server-sent events (HTML Living Standard, 9.2.6)."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.last_id = ""

    async def next(self, seconds: float = 10.0) -> Sent:
        sent = Sent()
        async with asyncio.timeout(seconds):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                match name:
                    case "id":
                        self.last_id = sent.id = value
                    case "event":
                        sent.event = value
                    case "data":
                        sent.data = json.loads(value)
                    case "" if sent.data:
                        return sent
        raise EOFError


@contextlib.asynccontextmanager
async def events(
    served: Served, headers: dict[str, str] | None = None, **query: Any
) -> AsyncIterator[EventReader]:
    stream = served.http.stream("GET", "/events", params=query, headers=headers)
    async with stream as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream"
        reader = EventReader(answer.aiter_lines())
        yield reader


def followed(served: Served) -> int:
    return served.server.services.feed.changes.count + served.server.services.feed.values.count


async def test_events_as_they_happen(served: Served) -> None:
    async with events(served) as reader:
        await until(lambda: followed(served) == 1)
        served.node.put("notes", "a", {"x": 1}, origin="peer")
        sent = await reader.next()
        assert (sent.event, sent.id) == ("SyncEvent", "1")
        assert sent.data["type"] == "SyncEvent"
        assert (sent.data["collection"], sent.data["doc_id"]) == ("notes", "a")
        assert (sent.data["action"], sent.data["origin"]) == ("created", "peer")
        assert "value" not in sent.data
        served.node.delete("notes", "a")
        assert (await reader.next()).data["action"] == "deleted"
        served.node.announce(PeerConnected("n2", "i2"))
        served.node.announce(PeerDisconnected("n2", "i2", "goodbye"))
        served.node.announce(TopologyChanged(0))
        assert (await reader.next()).data["peer_id"] == "n2"
        assert (await reader.next()).data["reason"] == "goodbye"
        assert (await reader.next()).data == {"type": "TopologyChanged", "peer_count": 0}
    await until(lambda: followed(served) == 0)


async def test_filters_and_values(served: Served) -> None:
    async with events(served, collection="notes", prefix="a", value="true") as reader:
        await until(lambda: followed(served) == 1)
        served.node.put("other", "a1", {"x": 0})
        served.node.put("notes", "b", {"x": 0})
        served.node.announce(TopologyChanged(3))
        served.node.put("notes", "a1", {"x": 1})
        sent = await reader.next()
        assert (sent.data["doc_id"], sent.data["value"]) == ("a1", {"x": 1})
        served.node.delete("notes", "a1")
        assert (await reader.next()).data["value"] is None
    async with events(served, types="TopologyChanged") as reader:
        await until(lambda: served.server.services.feed.topology.count == 1)
        await until(lambda: len(served.node.topology) == 2)
        served.node.put("notes", "z", {})
        served.node.announce(TopologyChanged(4))
        assert (await reader.next()).data["peer_count"] == 4
    for query in ({"types": "Nothing"}, {"since": "x"}, {"doc_id": "a"}, {"colection": "a"}):
        check_problem(await served.http.get("/events", params=query), 400, "bad-parameter")


async def test_resuming_leaves_no_hole(served: Served, rng: random.Random) -> None:
    """Followers come and go while writes go on; each sees every change exactly once."""

    async def write() -> None:
        for number in range(600):
            served.node.put("c", f"d{number % 7}", {"n": number})
            await asyncio.sleep(0.001 if rng.random() < 0.2 else 0)

    async def follow() -> list[int]:
        seen: list[int] = []
        since = 0
        while since < 600:
            headers = {"last-event-id": str(since)}
            async with events(served, headers) as reader:
                for _ in range(rng.randrange(1, 120)):
                    sent = await reader.next()
                    seen.append(sent.data["sequence"])
                    since = seen[-1]
                    if since == 600:
                        break
        return seen

    results = await asyncio.gather(write(), follow(), follow(), follow())
    for seen in results[1:]:
        assert seen == list(range(1, 601))


async def test_a_gap_is_told(served: Served) -> None:
    for number in range(10):
        served.node.put("c", "a", {"n": number})
    served.node.oldest = 6
    served.node.changes = [change for change in served.node.changes if change.sequence > 6]
    async with events(served, since=2) as reader:
        gap = (await reader.next()).data
        assert (gap["type"], gap["since"], gap["upto"]) == ("Gap", 2, 6)
        assert gap["reread"] == "/api/v1/documents"
        assert [(await reader.next()).data["sequence"] for _ in range(4)] == [7, 8, 9, 10]
    async with events(served, since=99, collection="c") as reader:
        gap = (await reader.next()).data
        assert (gap["since"], gap["upto"], gap["reread"]) == (99, 10, "/api/v1/documents/c")
        await until(lambda: followed(served) == 1)
        served.node.put("c", "b", {})
        assert (await reader.next()).data["sequence"] == 11


async def test_followers_outlive_the_store(served: Served) -> None:
    async with events(served) as reader:
        await until(lambda: followed(served) == 1)
        served.node.put("c", "a", {"n": 1})
        assert (await reader.next()).data["sequence"] == 1
        await served.node.stop_worker("store")
        served.node.put("c", "a", {"n": 2})
        await served.node.start_worker("store")
        served.node.put("c", "a", {"n": 3})
        assert [(await reader.next()).data["sequence"] for _ in range(2)] == [2, 3]


@pytest.mark.parametrize("rewritten", [0, 3, 5], ids=["empty", "equal", "passed"])
async def test_a_store_that_lost_its_files_is_a_gap(served: Served, rewritten: int) -> None:
    """For who follows live and for who is away meanwhile: sequences that begin again are no old ones."""
    async with events(served) as reader:
        await until(lambda: followed(served) == 1)
        for number in range(3):
            served.node.put("c", "a", {"n": number})
        assert [(await reader.next()).data["sequence"] for _ in range(3)] == [1, 2, 3]
        await served.node.stop_worker("store")
        served.node.lose_files()
        for number in range(rewritten):
            served.node.put("c", "b", {"n": number})
        await served.node.start_worker("store")
        gap = (await reader.next()).data
        assert (gap["type"], gap["since"], gap["upto"]) == ("Gap", 3, rewritten)
        served.node.put("c", "after", {})
        assert (await reader.next()).data["sequence"] == rewritten + 1


async def websocket(served: Served, query: str = "", **options: Any) -> ClientConnection:
    return await connect(served.websocket_url(f"/api/v1/ws{query}"), proxy=None, **options)


async def test_websocket(served: Served) -> None:
    async with await websocket(served, "?value&since=0") as socket:
        served.node.put("notes", "a", {"x": 1})
        event = json.loads(await socket.recv())
        assert (event["type"], event["value"]) == ("SyncEvent", {"x": 1})
        served.node.announce(PeerConnected("n2", "i2"))
    await until(lambda: followed(served) == 0)
    with pytest.raises(InvalidStatus) as refused:
        await websocket(served, "?since=x")
    assert refused.value.response.status_code == 400
    with pytest.raises(InvalidStatus) as missing:
        await connect(served.websocket_url("/api/v1/wss"), proxy=None)
    assert missing.value.response.status_code == 404
    assert (await served.http.get("/ws")).status_code == 426


async def test_websocket_of_another_site(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await websocket(served, origin="http://elsewhere.example")
    assert refused.value.response.status_code == 403
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]
    async with await websocket(served, origin=f"http://127.0.0.1:{served.port}"):
        pass


async def test_a_slow_follower_is_dropped_and_slows_nobody(serve: Serve) -> None:
    served = await serve(subscriber_events=50, subscriber_bytes=200_000)
    slow = await websocket(served, "?value", max_queue=1)
    async with events(served, value="true") as reader:
        await until(lambda: followed(served) == 2)

        async def write() -> None:
            for number in range(400):
                served.node.put("c", "a", {"n": number, "pad": "x" * 20_000})
                await asyncio.sleep(0)

        task = asyncio.create_task(write())
        last = 0
        while last < 400:
            last = (await reader.next(20.0)).data["sequence"]
        await task
    messages = []
    with contextlib.suppress(ConnectionClosedError):
        async for message in slow:
            messages.append(json.loads(message))
    assert slow.close_code == 1013
    assert messages[-1]["type"] == "Dropped"
    assert messages[-1]["resume"] == messages[-2]["sequence"] < 400


async def test_too_many_followers(serve: Serve) -> None:
    served = await serve(subscribers=2)
    async with events(served), events(served):
        check_problem(await served.http.get("/events"), 503, "too-many-followers")


async def test_streams_end_when_the_node_stops(served: Served) -> None:
    socket = await websocket(served)
    async with events(served) as reader:
        await until(lambda: followed(served) == 2)
        stopping = asyncio.create_task(served.server.stop(5.0))
        assert (await reader.next()).data["type"] == "Dropped"
        with pytest.raises(EOFError):
            await reader.next()
    await asyncio.wait_for(socket.wait_closed(), 5.0)
    assert socket.close_code == 1001
    await asyncio.wait_for(stopping, 5.0)


async def test_watch(serve: Serve) -> None:
    served = await serve(page_documents=2)
    for number in range(5):
        served.node.put("c", f"d{number}", {"n": number})
    served.node.put("other", "x", {})
    async with served.http.stream("GET", "/documents/c?watch=true") as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = answer.aiter_lines()
        seen = [json.loads(await anext(lines)) for _ in range(6)]
        assert [one["type"] for one in seen] == ["Document"] * 5 + ["Current"]
        assert seen[0]["value"] == {"n": 0}
        served.node.put("other", "y", {})
        served.node.put("c", "d9", {"n": 9})
        event = json.loads(await anext(lines))
        assert (event["type"], event["doc_id"], event["value"]) == ("SyncEvent", "d9", {"n": 9})
    sse = {"accept": "text/event-stream"}
    async with served.http.stream("GET", "/documents/c?watch", headers=sse) as answer:
        reader = EventReader(answer.aiter_lines())
        for _ in range(6):
            assert (await reader.next()).event == "Document"
        assert (await reader.next()).event == "Current"
        assert reader.last_id == "8"
