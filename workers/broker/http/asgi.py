"""The types of ASGI, and problems as ASGI messages."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected

from peatnode.api.failures import MEDIA_TYPE, HttpProblem

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


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


async def refuse_websocket(send: Send, problem: HttpProblem) -> None:
    """Answers a handshake with a problem (ASGI extension WebSocket Denial Response)."""
    body = problem.encode()
    await send(
        {
            "type": "websocket.http.response.start",
            "status": problem.status,
            "headers": problem_headers(problem, body),
        }
    )
    await send({"type": "websocket.http.response.body", "body": body})


def ignore_disconnect(send: Send) -> Send:
    """A `send` that ignores messages to a client that has disconnected.

    The application learns of it from `receive`, after it has read every message that the client sent before.
    """

    async def forward(message: dict[str, Any]) -> None:
        with contextlib.suppress(ClientDisconnected):
            await send(message)

    return forward
