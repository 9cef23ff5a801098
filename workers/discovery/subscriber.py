"""Sends a subscriber of FollowDiscovery all peers, then every change, as fast as it reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from peatnode.errors import LinkLost
from peatnode.ipc.link import Connection
from peatnode.ipc.messages import DiscoveredPeer, PeerFound, PeerLost

BATCH = 100
"""Events that are sent between two checks of whether the reader is fast enough."""


class DiscoverySubscriber:
    """One stream. For a slow reader only the newest event of each peer waits."""

    def __init__(self, connection: Connection, cause: int, peers: Iterable[DiscoveredPeer]) -> None:
        self.connection = connection
        self._cause = cause
        self._waiting: dict[str, PeerFound | PeerLost] = {p.key: PeerFound(p) for p in peers}
        self._has_waiting = asyncio.Event()
        self._has_waiting.set()
        self._task = asyncio.create_task(self._run())

    def enqueue(self, events: Iterable[PeerFound | PeerLost]) -> None:
        for event in events:
            key = event.peer.key if isinstance(event, PeerFound) else event.key
            self._waiting.pop(key, None)
            self._waiting[key] = event
        self._has_waiting.set()

    def close(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                await self._has_waiting.wait()
                self._has_waiting.clear()
                while self._waiting:
                    await self.connection.wait_writable()
                    for key in list(self._waiting)[:BATCH]:
                        self.connection.reply(self._cause, self._waiting.pop(key))
                    await asyncio.sleep(0)  # lets the loop write the frames of this turn
        except LinkLost:
            return
