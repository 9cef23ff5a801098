"""What waits to be sent to one client, bounded: who cannot keep up is closed, and slows nobody down."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

MAX_WAITING_BYTES = 4 * 1024 * 1024
"""Beyond it the client is closed; it reconnects and asks for the difference, which is shorter than the backlog."""


@dataclass(frozen=True, slots=True)
class Close:
    """The end of a connection, and what the client is told."""

    code: int
    reason: str


CANNOT_KEEP_UP = Close(1013, "This client reads too slowly; reconnect to resync.")
SHUTTING_DOWN = Close(1012, "The node is stopping; reconnect.")
DELETED = Close(4410, "The document was deleted; reload it.")
RESYNC = Close(1012, "The node lost track of this document; reconnect to resync.")


class Outbox:
    """A queue of messages that ends with a Close."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._bytes = 0
        self._close: Close | None = None
        self._filled = asyncio.Event()

    def put(self, message: bytes) -> None:
        """Queues a message, or ends the connection when too much waits."""
        if self._close is not None:
            return
        if self._bytes + len(message) > MAX_WAITING_BYTES and self._messages:
            self._messages.clear()
            self.close(CANNOT_KEEP_UP)
            return
        self._messages.append(message)
        self._bytes += len(message)
        self._filled.set()

    def close(self, close: Close) -> None:
        """Ends the connection after what is queued."""
        if self._close is None:
            self._close = close
            self._filled.set()

    async def next(self) -> bytes | Close:
        """The next message; a Close is the last."""
        while not self._messages:
            if self._close is not None:
                return self._close
            self._filled.clear()
            await self._filled.wait()
        message = self._messages.popleft()
        self._bytes -= len(message)
        return message
