"""Routes about the node and the mesh around it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from falcon.asgi import Request, Response

from peatnode.api.encode_document import JSON
from peatnode.api.encode_node import node_content
from peatnode.api.encode_peer import peer_content, peers_content, topology_content
from peatnode.api.failures import HttpProblem
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
from workers.broker.http.requests import check_parameters
from workers.broker.node.readiness import checks
from workers.broker.services import BrokerServices
from workers.broker.worker_client import WorkerClient

ReplyT = TypeVar("ReplyT", bound=Message)

PROBE_SECONDS = 1.0
"""How long a check waits for a worker."""

NO_PARAMETERS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Survey:
    """What each worker said of itself; None: nothing in time."""

    node: NodeReply | None
    store: StoreReply | None
    peers: PeersReply | None
    discovery: DiscoveryReply | None


async def survey(broker: BrokerServices) -> Survey:
    node, store, peers, discovery = await asyncio.gather(
        probe(broker.supervisor, GetNode()),
        probe(broker.store, GetStore()),
        probe(broker.sync, GetPeers()),
        probe(broker.discovery, GetDiscovery()),
    )
    broker.node = node or broker.node
    return Survey(node, store, peers, discovery)


async def probe(upstream: WorkerClient, message: Ask[ReplyT]) -> ReplyT | None:
    try:
        return await upstream.ask_once(message, PROBE_SECONDS)
    except LinkError:
        return None


class HealthResource:
    """GET /health: this process answers, and that is all it says."""

    def __init__(self, broker: BrokerServices) -> None:
        content = {"status": "healthy", "node_id": broker.settings.node_id}
        self._body = orjson.dumps(content)

    async def on_get(self, request: Request, response: Response) -> None:
        response.content_type = JSON
        response.data = self._body

    on_head = on_get


class ReadyResource:
    """GET /ready: 200 or 503, and every check."""

    def __init__(self, broker: BrokerServices) -> None:
        self._broker = broker

    async def on_get(self, request: Request, response: Response) -> None:
        seen = await survey(self._broker)
        is_stopping = self._broker.stopping.is_set()
        found = checks(seen.node, seen.store, seen.peers, seen.discovery, is_stopping)
        is_ready = all(check.is_ready for check in found)
        self._broker.is_ready = is_ready
        content = {
            "ready": is_ready,
            "node_id": self._broker.settings.node_id,
            "checks": [
                {"name": check.name, "ready": check.is_ready, "message": check.message}
                for check in found
            ],
        }
        _answer(response, content)
        response.status = 200 if is_ready else 503

    on_head = on_get


class NodeResource:
    """GET /node"""

    def __init__(self, broker: BrokerServices) -> None:
        self._broker = broker

    async def on_get(self, request: Request, response: Response) -> None:
        check_parameters(request, NO_PARAMETERS)
        node, store, discovery = await asyncio.gather(
            self._broker.supervisor.ask_retrying(GetNode()),
            probe(self._broker.store, GetStore()),
            probe(self._broker.discovery, GetDiscovery()),
        )
        _answer(response, node_content(node, store, discovery, time.time()))

    on_head = on_get


class PeersResource:
    """GET /peers"""

    def __init__(self, broker: BrokerServices) -> None:
        self._broker = broker

    async def on_get(self, request: Request, response: Response) -> None:
        check_parameters(request, NO_PARAMETERS)
        _answer(response, peers_content(await self._broker.sync.ask_retrying(GetPeers())))

    on_head = on_get


class PeerResource:
    """GET /peers/{id}"""

    def __init__(self, broker: BrokerServices) -> None:
        self._broker = broker

    async def on_get(self, request: Request, response: Response, peer_id: str) -> None:
        check_parameters(request, NO_PARAMETERS)
        reply = await self._broker.sync.ask_retrying(GetPeers())
        for peer in reply.peers:
            if peer_id in (peer.id, peer.instance):
                _answer(response, peer_content(peer))
                return
        raise HttpProblem(404, "not-found", f"No peer {peer_id!r} is known here.", "id")

    on_head = on_get


class TopologyResource:
    """GET /topology"""

    def __init__(self, broker: BrokerServices) -> None:
        self._broker = broker

    async def on_get(self, request: Request, response: Response) -> None:
        check_parameters(request, NO_PARAMETERS)
        peers, node = await asyncio.gather(
            self._broker.sync.ask_retrying(GetPeers()),
            self._broker.supervisor.ask_retrying(GetNode()),
        )
        _answer(response, topology_content(node, peers))

    on_head = on_get


def _answer(response: Response, content: dict[str, Any]) -> None:
    response.content_type = JSON
    response.data = orjson.dumps(content)
