"""The API of a real node: what depends on the real store, engine and supervisor."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.test_documents import JSON_PATCH, MERGE, check_problem
from tests.api.test_feed import EventReader
from tests.api.test_openapi import described
from tests.support.nodes import Node, nodes
from tests.support.waiting import until

DOCUMENT = "/api/v1/documents/{collection}/{doc_id}"
COLLECTION = "/api/v1/documents/{collection}"


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with nodes(1) as running:
        yield running[0]


@pytest.fixture
async def http(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=node.url, timeout=30.0) as client:
        yield client


async def test_documents(http: httpx.AsyncClient) -> None:
    path = "/documents/real/a"
    created = await http.put(path, json={"a": {"b": [1, 2]}, "c": "ü", "d": 2**60, "e": 1.5})
    described(DOCUMENT, "put", created)
    assert created.status_code == 201
    read = await http.get(path)
    described(DOCUMENT, "get", read)
    assert read.json()["document"] == {"a": {"b": [1, 2]}, "c": "ü", "d": 2**60, "e": 1.5}
    assert read.headers["etag"] == created.headers["etag"]
    same = await http.put(path, json=read.json()["document"])
    assert same.json()["changed"] is False
    assert same.headers["etag"] == read.headers["etag"]
    merged = await http.patch(path, content=b'{"c": null, "a": {"x": 1}}', headers=MERGE)
    assert merged.json()["document"] == {"a": {"b": [1, 2], "x": 1}, "d": 2**60, "e": 1.5}
    operations = [
        {"op": "test", "path": "/e", "value": 1.5},
        {"op": "add", "path": "/a/b/-", "value": 3},
        {"op": "remove", "path": "/d"},
    ]
    patched = await http.patch(path, content=json.dumps(operations), headers=JSON_PATCH)
    assert patched.json()["document"] == {"a": {"b": [1, 2, 3], "x": 1}, "e": 1.5}
    stale = await http.put(path, json={}, headers={"if-match": read.headers["etag"]})
    check_problem(stale, 412, "precondition-failed")
    deleted = await http.delete(path)
    described(DOCUMENT, "delete", deleted)
    check_problem(await http.get(path), 404, "not-found")
    check_problem(await http.delete(path), 404, "not-found")
    again = await http.put(path, json={"x": 1})
    assert again.status_code == 201
    assert again.json()["incarnation"] > created.json()["incarnation"]


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "test", "path": "/x", "value": 2}],
        [{"op": "remove", "path": "/nothing"}],
        [{"op": "nonsense", "path": "/x"}],
        [{"path": "/x"}],
        [7],
    ],
)
async def test_json_patches_that_cannot_be(http: httpx.AsyncClient, operations: object) -> None:
    await http.put("/documents/real/p", json={"x": 1})
    answer = await http.patch(
        "/documents/real/p", content=json.dumps(operations), headers=JSON_PATCH
    )
    assert answer.status_code in (409, 422)
    assert answer.json()["detail"]
    assert (await http.get("/documents/real/p")).json()["document"] == {"x": 1}


async def test_expiry(http: httpx.AsyncClient) -> None:
    answer = await http.put("/documents/real/short?ttl=1", json={"x": 1})
    assert answer.json()["expires_at"] > 0
    kept = await http.put("/documents/real/kept?ttl=100", json={"x": 1})
    never = await http.put("/documents/real/kept?ttl=0", json={"x": 2})
    assert kept.json()["expires_at"] is not None
    assert never.json()["expires_at"] is None
    async with asyncio.timeout(15):
        while (await http.get("/documents/real/short")).status_code != 404:
            await asyncio.sleep(0.1)


async def test_listing_and_bulk(http: httpx.AsyncClient) -> None:
    lines = b"\n".join(b'{"_id": "d%03d", "n": %d}' % (n, n) for n in range(300))
    headers = {"content-type": "application/x-ndjson"}
    answer = await http.post("/documents/bulk?bulk", content=lines, headers=headers)
    assert [json.loads(line)["status"] for line in answer.text.splitlines()] == [201] * 300
    page = await http.get("/documents/bulk?where=n>=290&sort=-n&limit=3")
    described(COLLECTION, "get", page)
    assert [one["n"] for one in page.json()["documents"]] == [299, 298, 297]
    assert page.json()["total"] == 300
    exported = await http.get("/documents/bulk?format=ndjson")
    assert len(exported.text.splitlines()) == 300
    prefixed = (await http.get("/documents/bulk?prefix=d12")).json()
    assert [one["_id"] for one in prefixed["documents"]] == [f"d12{n}" for n in range(10)]


async def test_feed_resumes(http: httpx.AsyncClient, rng: random.Random) -> None:
    first = (await http.put("/documents/feed/a", json={"n": -1})).json()["sequence"]

    async def write() -> None:
        for number in range(100):
            await http.put(f"/documents/feed/{rng.choice('abc')}", json={"n": number})
            await http.put(f"/documents/other/{number}", json={"n": number})

    async def follow(query: str) -> list[int]:
        """Sequences, until the last value is seen; a value read from disk may be newer than its change."""
        seen: list[int] = []
        since, value = first, -1
        while value != 99:
            headers = {"last-event-id": str(since)}
            async with http.stream("GET", f"/events?value&{query}", headers=headers) as answer:
                reader = EventReader(answer.aiter_lines())
                for _ in range(rng.randrange(1, 30)):
                    sent = await reader.next(20.0)
                    since, value = int(sent.id), sent.data["value"]["n"]
                    seen.append(since)
                    if value == 99:
                        break
        return seen

    async with asyncio.timeout(60):
        results = await asyncio.gather(
            write(), follow("collection=feed"), follow("collection=feed&prefix=")
        )
    assert results[1] == sorted(set(results[1]))
    assert len(results[1]) >= 90
    assert results[1][:90] == results[2][:90]


async def test_a_filtered_follower_catches_up(http: httpx.AsyncClient) -> None:
    """Resuming with a filter that nothing matches must still end up live."""
    await http.put("/documents/quiet/a", json={"n": 0})
    query = "/events?since=0&collection=nobody"
    async with http.stream("GET", query) as answer:
        reader = EventReader(answer.aiter_lines())
        await http.put("/documents/quiet/b", json={"n": 1})
        await http.put("/documents/nobody/x", json={"n": 2})
        assert (await reader.next()).data["doc_id"] == "x"


async def test_replicas_of_a_lonely_node(http: httpx.AsyncClient) -> None:
    answer = await http.put("/documents/real/r?replicas=1&timeout=0.2", json={"x": 1})
    assert answer.status_code == 202
    assert answer.json()["replicas"]["have"] == 0


async def test_node_routes(http: httpx.AsyncClient, node: Node) -> None:
    for path in ("/health", "/ready", "/node", "/peers", "/topology", "/documents"):
        answer = await http.get(path)
        assert answer.status_code == 200, answer.text
        described(f"/api/v1{path}", "get", answer)
    content = (await http.get("/node")).json()
    assert {worker["state"] for worker in content["workers"]} == {"ready"}


async def test_metrics(http: httpx.AsyncClient, node: Node) -> None:
    text = (await http.get(node.url.replace("/api/v1", "/metrics"))).text
    for name in (
        "peatnode_up_info{",
        "peatnode_ready 1.0",
        'peatnode_worker_up{worker="store"} 1.0',
        'peatnode_worker_up{worker="engine"} 1.0',
        'peatnode_worker_up{worker="sync"} 1.0',
        'peatnode_worker_up{worker="discovery"} 1.0',
        'peatnode_worker_memory_bytes{worker="broker"}',
        'peatnode_worker_loop_stall_seconds{worker="broker"}',
    ):
        assert name in text


def serving_processes(broker: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{broker}/task/{broker}/children").read_text().split()]


@pytest.mark.parametrize("victim", ["store", "engine", "serving", "broker"])
async def test_a_worker_dies_under_load(http: httpx.AsyncClient, node: Node, victim: str) -> None:
    """No acknowledged write is lost, and nothing is answered but 2xx, or 503 that says so."""
    workers = {w["name"]: w["pid"] for w in (await http.get("/node")).json()["workers"]}
    acknowledged: dict[str, int] = {}
    statuses: set[int] = set()
    is_over = asyncio.Event()

    async def write(name: str) -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            try:
                answer = await http.put(f"/documents/{victim}/{name}", json={"n": number})
            except httpx.TransportError:  # the serving process itself was the victim
                assert victim in ("serving", "broker")
                continue
            statuses.add(answer.status_code)
            if answer.is_success:
                acknowledged[name] = number

    writers = [asyncio.create_task(write(f"w{n}")) for n in range(8)]
    async with asyncio.timeout(30):
        while len(acknowledged) < 8:
            await asyncio.sleep(0.01)
        pid = serving_processes(workers["broker"])[0] if victim == "serving" else workers[victim]
        os.kill(pid, signal.SIGKILL)
        before = dict(acknowledged)
        while any(acknowledged[name] < before[name] + 5 for name in before):
            await asyncio.sleep(0.01)
    is_over.set()
    await asyncio.gather(*writers)
    assert statuses <= {200, 201, 503}, statuses
    for name, number in acknowledged.items():
        held = (await http.get(f"/documents/{victim}/{name}")).json()["document"]["n"]
        assert held >= number
    await until(lambda: is_ready(http))  # the other tests share the node, in any order


async def is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/ready")).is_success
    except httpx.TransportError:
        return False


async def test_several_serving_processes() -> None:
    """They share the port, the store and their counters."""
    with nodes(1, start=False) as (node,):
        node.settings["PEAT_BROKER_WORKERS"] = "2"
        node.start()
        root = node.url.removesuffix("/api/v1")
        for number in range(30):  # a connection each: the kernel deals them out
            async with httpx.AsyncClient(base_url=node.url) as client:
                answer = await client.put(f"/documents/many/d{number}", json={"n": number})
                assert answer.status_code == 201
        async with httpx.AsyncClient(base_url=node.url) as client:
            assert (await client.get("/documents/many")).json()["total"] == 30
            text = (await client.get(f"{root}/metrics")).text
        sample = (
            f'peatnode_http_requests_total{{method="PUT",route="{DOCUMENT}",status="201"}} 30.0'
        )
        assert sample in text
