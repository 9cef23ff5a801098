"""One stream from the store, and one from sync, for all subscribers of this process.

The store keeps only a position for each stream. So a fanout waits for subscribers that lag instead of buffering for
them, but only for `PATIENCE_SECONDS`: a subscriber that still lags is disconnected, and resumes with `since`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from peatnode.errors import AskFailed, LinkError
from peatnode.ipc.feed_position import FeedPosition
from peatnode.ipc.follow_changes import ChangeFollower
from peatnode.ipc.messages import ChangesSeen, FeedGap, FollowChanges, FollowTopology, GetStore
from peatnode.model.feed import FeedRestarted
from workers.broker.feed.events import Event, gap_event, sync_event, topology_event
from workers.broker.feed.subscriber import Subscriber
from workers.broker.http.limits import BrokerLimits
from workers.broker.worker_client import WorkerClient

PATIENCE_SECONDS = 2.0
"""How long all wait for those that lag."""

PAUSE_SECONDS = 0.1
"""Before a stream that ended is opened again."""

SLICE = 128
"""Changes handed out before the subscribers are looked at."""


class Fanout:
    """Subscribers, and the task that feeds them while there are any."""

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
    """Changes of documents as they are synced to disk."""

    def __init__(self, store: WorkerClient, limits: BrokerLimits, with_value: bool) -> None:
        super().__init__(limits)
        self._store = store
        self._with_value = with_value
        self._starting: asyncio.Lock = asyncio.Lock()
        self._reset()

    def _reset(self) -> None:
        request = FollowChanges(since=-1, with_value=self._with_value)
        self._follower = ChangeFollower(self._store, request)
        self._sequence = -1

    @property
    def position(self) -> FeedPosition:
        """Everything up to here has been offered to all subscribers; not known before `start`."""
        return FeedPosition(self._sequence, self._follower.position.generation)

    async def start(self) -> None:
        """Makes `position` known; renews it while there are no subscribers. Raises HttpProblem."""
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
                            await self._hand_out(event)
        except AskFailed as error:
            self.disconnect(f"the store refuses to be followed: {error}")

    async def _hand_out(self, seen: ChangesSeen) -> None:
        for start in range(0, len(seen.changes), SLICE):
            for change in seen.changes[start : start + SLICE]:
                self._enqueue(sync_event(change, self._with_value))
                self._sequence = change.sequence
            await self._wait_for_lagging()
        self._sequence = max(self._sequence, seen.upto)

    async def _wait_for_lagging(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_SECONDS
        while lagging := self._lagging():
            for subscriber in lagging:
                subscriber.relaxed.clear()
            left = deadline - loop.time()
            if left <= 0:
                for subscriber in lagging:
                    subscriber.disconnect("too slow: what waited was not taken in time")
                return
            await _wait_any(lagging, left)

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
    """Until one of them has taken what waited for it."""
    tasks = [asyncio.create_task(subscriber.relaxed.wait()) for subscriber in subscribers]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


class TopologyFanout(Fanout):
    """Peers as they come and go."""

    def __init__(self, sync: WorkerClient, limits: BrokerLimits) -> None:
        super().__init__(limits)
        self._sync = sync

    async def _run(self) -> None:
        while True:
            try:
                async for event in self._sync.follow(FollowTopology()):
                    self._enqueue(topology_event(event))
            except LinkError:
                await asyncio.sleep(PAUSE_SECONDS)
