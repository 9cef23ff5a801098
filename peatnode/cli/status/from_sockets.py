"""Makes the report on a local node from the sockets of its workers, without the broker.

The answers are encoded by `peatnode.api` and decoded by the client, so that both ways make the same report.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TypeVar

from peatnode.api.encode_node import encode_node, encode_sources, encode_store
from peatnode.api.encode_peer import encode_peers
from peatnode.api.findings.diagnose import diagnose
from peatnode.api.findings.finding import encode_findings
from peatnode.api.findings.replies import NoAnswer, collected
from peatnode.cli.status.report import StatusReport
from peatnode.client._wire.fields import Fields
from peatnode.client._wire.records import decode_record, decode_records
from peatnode.client.models import Node, NodeFinding, NodeStore, Peers, Source
from peatnode.errors import AskFailed, AskTimedOut, LinkLost
from peatnode.ipc.link import ask_once
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

ReplyT = TypeVar("ReplyT", bound=Message)

ANSWER_SECONDS = 2.0
"""Time for a worker to answer; all are asked at once."""


async def inspect_sockets(run_dir: Path) -> StatusReport:
    """The report. A worker that does not answer is an entry in it, not an error."""
    node, store, peers, discovery = await asyncio.gather(
        ask_worker(run_dir, "supervisor", GetNode()),
        ask_worker(run_dir, "store", GetStore()),
        ask_worker(run_dir, "sync", GetPeers()),
        ask_worker(run_dir, "discovery", GetDiscovery()),
    )
    return report_of(node, store, peers, discovery, time.time())


def report_of(
    node_reply: NodeReply | NoAnswer,
    store_reply: StoreReply | NoAnswer,
    peers_reply: PeersReply | NoAnswer,
    discovery_reply: DiscoveryReply | NoAnswer,
    now: float,
) -> StatusReport:
    replies = collected(node_reply, store_reply, peers_reply, discovery_reply)
    findings = encode_findings(diagnose(replies, now))
    node, store, peers, sources = None, None, None, None
    if replies.node is not None:
        node = decode_record(Node, Fields(encode_node(replies.node, None, None, now)))
    if replies.store is not None:
        store = decode_record(NodeStore, Fields(encode_store(replies.store)))
    if replies.peers is not None:
        peers = decode_record(Peers, Fields(encode_peers(replies.peers)))
    if replies.discovery is not None:
        sources = decode_records(Source, map(Fields, encode_sources(replies.discovery)))
    return StatusReport(
        taken_at=now,
        node=node,
        workers=None if node is None else node.workers,
        peers=None if peers is None else peers.peers,
        differing=() if peers is None else peers.differing,
        store=store,
        sources=sources,
        findings=decode_records(NodeFinding, map(Fields, findings)),
        unanswered=replies.unanswered,
    )


async def ask_worker(run_dir: Path, worker: str, question: Ask[ReplyT]) -> ReplyT | NoAnswer:
    """The answer of a worker, or why there is none."""
    try:
        return await ask_once(run_dir / f"{worker}.sock", "cli", question, ANSWER_SECONDS)
    except TimeoutError:
        return NoAnswer(worker, f"no hello within {ANSWER_SECONDS:g} s")
    except (LinkLost, AskTimedOut, AskFailed) as error:
        return NoAnswer(worker, str(error))
