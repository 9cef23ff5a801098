"""The routes of the node, its peers and the mesh."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
from falcon.asgi import Request, Response

from peatnode.api.encode_document import JSON
from peatnode.api.encode_node import encode_node
from peatnode.api.encode_peer import (
    encode_peer,
    encode_peer_log,
    encode_peers,
    encode_topology,
)
from peatnode.api.failures import HttpProblem
from peatnode.api.findings.diagnose import diagnose
from peatnode.api.findings.finding import encode_findings
from peatnode.ipc.messages import (
    AllowDeletions,
    BlockPeer,
    ForgetPeer,
    GetNode,
    GetPeerLog,
    GetPeers,
    UnblockPeer,
)
from peatnode.model.members import MAX_BLOCK_REASON
from workers.broker.http.authentication import Access, TokenAuthenticator, bearer
from workers.broker.http.requests import check_parameters, text_parameter
from workers.broker.node.readiness import checks
from workers.broker.node.survey import NodeSurvey
from workers.broker.worker_client import WorkerClient

NO_PARAMETERS: frozenset[str] = frozenset()
BLOCK_PARAMETERS = frozenset({"reason"})


class HealthResource:
    """GET /health: shows that this process answers. It checks nothing else."""

    def __init__(self, node_id: str) -> None:
        self._body = orjson.dumps({"status": "healthy", "node_id": node_id})

    async def on_get(self, request: Request, response: Response) -> None:
        response.content_type = JSON
        response.data = self._body

    on_head = on_get


class ReadyResource:
    """GET /ready: 200 or 503, every check, and what else is to be known of the node.

    The route needs no token, so that probes can use it. Findings name peers and documents: who is not allowed to
    read these does not receive them.
    """

    def __init__(
        self,
        node_id: str,
        survey: NodeSurvey,
        stopping: asyncio.Event,
        authenticator: TokenAuthenticator,
    ) -> None:
        self._node_id = node_id
        self._survey = survey
        self._stopping = stopping
        self._authenticator = authenticator

    async def on_get(self, request: Request, response: Response) -> None:
        replies = await self._survey.take()
        found = checks(replies.node, replies.store, self._stopping.is_set())
        is_ready = all(check.is_ready for check in found)
        content: dict[str, Any] = {
            "ready": is_ready,
            "node_id": self._node_id,
            "checks": [
                {"name": check.name, "ready": check.is_ready, "message": check.message}
                for check in found
            ],
        }
        if self._may_read(request):
            findings = diagnose(replies, time.time(), self._stopping.is_set())
            content["findings"] = encode_findings(findings)
        _answer(response, content)
        response.status = 200 if is_ready else 503

    on_head = on_get

    def _may_read(self, request: Request) -> bool:
        header = request.get_header("authorization")
        token = bearer(None if header is None else header.encode("latin-1", "replace"))
        return self._authenticator.access(token) is not Access.NONE


class NodeResource:
    """GET /node"""

    def __init__(self, supervisor: WorkerClient, survey: NodeSurvey) -> None:
        self._supervisor = supervisor
        self._survey = survey

    async def on_get(self, request: Request, response: Response) -> None:
        check_parameters(request, NO_PARAMETERS)
        node, store, discovery = await asyncio.gather(
            self._supervisor.ask_retrying(GetNode()), self._survey.store(), self._survey.discovery()
        )
        _answer(response, encode_node(node, store, discovery, time.time()))

    on_head = on_get


class PeersResource:
    """GET /peers"""

    def __init__(self, sync: WorkerClient) -> None:
        self._sync = sync

    async def on_get(self, request: Request, response: Response) -> None:
        check_parameters(request, NO_PARAMETERS)
        _answer(response, encode_peers(await self._sync.ask_retrying(GetPeers())))

    on_head = on_get


class PeerResource:
    """GET and DELETE /peers/{id}"""

    def __init__(self, sync: WorkerClient) -> None:
        self._sync = sync

    async def on_get(self, request: Request, response: Response, peer_id: str) -> None:
        check_parameters(request, NO_PARAMETERS)
        reply = await self._sync.ask_retrying(GetPeers())
        for peer in reply.peers:
            if peer_id in (peer.id, peer.instance):
                _answer(response, encode_peer(peer))
                return
        raise HttpProblem(404, "not-found", f"This node knows no peer {peer_id!r}.", "id")

    on_head = on_get

    async def on_delete(self, request: Request, response: Response, peer_id: str) -> None:
        check_parameters(request, NO_PARAMETERS)
        try:
            await self._sync.ask_retrying(ForgetPeer(peer_id))
        except HttpProblem as problem:
            if problem.status != 422:
                raise
            raise HttpProblem(409, "connected", problem.detail, "id") from None
        response.status = 204


class PeerBlockResource:
    """PUT and DELETE /peers/{id}/block"""

    def __init__(self, sync: WorkerClient) -> None:
        self._sync = sync

    async def on_put(self, request: Request, response: Response, peer_id: str) -> None:
        check_parameters(request, BLOCK_PARAMETERS)
        reason = text_parameter(request, "reason")
        if len(reason) > MAX_BLOCK_REASON:
            detail = f"A reason has at most {MAX_BLOCK_REASON} characters."
            raise HttpProblem(400, "bad-parameter", detail, "reason")
        await self._sync.ask_retrying(BlockPeer(peer_id, reason))
        response.status = 204

    async def on_delete(self, request: Request, response: Response, peer_id: str) -> None:
        check_parameters(request, NO_PARAMETERS)
        await self._sync.ask_retrying(UnblockPeer(peer_id))
        response.status = 204


class DeletionPauseResource:
    """DELETE /peers/{id}/deletion-pause"""

    def __init__(self, sync: WorkerClient) -> None:
        self._sync = sync

    async def on_delete(self, request: Request, response: Response, peer_id: str) -> None:
        check_parameters(request, NO_PARAMETERS)
        await self._sync.ask_retrying(AllowDeletions(peer_id))
        response.status = 204


class PeerLogResource:
    """GET /peer-log"""

    def __init__(self, sync: WorkerClient) -> None:
        self._sync = sync

    async def on_get(self, request: Request, response: Response) -> None:
        check_parameters(request, NO_PARAMETERS)
        _answer(response, encode_peer_log(await self._sync.ask_retrying(GetPeerLog())))

    on_head = on_get


class TopologyResource:
    """GET /topology"""

    def __init__(self, supervisor: WorkerClient, sync: WorkerClient) -> None:
        self._supervisor = supervisor
        self._sync = sync

    async def on_get(self, request: Request, response: Response) -> None:
        check_parameters(request, NO_PARAMETERS)
        peers, node = await asyncio.gather(
            self._sync.ask_retrying(GetPeers()), self._supervisor.ask_retrying(GetNode())
        )
        _answer(response, encode_topology(node, peers))

    on_head = on_get


def _answer(response: Response, content: dict[str, Any]) -> None:
    response.content_type = JSON
    response.data = orjson.dumps(content)
