"""The bodies of the API as JSON Schema (2020-12), for openapi.json. No I/O.

Tests validate responses with them.
"""

from __future__ import annotations

from typing import Any

from peatnode.model.states import ChangeAction, PeerStatus, SourceStatus, WorkerStatus

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
FINGERPRINT: Schema = {"type": "string", "pattern": "^[0-9a-f]*$"}
DOCUMENT: Schema = {"type": "object", "description": "Any JSON object."}
EXPIRY: Schema = {"type": ["number", "null"], "description": "Unix time in seconds; null: never."}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def nullable(kind: str) -> Schema:
    return {"type": [kind, "null"]}


def record(optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """An object with required properties, except for the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


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
        ready=FLAG, node_id=TEXT, checks=array(record(name=TEXT, ready=FLAG, message=TEXT))
    ),
    "Worker": record(
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
    ),
    "NodeProblem": record(
        worker=TEXT, name=TEXT, message=TEXT, advice=TEXT, blocks_readiness=FLAG, since=NUMBER
    ),
    "Store": record(
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
    ),
    "Source": record(
        name=TEXT,
        state={"enum": list(SourceStatus)},
        message=TEXT,
        peers=INTEGER,
        age_secs={
            "type": ["number", "null"],
            "description": "Seconds since the source was last complete; null: never.",
        },
    ),
    "Node": record(
        node_id=TEXT,
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
    ),
    "Peer": record(
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
    ),
    "Peers": record(
        count=INTEGER,
        connected=INTEGER,
        root=FINGERPRINT,
        differing=array(TEXT),
        peers=array(ref("Peer")),
    ),
    "Topology": record(
        peer_count=INTEGER,
        role={"enum": ["member", "standalone"]},
        hierarchy_level=INTEGER,
        node_id=TEXT,
        nodes=array(
            record(
                ("state", "twin"),
                id=TEXT,
                self=FLAG,
                connected=FLAG,
                in_sync=nullable("boolean"),
                state={"enum": list(PeerStatus)},
                twin=FLAG,
            )
        ),
        edges=array(
            record(
                **{"from": TEXT, "to": TEXT},
                rtt_ms=nullable("number"),
                in_sync=nullable("boolean"),
            )
        ),
    ),
    "Collections": record(count=INTEGER, collections=array(record(name=TEXT, count=INTEGER))),
    "Document": record(
        collection=TEXT,
        id=TEXT,
        document=DOCUMENT,
        incarnation=INTEGER,
        fingerprint=FINGERPRINT,
        expires_at=EXPIRY,
    ),
    "ReplicaProgress": record(
        ("detail",), wanted=INTEGER, have=INTEGER, peers=array(TEXT), detail=TEXT
    ),
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
        replicas=ref("ReplicaProgress"),
    ),
    "Listing": record(
        collection=TEXT,
        count={"type": "integer", "description": "Documents in this response."},
        total={"type": "integer", "description": "Documents in the collection."},
        sequence=INTEGER,
        next_cursor=nullable("string"),
        documents=array({"type": "object", "properties": {"_id": TEXT}, "required": ["_id"]}),
    ),
    "PatchOperation": record(
        ("value", "from"),
        op={"enum": ["add", "remove", "replace", "move", "copy", "test"]},
        path=TEXT,
        value={"description": "For add, replace and test."},
        **{"from": {"type": "string", "description": "For move and copy."}},
    ),
    "SyncEvent": record(
        ("value",),
        type={"const": "SyncEvent"},
        collection=TEXT,
        doc_id=TEXT,
        action={"enum": list(ChangeAction)},
        sequence=INTEGER,
        origin=TEXT,
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
