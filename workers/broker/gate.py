"""The gate in front of the router: it checks tokens and paths, counts requests, and has a fast path.

The fast path answers a plain GET of one document without the router. It asks the store the same question and
encodes the answer with the same functions as `documents.resources.DocumentResource`.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any
from urllib.parse import unquote_to_bytes

from peatnode.api.encode_document import document_body
from peatnode.api.failures import RETRY_SOON, HttpProblem, out_of_memory
from peatnode.ipc.messages import DocumentReply, GetDocument
from workers.broker.http.asgi import (
    AsgiApp,
    Receive,
    Scope,
    Send,
    ignore_disconnect,
    refuse_websocket,
    send_problem,
)
from workers.broker.http.authentication import (
    Access,
    TokenAuthenticator,
    check_origin,
    chosen_subprotocol,
    unauthorized,
    websocket_token,
)
from workers.broker.http.counters import HttpCounters
from workers.broker.worker_client import WorkerClient

DOCUMENTS = "/api/v1/documents/"
DOCUMENT_ROUTE = "/api/v1/documents/{collection}/{doc_id}"
UNMATCHED = "unmatched"

_PLAIN_NAMES = re.compile(
    r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})/([A-Za-z0-9_][A-Za-z0-9_.~-]{0,127})"
)
"""Valid names that need no decoding. Paths with other names go to the router."""

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110)."""
_CONDITIONS = frozenset({b"if-match", b"if-none-match"})
_JSON_HEADER = (b"content-type", b"application/json")


class RequestGate:
    """The ASGI application around the router."""

    def __init__(
        self,
        app: AsgiApp,
        store: WorkerClient,
        counters: HttpCounters,
        authenticator: TokenAuthenticator,
        stopping: asyncio.Event,
        public: frozenset[str],
        assets: str,
    ) -> None:
        """`public`: paths that need no token. Paths below `assets` need none either."""
        self._app = app
        self._store = store
        self._counters = counters
        self._authenticator = authenticator
        self._stopping = stopping
        self._public = public
        self._assets = assets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._answer_http(scope, receive, send)
            case "websocket":
                await self._answer_websocket(scope, receive, send)

    async def _answer_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        response = _CountedSend(send, self._stopping)
        try:
            await self._route(scope, receive, response)
        except HttpProblem as problem:
            await send_problem(response, problem)
        except MemoryError:
            if response.is_started:
                raise  # the server closes the connection, so that the client notices
            await send_problem(response, out_of_memory(scope["method"] not in SAFE_METHODS))
        except asyncio.CancelledError:
            return  # the client disconnected or the process stops; nothing awaits this task
        finally:
            method, route = scope["method"], scope.get("peat.route", UNMATCHED)
            self._counters.count(method, route, response.status)
            if not response.is_stream:
                self._counters.observe(method, route, time.perf_counter() - started)

    async def _route(self, scope: Scope, receive: Receive, send: _CountedSend) -> None:
        path = scope["path"]
        authorization = None
        is_conditional = False
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name in _CONDITIONS:
                is_conditional = True
        if path not in self._public and not path.startswith(self._assets):
            try:
                self._authenticator.check(authorization, scope["method"])
            except HttpProblem as problem:
                self._counters.reject(problem.code)
                raise
        if (
            scope["method"] == "GET"
            and not is_conditional
            and not scope["query_string"]
            and path.startswith(DOCUMENTS)
        ):
            names = _PLAIN_NAMES.fullmatch(path, len(DOCUMENTS))
            if names is not None:
                await self._answer_document(scope, names[1], names[2], send)
                return
        check_path(scope)
        await self._app(scope, receive, send)

    async def _answer_document(
        self, scope: Scope, collection: str, doc_id: str, send: _CountedSend
    ) -> None:
        scope["peat.route"] = DOCUMENT_ROUTE
        reply = await self._store.ask_retrying(GetDocument(collection, doc_id))
        await send.document(reply)

    async def _answer_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        subprotocols = scope.get("subprotocols", [])
        try:
            access = self._check_handshake(scope, subprotocols)
        except HttpProblem as problem:
            self._counters.reject(problem.code)
            await refuse_websocket(send, problem)
            return
        scope["peat.access"] = access
        scope["peat.subprotocol"] = chosen_subprotocol(subprotocols)
        try:
            await self._app(scope, receive, ignore_disconnect(send))
        except HttpProblem as problem:
            await refuse_websocket(send, problem)
        except asyncio.CancelledError:
            return  # as in _answer_http

    def _check_handshake(self, scope: Scope, subprotocols: list[str]) -> Access:
        """What the token of a WebSocket allows. Raises HttpProblem."""
        headers = dict(scope["headers"])
        check_origin(headers.get(b"origin"), headers.get(b"host"))
        token = websocket_token(headers.get(b"authorization"), subprotocols)
        access = self._authenticator.access(token)
        if access is Access.NONE:
            raise unauthorized(token is not None)
        check_path(scope)
        if self._stopping.is_set():
            raise HttpProblem(503, "stopping", "The node is stopping.", headers=RETRY_SOON)
        return access


class _CountedSend:
    """An ASGI `send` that records the status, and whether the response is a stream."""

    __slots__ = ("_is_stopping", "_send", "is_started", "is_stream", "status")

    def __init__(self, send: Send, stopping: asyncio.Event) -> None:
        self._send = send
        self._is_stopping = stopping.is_set
        self.status = 499
        """499 until the response starts: as in nginx, the client disconnected before it."""
        self.is_stream = False
        self.is_started = False

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.is_started = True
            if self._is_stopping():
                message["headers"] = [*message["headers"], (b"connection", b"close")]
        elif message.get("more_body"):
            self.is_stream = True
        await self._send(message)

    async def document(self, reply: DocumentReply) -> None:
        """Sends the same response as `documents.resources.fill_document`, in fewer steps."""
        body = document_body(reply)
        headers = [
            _JSON_HEADER,
            (b"content-length", b"%d" % len(body)),
            (b"etag", b'"%b"' % reply.fingerprint.hex().encode()),
            (b"peat-sequence", b"%d" % reply.sequence),
        ]
        await self({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def check_path(scope: Scope) -> None:
    """Refuses paths that the server's decoding changes: bytes that are not UTF-8, and encoded slashes.

    Raises HttpProblem.
    """
    raw = scope.get("raw_path") or b""
    if b"%" not in raw:
        return
    if _BROKEN_ESCAPE.search(raw):
        detail = "In a path, two hexadecimal digits must follow %. Write % itself as %25."
        raise HttpProblem(400, "bad-path", detail, "path")
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise HttpProblem(400, "bad-path", "The path is not UTF-8.", "path") from None
    if b"%2f" in raw.lower():
        raise HttpProblem(400, "bad-name", "A name must not contain a slash.", "path")
