"""The sources of all event streams of this process."""

from __future__ import annotations

import asyncio

from peatnode.errors import LinkError
from peatnode.ipc.messages import GetPeers, PeersReply
from peatnode.ipc.peer_names import PeerNames
from workers.broker.feed.fanout import ChangeFanout, TopologyFanout
from workers.broker.feed.subscriber import Selection
from workers.broker.http.limits import BrokerLimits
from workers.broker.worker_client import WorkerClient

NAMES_SECONDS = 1.0
"""Time for the sync worker to tell the names of peers that sent changes."""


class EventFeed:
    """Owns the fanouts: of changes with values, of changes without, and of the topology."""

    def __init__(
        self, store: WorkerClient, sync: WorkerClient, limits: BrokerLimits, stopping: asyncio.Event
    ) -> None:
        self.store = store
        self._sync = sync
        self.limits = limits
        self.stopping = stopping
        self.names = PeerNames(self._peers)
        """Of the peers that sent changes."""
        self.topology = TopologyFanout(sync, limits)
        self.changes = ChangeFanout(store, self.names, limits, with_value=False)
        self.values = ChangeFanout(store, self.names, limits, with_value=True)

    @property
    def count(self) -> int:
        """Number of open streams: each has joined the fanout of the topology."""
        return self.topology.count

    @property
    def queued_bytes(self) -> int:
        """Bytes of changes in the queues of all subscribers."""
        return self.changes.queued_bytes + self.values.queued_bytes

    def fanout_of(self, selection: Selection) -> ChangeFanout:
        return self.values if selection.with_value else self.changes

    def disconnect(self, reason: str) -> None:
        """Ends all streams; `reason` is sent to their clients."""
        for fanout in (self.changes, self.values, self.topology):
            fanout.disconnect(reason)

    async def _peers(self) -> PeersReply | None:
        """None: the sync worker does not answer."""
        try:
            return await self._sync.ask_once(GetPeers(), NAMES_SECONDS)
        except LinkError:
            return None

    async def close(self) -> None:
        for fanout in (self.changes, self.values, self.topology):
            await fanout.close()
