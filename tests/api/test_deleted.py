"""Deleted documents over HTTP: what is kept of them, and how they come back."""

from __future__ import annotations

from peatnode.client import AsyncClient
from tests.api.conftest import Served
from tests.support.memory_node import kept_deleted


def keep(served: Served, *names: str) -> None:
    for name in names:
        served.node.deleted["notes", name, 1] = kept_deleted(name)


async def test_a_page_says_what_is_kept(served: Served) -> None:
    keep(served, "a", "b", "c")
    assert (await served.http.get("/deleted")).json() == {
        "count": 1,
        "documents": 3,
        "bytes": 900,
        "next_cursor": None,
        "collections": [{"name": "notes"}],
    }
    page = (await served.http.get("/deleted/notes?limit=2")).json()
    assert [entry["id"] for entry in page["deleted"]] == ["a", "b"]
    assert page["deleted"][0] == {
        "id": "a",
        "incarnation": 1,
        "deleted_at": 5.5,
        "until": 90.0,
        "origin": "ab" * 16,
        "expired": False,
        "expires_at": None,
        "bytes": 300,
        "live": False,
    }
    rest = (await served.http.get(f"/deleted/notes?cursor={page['next_cursor']}")).json()
    assert [entry["id"] for entry in rest["deleted"]] == ["c"]
    assert rest["next_cursor"] is None
    assert (await served.http.get("/deleted/notes?since=6")).json()["deleted"] == []
    assert (await served.http.get("/deleted/notes?prefix=b")).json()["count"] == 1


async def test_it_is_read_and_comes_back_once(served: Served) -> None:
    keep(served, "a")
    served.node.deleted["notes", "a", 4] = kept_deleted("a", 4, b'{"junk":1}')
    read = (await served.http.get("/deleted/notes/a?incarnation=1")).json()
    assert (read["collection"], read["document"]) == ("notes", {"a": 1})
    assert (await served.http.get("/deleted/notes/a")).json()["document"] == {"junk": 1}
    back = await served.http.post("/deleted/notes/a/undelete?incarnation=1")
    assert back.status_code == 201
    assert back.json()["document"] == {"a": 1}
    assert back.headers["etag"]
    again = await served.http.post("/deleted/notes/a/undelete")
    assert (again.status_code, again.json()["type"]) == (409, "urn:peatnode:problem:exists")
    missing = await served.http.post("/deleted/notes/never/undelete")
    assert (missing.status_code, missing.json()["where"]) == (404, "id")


async def test_wrong_requests(served: Served) -> None:
    for path in (
        "/deleted?cursor=/",
        "/deleted/%00",
        "/deleted/notes?cursor=xyz",
        "/deleted/notes?since=x",
        "/deleted/notes?x=1",
        "/deleted/notes/a?incarnation=0",
        "/deleted/notes/%2E",
    ):
        assert (await served.http.get(path)).status_code == 400, path
    for path in ("/deleted/notes/a/undelete?ttl=1", "/deleted/notes/a/undelete?incarnation=x"):
        assert (await served.http.post(path)).status_code == 400, path
    assert (await served.http.get("/deleted/notes/a/undelete")).status_code == 405


async def test_the_client(served: Served) -> None:
    keep(served, "a", "b")
    async with AsyncClient(f"http://127.0.0.1:{served.port}") as client:
        assert await client.deleted_collections() == ("notes",)
        found = [each async for each in client.deleted("notes")]
        assert [(each.id, each.incarnation, each.size) for each in found] == [
            ("a", 1, 300),
            ("b", 1, 300),
        ]
        page = await client.deleted_page("notes", limit=1)
        rest = await client.deleted_page("notes", limit=1, cursor=page.next_cursor)
        assert (page.documents[0].id, rest.documents[0].id, rest.next_cursor) == ("a", "b", "")
        assert (await client.deleted_document("notes", "a")).value == {"a": 1}
        written = await client.undelete("notes", "a")
        assert (written.was_created, written.value) == (True, {"a": 1})
