"""Collects the reports of the workers, from all of them at once."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from peatnode.api.findings.replies import NoAnswer, NodeReplies, collected
from peatnode.errors import LinkError
from peatnode.ipc.messages import (
    Ask,
    DiscoveryReply,
    GetDiscovery,
    GetNode,
    GetPeers,
    GetStore,
    Message,
    StoreReply,
)
from workers.broker.worker_client import WorkerClient

ReplyT = TypeVar("ReplyT", bound=Message)

PROBE_SECONDS = 1.0
"""Time for a worker to answer."""


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

    async def take(self) -> NodeReplies:
        return collected(
            *await asyncio.gather(
                ask(self._supervisor, GetNode()),
                ask(self._store, GetStore()),
                ask(self._sync, GetPeers()),
                ask(self._discovery, GetDiscovery()),
            )
        )

    async def store(self) -> StoreReply | None:
        return await probe(self._store, GetStore())

    async def discovery(self) -> DiscoveryReply | None:
        return await probe(self._discovery, GetDiscovery())


async def ask(client: WorkerClient, message: Ask[ReplyT]) -> ReplyT | NoAnswer:
    """The answer of a worker, or why there is none within `PROBE_SECONDS`."""
    try:
        return await client.ask_once(message, PROBE_SECONDS)
    except LinkError as error:
        return NoAnswer(client.name, str(error))


async def probe(client: WorkerClient, message: Ask[ReplyT]) -> ReplyT | None:
    """The answer of a worker; None if it does not answer within `PROBE_SECONDS`."""
    reply = await ask(client, message)
    return None if isinstance(reply, NoAnswer) else reply
