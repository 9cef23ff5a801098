"""A report as JSON. Documented in docs/cli.md: fields are added, never renamed or taken away."""

from __future__ import annotations

from typing import Any

from peatnode.cli.status.diagnosis import Verdict
from peatnode.cli.status.report import PeerFacts, Report, StoreFacts
from peatnode.client.models import Worker

SCHEMA = 1


def status_json(report: Report, verdict: Verdict) -> dict[str, Any]:
    node = report.node
    return {
        "schema": SCHEMA,
        "status": str(verdict.health),
        "taken_at": round(report.taken_at, 3),
        "node": None
        if node is None
        else {
            "node_id": node.node_id,
            "cluster": node.cluster,
            "instance": node.instance,
            "device_id": node.device_id,
            "endpoint_id": node.endpoint_id,
            "version": node.version,
            "pid": node.pid,
            "uptime_secs": round(node.uptime_secs, 3),
            "data_dir": node.data_dir,
            "api": node.api,
            "quic_port": node.quic_port,
            "discovery": list(node.discovery),
            "stopping": node.is_stopping,
            "supervisor_memory_bytes": node.supervisor_memory_bytes,
        },
        "workers": None if report.workers is None else [worker_json(w) for w in report.workers],
        "peers": peers_json(report),
        "differing": list(report.differing),
        "documents": None if report.store is None else store_json(report.store),
        "discovery": None
        if report.sources is None
        else [
            {
                "name": source.name,
                "state": source.state,
                "message": source.message,
                "peers": source.peers,
                "age_secs": None if source.age_secs is None else round(source.age_secs, 3),
            }
            for source in report.sources
        ],
        "findings": [
            {
                "severity": str(finding.severity),
                "where": finding.where,
                "message": finding.message,
                "advice": finding.advice,
            }
            for finding in verdict.findings
        ],
    }


def worker_json(worker: Worker) -> dict[str, Any]:
    return {
        "name": worker.name,
        "state": worker.state,
        "pid": worker.pid,
        "restarts": worker.restarts,
        "recycles": worker.recycles,
        "memory_bytes": worker.memory_bytes,
        "uptime_secs": round(worker.uptime_secs, 3),
        "stall_secs": round(worker.stall_secs, 3),
        "last_exit": worker.last_exit,
    }


def peers_json(report: Report) -> list[dict[str, Any]] | None:
    return None if report.peers is None else [peer_json(peer) for peer in report.peers]


def peer_json(peer: PeerFacts) -> dict[str, Any]:
    return {
        "id": peer.id,
        "state": peer.state,
        "connected": peer.is_connected,
        "in_sync": peer.is_in_sync,
        "behind_documents": peer.behind_documents,
        "out_of_sync_since": peer.out_of_sync_since,
        "rtt_ms": peer.rtt_ms,
        "reason": peer.reason,
        "twin": peer.is_twin,
        "version": peer.version,
        "addresses": list(peer.addresses),
        "sources": list(peer.sources),
        "neighbours": list(peer.neighbours),
        "connected_since": peer.connected_since,
    }


def store_json(store: StoreFacts) -> dict[str, Any]:
    return {
        "count": store.documents,
        "tombstones": store.tombstones,
        "sequence": store.sequence,
        "root": store.root,
        "disk_bytes": store.disk_bytes,
        "disk_free_bytes": store.disk_free_bytes,
        "writable": store.is_writable,
        "problem": store.problem,
        "quarantined": list(store.quarantined),
    }
