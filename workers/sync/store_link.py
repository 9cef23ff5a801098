"""Our own store: the machine's questions, and the feed from where it was left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peatnode.errors import LinkError
from peatnode.ipc.follow_changes import ChangeFollower
from peatnode.ipc.link import Dialer
from peatnode.ipc.messages import Ask, FeedGap, FollowChanges
from peatnode.model.sync import StoreAnswer, StoreQuestion, TreeReply
from peatnode.protocol.sync import events
from peatnode.protocol.sync.feed_watchdog import FeedWatchdog

ASK_SECONDS = 30.0


class StoreLink:
    """`handle` takes the machine's events: answers, changes, losses."""

    def __init__(
        self,
        path: Path,
        handle: Callable[[events.Event], None],
        log: Any,
        watch: FeedWatchdog | None = None,
    ) -> None:
        self._dialer = Dialer(path, "sync")
        self._handle = handle
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = log
        self._watch = watch or FeedWatchdog()
        self._follower = ChangeFollower(self._dialer, FollowChanges(since=-1, with_update=True))
        self._reopened_at = -1
        self.last_failure = ""

    def start_question(self, number: int, question: StoreQuestion) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(number, question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def upto(self) -> int:
        """The last sequence of the feed that was received; negative: none."""
        return self._follower.position.sequence

    @property
    def pending(self) -> int:
        return len(self._tasks)

    async def _carry(self, number: int, question: StoreQuestion) -> None:
        answer: StoreAnswer | None = None
        ask: Ask[StoreAnswer] = question
        try:
            answer = await self._dialer.ask(ask, ASK_SECONDS)
        except LinkError as error:
            self.last_failure = str(error)
        self._handle(events.StoreAnswered(number, answer))
        if isinstance(answer, TreeReply):
            self._look_after_feed(answer.sequence)

    def _look_after_feed(self, sequence: int) -> None:
        now = asyncio.get_running_loop().time()
        if not self._watch.is_stuck(self.upto, sequence, now):
            return
        self._log.warning("Feed went quiet, opened anew", upto=self.upto, sequence=sequence)
        if self.upto == self._reopened_at:
            # A feed that has no change after this position: what it may have held is left to anti-entropy.
            gap = FeedGap(self.upto, sequence)
            self._follower.pass_over(gap)
            self._handle(gap)
        self._reopened_at = self.upto
        self._follower.reopen()

    async def follow(self) -> None:
        """Hands the feed to the machine, without end; resumes from its position when the store comes back.

        What was before the first event is left to anti-entropy; the machine has to know where that ends.
        """
        events_of_feed = self._follower.events(self._feed_lost)
        async with contextlib.aclosing(events_of_feed):
            async for event in events_of_feed:
                self._handle(event)

    def _feed_lost(self, _: LinkError) -> None:
        self._handle(events.StoreLost())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._dialer.close()
