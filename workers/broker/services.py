"""What the routes of one gunicorn worker share."""

from __future__ import annotations

import asyncio

from peatnode.ipc.messages import NodeReply
from workers.broker.feed.fanout import ChangeFanout, TopologyFanout
from workers.broker.http.counters import HttpCounters
from workers.broker.settings import BrokerSettings
from workers.broker.worker_client import StoreClient, WorkerClient
from workers.broker.yjs.rooms import Rooms


class BrokerServices:
    """Links, followers and counters. Made inside the loop that serves."""

    def __init__(self, settings: BrokerSettings) -> None:
        self.settings = settings
        self.limits = settings.limits
        self.store = StoreClient(settings.run_dir, settings.limits.ask_seconds)
        self.sync = WorkerClient(settings.run_dir, "sync", settings.limits.ask_seconds)
        self.supervisor = WorkerClient(settings.run_dir, "supervisor", settings.limits.ask_seconds)
        self.discovery = WorkerClient(settings.run_dir, "discovery", settings.limits.ask_seconds)
        self.engine = WorkerClient(settings.run_dir, "engine", settings.limits.ask_seconds)
        self.counters = HttpCounters()
        self.changes = ChangeFanout(self.store, settings.limits, with_value=False)
        self.values = ChangeFanout(self.store, settings.limits, with_value=True)
        self.topology = TopologyFanout(self.sync, settings.limits)
        self.rooms = Rooms(self.store, self.sync)
        self.stopping = asyncio.Event()
        """Set when the node stops: readiness fails, streams end, what is under way is finished."""
        self.is_ready = False
        """As last checked."""
        self.node: NodeReply | None = None
        """As last told by the supervisor."""

    def begin_stop(self) -> None:
        self.stopping.set()
        for fanout in (self.changes, self.values, self.topology):
            fanout.disconnect("the node is stopping")
        self.rooms.close()

    async def close(self) -> None:
        for fanout in (self.changes, self.values, self.topology):
            await fanout.close()
        for upstream in (self.store, self.sync, self.supervisor, self.discovery, self.engine):
            await upstream.close()
