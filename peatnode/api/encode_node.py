"""The body of GET /node: the node, its workers, its store and its sources of peers."""

from __future__ import annotations

from typing import Any

from peatnode.ipc.messages import (
    DiscoveryReply,
    NodeReply,
    SourceState,
    StoreReply,
    WorkerState,
)


def encode_node(
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
        "store": None if store is None else encode_store(store),
        "discovery_sources": None if discovery is None else encode_sources(discovery),
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


def encode_store(store: StoreReply) -> dict[str, Any]:
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


def encode_sources(discovery: DiscoveryReply) -> list[dict[str, Any]]:
    return [_source(source) for source in discovery.sources]


def _source(source: SourceState) -> dict[str, Any]:
    return {
        "name": source.name,
        "state": source.state,
        "message": source.message,
        "peers": source.peers,
        "age_secs": source.age_seconds if source.age_seconds >= 0 else None,
    }
