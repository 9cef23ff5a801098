"""Health, readiness, the node, its peers, the graph, metrics, and what happens while a worker is away."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from peatnode.ipc.messages import PeerState, WorkerProblem
from tests.api.conftest import Serve, Served
from tests.api.test_documents import check_problem


def peer(name: str, is_connected: bool = True, neighbours: tuple[str, ...] = ()) -> PeerState:
    return PeerState(
        id=name,
        instance=f"instance-{name}",
        endpoint_id="e",
        is_connected=is_connected,
        state="connected" if is_connected else "waiting",
        rtt_ms=1.5 if is_connected else -1.0,
        is_in_sync=is_connected,
        behind_documents=0 if is_connected else -1,
        out_of_sync_since=0.0,
        reason="",
        connected_since=1.0,
        last_seen=2.0,
        addresses=("127.0.0.1:1",),
        sources=("static",),
        metadata=(("zone", "a"),),
        neighbours=neighbours,
        bytes_sent=1,
        bytes_received=2,
        is_twin=False,
        version="0.1.0",
    )


async def checks(served: Served) -> tuple[int, dict[str, bool]]:
    answer = await served.http.get("/ready")
    content = answer.json()
    assert content["node_id"] == "memory"
    assert content["ready"] == (answer.status_code == 200)
    return answer.status_code, {check["name"]: check["ready"] for check in content["checks"]}


async def test_health(served: Served) -> None:
    answer = await served.http.get("/health")
    assert answer.json() == {"status": "healthy", "node_id": "memory"}


async def test_ready(served: Served) -> None:
    status, found = await checks(served)
    assert status == 200
    assert set(found) == {"running", "workers", "store", "engine"}
    served.node.is_writable = False
    assert (await checks(served))[1]["store"] is False
    served.node.is_writable = True
    served.node.problems = (
        WorkerProblem("sync", "twin", "A twin.", "Rename.", False, 0.0),
        WorkerProblem("store", "disk", "Nearly full.", "Delete.", True, 0.0),
    )
    status, found = await checks(served)
    assert status == 503
    assert found["store.disk"] is False
    assert "sync.twin" not in found
    served.node.problems = ()
    await served.node.stop_worker("store")
    status, found = await checks(served)
    assert (status, found["store"]) == (503, False)
    await served.node.start_worker("store")
    await served.http.get("/ready")
    assert (await checks(served))[0] == 200


async def findings(served: Served, status: int = 200) -> list[tuple[str, str, str]]:
    answer = await served.http.get("/ready")
    assert answer.status_code == status
    found = answer.json()["findings"]
    return [(one["severity"], one["where"], one["message"]) for one in found]


async def test_ready_tells_what_is_to_be_known_and_stays_ready(served: Served) -> None:
    served.node.peers = (replace(peer("peat-mesh-1"), is_twin=True), peer("other"))
    twin = ("degraded", "peer peat-mesh-1", "peat-mesh-1: two nodes use this identity.")
    assert await findings(served) == [twin]
    served.node.peers = ()
    assert await findings(served) == []
    for worker in ("sync", "discovery"):
        await served.node.stop_worker(worker)
        ((severity, where, message),) = await findings(served)
        assert (severity, where) == ("degraded", worker)
        assert message.startswith(f"{worker.capitalize()} does not answer: ")
        await served.node.start_worker(worker)
        await served.http.get("/ready")
    served.node.is_writable = False
    ((severity, _, _),) = await findings(served, 503)
    assert severity == "error"


async def test_node(served: Served) -> None:
    content = (await served.http.get("/node")).json()
    assert content["node_id"] == "memory"
    assert content["uptime_secs"] == 5
    assert content["version"] == "0.1.0"
    assert content["workers"][0]["name"] == "store"
    assert content["store"]["root"] == "0" * 32
    static = {
        "name": "static",
        "state": "watching",
        "message": "",
        "peers": 0,
        "age_secs": 0.0,
        "failing_secs": None,
    }
    assert content["discovery_sources"] == [static]


async def test_node_while_workers_are_away(served: Served) -> None:
    for worker, part in (("discovery", "discovery_sources"), ("store", "store")):
        await served.node.stop_worker(worker)
        started = time.monotonic()
        content = (await served.http.get("/node")).json()
        assert time.monotonic() - started < 4
        assert (content["node_id"], content[part]) == ("memory", None)
        await served.node.start_worker(worker)


async def test_peers_and_topology(served: Served) -> None:
    served.node.peers = (peer("n2", neighbours=("memory", "n3")), peer("n4", is_connected=False))
    content = (await served.http.get("/peers")).json()
    assert (content["count"], content["connected"]) == (2, 1)
    assert content["peers"][0]["rtt_ms"] == 1.5
    assert content["peers"][1]["rtt_ms"] is None
    assert (await served.http.get("/peers/n2")).json()["id"] == "n2"
    assert (await served.http.get("/peers/instance-n4")).json()["id"] == "n4"
    check_problem(await served.http.get("/peers/n9"), 404, "not-found")
    graph = (await served.http.get("/topology")).json()
    assert (graph["peer_count"], graph["role"], graph["hierarchy_level"]) == (1, "member", 0)
    assert {node["id"] for node in graph["nodes"]} == {"memory", "n2", "n3", "n4"}
    assert [(edge["from"], edge["to"]) for edge in graph["edges"]] == [
        ("memory", "n2"),
        ("n2", "n3"),
    ]


async def test_metrics(served: Served) -> None:
    await served.http.put("/documents/c/a", json={})
    await served.http.get("/documents/c/a")
    await served.http.get("/nothing")
    answer = await served.http.get(f"http://127.0.0.1:{served.port}/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    requests = {
        (one.labels["method"], one.labels["route"], one.labels["status"]): one.value
        for one in families["peatnode_http_requests"].samples
    }
    document = "/api/v1/documents/{collection}/{doc_id}"
    assert requests["PUT", document, "201"] == 1
    assert requests["GET", document, "200"] == 1
    assert requests["GET", "unmatched", "404"] == 1
    names = {sample.name for family in families.values() for sample in family.samples}
    assert {
        "peatnode_up_info",
        "peatnode_uptime_seconds",
        "peatnode_ready",
        "peatnode_worker_restarts_total",
        "peatnode_worker_memory_bytes",
        "peatnode_worker_loop_stall_seconds",
        "peatnode_http_request_duration_seconds_bucket",
        "peatnode_store_things_total",
        "peatnode_engine_things_total",
    } <= names
    workers = {s.labels["worker"]: s.value for s in families["peatnode_worker_up"].samples}
    assert workers == {"store": 1, "engine": 1, "sync": 1, "discovery": 1}
    await served.node.stop_worker("engine")
    answer = await served.http.get(f"http://127.0.0.1:{served.port}/metrics")
    assert 'peatnode_worker_up{worker="engine"} 0.0' in answer.text


async def restart_after(served: Served, seconds: float) -> None:
    await asyncio.sleep(seconds)  # the time that the worker is away is the subject
    await served.node.start_worker("store")


async def test_requests_wait_for_a_store_that_restarts(served: Served) -> None:
    await served.http.put("/documents/c/a", json={"n": 1})
    await served.node.stop_worker("store")
    restart = asyncio.create_task(restart_after(served, 0.5))
    read, write = await asyncio.gather(
        served.http.get("/documents/c/a"), served.http.put("/documents/c/b", json={"n": 2})
    )
    assert (read.status_code, write.status_code) == (200, 201)
    await restart


async def test_requests_do_not_wait_for_ever(serve: Serve) -> None:
    served = await serve(ask_seconds=0.3)
    await served.http.put("/documents/c/a", json={"n": 1})
    await served.node.stop_worker("store")
    started = time.monotonic()
    check_problem(await served.http.get("/documents/c/a"), 503, "unavailable")
    answer = await served.http.put("/documents/c/b", json={})
    assert "nothing was changed" in check_problem(answer, 503, "unavailable")["detail"]
    assert answer.headers["retry-after"] == "1"
    assert time.monotonic() - started < 3


async def test_lost_answers(served: Served) -> None:
    """The broker repeats a write if that is safe; otherwise it answers that the outcome is unknown."""
    http, node = served.http, served.node
    node.swallow_writes = 1
    put = await http.put("/documents/c/a", json={"n": 1})
    assert put.status_code == 200
    assert put.json()["document"] == {"n": 1}
    node.swallow_writes = 1
    assert (await http.delete("/documents/c/a")).json()["deleted"] is True
    node.swallow_writes = 1
    made = await http.post("/documents/c", json={"n": 2})
    assert made.status_code in (200, 201)
    assert len(node.records) == 1
    node.swallow_writes = 1
    named = await http.post("/documents/c", json={"_id": "b"})
    check_problem(named, 503, "unknown-outcome")
    node.swallow_writes = 1
    headers = {"if-none-match": "*"}
    check_problem(
        await http.put("/documents/c/d", json={}, headers=headers), 503, "unknown-outcome"
    )
    node.swallow_writes = 1
    patch = {"content-type": "application/json-patch+json"}
    answer = await http.patch("/documents/c/b", content=b"[]", headers=patch)
    assert "may or may not" in check_problem(answer, 503, "unknown-outcome")["detail"]
