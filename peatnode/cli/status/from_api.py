"""A report on a node elsewhere, asked of its API."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from peatnode.cli.status.report import NodeFacts, PeerFacts, Report, Silent, StoreFacts
from peatnode.cli.target import RemoteNode
from peatnode.client._wire.fields import Fields
from peatnode.client.errors import Unavailable, UnexpectedAnswer, UnknownOutcome, Unreachable
from peatnode.client.models import Node, NodeProblem, Peer, Peers, Readiness
from peatnode.client.retry import RetryPolicy

T = TypeVar("T")

ANSWER_SECONDS = 5.0


def inspect_afar(target: RemoteNode) -> Report:
    """Raises ClientError where the node refuses us (a wrong token); one that is not there makes an empty report."""
    from peatnode.client._sync.client import Client

    now = time.time()
    with Client(target.url, target.token, ANSWER_SECONDS, RetryPolicy(attempts=1)) as client:
        try:
            node = _asked("supervisor", client.node)
            readiness = _asked("broker", client.readiness)
            peers = _asked("sync", client.peers)
        except Unreachable as error:
            return Report(now, silent=(Silent(target.url, str(error)),))
    return report_of(node, readiness, peers, now)


def _asked(part: str, ask: Callable[[], T]) -> T | Silent:
    try:
        return ask()
    except (UnknownOutcome, Unavailable, UnexpectedAnswer) as error:
        return Silent(part, str(error))


def report_of(
    node: Node | Silent,
    readiness: Readiness | Silent,
    peers: Peers | Silent,
    now: float,
) -> Report:
    content = Fields({} if isinstance(node, Silent) else node.content)
    store = content.mapping_or_none("store")
    problems = () if isinstance(node, Silent) else node.problems
    failed = () if isinstance(readiness, Silent) else _failed_checks(readiness, node)
    return Report(
        taken_at=now,
        node=None if isinstance(node, Silent) else _node(node, content),
        workers=None if isinstance(node, Silent) else node.workers,
        peers=None if isinstance(peers, Silent) else tuple(peer_facts(peer) for peer in peers),
        differing=() if isinstance(peers, Silent) else peers.differing,
        store=None if store is None else _store(Fields(store)),
        sources=None if isinstance(node, Silent) else node.sources,
        problems=problems + failed,
        silent=tuple(part for part in (node, readiness, peers) if isinstance(part, Silent)),
    )


def _failed_checks(readiness: Readiness, node: Node | Silent) -> tuple[NodeProblem, ...]:
    """Those that say what is not known from elsewhere."""
    known = set[str]()
    if not isinstance(node, Silent):
        known = {"running", "workers"} | {f"{p.worker}.{p.name}" for p in node.problems}
        if node.content.get("store"):
            known.add("store")
        if node.sources is not None:
            known.add("discovery")
    return tuple(
        NodeProblem(check.name, "check", f"Not ready: {check.message or check.name}.", "", True, 0)
        for check in readiness.checks
        if not check.is_ready and check.name not in known
    )


def _node(node: Node, content: Fields) -> NodeFacts:
    return NodeFacts(
        node_id=node.node_id,
        cluster=node.cluster,
        instance=node.instance,
        device_id=node.device_id,
        endpoint_id=node.endpoint_id,
        version=node.version,
        pid=content.integer("pid"),
        uptime_secs=node.uptime_secs,
        data_dir=content.text("data_dir"),
        api=content.text("broker_address"),
        quic_port=content.integer("quic_port"),
        discovery=content.texts("discovery"),
        is_stopping=content.boolean("is_stopping"),
        supervisor_memory_bytes=content.integer("supervisor_memory_bytes"),
    )


def peer_facts(peer: Peer) -> PeerFacts:
    content = Fields(peer.content)
    return PeerFacts(
        id=peer.id,
        state=peer.state,
        is_connected=peer.is_connected,
        is_in_sync=peer.is_in_sync,
        behind_documents=peer.behind_documents,
        out_of_sync_since=peer.out_of_sync_since or None,
        rtt_ms=None if peer.rtt_ms is None or peer.rtt_ms < 0 else peer.rtt_ms,
        reason=peer.reason,
        is_twin=peer.is_twin,
        version=content.text("version"),
        addresses=content.texts("addresses"),
        sources=content.texts("sources"),
        neighbours=content.texts("neighbours"),
        connected_since=content.number_or_none("connected_since") or None,
    )


def _store(fields: Fields) -> StoreFacts:
    return StoreFacts(
        documents=fields.integer("documents"),
        tombstones=fields.integer("tombstones"),
        sequence=fields.integer("sequence"),
        root=fields.text("root"),
        disk_bytes=fields.integer("disk_bytes"),
        disk_free_bytes=fields.integer("disk_free_bytes"),
        is_writable=fields.boolean("is_writable", True),
        problem=fields.text("problem"),
        quarantined=fields.texts("quarantined"),
    )
