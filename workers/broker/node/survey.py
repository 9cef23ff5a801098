"""Collects the reports of the workers, from all of them at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar

from peatnode.errors import LinkError
from peatnode.ipc.messages import (
    Ask,
    DiscoveryReply,
    GetDiscovery,
    GetNode,
    GetPeers,
    GetStore,
    Message,
    NodeReply,
    PeersReply,
    StoreReply,
)
from workers.broker.worker_client import WorkerClient

ReplyT = TypeVar("ReplyT", bound=Message)

PROBE_SECONDS = 1.0
"""Time for a worker to answer."""


@dataclass(frozen=True, slots=True)
class WorkerReports:
    """The reports. None: the worker did not answer in time."""

    node: NodeReply | None
    store: StoreReply | None
    peers: PeersReply | None
    discovery: DiscoveryReply | None


class NodeSurvey:
    """Asks the workers that have a report, each within `PROBE_SECONDS`."""

    def __init__(
        self,
        supervisor: WorkerClient,
        store: WorkerClient,
        sync: WorkerClient,
        discovery: WorkerClient,
    ) -> None:
        self._supervisor = supervisor
        self._store = store
        self._sync = sync
        self._discovery = discovery

    async def take(self) -> WorkerReports:
        node, store, peers, discovery = await asyncio.gather(
            probe(self._supervisor, GetNode()),
            self.store(),
            probe(self._sync, GetPeers()),
            self.discovery(),
        )
        return WorkerReports(node, store, peers, discovery)

    async def store(self) -> StoreReply | None:
        return await probe(self._store, GetStore())

    async def discovery(self) -> DiscoveryReply | None:
        return await probe(self._discovery, GetDiscovery())


async def probe(client: WorkerClient, message: Ask[ReplyT]) -> ReplyT | None:
    """The answer of a worker; None if it does not answer within `PROBE_SECONDS`."""
    try:
        return await client.ask_once(message, PROBE_SECONDS)
    except LinkError:
        return None
