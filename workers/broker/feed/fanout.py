"""One stream from the store (and one from sync) for all followers of this process.

The store keeps only a position for us, so the hub waits for followers that lag instead of buffering, but not for long:
who still lags then is dismissed, and resumes by `since`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from peatnode.api.failures import HttpProblem
from peatnode.errors import LinkError
from peatnode.ipc.messages import ChangesSeen, FeedGap, FollowChanges, FollowTopology, GetStore
from workers.broker.feed.events import Event, gap_event, sync_event, topology_event
from workers.broker.feed.subscriber import Follower
from workers.broker.http.limits import BrokerLimits
from workers.broker.worker_client import WorkerClient

PATIENCE_SECONDS = 2.0
"""How long all wait for those that lag."""

PAUSE_SECONDS = 0.1
"""Before a stream that ended is opened again."""

SLICE = 128
"""Changes handed out before the followers are looked at."""


class Hub:
    """Followers, and the task that feeds them while there are any."""

    def __init__(self, limits: BrokerLimits) -> None:
        self._limits = limits
        self._followers: set[Follower] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        return len(self._followers)

    @property
    def queued_bytes(self) -> int:
        return sum(follower.size for follower in self._followers)

    def join(self, follower: Follower) -> None:
        self._followers.add(follower)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def leave(self, follower: Follower) -> None:
        self._followers.discard(follower)
        if not self._followers and self._task is not None:
            self._task.cancel()
            self._task = None

    def dismiss(self, reason: str) -> None:
        for follower in self._followers:
            follower.dismiss(reason)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _offer(self, event: Event) -> None:
        for follower in self._followers:
            follower.offer(event)

    async def _run(self) -> None:
        raise NotImplementedError


class ChangeHub(Hub):
    """Changes of documents as they are synced to disk."""

    def __init__(self, store: WorkerClient, limits: BrokerLimits, with_value: bool) -> None:
        super().__init__(limits)
        self._store = store
        self._with_value = with_value
        self._starting: asyncio.Lock = asyncio.Lock()
        self.position = -1
        """All followers have been offered everything up to here; negative while nobody follows."""

    async def start(self) -> None:
        """Makes `position` known. Raises HttpProblem."""
        async with self._starting:
            if self.position < 0:
                self.position = (await self._store.ask_retrying(GetStore())).sequence

    def leave(self, follower: Follower) -> None:
        super().leave(follower)
        if not self._followers:
            self.position = -1

    async def _run(self) -> None:
        while True:
            try:
                await self._pump()
            except (LinkError, HttpProblem):
                await asyncio.sleep(PAUSE_SECONDS)

    async def _pump(self) -> None:
        newest = (await self._store.ask_retrying(GetStore())).sequence
        if newest < self.position:
            self._skip(FeedGap(since=self.position, upto=newest))
        follow = FollowChanges(since=self.position, with_value=self._with_value)
        stream = self._store.follow(follow)
        try:
            async for event in stream:
                match event:
                    case FeedGap():
                        self._skip(event)
                    case ChangesSeen():
                        await self._hand_out(event)
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    def _skip(self, gap: FeedGap) -> None:
        self.position = gap.upto
        self._offer(gap_event(gap, ""))

    async def _hand_out(self, seen: ChangesSeen) -> None:
        for start in range(0, len(seen.changes), SLICE):
            for change in seen.changes[start : start + SLICE]:
                self._offer(sync_event(change, self._with_value))
                self.position = change.sequence
            await self._wait_for_lagging()
        self.position = max(self.position, seen.upto)

    async def _wait_for_lagging(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_SECONDS
        while lagging := self._lagging():
            for follower in lagging:
                follower.relaxed.clear()
            left = deadline - loop.time()
            if left <= 0:
                for follower in lagging:
                    follower.dismiss("too slow: what waited was not taken in time")
                return
            await _wait_any(lagging, left)

    def _lagging(self) -> list[Follower]:
        live = [follower for follower in self._followers if not follower.is_dismissed]
        is_full = sum(follower.size for follower in live) > self._limits.hub_bytes
        fair = self._limits.hub_bytes // max(1, len(live))
        return [
            follower
            for follower in live
            if follower.is_lagging or (is_full and follower.size > fair)
        ]


async def _wait_any(followers: Iterable[Follower], seconds: float) -> None:
    """Until one of them has taken what waited for it."""
    tasks = [asyncio.create_task(follower.relaxed.wait()) for follower in followers]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


class TopologyHub(Hub):
    """Peers as they come and go."""

    def __init__(self, sync: WorkerClient, limits: BrokerLimits) -> None:
        super().__init__(limits)
        self._sync = sync

    async def _run(self) -> None:
        while True:
            try:
                async for event in self._sync.follow(FollowTopology()):
                    self._offer(topology_event(event))
            except LinkError:
                await asyncio.sleep(PAUSE_SECONDS)
