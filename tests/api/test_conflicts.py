"""What lost in conflicts, over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from peatnode.client import AsyncClient, Client, NotFound
from tests.api.conftest import Served
from tests.api.test_node import peer
from tests.support.memory_node import kept_conflict

ID = "0" * 31 + "7"


async def test_a_lost_document_is_listed_read_and_dismissed(served: Served) -> None:
    served.node.conflicts[bytes.fromhex(ID)] = kept_conflict()
    listed = (await served.http.get("/conflicts")).json()
    assert listed["count"] == 1
    (entry,) = listed["conflicts"]
    assert (entry["id"], entry["collection"], entry["doc_id"]) == (ID, "notes", "payment")
    assert (entry["lost"], entry["clients"]) == ("local", [5])
    assert "peer_id" not in entry
    read = (await served.http.get(f"/conflicts/{ID}")).json()
    assert read == {**entry, "value": {"pay": "Bob"}, "update": "AAA="}
    gone = await served.http.delete(f"/conflicts/{ID}")
    assert (gone.status_code, gone.json()) == (200, {"dismissed": True})
    for answer in (
        await served.http.get(f"/conflicts/{ID}"),
        await served.http.delete(f"/conflicts/{ID}"),
        await served.http.get("/conflicts/what"),
    ):
        assert answer.status_code == 404
        assert answer.json()["type"].endswith("not-found")
    assert (await served.http.get("/conflicts")).json()["conflicts"] == []


async def test_the_other_node_has_its_name_where_it_is_known(served: Served) -> None:
    served.node.conflicts[bytes.fromhex(ID)] = kept_conflict()
    served.node.peers = (replace(peer("n2"), instance="ab" * 16),)
    (entry,) = (await served.http.get("/conflicts")).json()["conflicts"]
    assert (entry["peer"], entry["peer_id"]) == ("ab" * 16, "n2")
    assert (await served.http.get(f"/conflicts/{ID}")).json()["peer_id"] == "n2"


async def test_a_state_without_json_has_its_update(served: Served) -> None:
    served.node.conflicts[bytes.fromhex(ID)] = kept_conflict(value=b"")
    read = (await served.http.get(f"/conflicts/{ID}")).json()
    assert (read["value"], read["update"]) == (None, "AAA=")


async def test_the_clients(served: Served) -> None:
    for number in (7, 8):
        served.node.conflicts[number.to_bytes(16, "big")] = kept_conflict(number)
    url = f"http://127.0.0.1:{served.port}"
    async with AsyncClient(url) as client:
        first, second = await client.conflicts()
        assert (first.id, first.collection, first.doc_id, first.lost) == (
            ID,
            "notes",
            "payment",
            "local",
        )
        assert (first.value, first.update, first.size, first.clients) == (None, b"", 99, (5,))
        shown = await client.conflict(ID)
        assert (shown.value, shown.update) == ({"pay": "Bob"}, b"\0\0")
        await client.dismiss_conflict(ID)
        with pytest.raises(NotFound):
            await client.conflict(ID)

    def block() -> None:
        with Client(url) as client:
            assert [lost.id for lost in client.conflicts()] == [second.id]
            assert client.conflict(second.id).value == {"pay": "Bob"}
            client.dismiss_conflict(second.id)
            assert client.conflicts() == ()

    await asyncio.to_thread(block)
