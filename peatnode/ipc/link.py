"""Links between processes on asyncio: they send requests, follow streams, and serve both.

`Link` and `Dialer` are the client side, `serve` is the server side. Frames that are written within one turn
of the loop are sent by one system call.
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
"""Unanswered requests of one client. While there are more,
the server does not read from that client's link."""

MAX_STREAM_EVENTS = 256
"""Events of a stream that wait for their reader. While there are more, the socket is not read."""


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
        """Returns the answer. Raises AskFailed (the worker refused), AskTimedOut (after `timeout` seconds),
        LinkLost."""
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

    def send(self, message: Message) -> None:
        """Sends a message that has no answer. The message is lost if the link is lost."""
        self._endpoint.send(message, 0)

    async def follow(self, message: Follow[ReplyT]) -> AsyncIterator[ReplyT]:
        """Yields the events of a stream, over its own connection, so that a slow reader delays nothing else.

        The stream ends by LinkLost or AskFailed; `aclose` closes it. LinkLost is also raised if this link is
        lost before the stream is open, because another process might then answer the stream than the one
        that answered the link.
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


HELLO_SECONDS = 0.5
"""Time for the hello of a link that is opened for one question."""


async def ask_once(path: Path, worker: str, message: Ask[ReplyT], seconds: float) -> ReplyT:
    """Asks one question on a link of its own. `worker` is the name of the one who asks.

    Raises TimeoutError if the other end sends no hello in time, else as `Link.connect` and `Link.ask` do.
    """
    async with asyncio.timeout(seconds + HELLO_SECONDS):
        async with await Link.connect(path, worker) as link:
            return await link.ask(message, seconds)


def _time_out(future: asyncio.Future[Message], tag: str, timeout: float) -> None:
    if not future.done():
        future.set_exception(AskTimedOut(f"no answer to {tag} within {timeout:g} s"))


RECONNECT_SECONDS = 0.02
"""First delay between two attempts to reach a worker that is being restarted."""


class Dialer:
    """A link that reconnects. A request waits, within its timeout, until the worker can be reached again."""

    def __init__(self, path: Path, worker: str) -> None:
        self._path = path
        self._worker = worker
        self._link: Link | None = None
        self._opening: asyncio.Task[Link] | None = None

    @property
    def is_open(self) -> bool:
        return self._link is not None and self._link.is_open

    async def wait_open(self) -> Link:
        """Returns the open link. Waits for a new one, without a timeout, if there is none."""
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
        """Like `Link.ask`. LinkLost means that the request was sent and may have been carried out."""
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

    async def send(self, message: Message) -> None:
        (await self.wait_open()).send(message)

    async def follow(self, message: Follow[ReplyT]) -> AsyncIterator[ReplyT]:
        """Yields the events of a stream, which begins when the worker can be reached.
        Raises LinkLost when it exits."""
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
    """The server side of one link."""

    def __init__(self, server: LinkServer) -> None:
        super().__init__(server.worker)
        self._server = server
        self._unanswered: set[int] = set()
        self._is_paused = False
        self.closed = asyncio.Event()

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
        self.closed.set()
        if not was_closed and self._server.on_close is not None:
            self._server.on_close(self)


CLOSE_SECONDS = 1.0
"""Time that a closing server gives its clients to read their answers."""


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
        # A copy, because closing the server must not close the socket that the supervisor owns.
        self._listener = await loop.create_unix_server(lambda: Connection(self), sock=sock.dup())

    async def close(self) -> None:
        """Stops accepting, and closes the open links after their answers have been sent."""
        if self._listener is not None:
            self._listener.close()
        closing = list(self.connections)
        for connection in closing:
            connection.close()
        # When a process exits, data that did not fit into the socket buffer is lost: the end of a large
        # answer.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                for connection in closing:
                    await connection.closed.wait()


async def serve(
    sock: socket.socket,
    worker: str,
    on_message: Callable[[Connection, int, Message], None],
    on_close: Callable[[Connection], None] | None = None,
) -> LinkServer:
    """Serves links on a listening Unix socket until the returned server is closed.

    `on_message(connection, cause, message)` is called in the order of arrival and must not block.
    """
    server = LinkServer(worker, on_message, on_close)
    await server.start(sock)
    return server
