"""The bodies of the API as JSON Schema (2020-12), for openapi.json. No I/O.

Tests validate responses against them.
"""

from __future__ import annotations

from peatnode.api.encode_document import (
    CONFLICT_SCHEMA,
    CONFLICTS_SCHEMA,
    DELETED_COLLECTIONS_SCHEMA,
    DELETED_DOCUMENT_SCHEMA,
    DELETED_PAGE_SCHEMA,
    DELETED_SCHEMA,
    DISMISSED_SCHEMA,
    LOST_SCHEMA,
)
from peatnode.api.encode_node import (
    NODE_SCHEMA,
    PROBLEM_SCHEMA,
    SOURCE_SCHEMA,
    STORE_SCHEMA,
    WORKER_SCHEMA,
)
from peatnode.api.encode_peer import (
    CLOCK_SCHEMA,
    PEER_LOG_SCHEMA,
    PEER_SCHEMA,
    PEERS_SCHEMA,
    TOPOLOGY_SCHEMA,
)
from peatnode.api.findings.finding import FINDING_SCHEMA
from peatnode.api.json_schema import (
    DOCUMENT,
    EXPIRY,
    FINGERPRINT,
    FLAG,
    INTEGER,
    TEXT,
    Schema,
    array,
    nullable,
    record,
    ref,
)
from peatnode.api.kept.encode_quarantine import (
    ACCEPTED_SCHEMA,
    DROPPED_SCHEMA,
    QUARANTINE_SCHEMA,
    QUARANTINED_SCHEMA,
)
from peatnode.api.write_kinds import PATCH_OPERATION
from peatnode.model.states import ChangeAction

SCHEMAS: dict[str, Schema] = {
    "Problem": record(
        ("where", "line"),
        type=TEXT,
        title=TEXT,
        status=INTEGER,
        detail={"type": "string", "description": "What is wrong, where, and what to change."},
        error={"type": "string", "description": "The same as detail."},
        where={"type": "string", "description": "The part of the request that is wrong."},
        line=INTEGER,
    ),
    "Health": record(status={"const": "healthy"}, node_id=TEXT),
    "Ready": record(
        ("findings",),
        ready=FLAG,
        node_id=TEXT,
        checks=array(record(name=TEXT, ready=FLAG, message=TEXT)),
        findings={
            **array(ref("Finding")),
            "description": "The worst first. Absent if the node has a token and the request has not.",
        },
    ),
    "Finding": FINDING_SCHEMA,
    "Worker": WORKER_SCHEMA,
    "NodeProblem": PROBLEM_SCHEMA,
    "Store": STORE_SCHEMA,
    "Source": SOURCE_SCHEMA,
    "Node": NODE_SCHEMA,
    "Peer": PEER_SCHEMA,
    "Peers": PEERS_SCHEMA,
    "PeerLog": PEER_LOG_SCHEMA,
    "Clock": CLOCK_SCHEMA,
    "Topology": TOPOLOGY_SCHEMA,
    "Conflict": CONFLICT_SCHEMA,
    "LostDocument": LOST_SCHEMA,
    "Conflicts": CONFLICTS_SCHEMA,
    "Dismissed": DISMISSED_SCHEMA,
    "Quarantined": QUARANTINED_SCHEMA,
    "Quarantine": QUARANTINE_SCHEMA,
    "Accepted": ACCEPTED_SCHEMA,
    "DroppedEntry": DROPPED_SCHEMA,
    "Deleted": DELETED_SCHEMA,
    "DeletedPage": DELETED_PAGE_SCHEMA,
    "DeletedDocument": DELETED_DOCUMENT_SCHEMA,
    "DeletedCollections": DELETED_COLLECTIONS_SCHEMA,
    "Collections": record(
        count=INTEGER,
        total=INTEGER,
        next_cursor=nullable("string"),
        collections=array(record(name=TEXT, count=INTEGER)),
    ),
    "Document": record(
        collection=TEXT,
        id=TEXT,
        document=DOCUMENT,
        incarnation=INTEGER,
        fingerprint=FINGERPRINT,
        expires_at=EXPIRY,
    ),
    "Replicas": record(("detail",), wanted=INTEGER, have=INTEGER, peers=array(TEXT), detail=TEXT),
    "Written": record(
        ("deleted", "replicas"),
        collection=TEXT,
        id=TEXT,
        document={"type": ["object", "null"]},
        created=FLAG,
        changed=FLAG,
        deleted=FLAG,
        incarnation=INTEGER,
        fingerprint=FINGERPRINT,
        sequence=INTEGER,
        expires_at=EXPIRY,
        replicas=ref("Replicas"),
    ),
    "Listing": record(
        collection=TEXT,
        count={"type": "integer", "description": "Documents in this response."},
        total={"type": "integer", "description": "Documents in the collection."},
        sequence=INTEGER,
        next_cursor=nullable("string"),
        documents=array({"type": "object", "properties": {"_id": TEXT}, "required": ["_id"]}),
    ),
    "PatchOperation": PATCH_OPERATION,
    "SyncEvent": record(
        ("value", "origin_peer"),
        type={"const": "SyncEvent"},
        collection=TEXT,
        doc_id=TEXT,
        action={"enum": list(ChangeAction)},
        sequence=INTEGER,
        origin=TEXT,
        origin_peer={"type": "string", "description": "Node id of the origin, if it is known."},
        incarnation=INTEGER,
        fingerprint=FINGERPRINT,
        value={"type": ["object", "null"]},
    ),
    "PeerConnected": record(type={"const": "PeerConnected"}, peer_id=TEXT, instance=TEXT),
    "PeerDisconnected": record(
        type={"const": "PeerDisconnected"}, peer_id=TEXT, instance=TEXT, reason=TEXT
    ),
    "TopologyChanged": record(type={"const": "TopologyChanged"}, peer_count=INTEGER),
    "Gap": record(type={"const": "Gap"}, since=INTEGER, upto=INTEGER, reread=TEXT, detail=TEXT),
    "Dropped": record(type={"const": "Dropped"}, reason=TEXT, resume=INTEGER),
    "BulkAnswer": record(
        ("replicas",),
        replicas=INTEGER,
        line=INTEGER,
        id=TEXT,
        status=INTEGER,
        changed=FLAG,
        sequence=INTEGER,
    ),
}
