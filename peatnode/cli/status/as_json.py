"""A report as JSON, documented in docs/cli.md. Fields are added, never renamed or removed.

The fields are those of the client's models: a field that is added there appears here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from peatnode.cli.status.diagnosis import Diagnosis
from peatnode.cli.status.report import StatusReport
from peatnode.client._wire.records import record_content
from peatnode.client.models import Peer

SCHEMA = 1

NODE_NAMES = {"broker_address": "api", "is_stopping": "stopping"}
STORE_NAMES = {"documents": "count", "is_writable": "writable"}
"""Fields that have another name here than in the API."""

PARTS_OF_NODE = frozenset({"workers", "problems", "store", "discovery_sources"})
"""Parts of the node that the JSON has outside `node`."""

MILLISECONDS = 3
"""Decimal digits of a number of seconds."""


def status_json(report: StatusReport, diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "status": str(diagnosis.health),
        "taken_at": round(report.taken_at, MILLISECONDS),
        "node": _node(report),
        "workers": _each(report.workers),
        "peers": peers_json(report.peers),
        "differing": list(report.differing),
        "documents": None if report.store is None else _record(report.store, STORE_NAMES),
        "discovery": _each(report.sources),
        "findings": [
            {**asdict(finding), "severity": str(finding.severity)} for finding in diagnosis.findings
        ],
    }


def peers_json(peers: tuple[Peer, ...] | None) -> list[dict[str, Any]] | None:
    return _each(peers)


def _node(report: StatusReport) -> dict[str, Any] | None:
    if report.node is None:
        return None
    content = _record(report.node, NODE_NAMES)
    return {name: value for name, value in content.items() if name not in PARTS_OF_NODE}


def _each(records: tuple[Any, ...] | None) -> list[dict[str, Any]] | None:
    return None if records is None else [_record(record, {}) for record in records]


def _record(record: Any, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        names.get(name, name): round(value, MILLISECONDS)
        if name.endswith("_secs") and value is not None
        else value
        for name, value in record_content(record).items()
    }
