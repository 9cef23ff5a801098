"""A client's stream of events: what it missed, straight from the store, then live from the fanout; no hole between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from peatnode.api.failures import RETRY_SOON, HttpProblem, from_failure
from peatnode.errors import AskFailed, LinkError
from peatnode.ipc.messages import ChangesSeen, FeedGap, FollowChanges, GetStore
from workers.broker.feed.event_feed import EventFeed
from workers.broker.feed.events import Event, gap_event, sync_event
from workers.broker.feed.fanout import PAUSE_SECONDS
from workers.broker.feed.subscriber import Disconnected, Selection, Subscriber

BEAT_SECONDS = 15.0
"""Longest silence on a stream."""


class FeedStream:
    """Made by `open_stream`; iterate `batches()`, which cleans up at its end."""

    def __init__(self, feed: EventFeed, selection: Selection, since: int) -> None:
        self._feed = feed
        self._selection = selection
        self._fanout = feed.fanout_of(selection)
        self._subscriber = Subscriber(selection, feed.limits)
        self._wants_changes = "SyncEvent" in selection.types
        self._is_live = not self._wants_changes
        self._gap: FeedGap | None = None
        self.position = since
        """Everything up to here has been given."""

    async def open(self) -> None:
        """Raises HttpProblem."""
        if self._feed.stopping.is_set():
            raise HttpProblem(503, "stopping", "The node is stopping.", headers=RETRY_SOON)
        if self._wants_changes:
            await self._fanout.start()
            if self.position > self._fanout.position:
                await self._look_beyond()
            if self.position < 0:
                self.position = self._fanout.position
                self._join()
        self._feed.topology.join(self._subscriber)

    async def _look_beyond(self) -> None:
        """A place that this node's feed has not reached: another node's, or of a store that lost its tail."""
        newest = (await self._feed.store.ask_retrying(GetStore())).sequence
        if self.position > newest:
            self._gap = FeedGap(since=self.position, upto=newest)
            self.position = newest

    def _join(self) -> None:
        self._is_live = True
        self._fanout.join(self._subscriber)

    async def batches(self) -> AsyncIterator[list[Event]]:
        """Events as they come; an empty batch after each `BEAT_SECONDS` of silence. Raises Disconnected."""
        try:
            if self._gap is not None:
                yield [gap_event(self._gap, self._selection.collection)]
            if not self._is_live:
                async for batch in self._missed():
                    yield batch
            while True:
                batch = await self._subscriber.next_batch(BEAT_SECONDS)
                batch = [event for event in batch if not self._is_old(event)]
                if batch:
                    self.position = max(self.position, max(event.sequence for event in batch))
                yield batch
        finally:
            self.close()

    def close(self) -> None:
        self._feed.topology.leave(self._subscriber)
        self._fanout.leave(self._subscriber)

    def _is_old(self, event: Event) -> bool:
        return event.kind == "SyncEvent" and event.sequence <= self.position

    async def _missed(self) -> AsyncIterator[list[Event]]:
        """What the store still has after `position`, until the fanout is reached and joined."""
        while True:
            try:
                await self._fanout.start()
                if self.position >= self._fanout.position:
                    self._join()
                    return
                async for batch in self._stored():
                    yield batch
            except AskFailed as error:
                raise Disconnected(str(from_failure(error))) from None
            except (LinkError, HttpProblem):
                await asyncio.sleep(PAUSE_SECONDS)

    async def _stored(self) -> AsyncIterator[list[Event]]:
        selection = self._selection
        follow = FollowChanges(
            since=self.position,
            collection=selection.collection,
            id=selection.doc_id,
            prefix=selection.prefix,
            with_value=selection.with_value,
        )
        stream = self._feed.store.follow(follow)
        try:
            async for event in stream:
                match event:
                    case FeedGap():
                        self.position = event.upto
                        yield [gap_event(event, selection.collection)]
                    case ChangesSeen():
                        batch = [sync_event(one, selection.with_value) for one in event.changes]
                        self.position = event.upto
                        if batch:
                            yield batch
                if self._subscriber.is_disconnected:
                    raise Disconnected("the node is stopping")
                if self.position >= self._fanout.position >= 0:
                    return
        finally:
            await stream.aclose()  # type: ignore[attr-defined]


async def open_stream(feed: EventFeed, selection: Selection, since: int) -> FeedStream:
    """Raises HttpProblem."""
    if feed.count >= feed.limits.subscribers:
        raise HttpProblem(
            503,
            "too-many-followers",
            "This node serves no more followers of the feed; close one, or follow another node.",
            headers=RETRY_SOON,
        )
    stream = FeedStream(feed, selection, since)
    await stream.open()
    return stream
