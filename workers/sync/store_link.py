"""The link to the local store: it asks the questions of the sync machine, and follows the feed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from peatnode.errors import LinkError
from peatnode.ipc.follow_changes import ChangeFollower
from peatnode.ipc.link import Dialer
from peatnode.ipc.messages import Ask, FeedGap, FollowChanges, Message
from peatnode.model.feed import FeedEvent, FeedRestarted
from peatnode.model.sync import StoreAnswer, StoreQuestion, TreeReply
from peatnode.protocol.sync import events
from workers.sync.feed_watchdog import FeedWatchdog

ASK_SECONDS = 30.0

AnswerT = TypeVar("AnswerT", bound=Message)


class StoreLink:
    """Passes the answers and the changes of the local store to `handle`, as events of the sync machine."""

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
        self._generation = 0

    def start_question(self, number: int, question: StoreQuestion) -> None:
        """Asks the store. The answer is passed on as StoreAnswered with this number."""
        task = asyncio.get_running_loop().create_task(self._ask(number, question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ask(self, question: Ask[AnswerT]) -> AnswerT:
        """For what is no concern of the machine. Raises LinkError."""
        return await self._dialer.ask(question, ASK_SECONDS)

    @property
    def upto(self) -> int:
        """The last sequence of the feed that was received; negative: none."""
        return self._follower.position.sequence

    @property
    def pending(self) -> int:
        return len(self._tasks)

    async def settle(self, seconds: float) -> None:
        """Waits until the store has answered all questions, but no longer than this."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def _ask(self, number: int, question: StoreQuestion) -> None:
        answer: StoreAnswer | None = None
        ask: Ask[StoreAnswer] = question
        with contextlib.suppress(LinkError):  # the machine receives None
            answer = await self._dialer.ask(ask, ASK_SECONDS)
        self._handle(events.StoreAnswered(number, answer))
        if isinstance(answer, TreeReply):
            self._check_feed(answer.sequence)

    def _check_feed(self, sequence: int) -> None:
        now = asyncio.get_running_loop().time()
        if not self._watch.is_stuck(self.upto, sequence, now):
            return
        self._log.warning("Feed is stuck, reopening it", upto=self.upto, sequence=sequence)
        if self.upto == self._reopened_at:
            # The feed has no change after this position. Anti-entropy finds what it may have missed.
            gap = FeedGap(self.upto, sequence)
            self._follower.pass_over(gap)
            self._handle(gap)
        self._reopened_at = self.upto
        self._follower.reopen()

    async def follow(self) -> None:
        """Passes the events of the feed to the machine, without end. Resumes when the store is back.

        The first event is the starting position: anti-entropy covers all changes before it.
        """
        feed_events = self._follower.events(self._feed_lost)
        async with contextlib.aclosing(feed_events):
            async for event in feed_events:
                self._name_feed(event)
                self._handle(event)

    def _name_feed(self, event: FeedEvent) -> None:
        generation = self._follower.position.generation or 0
        if generation != self._generation or isinstance(event, FeedRestarted):
            self._generation = generation
            self._handle(events.FeedOpened(generation))

    def reopen(self) -> None:
        """Asks the store anew which feed it has, because somebody has seen another one."""
        self._follower.reopen()

    def _feed_lost(self, _: LinkError) -> None:
        self._handle(events.StoreLost())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._dialer.close()
