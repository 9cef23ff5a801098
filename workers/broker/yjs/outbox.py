"""The bounded queue of messages to one client, and the reasons for which a session closes."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

MAX_WAITING_BYTES = 4 * 1024 * 1024
"""A further message closes the connection. The client reconnects and requests the difference, which is
shorter than the queue."""


@dataclass(frozen=True, slots=True)
class SessionClose:
    """The end of a connection: the close code and the reason that the client receives.

    y-websocket reconnects after every code except 4400 to 4499, which mean that a retry would not help.
    """

    code: int
    reason: str


CANNOT_KEEP_UP = SessionClose(1013, "The client reads too slowly; reconnect to resync.")
SHUTTING_DOWN = SessionClose(1012, "The node is stopping; reconnect.")
RESYNC = SessionClose(
    1012, "The node no longer has the history of this document; reconnect to resync."
)
CONTRADICTED = SessionClose(
    4410, "The document was joined with one that contradicts it; reload it."
)
DELETED = SessionClose(4410, "The document was deleted; reload it.")


class SessionEnded(Exception):
    """The node ends the session."""

    def __init__(self, close: SessionClose) -> None:
        super().__init__(close.reason)
        self.close = close


def malformed(detail: str) -> SessionClose:
    return SessionClose(4400, f"Not a y-websocket message: {detail}")


def refused(reason: str) -> SessionClose:
    return SessionClose(4422, f"The change was refused: {reason}")


class Outbox:
    """A queue of messages to one client, which ends with a `SessionClose`."""

    def __init__(self) -> None:
        self._messages: deque[tuple[bytes, int]] = deque()
        self._waiting_bytes = 0
        self._close: SessionClose | None = None
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self.quiet_sweeps = 0
        """Sweeps of `Rooms` without a message since. Each message resets it to 0."""

    def put(self, message: bytes) -> None:
        """Queues a message. A full queue closes the connection instead."""
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._messages.clear()
            self.close(CANNOT_KEEP_UP)
        self._put(message, len(message))

    def put_answer(self, message: bytes) -> None:
        """Queues an answer of any size. Call `wait_empty` before, which bounds the queue."""
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
        """Waits until the queue has been sent, so that a client cannot request more than it reads."""
        await self._emptied.wait()

    def close(self, close: SessionClose) -> None:
        """Closes the connection after the queued messages."""
        if self._close is None:
            self._close = close
            self._filled.set()
            self._emptied.set()

    async def next(self) -> bytes | SessionClose:
        """The next message; the caller has sent the previous one. A `SessionClose` is the last."""
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
