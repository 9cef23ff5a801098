"""Distributes one stream from the store, and one from sync, to all subscribers of this process.

The store keeps only a position for each stream. So a fanout does not buffer for subscribers that lag: it
waits for them for at most `MAX_WAIT_SECONDS`. A subscriber that still lags is disconnected, and resumes
with `since`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from peatnode.errors import AskFailed, LinkError
from peatnode.ipc.feed_position import FeedPosition
from peatnode.ipc.follow_changes import ChangeFollower
from peatnode.ipc.messages import ChangesSeen, FeedGap, FollowChanges, FollowTopology, GetStore
from peatnode.ipc.peer_names import PeerNames
from peatnode.model.feed import FeedRestarted
from workers.broker.feed.events import Event, gap_event, sync_event, topology_event
from workers.broker.feed.subscriber import Subscriber
from workers.broker.http.limits import BrokerLimits
from workers.broker.worker_client import WorkerClient

MAX_WAIT_SECONDS = 2.0
"""Maximum time that all subscribers wait for those that lag."""

PAUSE_SECONDS = 0.1
"""Pause before a stream that ended is opened again."""

SLICE_CHANGES = 128
"""Changes between two checks for subscribers that lag."""


class Fanout:
    """Subscribers, and the task that reads their events while there are any."""

    def __init__(self, limits: BrokerLimits) -> None:
        self._limits = limits
        self._subscribers: set[Subscriber] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        return len(self._subscribers)

    @property
    def queued_bytes(self) -> int:
        return sum(subscriber.size for subscriber in self._subscribers)

    def join(self, subscriber: Subscriber) -> None:
        self._subscribers.add(subscriber)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def leave(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)
        if not self._subscribers and self._task is not None:
            self._task.cancel()
            self._task = None

    def disconnect(self, reason: str) -> None:
        for subscriber in self._subscribers:
            subscriber.disconnect(reason)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _enqueue(self, event: Event) -> None:
        for subscriber in self._subscribers:
            subscriber.enqueue(event)

    async def _run(self) -> None:
        raise NotImplementedError


class ChangeFanout(Fanout):
    """Distributes changes of documents, which are on disk."""

    def __init__(
        self, store: WorkerClient, names: PeerNames, limits: BrokerLimits, with_value: bool
    ) -> None:
        super().__init__(limits)
        self._store = store
        self._names = names
        self._with_value = with_value
        self._starting: asyncio.Lock = asyncio.Lock()
        self._reset()

    def _reset(self) -> None:
        request = FollowChanges(since=-1, with_value=self._with_value)
        self._follower = ChangeFollower(self._store, request)
        self._sequence = -1

    @property
    def position(self) -> FeedPosition:
        """All subscribers have been offered every change up to here. Not known before `start`."""
        return FeedPosition(self._sequence, self._follower.position.generation)

    async def start(self) -> None:
        """Sets `position` to the end of the feed if there are no subscribers. Raises HttpProblem."""
        async with self._starting:
            if self._subscribers:
                return
            store = await self._store.ask_retrying(GetStore())
            if not self._subscribers:
                self._reset()
                self._follower.begin(store)
                self._sequence = store.sequence

    def leave(self, subscriber: Subscriber) -> None:
        super().leave(subscriber)
        if not self._subscribers:
            self._reset()

    async def _run(self) -> None:
        events = self._follower.events()
        try:
            async with contextlib.aclosing(events):
                async for event in events:
                    match event:
                        case FeedGap() | FeedRestarted():
                            self._sequence = event.upto
                            self._enqueue(gap_event(event, ""))
                        case ChangesSeen():
                            await self._distribute(event)
        except AskFailed as error:
            self.disconnect(f"the store refuses to send its feed: {error}")
        except MemoryError:
            self.disconnect("the node had not enough memory for the events")

    async def _distribute(self, seen: ChangesSeen) -> None:
        await self._names.learn([change.origin for change in seen.changes])
        for start in range(0, len(seen.changes), SLICE_CHANGES):
            for change in seen.changes[start : start + SLICE_CHANGES]:
                self._enqueue(
                    sync_event(change, self._with_value, self._names.name_of(change.origin))
                )
                self._sequence = change.sequence
            await self._wait_for_lagging()
        self._sequence = max(self._sequence, seen.upto)

    async def _wait_for_lagging(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + MAX_WAIT_SECONDS
        while lagging := self._lagging():
            for subscriber in lagging:
                subscriber.drained.clear()
            remaining = deadline - loop.time()
            if remaining <= 0:
                for subscriber in lagging:
                    subscriber.disconnect("too slow: the client did not read its events in time")
                return
            await _wait_any(lagging, remaining)

    def _lagging(self) -> list[Subscriber]:
        live = [subscriber for subscriber in self._subscribers if not subscriber.is_disconnected]
        is_full = sum(subscriber.size for subscriber in live) > self._limits.fanout_bytes
        fair = self._limits.fanout_bytes // max(1, len(live))
        return [
            subscriber
            for subscriber in live
            if subscriber.is_lagging or (is_full and subscriber.size > fair)
        ]


async def _wait_any(subscribers: Iterable[Subscriber], seconds: float) -> None:
    """Waits until one of them has taken its events, at most for `seconds`."""
    tasks = [asyncio.create_task(subscriber.drained.wait()) for subscriber in subscribers]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


class TopologyFanout(Fanout):
    """Distributes connections and disconnections of peers."""

    def __init__(self, sync: WorkerClient, limits: BrokerLimits) -> None:
        super().__init__(limits)
        self._sync = sync

    async def _run(self) -> None:
        while True:
            try:
                async for event in self._sync.follow(FollowTopology()):
                    self._enqueue(topology_event(event))
            except (LinkError, MemoryError):
                await asyncio.sleep(PAUSE_SECONDS)
