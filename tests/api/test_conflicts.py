"""What lost in conflicts, over HTTP."""

from __future__ import annotations

from tests.api.conftest import Served
from tests.support.memory_node import kept_conflict

ID = "0" * 31 + "7"


async def test_a_lost_document_is_listed_read_and_dismissed(served: Served) -> None:
    served.node.conflicts[bytes.fromhex(ID)] = kept_conflict()
    listed = (await served.http.get("/conflicts")).json()
    assert listed["count"] == 1
    (entry,) = listed["conflicts"]
    assert (entry["id"], entry["collection"], entry["doc_id"]) == (ID, "notes", "payment")
    assert (entry["lost"], entry["clients"]) == ("local", [5])
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


async def test_a_state_without_json_has_its_update(served: Served) -> None:
    served.node.conflicts[bytes.fromhex(ID)] = kept_conflict(value=b"")
    read = (await served.http.get(f"/conflicts/{ID}")).json()
    assert (read["value"], read["update"]) == (None, "AAA=")
