"""openapi.json is true: its routes are the router's, its schemas those of real answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from peatnode.ipc.messages import PeerEvent
from peatnode.model.members import PeerEventKind
from tests.api.conftest import Served
from tests.api.test_node import peer
from tests.support.memory_node import kept_conflict, kept_deleted, quarantined
from workers.broker.openapi.description import build_description
from workers.broker.routes import routes

METHODS = ("get", "post", "put", "patch", "delete")

DESCRIPTION = build_description()


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """For a schema that refers to the components."""
    registry: Registry[Any] = Registry().with_resource(
        "urn:api", Resource(contents=DESCRIPTION, specification=DRAFT202012)
    )
    return Draft202012Validator(_absolute(schema), registry=registry)


def _absolute(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: f"urn:api{value}" if key == "$ref" else _absolute(value)
            for key, value in schema.items()
        }
    return [_absolute(one) for one in schema] if isinstance(schema, list) else schema


def described(path: str, method: str, answer: httpx.Response) -> None:
    """Checks an answer against what is said of it."""
    responses = DESCRIPTION["paths"][path][method]["responses"]
    status = str(answer.status_code)
    assert status in responses, f"{method} {path} answered {status}: {answer.text}"
    if status in ("204", "304"):
        return
    kind = answer.headers["content-type"].partition(";")[0]
    content = responses[status]["content"]
    assert kind in content, (path, kind)
    if kind.endswith("json"):
        validator(content[kind]["schema"]).validate(answer.json())


async def test_routes_are_those_of_the_router(served: Served) -> None:
    found = {
        route.path: {method for method in METHODS if hasattr(route.resource, f"on_{method}")}
        for route in routes(served.server.services)
        if route.is_described
    }
    said = {
        path: {method for method in METHODS if method in item}
        for path, item in DESCRIPTION["paths"].items()
    }
    assert said == found


def test_schemas_are_schemas() -> None:
    for schema in DESCRIPTION["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    names = [
        operation["operationId"]
        for item in DESCRIPTION["paths"].values()
        for method, operation in item.items()
        if method in METHODS
    ]
    assert len(names) == len(set(names))


def test_no_reference_leads_nowhere() -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if "$ref" in part else []
            return own + [one for below in part.values() for one in references(below)]
        return (
            [one for below in part for one in references(below)] if isinstance(part, list) else []
        )

    known = {f"#/components/schemas/{name}" for name in DESCRIPTION["components"]["schemas"]}
    assert set(references(DESCRIPTION)) <= known


@pytest.mark.parametrize(
    ("path", "values", "query"),
    [
        ("/api/v1/health", {}, ""),
        ("/api/v1/ready", {}, ""),
        ("/api/v1/node", {}, ""),
        ("/api/v1/peers", {}, ""),
        ("/api/v1/peers", {}, "?x=1"),
        ("/api/v1/peers/{peer_id}", {"peer_id": "n2"}, ""),
        ("/api/v1/peers/{peer_id}", {"peer_id": "n9"}, ""),
        ("/api/v1/peer-log", {}, ""),
        ("/api/v1/topology", {}, ""),
        ("/api/v1/documents", {}, ""),
        ("/api/v1/documents/{collection}", {"collection": "c"}, ""),
        ("/api/v1/documents/{collection}", {"collection": "c"}, "?sort=x&limit=1&fields=x"),
        ("/api/v1/documents/{collection}", {"collection": "c"}, "?limit=0"),
        ("/api/v1/documents/{collection}", {"collection": "%00"}, ""),
        ("/api/v1/documents/{collection}/{doc_id}", {"collection": "c", "doc_id": "a"}, ""),
        ("/api/v1/documents/{collection}/{doc_id}", {"collection": "c", "doc_id": "z"}, ""),
        ("/api/v1/deleted", {}, ""),
        ("/api/v1/deleted", {}, "?cursor=."),
        ("/api/v1/deleted/{collection}", {"collection": "c"}, ""),
        ("/api/v1/deleted/{collection}", {"collection": "c"}, "?limit=1"),
        ("/api/v1/deleted/{collection}", {"collection": "c"}, "?cursor=x"),
        ("/api/v1/deleted/{collection}/{doc_id}", {"collection": "c", "doc_id": "a"}, ""),
        ("/api/v1/deleted/{collection}/{doc_id}", {"collection": "c", "doc_id": "z"}, ""),
        ("/api/v1/conflicts", {}, ""),
        ("/api/v1/conflicts/{conflict_id}", {"conflict_id": "0" * 31 + "7"}, ""),
        ("/api/v1/conflicts/{conflict_id}", {"conflict_id": "0" * 31 + "8"}, ""),
        ("/api/v1/conflicts/{conflict_id}", {"conflict_id": "x"}, ""),
        ("/api/v1/quarantine", {}, ""),
        ("/api/v1/events", {}, "?since=x"),
        ("/api/v1/ws", {}, ""),
        ("/api/v1/yjs/{collection}/{doc_id}", {"collection": "c", "doc_id": "a"}, ""),
        ("/api/v1/yjs/{collection}/{doc_id}", {"collection": ".c", "doc_id": "a"}, ""),
        ("/metrics", {}, ""),
        ("/openapi.json", {}, ""),
    ],
)
async def test_reads(served: Served, path: str, values: dict[str, str], query: str) -> None:
    served.node.peers = (peer("n2", neighbours=("n3",)), peer("n4", is_connected=False))
    served.node.peer_log = (PeerEvent(1.0, "n2", PeerEventKind.CONNECTED, "127.0.0.1:1"),)
    served.node.put("c", "a", {"x": 1})
    served.node.conflicts[(7).to_bytes(16, "big")] = kept_conflict()
    for number, reason in ((7, "leap"), (8, "engine-change")):
        served.node.quarantine[number.to_bytes(16, "big")] = quarantined(number, reason)
    for name in "ab":
        served.node.deleted["c", name, 1] = kept_deleted(name)
    served.node.put("c", "b", {"x": [1, {"y": None}]})
    url = f"http://127.0.0.1:{served.port}{path.format(**values)}{query}"
    described(path, "get", await served.http.get(url))


async def test_writes(served: Served) -> None:
    http = served.http
    path = "/api/v1/documents/{collection}/{doc_id}"
    for body in (b"{}", b"{", b"[]", b"", b"7" * 2_000_000):
        described(path, "put", await http.put("/documents/c/a", content=body))
    described(path, "put", await http.put("/documents/c/a?replicas=2&timeout=0", json={"x": 1}))
    described(path, "put", await http.put("/documents/c/a", json={}, headers={"if-match": '"0"'}))
    described(path, "put", await http.put("/documents/c/a", json={}, headers={"if-match": "0"}))
    described(path, "patch", await http.patch("/documents/c/a", json={"y": 1}))
    text = {"content-type": "text/plain"}
    described(path, "patch", await http.patch("/documents/c/a", content=b"{}", headers=text))
    described(path, "delete", await http.delete("/documents/c/a"))
    described(path, "delete", await http.delete("/documents/c/a"))
    path = "/api/v1/documents/{collection}"
    described(path, "post", await http.post("/documents/c", json={"_id": "n"}))
    described(path, "post", await http.post("/documents/c", json={"_id": "n"}))
    described(path, "post", await http.post("/documents/c", content=b"{}"))


async def test_deciding_on_what_is_in_quarantine(served: Served) -> None:
    for number in (7, 8):
        served.node.quarantine[number.to_bytes(16, "big")] = quarantined(number)
    path = "/api/v1/quarantine/{entry_id}"
    for name, status in (("0" * 31 + "7", 200), ("0" * 31 + "7", 404), ("x", 404)):
        answer = await served.http.delete(f"/quarantine/{name}")
        assert answer.status_code == status
        described(path, "delete", answer)
    for name, status in (("0" * 31 + "8", 200), ("0" * 31 + "8", 404), ("8?x=1", 400)):
        number, _, query = name.partition("?")
        answer = await served.http.post(f"/quarantine/{number}/accept?{query}")
        assert answer.status_code == status
        described(f"{path}/accept", "post", answer)


async def test_undeleting(served: Served) -> None:
    served.node.deleted["c", "a", 1] = kept_deleted("a")
    path = "/api/v1/deleted/{collection}/{doc_id}/undelete"
    for name, status in (
        ("a/undelete?replicas=1&timeout=0", 202),
        ("a/undelete", 409),
        ("z/undelete", 404),
        ("a/undelete?x=1", 400),
    ):
        answer = await served.http.post(f"/deleted/c/{name}")
        assert answer.status_code == status
        described(path, "post", answer)


async def test_forgetting(served: Served) -> None:
    served.node.peers = (peer("n2"), peer("n4", is_connected=False))
    path = "/api/v1/peers/{peer_id}"
    for name, status in (("n4", 204), ("n4", 404), ("n2", 409), ("n2?x=1", 400)):
        answer = await served.http.delete(f"/peers/{name}")
        assert answer.status_code == status
        described(path, "delete", answer)


async def test_blocking(served: Served) -> None:
    path = "/api/v1/peers/{peer_id}/block"
    puts = (("n4", 204), ("n4?x=1", 400), ("memory", 422))
    for method, cases in (("put", puts), ("delete", (("n4", 204), ("n4", 404)))):
        for name, status in cases:
            name, _, query = name.partition("?")
            answer = await served.http.request(method, f"/peers/{name}/block?{query}")
            assert answer.status_code == status
            described(path, method, answer)


async def test_allowing_deletions(served: Served) -> None:
    served.node.peers = (replace(peer("n4"), deletions_paused_since=50.0),)
    path = "/api/v1/peers/{peer_id}/deletion-pause"
    for name, status in (("n4", 204), ("n4", 404), ("n2?x=1", 400)):
        name, _, query = name.partition("?")
        answer = await served.http.delete(f"/peers/{name}/deletion-pause?{query}")
        assert answer.status_code == status
        described(path, "delete", answer)


async def test_events_are_as_described(served: Served) -> None:
    served.node.put("c", "a", {"x": 1})
    served.node.conflicts[(7).to_bytes(16, "big")] = kept_conflict()
    served.node.delete("c", "a")
    events = DESCRIPTION["paths"]["/api/v1/events"]["get"]["responses"]["200"]["content"]
    check = validator(events["text/event-stream"]["schema"])
    import json

    async with served.http.stream("GET", "/events?since=0&value") as answer:
        seen = 0
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                check.validate(json.loads(line[6:]))
                seen += 1
            if seen == 2:
                break


async def test_the_page_needs_no_other_host(served: Served) -> None:
    root = f"http://127.0.0.1:{served.port}"
    page = await served.http.get(f"{root}/docs")
    assert page.headers["content-type"].startswith("text/html")
    for name in ("docs.js", "docs.css"):
        asset = await served.http.get(f"{root}/assets/docs/{name}")
        assert asset.status_code == 200
        assert "http" + "://" not in asset.text
        assert "https://" not in asset.text
    for name in ("..%2fapp.py", "nothing.js", "%2e%2e"):
        assert (await served.http.get(f"{root}/assets/docs/{name}")).status_code in (400, 404)
