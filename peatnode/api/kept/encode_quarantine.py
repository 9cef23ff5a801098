"""The bodies of the routes of the quarantine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from peatnode.api.json_schema import FLAG, INTEGER, TEXT, array, nullable, record, ref
from peatnode.ipc.messages import (
    Outcome,
    QuarantineAccepted,
    QuarantineEntry,
    QuarantineReason,
    QuarantineReply,
)

NameOf = Callable[[str], str]
"""Gives the node id of an instance; empty: it is not known."""

QUARANTINED_SCHEMA = record(
    ("peer", "peer_id"),
    id={"type": "string", "pattern": "^[0-9a-f]{32}$"},
    reason={"enum": [str(reason) for reason in QuarantineReason]},
    time={**nullable("number"), "description": "Unix seconds; null: not known."},
    collection=TEXT,
    doc_id=TEXT,
    here={"type": "integer", "description": "The incarnation of the document here; 0: none."},
    incarnation=INTEGER,
    deletes={"type": "boolean", "description": "Whether the change deletes the document."},
    peer={"type": "string", "description": "Instance of the peer that sent the change."},
    peer_id={"type": "string", "description": "Node id of the peer, if it is known."},
    bytes=INTEGER,
)
QUARANTINE_SCHEMA = record(count=INTEGER, lost=INTEGER, entries=array(ref("Quarantined")))
ACCEPTED_SCHEMA = record(
    accepted=FLAG,
    outcome={"enum": [str(outcome) for outcome in Outcome]},
)
DROPPED_SCHEMA = record(dropped=FLAG)


def quarantine_body(reply: QuarantineReply, name_of: NameOf) -> bytes:
    """The body of GET /quarantine."""
    entries = [_content(entry, name_of) for entry in reply.entries]
    return orjson.dumps({"count": len(entries), "lost": reply.lost, "entries": entries})


def accepted_body(reply: QuarantineAccepted) -> bytes:
    """The body of POST /quarantine/{id}/accept."""
    return orjson.dumps({"accepted": True, "outcome": reply.outcome})


def dropped_body() -> bytes:
    """The body of DELETE /quarantine/{id}."""
    return orjson.dumps({"dropped": True})


def _content(entry: QuarantineEntry, name_of: NameOf) -> dict[str, Any]:
    name = name_of(entry.peer) if entry.peer else ""
    return {
        "id": entry.id.hex(),
        "reason": entry.reason,
        "time": entry.at or None,
        "collection": entry.collection,
        "doc_id": entry.document,
        "here": entry.here,
        "incarnation": entry.incarnation,
        "deletes": entry.is_deletion,
        **({"peer": entry.peer} if entry.peer else {}),
        **({"peer_id": name} if name else {}),
        "bytes": entry.size,
    }
