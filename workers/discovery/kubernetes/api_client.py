"""An HTTP/1.1 client for list and watch: GET requests, with a timeout on every wait.

Each request has its own connection. h11 handles the protocol and asyncio the bytes, so that a watch needs no
thread and is cancelled like any task.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

import h11

from peatnode import __version__
from peatnode.errors import PeatnodeError

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Limit of a list. A page of 50 slices with 1,000 endpoints each has about 20 MB."""

MAX_LINE_BYTES = 4 * 1024 * 1024
"""Limit of one event of a watch, which contains one slice."""

READ_BYTES = 64 * 1024


class CallFailed(PeatnodeError):
    """A request without a usable response."""

    def __init__(self, reason: str, status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        """HTTP status; 0: no response."""
        self.retry_after = retry_after


class Account(Protocol):
    """The address of the API server, and the credentials for it."""

    @property
    def address(self) -> tuple[str, int]: ...

    def authorization(self) -> str: ...

    def tls(self) -> ssl.SSLContext: ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts in seconds."""

    connect: float = 5.0
    response: float = 10.0
    """Between the request and the response, and between two parts of the response."""
    idle: float = 75.0
    """Between two parts of a watch. The server sends at least a bookmark about once a minute."""


class ApiClient:
    """Sends GET requests to the API server."""

    def __init__(self, account: Account, timeouts: Timeouts | None = None) -> None:
        self._account = account
        self._timeouts = timeouts or Timeouts()

    async def get(self, path: str, query: dict[str, str]) -> bytes:
        """Returns the whole body. Raises CallFailed."""
        body = bytearray()
        async with self._request(path, query) as answer:
            async for piece in answer.pieces(self._timeouts.response):
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    raise CallFailed(f"the response has more than {MAX_BODY_BYTES} bytes")
        return bytes(body)

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, query: dict[str, str]
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """Yields complete lines in batches as they arrive.
        Raises CallFailed, also for an incomplete last line."""
        async with self._request(path, query) as answer:
            yield _lines(answer, self._timeouts.idle)

    @contextlib.asynccontextmanager
    async def _request(self, path: str, query: dict[str, str]) -> AsyncIterator[_Answer]:
        host, port = self._account.address
        timeouts = self._timeouts
        try:
            async with asyncio.timeout(timeouts.connect):
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=self._account.tls(), limit=READ_BYTES
                )
        except TimeoutError:
            raise CallFailed(f"{host}:{port} does not answer") from None
        except OSError as error:
            raise CallFailed(f"{host}:{port} cannot be reached: {error}") from error
        try:
            _keep_alive(writer)
            answer = _Answer(reader)
            writer.write(
                answer.ask(f"{path}?{urlencode(query)}", host, port, self._account.authorization())
            )
            await answer.wait_head(timeouts.response)
            yield answer
        except OSError as error:
            raise CallFailed(f"the connection was lost: {error}") from error
        except h11.LocalProtocolError as error:
            raise CallFailed(f"the account's token cannot be sent: {error}") from error
        finally:
            writer.transport.abort()


class _Answer:
    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._http = h11.Connection(h11.CLIENT)

    def ask(self, target: str, host: str, port: int, authorization: str) -> bytes:
        name = f"[{host}]" if ":" in host else host
        request = h11.Request(
            method="GET",
            target=target,
            headers=[
                ("Host", f"{name}:{port}"),
                ("Authorization", authorization),
                ("Accept", "application/json"),
                ("User-Agent", f"peatnode/{__version__}"),
                ("Connection", "close"),
            ],
        )
        return (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")

    async def wait_head(self, seconds: float) -> None:
        """Raises CallFailed for any status but 200."""
        head = await self._next_event(seconds)
        while isinstance(head, h11.InformationalResponse):
            head = await self._next_event(seconds)
        if not isinstance(head, h11.Response):
            raise CallFailed("the connection was closed before the response")
        if head.status_code != 200:
            body = await self._read_error_body(seconds)
            raise CallFailed(_read_message(body), head.status_code, _read_retry_after(head))

    async def pieces(self, seconds: float) -> AsyncIterator[bytes]:
        while True:
            event = await self._next_event(seconds)
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            elif isinstance(event, h11.ConnectionClosed):
                raise CallFailed("the connection was closed within the response")

    async def _read_error_body(self, seconds: float) -> bytes:
        """The start of the body of an error response, if it arrives."""
        body = bytearray()
        with contextlib.suppress(CallFailed):
            async for piece in self.pieces(seconds):
                body += piece
                if len(body) > READ_BYTES:
                    break
        return bytes(body)

    async def _next_event(self, seconds: float) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                async with asyncio.timeout(seconds):
                    self._http.receive_data(await self._reader.read(READ_BYTES))
        except TimeoutError:
            raise CallFailed(f"no data was received for {seconds:g} s") from None
        except h11.RemoteProtocolError as error:
            raise CallFailed(f"the response is not HTTP, or is incomplete: {error}") from error
        return event


async def _lines(answer: _Answer, seconds: float) -> AsyncGenerator[list[bytes], None]:
    rest = bytearray()
    async for piece in answer.pieces(seconds):
        rest += piece
        if b"\n" in piece:
            *lines, last = bytes(rest).split(b"\n")
            rest[:] = last
            yield [line for line in lines if line.strip()]
        if len(rest) > MAX_LINE_BYTES:
            raise CallFailed(f"an event has more than {MAX_LINE_BYTES} bytes")
    if rest.strip():
        raise CallFailed("the watch was closed within an event")


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Detects within half a minute that the server is unreachable, even during a watch."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def _read_message(body: bytes) -> str:
    """The message of a Status object; empty if there is none."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    message = content.get("message") if isinstance(content, dict) else ""
    return message[:500] if isinstance(message, str) else ""


def _read_retry_after(head: h11.Response) -> float:
    for name, value in head.headers:
        if name == b"retry-after" and value.isdigit():
            return float(value[:6])
    return 0.0
