"""Links between processes on asyncio: sends requests, follows streams, and serves both.

`Link` and `Dialer` ask; `serve` answers. Frames that are written within one turn of the loop leave in one system call.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from peatnode.errors import AskFailed, AskTimedOut, ContractMismatch, LinkLost
from peatnode.ipc.endpoint import Endpoint
from peatnode.ipc.messages import Ask, Failed, Failure, Follow, Message

ReplyT = TypeVar("ReplyT", bound=Message)

MAX_UNANSWERED = 4096
"""Requests of one client that a server holds; while there are more, it stops reading that link."""

MAX_STREAM_EVENTS = 256
"""Events of a stream that wait for their reader; while there are more, the link is not read."""


class _AskingEndpoint(Endpoint):
    def __init__(self, worker: str) -> None:
        super().__init__(worker)
        self.open = self._loop.create_future()
        self._pending: dict[int, asyncio.Future[Message]] = {}
        self._last_cause = 0

    def greeted(self) -> None:
        if not self.open.done():
            self.open.set_result(None)

    def ask(self, message: Message) -> asyncio.Future[Message]:
        self._last_cause += 1
        future: asyncio.Future[Message] = self._loop.create_future()
        self._pending[self._last_cause] = future
        cause = self._last_cause
        future.add_done_callback(lambda _: self._pending.pop(cause, None))
        self.send(message, cause)
        return future

    def message_received(self, cause: int, message: Message) -> None:
        future = self._pending.get(cause)
        if future is not None and not future.done():
            future.set_result(message)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        lost = (
            exc
            if isinstance(exc, ContractMismatch)
            else LinkLost(
                f"the link to {self.peer_worker or 'a worker'} is lost: {exc or 'closed'}"
            )
        )
        for future in [self.open, *self._pending.values()]:
            if not future.done():
                future.set_exception(lost)
                future.exception()  # marks it as retrieved; a waiting caller still receives it


class _StreamEndpoint(_AskingEndpoint):
    def __init__(self, worker: str) -> None:
        super().__init__(worker)
        self._events: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._is_paused = False

    def message_received(self, cause: int, message: Message) -> None:
        self._events.append(message)
        self._arrived.set()
        if len(self._events) >= MAX_STREAM_EVENTS and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._arrived.set()

    async def next_event(self) -> Message:
        while not self._events:
            if self.is_closed:
                raise LinkLost(f"the stream from {self.peer_worker or 'a worker'} has ended")
            self._arrived.clear()
            await self._arrived.wait()
        event = self._events.popleft()
        if (
            self._is_paused
            and not self._events
            and not self.is_closed
            and self._transport is not None
        ):
            self._is_paused = False
            self._transport.resume_reading()
        if isinstance(event, Failed):
            raise AskFailed(event.code, event.message, event.where)
        return event


async def _connect(endpoint: _AskingEndpoint, path: Path) -> None:
    loop = asyncio.get_running_loop()
    try:
        await loop.create_unix_connection(lambda: endpoint, str(path))
    except OSError as error:
        raise LinkLost(f"{path.name} does not answer: {error}") from error
    await endpoint.open


class Link:
    """A connection to the worker that serves `path`. When it ends, all waiting calls raise LinkLost."""

    def __init__(self, path: Path, endpoint: _AskingEndpoint) -> None:
        self._path = path
        self._endpoint = endpoint

    @classmethod
    async def connect(cls, path: Path, worker: str) -> Self:
        """Connects and waits for the other side's hello. Raises LinkLost, ContractMismatch."""
        endpoint = _AskingEndpoint(worker)
        await _connect(endpoint, path)
        return cls(path, endpoint)

    @property
    def is_open(self) -> bool:
        return not self._endpoint.is_closed

    async def ask(self, message: Ask[ReplyT], timeout: float = 30.0) -> ReplyT:
        """Returns the answer. Raises AskFailed (a typed refusal), AskTimedOut (after `timeout` seconds), LinkLost."""
        if self._endpoint.is_closed:
            raise LinkLost(f"the link to {self._path.name} is closed")
        future = self._endpoint.ask(message)
        timer = asyncio.get_running_loop().call_later(
            timeout, _time_out, future, message.TAG, timeout
        )
        try:
            reply = await future
        finally:
            timer.cancel()
        if isinstance(reply, Failed):
            raise AskFailed(reply.code, reply.message, reply.where)
        return reply  # type: ignore[return-value]  # the contract ties the reply to the question

    def tell(self, message: Message) -> None:
        """Sends a message without an answer; it is lost if the link is."""
        self._endpoint.send(message, 0)

    async def follow(self, message: Follow[ReplyT]) -> AsyncIterator[ReplyT]:
        """The events of a stream, over a connection of its own, so that a slow reader delays no other.

        Ends by LinkLost or AskFailed; leaving the loop (`aclose`) closes the stream. Raises LinkLost also if this link
        is lost until the stream is open: the stream could come from another process than the link's answers.
        """
        follower = _StreamEndpoint(self._endpoint.worker)
        try:
            await _connect(follower, self._path)
            if self._endpoint.is_closed:
                raise LinkLost(f"the link to {self._path.name} was lost while a stream was opened")
            follower.send(message, 1)
            while True:
                yield await follower.next_event()  # type: ignore[misc]
        finally:
            follower.close()

    async def close(self) -> None:
        self._endpoint.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def _time_out(future: asyncio.Future[Message], tag: str, timeout: float) -> None:
    if not future.done():
        future.set_exception(AskTimedOut(f"no answer to {tag} within {timeout:g} s"))


RECONNECT_SECONDS = 0.02
"""Pause between two attempts to reach a worker that is being restarted."""


class Dialer:
    """A link that reconnects: a request waits, within its timeout, for the worker to return."""

    def __init__(self, path: Path, worker: str) -> None:
        self._path = path
        self._worker = worker
        self._link: Link | None = None
        self._opening: asyncio.Task[Link] | None = None

    @property
    def is_open(self) -> bool:
        return self._link is not None and self._link.is_open

    async def wait_open(self) -> Link:
        """The open link; waits for the next one without a timeout."""
        if self._link is not None and self._link.is_open:
            return self._link
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> Link:
        pause = RECONNECT_SECONDS
        while True:
            try:
                self._link = await Link.connect(self._path, self._worker)
            except LinkLost:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.5)
            else:
                return self._link

    async def ask(self, message: Ask[ReplyT], timeout: float = 30.0) -> ReplyT:
        """As `Link.ask`. After LinkLost the request was sent and may have been carried out."""
        link = self._link
        if link is None or not link.is_open:
            started = asyncio.get_running_loop().time()
            try:
                link = await asyncio.wait_for(self.wait_open(), timeout)
            except TimeoutError:
                raise AskTimedOut(
                    f"{self._path.name} did not answer within {timeout:g} s"
                ) from None
            timeout = max(0.01, timeout - (asyncio.get_running_loop().time() - started))
        return await link.ask(message, timeout)

    async def tell(self, message: Message) -> None:
        (await self.wait_open()).tell(message)

    async def follow(self, message: Follow[ReplyT]) -> AsyncIterator[ReplyT]:
        """A stream that begins when the worker can be reached; raises LinkLost when it exits."""
        link = await self.wait_open()
        stream = link.follow(message)
        try:
            async for event in stream:
                yield event
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        if self._link is not None:
            await self._link.close()


class Connection(Endpoint):
    """The server's end of one link."""

    def __init__(self, server: LinkServer) -> None:
        super().__init__(server.worker)
        self._server = server
        self._unanswered: set[int] = set()
        self._is_paused = False
        self.gone = asyncio.Event()

    def greeted(self) -> None:
        self._server.connections.add(self)

    def message_received(self, cause: int, message: Message) -> None:
        if isinstance(message, Ask):
            self._unanswered.add(cause)
            if len(self._unanswered) > MAX_UNANSWERED and self._transport is not None:
                self._is_paused = True
                self._transport.pause_reading()
        self._server.on_message(self, cause, message)

    def reply(self, cause: int, message: Message) -> None:
        """Sends an answer, or an event of a stream. Does nothing on a closed connection."""
        self._unanswered.discard(cause)
        if (
            self._is_paused
            and len(self._unanswered) < MAX_UNANSWERED // 2
            and not self.is_closed
            and self._transport is not None
        ):
            self._is_paused = False
            self._transport.resume_reading()
        self.send(message, cause)

    def fail(self, cause: int, code: Failure, message: str, where: str = "") -> None:
        self.reply(cause, Failed(code, message, where))

    def connection_lost(self, exc: Exception | None) -> None:
        was_closed, _ = self.is_closed, super().connection_lost(exc)
        self._server.connections.discard(self)
        self.gone.set()
        if not was_closed and self._server.on_close is not None:
            self._server.on_close(self)


LEAVING_SECONDS = 1.0
"""How long a closing server waits for clients to read their answers."""


class LinkServer:
    """Serves the clients of one listening socket until it is closed."""

    def __init__(
        self,
        worker: str,
        on_message: Callable[[Connection, int, Message], None],
        on_close: Callable[[Connection], None] | None,
    ) -> None:
        self.worker = worker
        self.on_message = on_message
        self.on_close = on_close
        self.connections: set[Connection] = set()
        self._listener: asyncio.AbstractServer | None = None

    async def start(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        # A copy: closing the server must not close the socket that the supervisor lent.
        self._listener = await loop.create_unix_server(lambda: Connection(self), sock=sock.dup())

    async def close(self) -> None:
        """Stops accepting and closes the open links, after their answers have been sent."""
        if self._listener is not None:
            self._listener.close()
        leaving = list(self.connections)
        for connection in leaving:
            connection.close()
        # An exiting process drops data that did not fit into the socket: the end of a large answer.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVING_SECONDS):
                for connection in leaving:
                    await connection.gone.wait()


async def serve(
    sock: socket.socket,
    worker: str,
    on_message: Callable[[Connection, int, Message], None],
    on_close: Callable[[Connection], None] | None = None,
) -> LinkServer:
    """Answers on a listening Unix socket.

    `on_message(connection, cause, message)` is called in order of arrival and must not block.
    """
    server = LinkServer(worker, on_message, on_close)
    await server.start(sock)
    return server
