"""A subscriber of FollowDiscovery receives all peers first, then every change, at its own pace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from peatnode.errors import LinkLost
from peatnode.ipc.link import Connection
from peatnode.ipc.messages import DiscoveredPeer, PeerFound, PeerLost

BATCH = 100
"""Events between two checks of whether the reader keeps up."""


class DiscoverySubscriber:
    """One stream. For each peer at most one event, the newest, waits for a slow reader."""

    def __init__(self, connection: Connection, cause: int, peers: Iterable[DiscoveredPeer]) -> None:
        self.connection = connection
        self._cause = cause
        self._waiting: dict[str, PeerFound | PeerLost] = {p.key: PeerFound(p) for p in peers}
        self._is_news = asyncio.Event()
        self._is_news.set()
        self._task = asyncio.create_task(self._run())

    def enqueue(self, events: Iterable[PeerFound | PeerLost]) -> None:
        for event in events:
            key = event.peer.key if isinstance(event, PeerFound) else event.key
            self._waiting.pop(key, None)
            self._waiting[key] = event
        self._is_news.set()

    def close(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                await self._is_news.wait()
                self._is_news.clear()
                while self._waiting:
                    await self.connection.wait_writable()
                    for key in list(self._waiting)[:BATCH]:
                        self.connection.reply(self._cause, self._waiting.pop(key))
                    await asyncio.sleep(0)  # the frames of this turn are written at its end
        except LinkLost:
            return
