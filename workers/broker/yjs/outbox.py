"""Messages that wait to be sent to one client, within a bound. A client that cannot keep up is closed, and delays no
other client."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

MAX_WAITING_BYTES = 4 * 1024 * 1024
"""When so much waits and more comes, the client is closed; it reconnects and asks for the difference, which is shorter
than the backlog."""


@dataclass(frozen=True, slots=True)
class SessionClose:
    """The end of a connection: the close code and the reason that the client receives.

    y-websocket reconnects after every code but 4400 to 4499, which say that it would be of no use.
    """

    code: int
    reason: str


CANNOT_KEEP_UP = SessionClose(1013, "The client reads too slowly; reconnect to resync.")
SHUTTING_DOWN = SessionClose(1012, "The node is stopping; reconnect.")
RESYNC = SessionClose(
    1012, "The node no longer has the history of this document; reconnect to resync."
)
DELETED = SessionClose(4410, "The document was deleted; reload it.")


class SessionEnded(Exception):
    """We end the session."""

    def __init__(self, close: SessionClose) -> None:
        super().__init__(close.reason)
        self.close = close


def malformed(what: str) -> SessionClose:
    return SessionClose(4400, f"Not a y-websocket message: {what}")


def refused(why: str) -> SessionClose:
    return SessionClose(4422, f"The change was refused: {why}")


class Outbox:
    """A queue of messages that ends with a `SessionClose`."""

    def __init__(self) -> None:
        self._messages: deque[tuple[bytes, int]] = deque()
        self._waiting_bytes = 0
        self._close: SessionClose | None = None
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self.quiet_sweeps = 0
        """Counted by the room; back to 0 with every message."""

    def put(self, message: bytes) -> None:
        """Queues a message, or ends the connection when too much waits."""
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._messages.clear()
            self.close(CANNOT_KEEP_UP)
        self._put(message, len(message))

    def put_answer(self, message: bytes) -> None:
        """Queues what the client asked for, however long: see `wait_empty`."""
        self._put(message, 0)

    def _put(self, message: bytes, size: int) -> None:
        if self._close is not None:
            return
        self._messages.append((message, size))
        self._waiting_bytes += size
        self.quiet_sweeps = 0
        self._emptied.clear()
        self._filled.set()

    async def wait_empty(self) -> None:
        """Until all that was queued has been sent, so that a client cannot ask for more than it reads."""
        await self._emptied.wait()

    def close(self, close: SessionClose) -> None:
        """Ends the connection after what is queued."""
        if self._close is None:
            self._close = close
            self._filled.set()
            self._emptied.set()

    async def next(self) -> bytes | SessionClose:
        """The next message, once the one before it is sent; a `SessionClose` is the last."""
        while not self._messages:
            if self._close is not None:
                return self._close
            self._waiting_bytes = 0
            self._filled.clear()
            self._emptied.set()
            await self._filled.wait()
        message, size = self._messages.popleft()
        self._waiting_bytes -= size
        return message
