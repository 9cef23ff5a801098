"""The body of GET /node and its schema: the node, its workers, its store and its sources of peers."""

from __future__ import annotations

from typing import Any

from peatnode.api.json_schema import (
    FINGERPRINT,
    FLAG,
    INTEGER,
    NUMBER,
    TEXT,
    array,
    record,
    ref,
)
from peatnode.ipc.messages import (
    DiscoveryReply,
    NodeReply,
    SourceState,
    StoreReply,
    WorkerState,
)
from peatnode.model.states import SourceStatus, WorkerStatus

WORKER_SCHEMA = record(
    name=TEXT,
    state={"enum": list(WorkerStatus)},
    pid=INTEGER,
    restarts=INTEGER,
    recycles=INTEGER,
    memory_bytes=INTEGER,
    stall_secs=NUMBER,
    started_at=NUMBER,
    uptime_secs=INTEGER,
    last_exit=TEXT,
)

PROBLEM_SCHEMA = record(
    worker=TEXT, name=TEXT, message=TEXT, advice=TEXT, blocks_readiness=FLAG, since=NUMBER
)

STORE_SCHEMA = record(
    documents=INTEGER,
    tombstones=INTEGER,
    sequence=INTEGER,
    oldest_sequence=INTEGER,
    root=FINGERPRINT,
    generation=INTEGER,
    disk_bytes=INTEGER,
    disk_free_bytes=INTEGER,
    is_writable=FLAG,
    problem=TEXT,
    quarantined=array(TEXT),
    engine_is_ready=FLAG,
)

SOURCE_SCHEMA = record(
    name=TEXT,
    state={"enum": list(SourceStatus)},
    message=TEXT,
    peers=INTEGER,
    age_secs={
        "type": ["number", "null"],
        "description": "Seconds since the source was last complete; null: never.",
    },
    failing_secs={
        "type": ["number", "null"],
        "description": "Seconds since it fails without a break; null: it does not.",
    },
)

NODE_SCHEMA = record(
    node_id=TEXT,
    now={"type": "number", "description": "Unix seconds by the clock of the node."},
    uptime_secs=INTEGER,
    version=TEXT,
    device_id=TEXT,
    endpoint_id=TEXT,
    cluster=TEXT,
    instance=TEXT,
    pid=INTEGER,
    started_at=NUMBER,
    data_dir=TEXT,
    broker_address=TEXT,
    quic_port=INTEGER,
    discovery=array(TEXT),
    has_token=FLAG,
    is_stopping=FLAG,
    supervisor_memory_bytes=INTEGER,
    workers=array(ref("Worker")),
    problems=array(ref("NodeProblem")),
    store={"anyOf": [ref("Store"), {"type": "null"}]},
    discovery_sources={"anyOf": [array(ref("Source")), {"type": "null"}]},
)


def encode_node(
    node: NodeReply, store: StoreReply | None, discovery: DiscoveryReply | None, now: float
) -> dict[str, Any]:
    """`store`, `discovery`: None if that worker did not answer. `now`: Unix seconds."""
    return {
        "node_id": node.node_id,
        "now": round(now, 3),
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
        "failing_secs": source.failing_seconds if source.failing_seconds >= 0 else None,
    }
