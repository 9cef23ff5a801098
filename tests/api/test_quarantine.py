"""What is in quarantine, over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from peatnode.client import AsyncClient, Client, NotFound, Quarantined
from tests.api.conftest import Served
from tests.api.test_node import peer
from tests.support.memory_node import quarantined

ID, OTHER = "0" * 31 + "7", "0" * 31 + "8"


def fill(served: Served) -> None:
    for number, reason in ((7, "leap"), (8, "engine-document")):
        served.node.quarantine[number.to_bytes(16, "big")] = quarantined(number, reason)


async def test_entries_are_listed_accepted_and_dropped(served: Served) -> None:
    fill(served)
    listed = (await served.http.get("/quarantine")).json()
    assert (listed["count"], listed["lost"]) == (2, 0)
    leap, broken = listed["entries"]
    assert (leap["id"], leap["reason"], leap["deletes"]) == (ID, "leap", True)
    assert (leap["here"], leap["incarnation"], leap["bytes"]) == (2, 2**40 - 1, 9)
    assert (broken["reason"], broken["time"], "peer" in broken) == ("engine-document", None, False)
    accepted = await served.http.post(f"/quarantine/{ID}/accept")
    assert (accepted.status_code, accepted.json()) == (
        200,
        {"accepted": True, "outcome": "applied"},
    )
    dropped = await served.http.delete(f"/quarantine/{OTHER}")
    assert (dropped.status_code, dropped.json()) == (200, {"dropped": True})
    for answer in (
        await served.http.post(f"/quarantine/{ID}/accept"),
        await served.http.delete(f"/quarantine/{ID}"),
        await served.http.delete("/quarantine/what"),
        await served.http.post("/quarantine/what/accept"),
    ):
        assert answer.status_code == 404
        assert answer.json()["type"].endswith("not-found")
    assert (await served.http.get("/quarantine")).json()["entries"] == []


async def test_the_other_node_has_its_name_where_it_is_known(served: Served) -> None:
    fill(served)
    served.node.peers = (replace(peer("n2"), instance="ab" * 16),)
    leap, _ = (await served.http.get("/quarantine")).json()["entries"]
    assert (leap["peer"], leap["peer_id"]) == ("ab" * 16, "n2")


async def test_the_clients(served: Served) -> None:
    fill(served)
    url = f"http://127.0.0.1:{served.port}"
    async with AsyncClient(url) as client:
        first, second = await client.quarantine()
        assert first == Quarantined(
            ID, "leap", 1.5, "notes", "payment", 2, 2**40 - 1, True, "ab" * 16, "", 9
        )
        assert (second.time, second.peer) == (None, "")
        assert await client.accept_quarantined(ID) == "applied"
        with pytest.raises(NotFound):
            await client.accept_quarantined(ID)

    def block() -> None:
        with Client(url) as client:
            assert [entry.id for entry in client.quarantine()] == [OTHER]
            client.drop_quarantined(OTHER)
            with pytest.raises(NotFound):
                client.drop_quarantined(OTHER)

    await asyncio.to_thread(block)
