"""The node ids of peers by instance: changes name the instance that sent them, and people know node ids."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from peatnode.ipc.messages import PeersReply

INSTANCE_DIGITS = 32
"""Other origins of changes are shorter or contain other characters: `client:…`, `conflict`, or nothing."""

MAX_NAMES = 4096
"""Beyond it the names that were learned first are forgotten."""

ASK_AGAIN_SECONDS = 5.0
"""Pause before the sync worker is asked again for an instance that it did not know."""


class PeerNames:
    """Learns names from the sync worker when it meets an instance without one."""

    def __init__(self, ask: Callable[[], Awaitable[PeersReply | None]]) -> None:
        """`ask`: asks the sync worker for its peers; None: it does not answer."""
        self._ask = ask
        self._names: dict[str, str] = {}
        self._asked_at = -ASK_AGAIN_SECONDS

    def name_of(self, origin: str) -> str:
        """The node id of an instance, if it was learned. Empty: none."""
        return self._names.get(origin, "")

    async def learn(self, origins: Iterable[str]) -> None:
        """Asks for the peers if one of the origins is an instance without a name, but not again at once."""
        unknown = {one for one in origins if len(one) == INSTANCE_DIGITS and one not in self._names}
        now = asyncio.get_running_loop().time()
        if not unknown or now < self._asked_at + ASK_AGAIN_SECONDS:
            return
        self._asked_at = now
        reply = await self._ask()
        for peer in () if reply is None else reply.peers:
            if peer.instance:
                self._names[peer.instance] = peer.id
                unknown.discard(peer.instance)
        while len(self._names) > MAX_NAMES:
            del self._names[next(iter(self._names))]
        if not unknown:
            self._asked_at = -ASK_AGAIN_SECONDS
