"""What a client may do to a connection, byte by byte."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.api.conftest import Serve, Served
from tests.support.waiting import until

GET = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"


async def dial(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", served.port)


async def exchange(served: Served, data: bytes) -> bytes:
    """All that is answered until the server closes."""
    reader, writer = await dial(served)
    writer.write(data)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


def problem_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    content = json.loads(body)
    assert int(head.split()[1]) == content["status"]
    return content["status"], content["type"].rpartition(":")[2]


async def test_slow_headers_have_a_deadline(serve: Serve) -> None:
    served = await serve(header_seconds=0.3)
    assert await exchange(served, b"") == b""
    assert problem_of(await exchange(served, GET[:-3])) == (408, "header-timeout")
    reader, writer = await dial(served)
    writer.write(GET)
    assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
    writer.write(GET[:10])
    assert problem_of(await asyncio.wait_for(reader.read(), 5)) == (408, "header-timeout")
    writer.close()


async def test_slow_bodies_have_a_deadline(serve: Serve) -> None:
    served = await serve(body_seconds=0.3)
    head = b"PUT /api/v1/documents/c/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"
    assert problem_of(await exchange(served, head)) == (408, "body-timeout")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414, "uri-too-long"),
        (b"GET /" + b"x" * 90000, 414, "uri-too-long"),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 20000 + b"\r\n\r\n", 431, "headers-too-large"),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 90000, 431, "headers-too-large"),
        (b"GET / HTTP/1.1\r\n" + b"A: x\r\n" * 200 + b"\r\n", 431, "headers-too-large"),
        (b"NONSENSE\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "bad-request"),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", 400, "bad-request"),
    ],
)
async def test_refused(served: Served, data: bytes, status: int, code: str) -> None:
    assert problem_of(await exchange(served, data)) == (status, code)


async def test_connections_are_counted(serve: Serve) -> None:
    served = await serve(connections=3)
    held = [await dial(served) for _ in range(3)]
    for reader, writer in held:
        writer.write(GET)
        await reader.readuntil(b"}")
    assert problem_of(await exchange(served, GET)) == (503, "too-many-connections")
    for _, writer in held:
        writer.close()
    async with asyncio.timeout(5):
        while not (
            await exchange(served, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        ).startswith(b"HTTP/1.1 200"):
            pass


async def test_who_does_not_read_is_cut_off(serve: Serve) -> None:
    served = await serve(write_seconds=0.3, page_documents=1000)
    for number in range(400):
        served.node.put("c", f"d{number}", {"pad": "x" * 50_000})
    _, writer = await dial(served)
    writer.write(b"GET /api/v1/documents/c?format=ndjson HTTP/1.1\r\nHost: x\r\n\r\n")
    state = served.server._state
    await until(lambda: len(state.tasks) == 1)
    await until(lambda: not state.tasks and not state.connections)
    writer.close()


async def test_a_client_that_leaves_ends_its_request(served: Served) -> None:
    state = served.server._state
    reader, writer = await dial(served)
    writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    assert served.server.services.feed.changes.count == 1
    writer.transport.abort()
    await until(lambda: not state.tasks)
    assert served.server.services.feed.changes.count == 0


async def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    served.node.put("c", "a", {"n": 1})
    reader, writer = await dial(served)
    document = GET.replace(b"health", b"documents/c/a")
    writer.write(
        GET + document + GET + document.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    )
    answers = (await asyncio.wait_for(reader.read(), 5)).split(b"HTTP/1.1 200")[1:]
    assert [b"healthy" in answer for answer in answers] == [True, False, True, False]
    writer.close()


async def test_requests_under_way_are_finished_at_the_stop(served: Served) -> None:
    reader, writer = await dial(served)
    body = b'{"n": 1}'
    writer.write(
        b"PUT /api/v1/documents/c/a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    state = served.server._state
    await until(lambda: len(state.tasks) == 1)
    stopping = asyncio.create_task(served.server.stop(5.0))
    await until(served.server.services.stopping.is_set)
    ready = await served.http.get("/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert ready.headers["connection"] == "close"
    writer.write(body)
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 201")
    await asyncio.wait_for(stopping, 5)
    writer.close()
