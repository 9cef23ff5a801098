"""The bodies of responses about peers and the graph of the mesh, with their schemas."""

from __future__ import annotations

from typing import Any

from peatnode.api.failures import sentence
from peatnode.api.json_schema import (
    FINGERPRINT,
    FLAG,
    INTEGER,
    NUMBER,
    TEXT,
    array,
    nullable,
    record,
    ref,
)
from peatnode.ipc.messages import NodeReply, PeerLogReply, PeersReply, PeerState
from peatnode.model.clock import ClockState
from peatnode.model.members import PeerEventKind
from peatnode.model.states import PeerStatus

PEER_SCHEMA = record(
    id=TEXT,
    connected=FLAG,
    state={"enum": list(PeerStatus)},
    rtt_ms=nullable("number"),
    in_sync=FLAG,
    behind_documents=nullable("integer"),
    out_of_sync_since=nullable("number"),
    reason=TEXT,
    instance=TEXT,
    endpoint_id=TEXT,
    connected_since=nullable("number"),
    last_seen=nullable("number"),
    addresses=array(TEXT),
    sources=array(TEXT),
    metadata={"type": "object", "additionalProperties": TEXT},
    neighbours=array(TEXT),
    bytes_sent=INTEGER,
    bytes_received=INTEGER,
    twin=FLAG,
    version=TEXT,
    clock_offset=nullable("number"),
    absent_since=nullable("number"),
    failing_since=nullable("number"),
    last_equal=nullable("number"),
    root=FINGERPRINT,
    documents=nullable("integer"),
    remembered=FLAG,
    expected=FLAG,
    documents_per_second=NUMBER,
    seconds_left=nullable("number"),
    blocked_since=nullable("number"),
    deletions_paused_since=nullable("number"),
    deletions_refused=INTEGER,
)

PEERS_SCHEMA = record(
    now={"type": "number", "description": "Unix seconds by the clock of the node."},
    count=INTEGER,
    connected=INTEGER,
    root=FINGERPRINT,
    documents=nullable("integer"),
    expected=INTEGER,
    missing=array(TEXT),
    differing=array(TEXT),
    clock=ref("Clock"),
    peers=array(ref("Peer")),
)

CLOCK_SCHEMA = record(
    state={"enum": list(ClockState)},
    message=TEXT,
    offset_seconds={
        **nullable("number"),
        "description": "The clock of this node minus the median of its connected peers; null: not known.",
    },
)

PEER_LOG_SCHEMA = record(
    count=INTEGER,
    events=array(
        record(
            time={"type": "number", "description": "Unix seconds."},
            peer=TEXT,
            kind={"enum": list(PeerEventKind)},
            detail=TEXT,
        )
    ),
)

TOPOLOGY_SCHEMA = record(
    peer_count=INTEGER,
    role={"enum": ["member", "standalone"]},
    hierarchy_level=INTEGER,
    node_id=TEXT,
    nodes=array(
        record(
            ("state", "twin", "absent_since", "expected"),
            id=TEXT,
            self=FLAG,
            connected=FLAG,
            in_sync=nullable("boolean"),
            state={"enum": list(PeerStatus)},
            twin=FLAG,
            absent_since=nullable("number"),
            expected=FLAG,
        )
    ),
    edges=array(
        record(
            **{"from": TEXT, "to": TEXT},
            rtt_ms=nullable("number"),
            in_sync=nullable("boolean"),
        )
    ),
)


def encode_peer(peer: PeerState) -> dict[str, Any]:
    return {
        "id": peer.id,
        "connected": peer.is_connected,
        "state": peer.state,
        "rtt_ms": peer.rtt_ms if peer.rtt_ms >= 0 else None,
        "in_sync": peer.is_in_sync,
        "behind_documents": peer.behind_documents if peer.behind_documents >= 0 else None,
        "out_of_sync_since": peer.out_of_sync_since or None,
        "reason": peer.reason,
        "instance": peer.instance,
        "endpoint_id": peer.endpoint_id,
        "connected_since": peer.connected_since or None,
        "last_seen": peer.last_seen or None,
        "addresses": peer.addresses,
        "sources": peer.sources,
        "metadata": dict(peer.metadata),
        "neighbours": peer.neighbours,
        "bytes_sent": peer.bytes_sent,
        "bytes_received": peer.bytes_received,
        "twin": peer.is_twin,
        "version": peer.version,
        "clock_offset": round(peer.clock_offset, 3) if peer.is_clock_known else None,
        "absent_since": peer.absent_since or None,
        "failing_since": peer.failing_since or None,
        "last_equal": peer.last_equal or None,
        "root": peer.root.hex(),
        "documents": peer.documents if peer.documents >= 0 else None,
        "remembered": peer.is_remembered,
        "expected": peer.is_expected,
        "documents_per_second": round(peer.documents_per_second, 1),
        "seconds_left": round(peer.seconds_left, 1) if peer.seconds_left >= 0 else None,
        "blocked_since": peer.blocked_since or None,
        "deletions_paused_since": peer.deletions_paused_since or None,
        "deletions_refused": peer.deletions_refused,
    }


def encode_peers(reply: PeersReply) -> dict[str, Any]:
    return {
        "now": round(reply.now, 3),
        "count": len(reply.peers),
        "connected": sum(peer.is_connected for peer in reply.peers),
        "root": reply.root.hex(),
        "documents": reply.documents if reply.documents >= 0 else None,
        "expected": reply.expected,
        "missing": reply.missing,
        "differing": reply.differing,
        "clock": {
            "state": reply.clock.state,
            "message": sentence(reply.clock.reason),
            "offset_seconds": round(reply.clock_offset, 3) if reply.is_clock_offset_known else None,
        },
        "peers": [encode_peer(peer) for peer in reply.peers],
    }


def encode_peer_log(reply: PeerLogReply) -> dict[str, Any]:
    return {
        "count": len(reply.events),
        "events": [
            {"time": event.at, "peer": event.peer, "kind": event.kind, "detail": event.detail}
            for event in reply.events
        ],
    }


def encode_topology(node: NodeReply, reply: PeersReply) -> dict[str, Any]:
    """The graph that this node knows: its own connections, and those that its peers report."""
    connected = [peer for peer in reply.peers if peer.is_connected]
    nodes: dict[str, dict[str, Any]] = {
        node.node_id: {"id": node.node_id, "self": True, "connected": True, "in_sync": True}
    }
    edges: dict[tuple[str, str], dict[str, Any]] = {}
    for peer in reply.peers:
        if peer.is_connected or peer.id not in nodes:
            nodes[peer.id] = {**_node_of(peer), "self": peer.id == node.node_id}
    for peer in connected:
        edges[_pair(node.node_id, peer.id)] = {
            "rtt_ms": peer.rtt_ms if peer.rtt_ms >= 0 else None,
            "in_sync": peer.is_in_sync,
        }
        for neighbour in peer.neighbours:
            nodes.setdefault(
                neighbour, {"id": neighbour, "self": False, "connected": False, "in_sync": None}
            )
            edges.setdefault(_pair(peer.id, neighbour), {"rtt_ms": None, "in_sync": None})
    return {
        "peer_count": len(connected),
        "role": "member" if connected else "standalone",
        "hierarchy_level": 0,
        "node_id": node.node_id,
        "nodes": list(nodes.values()),
        "edges": [{"from": pair[0], "to": pair[1], **facts} for pair, facts in edges.items()],
    }


def _node_of(peer: PeerState) -> dict[str, Any]:
    return {
        "id": peer.id,
        "connected": peer.is_connected,
        "in_sync": peer.is_in_sync,
        "state": peer.state,
        "twin": peer.is_twin,
        "absent_since": peer.absent_since or None,
        "expected": peer.is_expected,
    }


def _pair(first: str, second: str) -> tuple[str, str]:
    """The key of an edge, which has no direction: both ids, sorted."""
    return (first, second) if first <= second else (second, first)
