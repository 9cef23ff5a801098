"""A subscriber to events: its selection, and a bounded queue of events for it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from workers.broker.feed.events import TYPES, Event
from workers.broker.http.limits import BrokerLimits

ALL_TYPES = frozenset(TYPES)


class Disconnected(Exception):
    """The subscriber receives no more events. The text is the reason."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events a subscriber receives."""

    types: frozenset[str] = ALL_TYPES
    collection: str = ""
    """Empty: all collections."""
    doc_id: str = ""
    prefix: str = ""
    with_value: bool = False

    def matches(self, event: Event) -> bool:
        if event.kind == "Gap":
            return "SyncEvent" in self.types
        if event.kind not in self.types:
            return False
        if event.kind != "SyncEvent":
            return True
        return (
            (not self.collection or event.collection == self.collection)
            and (not self.doc_id or event.doc_id == self.doc_id)
            and event.doc_id.startswith(self.prefix)
        )


class Subscriber:
    """A queue: events enter one by one without waiting, and leave in batches."""

    def __init__(self, selection: Selection, limits: BrokerLimits) -> None:
        self.selection = selection
        self.size = 0
        """Bytes in the queue."""
        self.drained = asyncio.Event()
        """Set when the queue has been taken."""
        self._limits = limits
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._reason = ""

    @property
    def is_disconnected(self) -> bool:
        return bool(self._reason)

    @property
    def is_lagging(self) -> bool:
        """Whether the queue is more than half full."""
        return (
            len(self._events) * 2 > self._limits.subscriber_events
            or self.size * 2 > self._limits.subscriber_bytes
        )

    def enqueue(self, event: Event) -> None:
        """Queues a selected event. A full queue disconnects the subscriber."""
        if self._reason or not self.selection.matches(event):
            return
        if len(self._events) >= self._limits.subscriber_events or (
            self._events and self.size + len(event.body) > self._limits.subscriber_bytes
        ):
            self.disconnect("too slow: the queue of events for this client is full")
            return
        self._events.append(event)
        self.size += len(event.body)
        self._arrived.set()

    def disconnect(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._events.clear()
        self.size = 0
        self._arrived.set()
        self.drained.set()

    async def next_batch(self, seconds: float) -> list[Event]:
        """The events in the queue; nothing after `seconds` without events. Raises Disconnected."""
        if not self._events and not self._reason:
            self._arrived.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
            except TimeoutError:
                return []
        if self._reason:
            raise Disconnected(self._reason)
        batch = list(self._events)
        self._events.clear()
        self.size = 0
        self.drained.set()
        return batch
