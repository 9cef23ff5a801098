"""Our own store: the machine's questions, and the feed from where it was left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peatnode.errors import AskTimedOut, LinkError, LinkLost
from peatnode.ipc.link import Dialer
from peatnode.ipc.messages import Ask, ChangesSeen, FeedGap, FollowChanges, ReadTree
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
        self._opening = asyncio.timeout(None)
        """Of the feed that is open now; let run out to open it anew."""
        self._reopened_at = -1
        self.upto = -1
        self.last_failure = ""

    def start_question(self, number: int, question: StoreQuestion) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(number, question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
            # A feed that has nothing to tell from there: what it may have held is left to anti-entropy.
            self._tell(FeedGap(self.upto, sequence))
        self._reopened_at = self.upto
        self._opening.reschedule(now)

    async def follow(self) -> None:
        """Tells the changes of the feed, for ever; resumes where it was when the store comes back."""
        while True:
            try:
                async with asyncio.timeout(None) as self._opening:
                    await self._follow_once()
            except TimeoutError:
                continue
            except (LinkLost, AskTimedOut):
                self._handle(events.StoreLost())

    async def _follow_once(self) -> None:
        if self.upto < 0:
            await self._begin_now()
        async for event in self._dialer.follow(FollowChanges(since=self.upto, with_update=True)):
            self._tell(event)

    async def _begin_now(self) -> None:
        """What was before is left to anti-entropy; the machine has to know where that ends."""
        reply = await self._dialer.ask(ReadTree(0, (0,)), ASK_SECONDS)
        self._tell(ChangesSeen((), reply.sequence))

    def _tell(self, event: ChangesSeen | FeedGap) -> None:
        self.upto = event.upto
        self._handle(event)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._dialer.close()
