"""The objects that the routes of one serving process share. Only `app`, `routes` and `server` import it.

Each resource receives in its constructor only the objects that it uses.
"""

from __future__ import annotations

import asyncio

from peatnode.supervision.workers import WORKERS
from workers.broker.documents.writes import DocumentWriter
from workers.broker.feed.event_feed import EventFeed
from workers.broker.http.authentication import TokenAuthenticator
from workers.broker.http.counters import HttpCounters
from workers.broker.node.survey import NodeSurvey
from workers.broker.settings import BrokerSettings
from workers.broker.worker_client import StoreClient, WorkerClient
from workers.broker.yjs.rooms import Rooms


class BrokerServices:
    """The links to the workers, and the objects made from them. Create it inside the serving loop."""

    def __init__(self, settings: BrokerSettings) -> None:
        limits, run_dir = settings.limits, settings.run_dir
        self.node_id = settings.node_id
        self.limits = limits
        self.store = StoreClient(run_dir, limits.ask_seconds)
        self.supervisor = WorkerClient(run_dir, "supervisor", limits.ask_seconds)
        links = {self.store.name: self.store} | {
            worker.name: WorkerClient(run_dir, worker.name, limits.ask_seconds)
            for worker in WORKERS
            if worker.has_socket and worker.name != self.store.name
        }
        self.workers = tuple(links.values())
        """Links to all workers with a socket: all except the broker."""
        self.sync = links["sync"]
        self.stopping = asyncio.Event()
        """Set when the node stops: readiness fails, streams end, and requests in progress finish."""
        self.counters = HttpCounters()
        self.authenticator = TokenAuthenticator(settings.api_token, settings.read_token)
        self.survey = NodeSurvey(self.supervisor, self.store, self.sync, links["discovery"])
        self.writer = DocumentWriter(self.store, self.sync, limits)
        self.feed = EventFeed(self.store, self.sync, limits, self.stopping)
        self.rooms = Rooms(self.store, self.sync, self.counters.drop_presence)

    def begin_stop(self) -> None:
        """Fails readiness, and ends all streams and Yjs sessions."""
        self.stopping.set()
        self.feed.disconnect("the node is stopping")
        self.rooms.close()

    async def close(self) -> None:
        await self.feed.close()
        for client in (*self.workers, self.supervisor):
            await client.close()
