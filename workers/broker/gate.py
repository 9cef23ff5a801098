"""The first that sees a request: tokens, names that are no text, counting, and the short way for reading a document.

The short way answers a plain GET of one document without the router; it asks the same question, and its
answers are made by the same functions as those of `documents.DocumentResource`. All else goes the long way.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from uvicorn.protocols.utils import ClientDisconnected

from peatnode.api.encode_document import document_body
from peatnode.api.failures import MEDIA_TYPE, RETRY_SOON, HttpProblem
from peatnode.ipc.messages import DocumentReply, GetDocument
from workers.broker.http.access import (
    Access,
    TokenAuthenticator,
    check_origin,
    chosen_subprotocol,
    unauthorized,
    websocket_token,
)
from workers.broker.services import BrokerServices

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

DOCUMENTS = "/api/v1/documents/"
DOCUMENT_ROUTE = "/api/v1/documents/{collection}/{doc_id}"
UNMATCHED = "unmatched"

_PLAIN_NAMES = re.compile(
    r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})/([A-Za-z0-9_][A-Za-z0-9_.~-]{0,127})"
)
"""Names that need no second look; others go the long way."""

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_LONG_WAY = frozenset({b"if-match", b"if-none-match"})
_JSON_HEADER = (b"content-type", b"application/json")


class RequestGate:
    """An ASGI application around the routes."""

    def __init__(
        self, broker: BrokerServices, app: App, public: frozenset[str], assets: str
    ) -> None:
        self._broker = broker
        self._app = app
        self._public = public
        self._assets = assets
        settings = broker.settings
        self._keeper = TokenAuthenticator(settings.api_token, settings.read_token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._answer_http(scope, receive, send)
            case "websocket":
                await self._answer_websocket(scope, receive, send)

    async def _answer_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        outcome = _Outcome(send, self._broker.stopping)
        try:
            await self._route(scope, receive, outcome)
        except HttpProblem as problem:
            await send_problem(outcome, problem)
        except asyncio.CancelledError:
            return  # the client is gone, or the process is; nobody waits for this task
        finally:
            method, route = scope["method"], scope.get("peat.route", UNMATCHED)
            self._broker.counters.count(method, route, outcome.status)
            if not outcome.is_stream:
                self._broker.counters.observe(method, route, time.perf_counter() - started)

    async def _route(self, scope: Scope, receive: Receive, send: _Outcome) -> None:
        path = scope["path"]
        authorization = None
        is_conditional = False
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name in _LONG_WAY:
                is_conditional = True
        if path not in self._public and not path.startswith(self._assets):
            try:
                self._keeper.check(authorization, scope["method"])
            except HttpProblem as problem:
                self._broker.counters.reject(problem.code)
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
        self, scope: Scope, collection: str, doc_id: str, send: _Outcome
    ) -> None:
        scope["peat.route"] = DOCUMENT_ROUTE
        reply = await self._broker.store.ask_retrying(GetDocument(collection, doc_id))
        await send.document(reply)

    async def _answer_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        subprotocols = scope.get("subprotocols", [])
        try:
            check_origin(headers.get(b"origin"), headers.get(b"host"))
            token = websocket_token(headers.get(b"authorization"), subprotocols)
            access = self._keeper.access(token)
            if access is Access.NONE:
                raise unauthorized(token is not None)
            check_path(scope)
            if self._broker.stopping.is_set():
                raise HttpProblem(503, "stopping", "The node is stopping.", headers=RETRY_SOON)
        except HttpProblem as problem:
            self._broker.counters.reject(problem.code)
            await refuse_websocket(send, problem)
            return
        scope["peat.access"] = access
        scope["peat.subprotocol"] = chosen_subprotocol(subprotocols)
        try:
            await self._app(scope, receive, _to_whoever_is_there(send))
        except HttpProblem as problem:
            await refuse_websocket(send, problem)
        except asyncio.CancelledError:
            return  # as above


class _Outcome:
    """`send`, remembering what was sent."""

    __slots__ = ("_is_stopping", "_send", "is_stream", "status")

    def __init__(self, send: Send, stopping: asyncio.Event) -> None:
        self._send = send
        self._is_stopping = stopping.is_set
        self.status = 499
        """As logs of proxies call a client that left before its answer."""
        self.is_stream = False

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._is_stopping():
                message["headers"] = [*message["headers"], (b"connection", b"close")]
        elif message.get("more_body"):
            self.is_stream = True
        await self._send(message)

    async def document(self, reply: DocumentReply) -> None:
        """The same as `documents.fill_document`, in as few steps as can be."""
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
    """What was no UTF-8, or held an encoded slash, would have become another name by now. Raises HttpProblem."""
    raw = scope.get("raw_path") or b""
    if b"%" not in raw:
        return
    if _BROKEN_ESCAPE.search(raw):
        detail = "After % in a path come two hexadecimal digits; the sign itself is %25."
        raise HttpProblem(400, "bad-path", detail, "path")
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise HttpProblem(400, "bad-path", "The path is not UTF-8.", "path") from None
    if b"%2f" in raw.lower():
        raise HttpProblem(400, "bad-name", "A name may not hold a slash.", "path")


def problem_headers(problem: HttpProblem, body: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        *((name.encode(), value.encode()) for name, value in problem.headers),
    ]


async def send_problem(send: Send, problem: HttpProblem) -> None:
    body = problem.encode()
    headers = problem_headers(problem, body)
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _to_whoever_is_there(send: Send) -> Send:
    """That a client has gone is learned by reading: only then is all read that it said before."""

    async def forward(message: dict[str, Any]) -> None:
        with contextlib.suppress(ClientDisconnected):
            await send(message)

    return forward


async def refuse_websocket(send: Send, problem: HttpProblem) -> None:
    """Says no to a handshake as to any other request."""
    body = problem.encode()
    await send(
        {
            "type": "websocket.http.response.start",
            "status": problem.status,
            "headers": problem_headers(problem, body),
        }
    )
    await send({"type": "websocket.http.response.body", "body": body})
