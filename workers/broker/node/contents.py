"""The bodies of answers about the node, its peers and the mesh. Pure."""

from __future__ import annotations

from typing import Any

from peatnode.ipc.messages import (
    DiscoveryReply,
    NodeReply,
    PeersReply,
    PeerState,
    SourceState,
    StoreReply,
    WorkerState,
)


def node_content(
    node: NodeReply, store: StoreReply | None, discovery: DiscoveryReply | None, now: float
) -> dict[str, Any]:
    """None: a worker that did not answer."""
    return {
        "node_id": node.node_id,
        "uptime_secs": int(node.uptime_seconds),
        "version": node.version,
        "device_id": node.device_id,
        "endpoint_id": node.endpoint_id,
        "cluster": node.cluster,
        "instance": node.instance,
        "pid": node.pid,
        "started_at": node.started_at,
        "data_dir": node.data_dir,
        "broker_address": node.broker_address,
        "quic_port": node.quic_port,
        "discovery": node.discovery,
        "has_token": node.has_token,
        "is_stopping": node.is_stopping,
        "supervisor_memory_bytes": node.supervisor_memory_bytes,
        "workers": [_worker(worker, now) for worker in node.workers],
        "problems": [
            {
                "worker": problem.worker,
                "name": problem.name,
                "message": problem.message,
                "advice": problem.advice,
                "blocks_readiness": problem.blocks_readiness,
                "since": problem.since,
            }
            for problem in node.problems
        ],
        "store": None if store is None else _store(store),
        "discovery_sources": None
        if discovery is None
        else [_source(source) for source in discovery.sources],
    }


def _worker(worker: WorkerState, now: float) -> dict[str, Any]:
    return {
        "name": worker.name,
        "state": worker.state,
        "pid": worker.pid,
        "restarts": worker.restarts,
        "recycles": worker.recycles,
        "memory_bytes": worker.memory_bytes,
        "stall_secs": worker.stall_seconds,
        "started_at": worker.started_at,
        "uptime_secs": max(0, int(now - worker.started_at)) if worker.started_at else 0,
        "last_exit": worker.last_exit,
    }


def _store(store: StoreReply) -> dict[str, Any]:
    return {
        "documents": store.documents,
        "tombstones": store.tombstones,
        "sequence": store.sequence,
        "oldest_sequence": store.oldest_sequence,
        "root": store.root.hex(),
        "generation": store.generation,
        "disk_bytes": store.disk_bytes,
        "disk_free_bytes": store.disk_free_bytes,
        "is_writable": store.is_writable,
        "problem": store.problem,
        "quarantined": store.quarantined,
        "engine_is_ready": store.engine_is_ready,
    }


def _source(source: SourceState) -> dict[str, Any]:
    return {
        "name": source.name,
        "state": source.state,
        "message": source.message,
        "peers": source.peers,
        "age_secs": source.age_seconds if source.age_seconds >= 0 else None,
    }


def peer_content(peer: PeerState) -> dict[str, Any]:
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
    }


def peers_content(reply: PeersReply) -> dict[str, Any]:
    return {
        "count": len(reply.peers),
        "connected": sum(peer.is_connected for peer in reply.peers),
        "root": reply.root.hex(),
        "differing": reply.differing,
        "peers": [peer_content(peer) for peer in reply.peers],
    }


def topology_content(node: NodeReply, reply: PeersReply) -> dict[str, Any]:
    """The graph as this node knows it: its own links, and what its peers told of theirs."""
    connected = [peer for peer in reply.peers if peer.is_connected]
    nodes: dict[str, dict[str, Any]] = {
        node.node_id: {"id": node.node_id, "self": True, "connected": True, "in_sync": True}
    }
    edges: dict[tuple[str, str], dict[str, Any]] = {}
    for peer in reply.peers:
        nodes[peer.id] = {
            "id": peer.id,
            "self": False,
            "connected": peer.is_connected,
            "in_sync": peer.is_in_sync,
            "state": peer.state,
            "twin": peer.is_twin,
        }
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


def _pair(one: str, other: str) -> tuple[str, str]:
    """A mesh's links have no direction."""
    return (one, other) if one <= other else (other, one)
