"""Listings: pages, queries, export, bulk."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import orjson
import pytest

from tests.api.conftest import Serve, Served
from tests.api.test_documents import check_problem

NDJSON = {"content-type": "application/x-ndjson"}

PEOPLE: list[dict[str, Any]] = [
    {"name": "Ada", "age": 36, "address": {"city": "London"}, "tags": ["x", "y"]},
    {"name": "Bob", "age": 25, "address": {"city": "Oslo"}, "active": True},
    {"name": "Cid", "age": 25.5, "address": {"city": "London"}, "active": False},
    {"name": "Dee", "age": "old"},
    {"name": "Eve", "age": None, "address": None},
]


async def people(served: Served) -> None:
    for number, person in enumerate(PEOPLE):
        served.node.put("people", f"p{number}", person)


async def listed(served: Served, **query: Any) -> list[str]:
    answer = await served.http.get("/documents/people", params=query)
    assert answer.status_code == 200, answer.text
    return [document["name"] for document in answer.json()["documents"]]


async def test_pages(served: Served) -> None:
    for number in range(25):
        served.node.put("c", f"d{number:02}", {"n": number})
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": 10, **({"cursor": cursor} if cursor else {})}
        page = (await served.http.get("/documents/c", params=query)).json()
        assert page["count"] == len(page["documents"])
        assert page["total"] == 25
        seen += [document["n"] for document in page["documents"]]
        cursor = page["next_cursor"]
    assert seen == list(range(25))
    exact = (await served.http.get("/documents/c", params={"limit": 25})).json()
    assert exact["next_cursor"] is None
    some = (await served.http.get("/documents/c", params={"prefix": "d1"})).json()
    assert some["count"] == 10
    empty = (await served.http.get("/documents/none")).json()
    assert (empty["count"], empty["documents"], empty["next_cursor"]) == (0, [], None)
    found = (await served.http.get("/documents")).json()
    assert found["collections"] == [{"name": "c", "count": 25}]
    assert (found["count"], found["total"], found["next_cursor"]) == (1, 1, None)


async def test_collections_in_pages(served: Served) -> None:
    names = [f"c{number}" for number in range(7)]
    for name in reversed(names):
        served.node.put(name, "one", {})
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": 3, "cursor": cursor} if cursor else {"limit": 3}
        page = (await served.http.get("/documents", params=query)).json()
        assert page["count"] == len(page["collections"])
        assert page["total"] == 7
        seen += [entry["name"] for entry in page["collections"]]
        cursor = page["next_cursor"]
    assert seen == names
    exact = (await served.http.get("/documents", params={"limit": 7})).json()
    assert exact["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "where"),
    [({"limit": 0}, "limit"), ({"limit": 1001}, "limit"), ({"cursor": "a/b"}, "cursor")],
)
async def test_a_bad_page_of_collections(served: Served, query: dict[str, Any], where: str) -> None:
    answer = await served.http.get("/documents", params=query)
    assert (answer.status_code, answer.json()["where"]) == (400, where)


async def test_listed_documents_have_their_name(served: Served) -> None:
    served.node.put("c", "empty", {})
    served.node.put("c", "own", {"_id": "mine", "x": 1})
    documents = (await served.http.get("/documents/c")).json()["documents"]
    assert documents == [{"_id": "empty"}, {"_id": "own", "x": 1}]


async def test_where(served: Served) -> None:
    await people(served)
    assert await listed(served, where="address.city=London") == ["Ada", "Cid"]
    assert await listed(served, where="age>=25.5") == ["Ada", "Cid"]
    assert await listed(served, where="age<30") == ["Bob", "Cid"]
    assert await listed(served, where=["age<30", "active=true"]) == ["Bob"]
    assert await listed(served, where="age=old") == ["Dee"]
    assert await listed(served, where="age=null") == ["Eve"]
    assert await listed(served, where="age!=25") == ["Ada", "Cid", "Dee", "Eve"]
    assert await listed(served, where="tags.1=y") == ["Ada"]
    assert await listed(served, where="name>=D") == ["Dee", "Eve"]
    assert await listed(served, where='name="Ada"') == ["Ada"]
    assert await listed(served, where="nothing=1") == []


async def test_sort_and_fields(served: Served) -> None:
    await people(served)
    assert await listed(served, sort="age") == ["Bob", "Cid", "Ada", "Dee", "Eve"]
    assert await listed(served, sort="-age") == ["Dee", "Ada", "Cid", "Bob", "Eve"]
    assert await listed(served, sort="address.city,-name") == ["Cid", "Ada", "Bob", "Eve", "Dee"]
    query = {"fields": "name,address.city", "limit": 2}
    page = (await served.http.get("/documents/people", params=query)).json()
    assert page["documents"] == [
        {"name": "Ada", "address": {"city": "London"}, "_id": "p0"},
        {"name": "Bob", "address": {"city": "Oslo"}, "_id": "p1"},
    ]


async def test_sorted_pages_are_complete(served: Served, rng: random.Random) -> None:
    for number in range(60):
        value = rng.choice([None, True, False, "a", "b", 1, 2.5, 7])
        served.node.put("c", f"d{number}", {"v": value, "name": f"d{number}"})
    for sort in ("v", "-v", "-v,name"):
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            query = {"sort": sort, "limit": 7, **({"cursor": cursor} if cursor else {})}
            page = (await served.http.get("/documents/c", params=query)).json()
            seen += [document["_id"] for document in page["documents"]]
            cursor = page["next_cursor"]
        assert len(seen) == len(set(seen)) == 60, sort


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("where=age", "where"),
        ("where==5", "where"),
        ("where=a..b%3D1", "where"),
        ("where=a%3D[1]", "where"),
        ("where=a%3Ctrue", "where"),
        ("sort=a..b", "sort"),
        ("sort=" + ",".join("abcdefghijklmnopqrst"), "sort"),
        ("fields=.", "fields"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("cursor=%25%25", "cursor"),
        ("cursor=W10", "cursor"),
        ("format=csv", "format"),
        ("wehre=a%3D1", "wehre"),
        ("watch=maybe", "watch"),
        ("&".join(["where=a%3D1"] * 20), "where"),
        ("sort=a&sort=b", "sort"),
    ],
)
async def test_bad_queries(served: Served, query: str, where: str) -> None:
    answer = await served.http.get(f"/documents/c?{query}")
    assert answer.status_code == 400
    assert answer.json()["where"] == where
    assert answer.json()["detail"]


async def test_a_cursor_belongs_to_its_query(served: Served) -> None:
    for number in range(5):
        served.node.put("c", f"d{number}", {"n": number})
    page = (await served.http.get("/documents/c?limit=2&sort=n")).json()
    other = await served.http.get(f"/documents/c?limit=2&sort=-n&cursor={page['next_cursor']}")
    check_problem(other, 400, "bad-cursor")


async def test_a_query_that_finds_little_stops_at_a_bound(serve: Serve) -> None:
    served = await serve(scan_documents=10, page_documents=5)
    for number in range(40):
        served.node.put("c", f"d{number:02}", {"n": number})
    page = (await served.http.get("/documents/c?where=n%3D39")).json()
    assert (page["count"], page["next_cursor"] is not None) == (0, True)
    while page["next_cursor"]:
        path = f"/documents/c?where=n%3D39&cursor={page['next_cursor']}"
        page = (await served.http.get(path)).json()
    assert [document["n"] for document in page["documents"]] == [39]
    check_problem(await served.http.get("/documents/c?sort=n"), 422, "too-many-documents")


async def test_export(serve: Serve) -> None:
    served = await serve(page_documents=10)
    for number in range(35):
        served.node.put("c", f"d{number:02}", {"n": number})
    answer = await served.http.get("/documents/c?format=ndjson")
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["n"] for line in lines] == list(range(35))
    empty = await served.http.get("/documents/none?format=ndjson")
    assert (empty.status_code, empty.content) == (200, b"")


async def test_export_under_writes_ends_in_one_state(serve: Serve, rng: random.Random) -> None:
    served = await serve(page_documents=3)
    for number in range(60):
        served.node.put("c", f"d{number:02}", {"n": number})
    is_over = asyncio.Event()

    async def disturb() -> None:
        while not is_over.is_set():
            name = f"d{rng.randrange(70):02}"
            if ("c", name) in served.node.records and rng.random() < 0.3:
                served.node.delete("c", name)
            else:
                served.node.put("c", name, {"n": rng.random()})
            await asyncio.sleep(0)

    task = asyncio.create_task(disturb())
    answer = await served.http.get("/documents/c?format=ndjson")
    is_over.set()
    await task
    found: dict[str, Any] = {}
    for line in answer.text.splitlines():
        content = json.loads(line)
        name = content.pop("_id")
        found[name] = content
    held = {name for name, content in found.items() if not content.get("_deleted")}
    states = history(served)
    assert any({name: found[name] for name in held} == state for state in states), (
        "the export is no state that ever was"
    )


def history(served: Served) -> list[dict[str, Any]]:
    """The collection after each change."""
    state: dict[str, Any] = {}
    states = [dict(state)]
    for change in served.node.changes:
        if change.action == "deleted":
            state.pop(change.id, None)
        else:
            state[change.id] = orjson.loads(change.value)
        states.append(dict(state))
    return states


async def test_bulk(served: Served) -> None:
    lines = [
        b'{"_id": "a", "x": 1}',
        b'{"x": 2}',
        b"{broken",
        b"",
        b"[1]",
        b'{"_id": "a", "x": 3}',
        b'{"_id": "b/c"}',
        b'{"_id": "a", "_deleted": true}',
        b'{"_id": "d"}',
    ]
    answer = await served.http.post("/documents/c?bulk", content=b"\n".join(lines), headers=NDJSON)
    assert answer.status_code == 200
    answers = [json.loads(line) for line in answer.text.splitlines()]
    assert [(one["line"], one["status"]) for one in answers] == [
        (1, 201),
        (2, 201),
        (3, 400),
        (5, 422),
        (6, 200),
        (7, 400),
        (8, 200),
        (9, 201),
    ]
    assert answers[0]["id"] == "a"
    assert answers[2]["detail"].startswith("The line is not JSON")
    assert sorted(name for _, name in served.node.records) == sorted([answers[1]["id"], "d"])


async def test_bulk_streams(serve: Serve) -> None:
    served = await serve(body_bytes=1000, bulk_writes=8)

    async def pieces():  # type: ignore[no-untyped-def]
        for number in range(500):
            line = orjson.dumps({"_id": f"d{number}", "n": number})
            yield line[:7]
            yield line[7:] + b"\n"

    answer = await served.http.post("/documents/c?bulk=true", content=pieces(), headers=NDJSON)
    answers = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["line"] for one in answers] == list(range(1, 501))
    assert len(served.node.records) == 500
    long = await served.http.post(
        "/documents/c?bulk", content=b'{"x": "' + b"x" * 5000, headers=NDJSON
    )
    assert json.loads(long.text.splitlines()[-1])["status"] == 413
    lines = [b'{"_id": "e0"}', b'{"x": "' + b"x" * 200_000 + b'"}', b" " * 1001 + b"{}"]
    mixed = await served.http.post(
        "/documents/c?bulk", content=b"\n".join([*lines, b'{"_id": "e1"}']), headers=NDJSON
    )
    answers = [json.loads(line) for line in mixed.text.splitlines()]
    assert [(one["line"], one["status"]) for one in answers] == [
        (1, 201),
        (2, 413),
        (3, 413),
        (4, 201),
    ]
    wrong = await served.http.post("/documents/c?bulk", content=b"{}")
    check_problem(wrong, 415, "unsupported-media-type")
