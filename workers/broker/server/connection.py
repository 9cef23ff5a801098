"""The connections of clients: uvicorn's HTTP/1.1 and WebSocket protocols, with further limits.

The limits are: time and size of headers, number of connections, and time for the client to read a response.
The request of a client that disconnects is cancelled.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from email.utils import formatdate
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from peatnode.api.failures import RETRY_SOON, HttpProblem
from workers.broker.http.asgi import problem_headers
from workers.broker.http.counters import HttpCounters
from workers.broker.http.limits import BrokerLimits

JOINED_BYTES = 64 * 1024
"""More bytes are written at once, so that the transport notices a client that reads slowly."""

LINGER_SECONDS = 5.0
"""Time to read and discard the rest of a body after the response."""


class ConnectionState(ServerState):
    """The state that all connections of a process share."""

    def __init__(
        self, limits: BrokerLimits, counters: HttpCounters, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.loop = loop
        self._dated_at = -1
        super().__init__()
        self.limits = limits
        self.counters = counters

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The Date header, formatted at most once a second."""
        now = int(self.loop.time())
        if now != self._dated_at:
            self._dated_at = now
            self._default = [(b"date", formatdate(usegmt=True).encode())]
        return self._default

    @default_headers.setter
    def default_headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Ignores the value that uvicorn sets."""


class JoinedWrites:
    """A transport that joins the writes of one iteration of the loop, so that head and body are one packet.

    uvicorn writes them separately, which costs a system call and wakes the client twice.
    """

    __slots__ = ("_loop", "_parts", "_size", "is_closing", "transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self.is_closing = transport.is_closing
        self._loop = loop
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > JOINED_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._parts:
            self.transport.write(b"".join(self._parts))
            self._parts.clear()
            self._size = 0

    def close(self) -> None:
        self.flush()
        self.transport.close()

    def abort(self) -> None:
        self._parts.clear()
        self.transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


class _WriteDeadline:
    """Aborts a connection whose client stops reading."""

    _write_timer: TimerHandle | None = None

    def begin_write_deadline(self, transport: asyncio.Transport, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._write_timer = loop.call_later(seconds, transport.abort)

    def end_write_deadline(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


class HttpConnection(HttpToolsProtocol, _WriteDeadline):
    """An HTTP/1.1 connection within the limits."""

    server_state: ConnectionState

    def __init__(self, config: Config, server_state: ConnectionState) -> None:
        super().__init__(config, server_state, {}, server_state.loop)
        self._limits = server_state.limits
        self._is_in_head = True
        self._head_bytes = 0
        self._is_refused = False
        self._head_timer: TimerHandle | None = None
        self._linger_timer: TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport, self.loop)))
        if len(self.connections) > self._limits.connections:
            self._refuse(
                HttpProblem(
                    503, "too-many-connections", "Too many connections.", headers=RETRY_SOON
                )
            )
            return
        self._begin_head_deadline()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        super().data_received(data)
        if self._is_refused or self.transport.is_closing():
            return
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.uri_bytes + self._limits.header_bytes:
                self._refuse_headers()
            elif self._head_timer is None:
                self._begin_head_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0
        self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.uri_bytes:
            limit = self._limits.uri_bytes
            self._refuse(
                HttpProblem(414, "uri-too-long", f"The path is longer than {limit} bytes.")
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value)
        if (
            self._header_bytes > self._limits.header_bytes
            or len(self.headers) > self._limits.headers
        ):
            self._refuse_headers()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._end_head_deadline()
        if not self._is_refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_refused:
            self._end_linger()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        is_half_read = self.cycle.more_body
        super().on_response_complete()
        if is_half_read and not self.transport.is_closing() and self._linger_timer is None:
            self._linger_timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head_deadline()
        self._end_linger()
        self.end_write_deadline()
        is_answered = self.cycle is None or self.cycle.response_complete
        super().connection_lost(exc)
        if self._task is not None and not is_answered:
            self._task.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.begin_write_deadline(self.transport, self._limits.write_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.end_write_deadline()

    def handle_websocket_upgrade(self) -> None:
        self._end_head_deadline()
        joined = cast(JoinedWrites, self.transport)
        joined.flush()
        self.transport = joined.transport
        super().handle_websocket_upgrade()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        self._task = task

    def _begin_head_deadline(self) -> None:
        self._head_timer = self.loop.call_later(self._limits.header_seconds, self._head_is_late)

    def _end_head_deadline(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_linger(self) -> None:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._head_bytes == 0:
            self.transport.close()  # the client sent nothing
        else:
            seconds = self._limits.header_seconds
            self._refuse(
                HttpProblem(
                    408, "header-timeout", f"The headers did not arrive within {seconds:g} s."
                )
            )

    def _refuse_headers(self) -> None:
        limits = self._limits
        self._refuse(
            HttpProblem(
                431,
                "headers-too-large",
                f"More than {limits.headers} headers, or more than {limits.header_bytes} bytes of headers.",
            )
        )

    def send_400_response(self, msg: str) -> None:
        self._refuse(HttpProblem(400, "bad-request", "This is not an HTTP/1.1 request."))

    def _refuse(self, problem: HttpProblem) -> None:
        """Answers and closes the connection; ignores the rest of the request."""
        if self._is_refused:
            return
        self._is_refused = True
        self._end_head_deadline()
        self.server_state.counters.reject(problem.code)
        if self.cycle is None or self.cycle.response_complete:
            body = problem.encode()
            lines = [f"HTTP/1.1 {problem.status} {problem.body()['title']}".encode()]
            lines += [b"%b: %b" % pair for pair in problem_headers(problem, body)]
            self.transport.write(b"\r\n".join([*lines, b"connection: close", b"", body]))
        self.transport.close()


class WebSocketConnection(WebSocketsSansIOProtocol, _WriteDeadline):
    """A WebSocket connection with a deadline for the client to read."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            # otherwise uvicorn logs a refusal with a body as an error of the application
            self.handshake_complete = True

    def pause_writing(self) -> None:
        super().pause_writing()
        self.begin_write_deadline(self.transport, WEBSOCKET_WRITE_SECONDS)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.end_write_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self.end_write_deadline()
        super().connection_lost(exc)


WEBSOCKET_WRITE_SECONDS = 30.0
