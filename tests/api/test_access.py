"""Tokens: who is asked, who may what, over HTTP and WebSocket."""

from __future__ import annotations

import base64

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.api.conftest import API_TOKEN, READ_TOKEN, Serve, Served
from tests.api.test_documents import check_problem

WRITE = {"authorization": f"Bearer {API_TOKEN}"}
READ = {"authorization": f"Bearer {READ_TOKEN}"}

GUARDED = [
    "/node",
    "/peers",
    "/peers/x",
    "/peer-log",
    "/topology",
    "/documents",
    "/documents/c",
    "/events",
    "/ws",
]


@pytest.fixture
async def guarded(serve: Serve) -> Served:
    return await serve(api_token=API_TOKEN, read_token=READ_TOKEN)


async def test_what_is_public(guarded: Served) -> None:
    assert (await guarded.http.get("/health")).status_code == 200
    ready = await guarded.http.get("/ready")
    assert ready.status_code == 200
    assert ready.json().keys() == {"ready", "node_id", "checks"}, "findings name peers"
    root = f"http://127.0.0.1:{guarded.port}"
    for path in ("/", "/docs"):
        page = await guarded.http.get(root + path)
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
    for path in ("/metrics", "/openapi.json"):
        check_problem(await guarded.http.get(root + path), 401, "unauthorized")


@pytest.mark.parametrize("token", [API_TOKEN, READ_TOKEN, "wrong"])
async def test_findings_are_for_those_who_may_read(guarded: Served, token: str) -> None:
    ready = await guarded.http.get("/ready", headers={"authorization": f"Bearer {token}"})
    assert ready.status_code == 200
    assert ("findings" in ready.json()) == (token in (API_TOKEN, READ_TOKEN))


@pytest.mark.parametrize("path", [*GUARDED, "/documents/c/a", "/nothing", "/documents/c/%61"])
async def test_what_is_not(guarded: Served, path: str) -> None:
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {API_TOKEN}"},
        {"authorization": API_TOKEN},
        {"authorization": "Bearer"},
    ):
        answer = await guarded.http.get(path, headers=headers)
        check_problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_reading_and_writing(guarded: Served) -> None:
    http = guarded.http
    assert (await http.put("/documents/c/a", json={}, headers=WRITE)).status_code == 201
    assert (await http.get("/documents/c/a", headers=READ)).status_code == 200
    assert (await http.head("/documents/c/a", headers=READ)).status_code == 200
    requests: list[httpx.Request] = [
        http.build_request(method, path, json={}, headers=READ)
        for method, path in (
            ("PUT", "/documents/c/a"),
            ("PATCH", "/documents/c/a"),
            ("DELETE", "/documents/c/a"),
            ("DELETE", "/peers/x"),
            ("POST", "/documents/c"),
            ("POST", "/documents/c?bulk"),
        )
    ]
    for request in requests:
        check_problem(await http.send(request), 403, "read-only")
    assert len(guarded.node.records) == 1


async def test_websocket_tokens(guarded: Served) -> None:
    url = guarded.websocket_url("/api/v1/ws")

    def subprotocol(token: str) -> str:
        return "bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")

    for options in (
        {},
        {"additional_headers": {"Authorization": "Bearer wrong"}},
        {"subprotocols": ["peat", subprotocol("wrong")]},
        {"subprotocols": ["bearer.$$$"]},
    ):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, proxy=None, **options)  # type: ignore[arg-type]
        assert refused.value.response.status_code == 401
    async with connect(url, proxy=None, additional_headers=READ):
        pass
    both = ["peat", subprotocol(API_TOKEN)]
    async with connect(url, proxy=None, subprotocols=both) as socket:  # type: ignore[arg-type]
        assert socket.subprotocol == "peat"


async def test_without_a_token_all_is_open(serve: Serve) -> None:
    served = await serve()
    assert (await served.http.get("/documents")).status_code == 200
    answer = await served.http.get("/documents", headers={"authorization": "Bearer any"})
    assert answer.status_code == 200
