"""The one follower of the feed: it resumes where it was, and notices a feed that restarted."""

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

_PASSING = (Failure.UNAVAILABLE, Failure.BUSY)
"""Refusals after which the same request may succeed."""


class LinkSource(Protocol):
    """Opens links to the store: a `Dialer`, or what stands around one."""

    async def wait_open(self) -> Link: ...


class ChangeFollower:
    """Follows the store's feed from `request.since`, across the deaths of the store and of links.

    A negative `since` begins with the newest change. `generation` is that of the store that counted `since`, if known.
    """

    def __init__(
        self, store: LinkSource, request: FollowChanges, generation: int | None = None
    ) -> None:
        self._store = store
        self._request = request
        self._state = FollowerState(FeedPosition(request.since, generation))
        self._waiting: asyncio.Timeout | None = None
        """While the next event is awaited."""

    @property
    def position(self) -> FeedPosition:
        """Includes the event that was handed out last."""
        return self._state.position

    def begin(self, store: StoreReply) -> None:
        """Makes the position known before the first stream is open."""
        self._state.open(store.sequence, store.generation)

    def pass_over(self, gap: FeedGap) -> None:
        """Goes on after a gap that the store did not name."""
        self._state.receive(gap)

    def reopen(self) -> None:
        """Opens the stream anew from the position, if it awaits an event."""
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def events(
        self, on_loss: Callable[[LinkError], None] | None = None
    ) -> AsyncGenerator[FeedEvent, None]:
        """Without end. The first event of a follower without a position says where it begins.

        `on_loss` is called when a stream breaks. Raises AskFailed where the store refuses, ContractMismatch.
        """
        while True:
            stream = self._stream()
            try:
                async for event in stream:
                    yield event
            except (LinkLost, AskTimedOut, AskFailed) as error:
                if isinstance(error, AskFailed) and error.code not in _PASSING:
                    raise
                if on_loss is not None:
                    on_loss(error)
                await asyncio.sleep(self._state.pause_after_loss())
            finally:
                await stream.aclose()

    async def _stream(self) -> AsyncGenerator[FeedEvent, None]:
        """One stream, until it breaks or is to be opened anew."""
        link = await self._store.wait_open()
        # Of this link: `Link.follow` fails if the store has been replaced since.
        store = await link.ask(GetStore(), ASK_SECONDS)
        beginning = self._state.open(store.sequence, store.generation)
        if beginning is not None:
            yield beginning
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
