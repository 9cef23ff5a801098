"""Following a feed over connections that break: where to resume, and when. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import TypedDict

from peatnode.client.events import Current, Dropped, Event, Gap, SyncEvent
from peatnode.client.retry import RetryPolicy


class Transport(StrEnum):
    """How events travel."""

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
    """Which events to be told of."""

    collection: str = ""
    """Empty: all."""
    doc_id: str = ""
    prefix: str = ""
    """Of the document id."""
    with_value: bool = False
    """The document's value comes along."""
    types: tuple[str, ...] = ()
    """Of `SyncEvent`, `PeerConnected`, `PeerDisconnected`, `TopologyChanged`; empty: all, or where documents were named
    only `SyncEvent`. `Gap` comes with `SyncEvent`."""

    def params(self) -> tuple[tuple[str, str], ...]:
        params = [
            ("collection", self.collection),
            ("document", self.doc_id),
            ("prefix", self.prefix),
            ("value", "true" if self.with_value else ""),
            ("types", ",".join(self.types)),
        ]
        return tuple((name, value) for name, value in params if value)


@dataclass(slots=True)
class FeedCursor:
    """What the follower of one feed remembers between two connections."""

    filter: EventFilter
    since: int | None
    """The last change seen; None: from when the first connection opens."""
    retry: RetryPolicy
    generator: Random
    has_opened: bool = field(default=False, init=False)
    """Whether a connection ever stood: before that, failing is an error and no interruption."""
    losses: int = field(default=0, init=False)
    """In a row, without an event between them."""

    def params(self) -> tuple[tuple[str, str], ...]:
        since = () if self.since is None else (("since", str(self.since)),)
        return (*self.filter.params(), *since)

    def take(self, event: Event) -> Iterable[Event]:
        """What of it is news: after a reconnect the feed may begin with what we have seen."""
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
        """The node tells from here on: what comes after must not be missed."""
        self.has_opened = True
        if self.since is None and sequence >= 0:
            self.since = sequence

    def pause_after_loss(self) -> float:
        """Seconds to wait before connecting again."""
        self.losses += 1
        return self.retry.backoff(self.losses, self.generator)
