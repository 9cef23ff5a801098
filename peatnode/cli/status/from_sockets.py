"""A report on a node of this machine, asked of its workers' sockets: it needs no broker."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TypeVar

from peatnode.cli.status.report import NodeFacts, PeerFacts, Report, Silent, StoreFacts
from peatnode.client.models import NodeProblem, Source, Worker
from peatnode.errors import AskFailed, AskTimedOut, LinkLost
from peatnode.ipc.link import Link
from peatnode.ipc.messages import (
    Ask,
    DiscoveryReply,
    GetDiscovery,
    GetNode,
    GetPeers,
    GetStore,
    Message,
    NodeReply,
    PeerState,
    StoreReply,
)

ReplyT = TypeVar("ReplyT", bound=Message)

ANSWER_SECONDS = 2.0
"""For one worker; all are asked at once."""


async def inspect_beside(run_dir: Path) -> Report:
    """Never raises for a worker that is down: that is what a report is for."""
    node, store, peers, discovery = await asyncio.gather(
        ask_worker(run_dir, "supervisor", GetNode()),
        ask_worker(run_dir, "store", GetStore()),
        ask_worker(run_dir, "sync", GetPeers()),
        ask_worker(run_dir, "discovery", GetDiscovery()),
    )
    answers = (node, store, peers, discovery)
    now = time.time()
    return Report(
        taken_at=now,
        node=None if isinstance(node, Silent) else node_facts(node),
        workers=None if isinstance(node, Silent) else workers_of(node, now),
        peers=None if isinstance(peers, Silent) else tuple(map(peer_facts, peers.peers)),
        differing=() if isinstance(peers, Silent) else peers.differing,
        store=None if isinstance(store, Silent) else store_facts(store),
        sources=None if isinstance(discovery, Silent) else sources_of(discovery),
        problems=() if isinstance(node, Silent) else problems_of(node),
        silent=tuple(answer for answer in answers if isinstance(answer, Silent)),
    )


async def ask_worker(run_dir: Path, worker: str, question: Ask[ReplyT]) -> ReplyT | Silent:
    try:
        async with asyncio.timeout(ANSWER_SECONDS + 0.5):
            async with await Link.connect(run_dir / f"{worker}.sock", "cli") as link:
                return await link.ask(question, ANSWER_SECONDS)
    except TimeoutError:
        return Silent(worker, f"no hello within {ANSWER_SECONDS:g} s")
    except (LinkLost, AskTimedOut, AskFailed) as error:
        return Silent(worker, str(error))


def node_facts(reply: NodeReply) -> NodeFacts:
    return NodeFacts(
        node_id=reply.node_id,
        cluster=reply.cluster,
        instance=reply.instance,
        device_id=reply.device_id,
        endpoint_id=reply.endpoint_id,
        version=reply.version,
        pid=reply.pid,
        uptime_secs=reply.uptime_seconds,
        data_dir=reply.data_dir,
        api=reply.broker_address,
        quic_port=reply.quic_port,
        discovery=reply.discovery,
        is_stopping=reply.is_stopping,
        supervisor_memory_bytes=reply.supervisor_memory_bytes,
    )


def workers_of(reply: NodeReply, now: float) -> tuple[Worker, ...]:
    return tuple(
        Worker(
            name=worker.name,
            state=worker.state,
            pid=worker.pid,
            restarts=worker.restarts,
            recycles=worker.recycles,
            memory_bytes=worker.memory_bytes,
            uptime_secs=max(0.0, now - worker.started_at) if worker.started_at else 0.0,
            stall_secs=worker.stall_seconds,
            last_exit=worker.last_exit,
        )
        for worker in reply.workers
    )


def problems_of(reply: NodeReply) -> tuple[NodeProblem, ...]:
    return tuple(
        NodeProblem(
            problem.worker,
            problem.name,
            problem.message,
            problem.advice,
            problem.blocks_readiness,
            problem.since,
        )
        for problem in reply.problems
    )


def peer_facts(peer: PeerState) -> PeerFacts:
    return PeerFacts(
        id=peer.id,
        state=peer.state,
        is_connected=peer.is_connected,
        is_in_sync=peer.is_in_sync,
        behind_documents=None if peer.behind_documents < 0 else peer.behind_documents,
        out_of_sync_since=peer.out_of_sync_since or None,
        rtt_ms=None if peer.rtt_ms < 0 else peer.rtt_ms,
        reason=peer.reason,
        is_twin=peer.is_twin,
        version=peer.version,
        addresses=peer.addresses,
        sources=peer.sources,
        neighbours=peer.neighbours,
        connected_since=peer.connected_since or None,
    )


def store_facts(reply: StoreReply) -> StoreFacts:
    return StoreFacts(
        documents=reply.documents,
        tombstones=reply.tombstones,
        sequence=reply.sequence,
        root=reply.root.hex(),
        disk_bytes=reply.disk_bytes,
        disk_free_bytes=reply.disk_free_bytes,
        is_writable=reply.is_writable,
        problem=reply.problem,
        quarantined=reply.quarantined,
    )


def sources_of(reply: DiscoveryReply) -> tuple[Source, ...]:
    return tuple(
        Source(
            name=source.name,
            state=source.state,
            message=source.message,
            peers=source.peers,
            age_secs=source.age_seconds if source.age_seconds >= 0 else None,
        )
        for source in reply.sources
    )
