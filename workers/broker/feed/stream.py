"""A client's stream of events: first missed changes from the store, then live events from the fanout."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from peatnode.api.failures import RETRY_SOON, HttpProblem, from_failure
from peatnode.errors import AskFailed
from peatnode.ipc.feed_position import FeedPosition, FollowerState
from peatnode.ipc.follow_changes import ChangeFollower
from peatnode.ipc.messages import ChangesSeen, FeedGap, FollowChanges, GetStore
from peatnode.model.feed import FeedRestarted
from workers.broker.feed.event_feed import EventFeed
from workers.broker.feed.events import Event, gap_event, sync_event
from workers.broker.feed.fanout import PAUSE_SECONDS
from workers.broker.feed.subscriber import Disconnected, Selection, Subscriber

HEARTBEAT_SECONDS = 15.0
"""Longest silence on a stream."""

CATCH_UP_PAUSE_SECONDS = 0.01
"""Pause of a stream that has read the whole feed, but has not reached the fanout."""


class FeedStream:
    """A stream without gaps or repetitions. `open_stream` makes it; `batches()` cleans up at its end."""

    def __init__(self, feed: EventFeed, selection: Selection, since: int) -> None:
        self._feed = feed
        self._selection = selection
        self._fanout = feed.fanout_of(selection)
        self._subscriber = Subscriber(selection, feed.limits)
        self._wants_changes = "SyncEvent" in selection.types
        self._is_live = not self._wants_changes
        self._gap: FeedGap | FeedRestarted | None = None
        self._position = FeedPosition(since)

    @property
    def position(self) -> int:
        """The client has received every change up to this sequence. Negative: it selects no changes."""
        return self._position.sequence

    async def open(self) -> None:
        """Finds the position to begin at, and joins the fanouts. Raises HttpProblem."""
        if self._feed.stopping.is_set():
            raise HttpProblem(503, "stopping", "The node is stopping.", headers=RETRY_SOON)
        if self._wants_changes:
            await self._fanout.start()
            if self._position.is_known:
                await self._resume()
            else:
                self._position = self._fanout.position
                self._join()
        self._feed.topology.join(self._subscriber)

    async def _resume(self) -> None:
        """Resumes after the sequence of the client.

        If the feed has not reached that sequence, it comes from another node or an earlier store.
        """
        newest = self._fanout.position
        if self.position <= newest.sequence:
            self._position = FeedPosition(self.position, newest.generation)
            return
        store = await self._feed.store.ask_retrying(GetStore())
        state = FollowerState(self._position)
        beginning = state.open(store.sequence, store.generation)
        if isinstance(beginning, FeedRestarted):
            self._gap = beginning
        self._position = state.position

    def _join(self) -> None:
        self._is_live = True
        self._fanout.join(self._subscriber)

    async def batches(self) -> AsyncIterator[list[Event]]:
        """Batches of events. An empty one follows `HEARTBEAT_SECONDS` of silence. Raises Disconnected."""
        try:
            if self._gap is not None:
                yield [gap_event(self._gap, self._selection.collection)]
            if not self._is_live:
                async for batch in self._missed_events():
                    yield batch
            while True:
                yield list(self._new_events(await self._subscriber.next_batch(HEARTBEAT_SECONDS)))
        finally:
            self.close()

    def close(self) -> None:
        self._feed.topology.leave(self._subscriber)
        self._fanout.leave(self._subscriber)

    def _new_events(self, batch: list[Event]) -> Iterator[Event]:
        """The events without changes that were already read from the store. A gap may lower the sequence."""
        for event in batch:
            if event.kind == "SyncEvent" and event.sequence <= self.position:
                continue
            if event.sequence >= 0:
                self._position = FeedPosition(event.sequence, self._position.generation)
            yield event

    async def _missed_events(self) -> AsyncGenerator[list[Event], None]:
        """The missed changes from the store, until the stream reaches the fanout and joins it."""
        while True:
            try:
                await self._fanout.start()
                if self._position.has_reached(self._fanout.position):
                    self._join()
                    return
                async with contextlib.aclosing(self._stored_events()) as batches:
                    async for batch in batches:
                        yield batch
            except AskFailed as error:
                raise Disconnected(str(from_failure(error))) from None
            except HttpProblem:
                await asyncio.sleep(PAUSE_SECONDS)
            if self._subscriber.is_disconnected:
                raise Disconnected("the node is stopping")

    async def _stored_events(self) -> AsyncGenerator[list[Event], None]:
        """The selected changes in the store, until the fanout or the end of the feed is reached."""
        selection = self._selection
        request = FollowChanges(
            since=self.position,
            collection=selection.collection,
            id=selection.doc_id,
            prefix=selection.prefix,
            with_value=selection.with_value,
        )
        follower = ChangeFollower(self._feed.store, request, self._position.generation)
        async with contextlib.aclosing(follower.events()) as events:
            async for event in events:
                self._position = follower.position
                match event:
                    case FeedGap() | FeedRestarted():
                        batch = [gap_event(event, selection.collection)]
                    case ChangesSeen():
                        names = self._feed.names
                        await names.learn([change.origin for change in event.changes])
                        batch = [
                            sync_event(change, selection.with_value, names.name_of(change.origin))
                            for change in event.changes
                        ]
                if batch:
                    yield batch
                if self._position.has_reached(self._fanout.position):
                    return
                if self._subscriber.is_disconnected:
                    return
                if not batch:
                    await asyncio.sleep(CATCH_UP_PAUSE_SECONDS)
                    return


async def open_stream(feed: EventFeed, selection: Selection, since: int) -> FeedStream:
    """Opens a stream after the sequence `since`; negative: from now on. Raises HttpProblem."""
    if feed.count >= feed.limits.subscribers:
        raise HttpProblem(
            503,
            "too-many-followers",
            "This node cannot open more event streams. Close one, or use another node.",
            headers=RETRY_SOON,
        )
    stream = FeedStream(feed, selection, since)
    await stream.open()
    return stream
