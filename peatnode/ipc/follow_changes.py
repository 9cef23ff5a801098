"""A follower of the store's feed: it resumes from its position, and detects a feed that has restarted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace
from typing import Protocol

from peatnode.errors import AskFailed, AskTimedOut, LinkError, LinkLost
from peatnode.ipc.feed_position import FeedPosition, FollowerState
from peatnode.ipc.link import Link
from peatnode.ipc.messages import (
    ChangesSeen,
    Failure,
    FeedGap,
    FollowChanges,
    GetStore,
    StoreReply,
)
from peatnode.model.feed import FeedEvent

ASK_SECONDS = 30.0

_TRANSIENT = (Failure.UNAVAILABLE, Failure.BUSY)
"""Failures after which the same request may succeed."""


class LinkSource(Protocol):
    """Opens links to the store: a `Dialer`, or an object that wraps one."""

    async def wait_open(self) -> Link: ...


class ChangeFollower:
    """Follows the store's feed from `request.since`, and survives restarts of the store and lost links.

    A negative `since` begins after the newest change. `generation` belongs to the store that assigned
    `since`, if known.
    """

    def __init__(
        self, store: LinkSource, request: FollowChanges, generation: int | None = None
    ) -> None:
        self._store = store
        self._request = request
        self._state = FollowerState(FeedPosition(request.since, generation))
        self._waiting: asyncio.Timeout | None = None
        """Set while the next event is awaited."""

    @property
    def position(self) -> FeedPosition:
        """The position after the last event that was yielded."""
        return self._state.position

    def begin(self, store: StoreReply) -> None:
        """Sets the position before the first stream is opened."""
        self._state.open(store.sequence, store.generation)

    def pass_over(self, gap: FeedGap) -> None:
        """Moves the position past a gap that the store did not report."""
        self._state.receive(gap)

    def reopen(self) -> None:
        """Reopens the stream from the current position, if an event is being awaited."""
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def events(
        self, on_loss: Callable[[LinkError], None] | None = None
    ) -> AsyncGenerator[FeedEvent, None]:
        """Yields events without end. The first event
        of a follower without a position is its starting position.

        `on_loss` is called when a stream breaks. Raises AskFailed if the store refuses the request,
        ContractMismatch.
        """
        while True:
            stream = self._stream()
            try:
                async for event in stream:
                    yield event
            except (LinkLost, AskTimedOut, AskFailed) as error:
                if isinstance(error, AskFailed) and error.code not in _TRANSIENT:
                    raise
                if on_loss is not None:
                    on_loss(error)
                await asyncio.sleep(self._state.pause_after_loss())
            finally:
                await stream.aclose()

    async def _stream(self) -> AsyncGenerator[FeedEvent, None]:
        """Yields the events of one stream, until it breaks or must be reopened."""
        link = await self._store.wait_open()
        # The same link opens the stream: `Link.follow` fails if the store has been replaced in between.
        store = await link.ask(GetStore(), ASK_SECONDS)
        first_event = self._state.open(store.sequence, store.generation)
        if first_event is not None:
            yield first_event
        stream = link.follow(replace(self._request, since=self.position.sequence))
        try:
            while (event := await self._next(stream)) is not None:
                self._state.receive(event)
                yield event
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    async def _next(
        self, stream: AsyncIterator[ChangesSeen | FeedGap]
    ) -> ChangesSeen | FeedGap | None:
        """None: `reopen` was called."""
        try:
            async with asyncio.timeout(None) as self._waiting:
                return await anext(stream)
        except TimeoutError:
            return None
        finally:
            self._waiting = None
