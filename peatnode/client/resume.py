"""The state of a feed across connections: where to resume, and after which pause. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypedDict

from peatnode.client.events import Current, Dropped, Event, Gap, SyncEvent
from peatnode.client.retry import Jitter, RetryPolicy


class Transport(StrEnum):
    """The protocol that carries events."""

    SSE = "sse"
    WEBSOCKET = "websocket"


class FilterOptions(TypedDict, total=False):
    """Keyword arguments of `events`: see `EventFilter`."""

    collection: str
    doc_id: str
    prefix: str
    with_value: bool
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events the node sends."""

    collection: str = ""
    """Empty: all collections."""
    doc_id: str = ""
    prefix: str = ""
    """Prefix of the document id."""
    with_value: bool = False
    """Whether each change contains the value of the document."""
    types: tuple[str, ...] = ()
    """Some of `SyncEvent`, `PeerConnected`, `PeerDisconnected`, `TopologyChanged`.

    Empty: all of them, or only `SyncEvent` if the filter names documents. `SyncEvent` includes `Gap`."""

    def params(self) -> tuple[tuple[str, str], ...]:
        params = [
            ("collection", self.collection),
            ("doc_id", self.doc_id),
            ("prefix", self.prefix),
            ("value", "true" if self.with_value else ""),
            ("types", ",".join(self.types)),
        ]
        return tuple((name, value) for name, value in params if value)


@dataclass(slots=True)
class FeedCursor:
    """The position of a feed, and the connections that it has lost."""

    filter: EventFilter
    since: int | None
    """The last change received. None: the feed begins at the first connection."""
    retry: RetryPolicy
    generator: Jitter
    has_opened: bool = field(default=False, init=False)
    """Whether a connection was ever open. Until then a failure is an error, later an interruption."""
    losses: int = field(default=0, init=False)
    """Connections lost in a row without an event in between."""

    def params(self) -> tuple[tuple[str, str], ...]:
        since = () if self.since is None else (("since", str(self.since)),)
        return (*self.filter.params(), *since)

    def take(self, event: Event) -> Iterable[Event]:
        """The event, unless it was already received: after a reconnect the node may repeat changes."""
        self.losses = 0
        match event:
            case SyncEvent(sequence=sequence):
                if self.since is not None and sequence <= self.since:
                    return ()
                self.since = sequence
            case Gap(upto=sequence) | Current(sequence=sequence):
                self.since = sequence
            case Dropped(resume=sequence):
                self.opened_at(sequence)
                return ()
            case _:
                pass
        return (event,)

    def opened_at(self, sequence: int) -> None:
        """Records that a connection is open, which delivers every change after `sequence`."""
        self.has_opened = True
        if self.since is None and sequence >= 0:
            self.since = sequence

    def pause_after_loss(self) -> float:
        """Seconds to wait before connecting again."""
        self.losses += 1
        return self.retry.backoff(self.losses, self.generator)
