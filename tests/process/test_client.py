"""Both clients against a server that fails in every way that networks and nodes do."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import pytest
from websockets.sync.server import Server as WebSocketServer
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_websocket

from peatnode.client import (
    AsyncClient,
    BadArgument,
    Client,
    Current,
    CurrentDocument,
    Document,
    Event,
    Gap,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    RetryPolicy,
    SyncEvent,
    Transport,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    UnknownOutcome,
    Unreachable,
)

FAST = RetryPolicy(attempts=3, first_seconds=0.01, longest_seconds=0.05)

CUT = b""
"""An answer that is none: the connection is closed."""


class ScriptedServer:
    """Gives each request the next of its answers, whole bytes of HTTP, and keeps what it was asked."""

    def __init__(self, answers: Iterable[bytes]) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self._answers = iter(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            with conn:
                head = b""
                while b"\r\n\r\n" not in head:
                    part = conn.recv(65536)
                    if not part:
                        break
                    head += part
                else:
                    self._answer(conn, *head.split(b"\r\n\r\n", 1))

    def _answer(self, conn: socket.socket, head: bytes, body: bytes) -> None:
        first, *lines = head.decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        while len(body) < int(headers.get("content-length", 0)):
            body += conn.recv(65536)
        self.requests.append((first.rpartition(" ")[0], headers, body))
        conn.sendall(next(self._answers, CUT))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def answer(content: Any, status: int = 200, *headers: str) -> bytes:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    head = [f"HTTP/1.1 {status} X", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def problem(status: int, code: str = "x", *headers: str) -> bytes:
    content = {"type": f"urn:peatnode:problem:{code}", "detail": "No.", "status": status}
    return answer(content, status, "Content-Type: application/problem+json", *headers)


def as_sent(content: Any) -> str:
    """JSON as a node writes it: only what must be is escaped."""
    return json.dumps(content, ensure_ascii=False)


def stream(*lines: str, sequence: int | None = None, ends: bool = False) -> bytes:
    """A body without an end but the connection's, unless it `ends`."""
    place = f"Peat-Sequence: {sequence}\r\n" if sequence is not None else ""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{place}Transfer-Encoding: chunked\r\n\r\n"
    body = "".join(lines)
    last = "0\r\n\r\n" if ends else ""
    return (head + f"{len(body.encode()):x}\r\n{body}\r\n{last}").encode()


def sent(sequence: int, **more: Any) -> str:
    content = {
        "type": "SyncEvent",
        "collection": "c",
        "doc_id": "i",
        "action": "updated",
        "sequence": sequence,
        **more,
    }
    return f"id: {sequence}\nevent: SyncEvent\ndata: {as_sent(content)}\n\n"


Start = Callable[..., ScriptedServer]


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[ScriptedServer] = []

    def started(*answers: bytes) -> ScriptedServer:
        servers.append(ScriptedServer(answers))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


class Blocking:
    """One call of the blocking client."""

    def call(self, url: str, name: str, *args: Any, token: str = "", **options: Any) -> Any:
        with Client(url, token=token, timeout=5.0, retry=FAST) as client:
            return getattr(client, name)(*args, **options)

    def take(self, count: int, url: str, name: str, *args: Any, **options: Any) -> list[Any]:
        found = []
        with Client(url, timeout=5.0, retry=FAST) as client:
            items = getattr(client, name)(*args, **options)
            while len(found) < count:
                try:
                    found.append(next(items))
                except StopIteration:
                    break
            items.close()
        return found


class Asynchronous:
    """The same of the other."""

    def call(self, url: str, name: str, *args: Any, token: str = "", **options: Any) -> Any:
        async def run() -> Any:
            async with AsyncClient(url, token=token, timeout=5.0, retry=FAST) as client:
                return await getattr(client, name)(*args, **options)

        return asyncio.run(run())

    def take(self, count: int, url: str, name: str, *args: Any, **options: Any) -> list[Any]:
        async def run() -> list[Any]:
            found: list[Any] = []
            async with AsyncClient(url, timeout=5.0, retry=FAST) as client:
                items: AsyncIterator[Any] = getattr(client, name)(*args, **options)
                async for item in items:
                    found.append(item)
                    if len(found) == count:
                        break
                await items.aclose()  # type: ignore[attr-defined]
            return found

        return asyncio.run(run())


@pytest.fixture(params=[Blocking(), Asynchronous()], ids=["blocking", "asyncio"])
def client(request: pytest.FixtureRequest) -> Blocking:
    return request.param  # type: ignore[no-any-return]


DOCUMENT = {"collection": "c", "id": "i", "document": {"a": 1}, "fingerprint": "0af3"}
WRITTEN = {**DOCUMENT, "created": True, "changed": True, "sequence": 4}


def test_collections_of_several_pages(client: Blocking, start: Start) -> None:
    first = {"collections": [{"name": "a", "count": 1}], "next_cursor": "a"}
    last = {"collections": [{"name": "b", "count": 2}], "next_cursor": None}
    server = start(answer(first), answer(last))
    found = client.call(server.url, "collections")
    assert [(one.name, one.count) for one in found] == [("a", 1), ("b", 2)]
    assert [line.split()[1] for line, *_ in server.requests] == [
        "/api/v1/documents",
        "/api/v1/documents?cursor=a",
    ]


def test_a_read(client: Blocking, start: Start) -> None:
    server = start(answer(DOCUMENT))
    assert client.call(server.url, "get", "c", "i") == Document("c", "i", {"a": 1}, "0af3")
    ((first, headers, _),) = server.requests
    assert first == "GET /api/v1/documents/c/i"
    assert "authorization" not in headers


def test_a_write_says_its_conditions_and_token(client: Blocking, start: Start) -> None:
    server = start(answer(WRITTEN, 201))
    written = client.call(
        server.url, "put", "c", "i", {"a": 1}, if_none_match="*", replicas=2, token="t0ken"
    )
    assert (written.was_created, written.sequence, written.etag) == (True, 4, "0af3")
    ((first, headers, body),) = server.requests
    assert first == "PUT /api/v1/documents/c/i?replicas=2&timeout=10"
    assert (headers["if-none-match"], headers["authorization"]) == ("*", "Bearer t0ken")
    assert body == b'{"a":1}'


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidRequest), (401, Unauthorized), (404, NotFound), (412, PreconditionFailed)],
)
def test_a_refusal_is_not_repeated(
    client: Blocking, start: Start, status: int, kind: type[Exception]
) -> None:
    server = start(problem(status))
    with pytest.raises(kind, match=r"No\."):
        client.call(server.url, "get", "c", "i")
    assert len(server.requests) == 1


def test_reads_are_repeated(client: Blocking, start: Start) -> None:
    server = start(CUT, problem(503, "unavailable"), answer(DOCUMENT))
    assert client.call(server.url, "get", "c", "i").value == {"a": 1}
    assert len(server.requests) == 3


def test_but_not_for_ever(client: Blocking, start: Start) -> None:
    server = start(*[problem(503, "unavailable")] * 9)
    with pytest.raises(Unavailable):
        client.call(server.url, "get", "c", "i")
    assert len(server.requests) == FAST.attempts


@pytest.mark.parametrize("lost", [CUT, problem(503, "unknown-outcome")])
def test_a_write_whose_answer_was_lost_is_not_repeated(
    client: Blocking, start: Start, lost: bytes
) -> None:
    server = start(lost, answer(WRITTEN))
    with pytest.raises(UnknownOutcome):
        client.call(server.url, "put", "c", "i", {"a": 1})
    assert len(server.requests) == 1


def test_a_write_that_changed_nothing_is(client: Blocking, start: Start) -> None:
    server = start(problem(503, "busy", "Retry-After: 0"), answer(WRITTEN))
    assert client.call(server.url, "delete", "c", "i").sequence == 4
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("get", ("c", ""), {}),
        ("delete", ("", "a"), {}),
        ("put", ("c", "\udcff", {}), {}),
        ("put", ("c", "a", {"a": float("nan")}), {}),
        ("create", ("c", {"a": "\ud800"}), {}),
        ("put", ("c", "a", {}), {"if_match": "\u00fc"}),
        ("put", ("c", "a", {}), {"if_match": "a\r\nX: y"}),
        ("page", ("c",), {"prefix": "\udcff"}),
        ("page", ("",), {}),
    ],
)
def test_an_argument_that_cannot_be_sent(
    client: Blocking, start: Start, name: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    server = start(answer(DOCUMENT))
    with pytest.raises(BadArgument) as refused:
        client.call(server.url, name, *arguments, **options)
    assert isinstance(refused.value, ValueError)
    assert server.requests == []


@pytest.mark.parametrize("transport", Transport)
def test_a_filter_that_cannot_be_sent(client: Blocking, start: Start, transport: Transport) -> None:
    server = start(answer(DOCUMENT))
    with pytest.raises(BadArgument):
        client.take(1, server.url, "events", transport=transport, prefix="\udcff")
    assert server.requests == []


def test_nobody_there(client: Blocking) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(Unreachable, match="no node answers"):
        client.call(url, "put", "c", "i", {})


@pytest.mark.parametrize(
    "wrong", [answer(b"<html>hello</html>"), answer(b"[]"), answer(b"", 302, "Location: /x")]
)
def test_somebody_else_there(client: Blocking, start: Start, wrong: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        client.call(start(wrong).url, "node")


def test_all_pages(client: Blocking, start: Start) -> None:
    pages = [
        {"collection": "c", "next_cursor": "x", "documents": [{"_id": "1"}, {"_id": "2"}]},
        {"collection": "c", "next_cursor": None, "documents": [{"_id": "3"}]},
    ]
    server = start(*map(answer, pages))
    found = client.take(9, server.url, "documents", "c", page_size=2, where=["a>=1"])
    assert [document.id for document in found] == ["1", "2", "3"]
    assert server.requests[1][0] == "GET /api/v1/documents/c?where=a%3E%3D1&limit=2&cursor=x"


def test_an_import_in_chunks(client: Blocking, start: Start) -> None:
    lines = [b'{"line":%d,"id":"x","status":201}\n' % number for number in range(1, 1001)]
    server = start(answer(b"".join(lines)), answer(b'{"line":1,"status":400,"detail":"No."}\n'))
    documents = ({"_id": str(number)} for number in range(1001))
    found = client.take(2000, server.url, "import_documents", "c", documents)
    assert [one.line for one in found] == list(range(1, 1002))
    assert [(one.line, one.error) for one in found if not one.is_written] == [(1001, "No.")]


def test_an_export_that_breaks_is_an_error_and_not_an_end(client: Blocking, start: Start) -> None:
    server = start(stream('{"_id":"1"}\n{"_id":"2"}\n'))
    with pytest.raises(UnknownOutcome):
        client.take(9, server.url, "export_documents", "c")


ODD = "".join(map(chr, [*range(32), 127, 0x85, 0xA0, 0x2028, 0x2029, 0xFEFF, 0x1F600]))
"""All that some reader of lines takes for the end of one."""


def test_separators_in_a_value_end_no_line(client: Blocking, start: Start) -> None:
    value = {ODD: [ODD]}
    line = as_sent({"_id": ODD[32:], **value})
    server = start(stream(line + "\n", line + "\n", ends=True))
    document = Document("c", ODD[32:], value)
    assert client.take(9, server.url, "export_documents", "c") == [document, document]

    there = {"type": "Document", "collection": "c", "doc_id": "a", "value": value}
    current = {"type": "Current", "sequence": 8}
    change = sent(9, value=value)
    watched = stream(as_sent(there) + "\n", as_sent(current) + "\n")
    server = start(watched, stream(change))
    found = client.take(3, server.url, "watch", "c")
    assert found[0] == CurrentDocument("c", "a", "", value)
    assert found[2].value == value

    answers = [{"line": number, "status": 422, "detail": ODD} for number in (1, 2)]
    server = start(answer("".join(as_sent(one) + "\n" for one in answers).encode()))
    found = client.take(9, server.url, "import_documents", "c", [value, value])
    assert [(one.line, one.error) for one in found] == [(1, ODD), (2, ODD)]
    assert server.requests[0][2].count(b"\n") == 2


def sequences(events: list[Event]) -> list[int]:
    return [event.sequence for event in events if isinstance(event, SyncEvent)]


def test_events_go_on_where_they_were(client: Blocking, start: Start) -> None:
    server = start(
        stream("id: 4\nretry: 1000\n\n", sent(5), sent(6), sequence=4),
        CUT,
        problem(503, "stopping"),
        stream(sent(6), sent(7), sequence=6),
    )
    assert sequences(client.take(3, server.url, "events", collection="c")) == [5, 6, 7]
    paths = [first for first, _, _ in server.requests]
    assert paths[0] == "GET /api/v1/events?collection=c"
    assert paths[1:] == ["GET /api/v1/events?collection=c&since=6"] * 3


def test_events_miss_nothing_when_the_first_connection_broke_before_any(
    client: Blocking, start: Start
) -> None:
    server = start(stream(":\n\n", sequence=9), stream(sent(10)))
    assert sequences(client.take(1, server.url, "events")) == [10]
    assert server.requests[1][0] == "GET /api/v1/events?since=9"


def test_a_gap_is_told(client: Blocking, start: Start) -> None:
    gap = f"id: 50\ndata: {json.dumps({'type': 'Gap', 'since': 3, 'upto': 50})}\n\n"
    server = start(stream(gap, sent(51)))
    assert client.take(2, server.url, "events", since=3)[0] == Gap(3, 50)


def test_following_ends_by_a_refusal(client: Blocking, start: Start) -> None:
    with pytest.raises(Unauthorized):
        client.take(1, start(problem(401)).url, "events")


def test_following_begins_only_where_somebody_is(client: Blocking, start: Start) -> None:
    with pytest.raises(UnknownOutcome):
        client.take(1, start(CUT).url, "events")


def test_watching_tells_what_there_is_and_then_what_changes(client: Blocking, start: Start) -> None:
    there = json.dumps({"type": "Document", "collection": "c", "doc_id": "a", "value": {"x": 1}})
    current = json.dumps({"type": "Current", "sequence": 8})
    server = start(stream(there + "\n"), stream(there + "\n", current + "\n"), stream(sent(9)))
    found = client.take(4, server.url, "watch", "c")
    document = CurrentDocument("c", "a", "", {"x": 1})
    assert found[:3] == [document, document, Current(8)]
    assert sequences(found[3:]) == [9]
    assert "since=8" in server.requests[2][0]


@pytest.fixture
def websocket() -> Iterator[tuple[str, list[str]]]:
    """Says two events to each who comes, then hangs up."""
    paths: list[str] = []

    def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        for number in (1, 2):
            content = {"type": "SyncEvent", "sequence": 2 * len(paths) + number, "doc_id": "i"}
            connection.send(json.dumps(content))

    server: WebSocketServer = serve_websocket(handle, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.socket.getsockname()[1]}", paths
    server.shutdown()
    thread.join(5)


def test_events_over_a_websocket(client: Blocking, websocket: tuple[str, list[str]]) -> None:
    url, paths = websocket
    found = client.take(4, url, "events", transport=Transport.WEBSOCKET, with_value=True)
    assert sequences(found) == [3, 4, 5, 6]
    assert paths[:2] == ["/api/v1/ws?value=true", "/api/v1/ws?value=true&since=4"]
