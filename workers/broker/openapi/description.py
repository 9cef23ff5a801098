"""The description of each route (OpenAPI 3.1). A test compares it with the router. No I/O."""

from __future__ import annotations

from typing import Any

import peatnode
from peatnode.api.json_schema import DOCUMENT, Schema, array, ref
from peatnode.api.write_kinds import PATCH_FORMATS
from peatnode.documents.limits import MAX_INCARNATION
from peatnode.model.members import MAX_BLOCK_REASON
from peatnode.texts import MAX_NAME_BYTES, NAME_PATTERN
from workers.broker.openapi.schemas import SCHEMAS

Operation = dict[str, Any]

PROBLEM = {"application/problem+json": {"schema": ref("Problem")}}

EVENTS = {
    "oneOf": [
        ref(name)
        for name in (
            "SyncEvent",
            "PeerConnected",
            "PeerDisconnected",
            "TopologyChanged",
            "Gap",
            "Dropped",
        )
    ]
}


def build_description() -> dict[str, Any]:
    """The content of /openapi.json."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "peatnode",
            "version": peatnode.__version__,
            "description": "A node of a mesh. Every node has the same documents and accepts writes.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {}],
        "tags": [
            {"name": "documents", "description": "JSON documents in collections."},
            {"name": "feed", "description": "Changes of documents and peers as they happen."},
            {"name": "node", "description": "The node, its peers and the mesh."},
        ],
        "paths": _paths(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "PEAT_API_TOKEN, or PEAT_READ_TOKEN for reads. "
                    "Required if the node has a token.",
                }
            },
        },
    }


def _paths() -> dict[str, Any]:
    return {
        "/api/v1/health": {
            "get": _read(
                "health", "Whether the process answers", "node", ref("Health"), is_public=True
            )
        },
        "/api/v1/ready": {"get": _ready()},
        "/api/v1/node": {
            "get": _read(
                "node", "The node, its workers, its store and its problems", "node", ref("Node")
            )
        },
        "/api/v1/peers": {"get": _read("peers", "The peers of the node", "node", ref("Peers"))},
        "/api/v1/peers/{peer_id}": {
            "parameters": [PEER_ID],
            "get": _read("peer", "One peer", "node", ref("Peer"), (404,)),
            "delete": _forget_peer(),
        },
        "/api/v1/peers/{peer_id}/block": {
            "parameters": [PEER_ID],
            "put": _block_peer(),
            "delete": _order(
                "unblockPeer", "Let a blocked peer in again", "The peer is not blocked.", (404,)
            ),
        },
        "/api/v1/peers/{peer_id}/deletion-pause": {
            "parameters": [PEER_ID],
            "delete": _order(
                "allowDeletions",
                "Carry out the deletions of a peer again, which were paused because they were too many, on this node",
                "The deletions are carried out.",
                (404,),
            ),
        },
        "/api/v1/peer-log": {
            "get": _read("peerLog", "The last events of peers", "node", ref("PeerLog"))
        },
        "/api/v1/topology": {
            "get": _read(
                "topology",
                "The nodes and connections of the mesh that this node knows",
                "node",
                ref("Topology"),
            )
        },
        "/api/v1/documents": {"get": _collections()},
        "/api/v1/documents/{collection}": {
            "parameters": [COLLECTION],
            "get": _listing(),
            "post": _create(),
        },
        "/api/v1/documents/{collection}/{doc_id}": {
            "parameters": [COLLECTION, DOC_ID],
            "get": _get_document(),
            "put": _write("putDocument", "Replace or create a document", _json(DOCUMENT)),
            "patch": _patch(),
            "delete": _write("deleteDocument", "Delete a document", None, (404,)),
        },
        "/api/v1/deleted": {"get": _deleted_collections()},
        "/api/v1/deleted/{collection}": {"parameters": [COLLECTION], "get": _deleted_page()},
        "/api/v1/deleted/{collection}/{doc_id}": {
            "parameters": [COLLECTION, DOC_ID],
            "get": _deleted_document(),
        },
        "/api/v1/deleted/{collection}/{doc_id}/undelete": {
            "parameters": [COLLECTION, DOC_ID],
            "post": _undelete(),
        },
        "/api/v1/conflicts": {
            "get": _read(
                "conflicts",
                "What lost when two states of a document contradicted each other",
                "documents",
                ref("Conflicts"),
            )
        },
        "/api/v1/conflicts/{conflict_id}": {
            "parameters": [_path("conflict_id", "Id of the conflict.", "^[0-9a-f]{32}$")],
            "get": _read("conflict", "A lost state", "documents", ref("LostDocument"), (404,)),
            "delete": _read(
                "dismissConflict",
                "Forget a lost state",
                "documents",
                ref("Dismissed"),
                (403, 404),
            ),
        },
        **_quarantine_paths(),
        "/api/v1/events": {"get": _events()},
        "/api/v1/ws": {"get": _websocket()},
        "/api/v1/yjs/{collection}/{doc_id}": {"parameters": [COLLECTION, DOC_ID], "get": _yjs()},
        "/metrics": {"get": _metrics()},
        "/openapi.json": {
            "get": _read("openapi", "This description of the API", "node", {"type": "object"})
        },
    }


def _quarantine_paths() -> dict[str, Any]:
    number = _path("entry_id", "Id of the entry.", "^[0-9a-f]{32}$")
    listed = _read(
        "quarantine",
        "Changes that leap, and what broke the engine, until an operator decides",
        "documents",
        ref("Quarantine"),
    )
    dropped = _read(
        "dropQuarantined",
        "Drop a change that leaps",
        "documents",
        ref("DroppedEntry"),
        (403, 404, 409),
    )
    accepted = _read(
        "acceptQuarantined",
        "Carry out a change that leaps, or let the engine try again",
        "documents",
        ref("Accepted"),
        (403, 404, 409),
    )
    return {
        "/api/v1/quarantine": {"get": listed},
        "/api/v1/quarantine/{entry_id}": {"parameters": [number], "delete": dropped},
        "/api/v1/quarantine/{entry_id}/accept": {"parameters": [number], "post": accepted},
    }


def _collections() -> Operation:
    operation = _read(
        "collections", "List the collections that have documents", "documents", ref("Collections")
    )
    operation["parameters"] = [
        _query(
            "limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "Collections per page."
        ),
        _query("cursor", _TEXT, "next_cursor of the previous page."),
    ]
    return operation


def _read(
    name: str,
    summary: str,
    tag: str,
    schema: Schema,
    problems: tuple[int, ...] = (),
    is_public: bool = False,
) -> Operation:
    operation: Operation = {
        "operationId": name,
        "summary": summary,
        "tags": [tag],
        "responses": {
            "200": {"description": "Success.", "content": _json(schema)},
            **_problems((400, 401, 503, *problems)),
        },
    }
    if is_public:
        operation["security"] = []
        operation["responses"] = {"200": operation["responses"]["200"]}
    return operation


def _ready() -> Operation:
    operation = _read("ready", "Whether the node is ready", "node", ref("Ready"), is_public=True)
    operation["responses"]["503"] = {
        "description": "A check fails.",
        "content": _json(ref("Ready")),
    }
    return operation


def _forget_peer() -> Operation:
    return _order(
        "forgetPeer",
        "Forget a peer that is not connected, by its node id, on all nodes that can be reached",
        "The peer is forgotten.",
        (404, 409),
    )


def _block_peer() -> Operation:
    operation = _order(
        "blockPeer",
        "End the connections to a peer, known or not, and refuse it until it is unblocked, on this node only",
        "The peer is blocked.",
        (422,),
    )
    operation["parameters"] = [
        _query("reason", {"type": "string", "maxLength": MAX_BLOCK_REASON}, "Why, for operators.")
    ]
    return operation


def _order(name: str, summary: str, result: str, problems: tuple[int, ...]) -> Operation:
    """About a peer, and without a body."""
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["node"],
        "responses": {
            "204": {"description": result},
            **_problems((400, 401, 403, 503, *problems)),
        },
    }


def _deleted_collections() -> Operation:
    operation = _read(
        "deletedCollections",
        "List the collections with deleted documents whose content this node keeps",
        "documents",
        ref("DeletedCollections"),
    )
    operation["parameters"] = _page_parameters("Collections per page.")
    return operation


def _deleted_page() -> Operation:
    operation = _read(
        "deletedDocuments",
        "List the deleted documents of a collection whose content this node keeps",
        "documents",
        ref("DeletedPage"),
    )
    operation["parameters"] = [
        _query("prefix", _TEXT, "Beginning of the id."),
        _query(
            "since",
            {"type": "number", "minimum": 0, "maximum": 1e11},
            "Only those that ended at this Unix time or later.",
        ),
        *_page_parameters("Entries per page. A page may have fewer although others follow."),
    ]
    return operation


def _deleted_document() -> Operation:
    operation = _read(
        "deletedDocument",
        "Read what a deleted document held",
        "documents",
        ref("DeletedDocument"),
        (404, 507),
    )
    operation["parameters"] = [_query("incarnation", _INCARNATION, _WHICH)]
    return operation


def _undelete() -> Operation:
    operation = _write("undeleteDocument", "Bring a deleted document back", None, (404,))
    operation["parameters"] = [
        _query("incarnation", _INCARNATION, _WHICH),
        *(each for each in operation["parameters"] if each["in"] == "query"),
    ]
    return operation


def _page_parameters(limit: str) -> list[dict[str, Any]]:
    return [
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, limit),
        _query("cursor", _TEXT, "next_cursor of the previous page."),
    ]


def _get_document() -> Operation:
    operation = _read(
        "getDocument", "Read a document", "documents", ref("Document"), (404, 409, 412)
    )
    operation["parameters"] = [_header("If-None-Match", _TAGS), _header("If-Match", _TAGS)]
    operation["responses"]["200"]["headers"] = _HEADERS
    operation["responses"]["304"] = {
        "description": "The document has the fingerprint of If-None-Match.",
        "headers": _HEADERS,
    }
    return operation


def _listing() -> Operation:
    operation = _read(
        "listDocuments", "List, query, export or watch", "documents", ref("Listing"), (422,)
    )
    operation["parameters"] = [
        _query(
            "where",
            {**array(_CLAUSE), "maxItems": 16},
            "PATH OP VALUE, with OP one of = != < <= > >= and VALUE a scalar. All conditions must hold.",
        ),
        _query(
            "sort",
            _SORT,
            "Dotted paths, separated by commas. Prefix a field with - to sort descending.",
        ),
        _query("fields", _FIELDS, "Dotted paths of the fields to return, separated by commas."),
        _query("prefix", _TEXT, "Beginning of the id."),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "Documents per page."),
        _query("cursor", _TEXT, "next_cursor of the previous page."),
        _query(
            "format",
            {"enum": ["json", "ndjson"]},
            "ndjson: the whole collection, one document per line.",
        ),
        _query("watch", _FLAG, "Stream the documents, then their changes."),
    ]
    content = operation["responses"]["200"]["content"]
    content["application/x-ndjson"] = {"schema": {"type": "object"}}
    content["text/event-stream"] = {"schema": {"type": "string"}}
    return operation


def _create() -> Operation:
    operation = _write(
        "createDocument",
        "Create a document, or many (bulk)",
        {**_json(DOCUMENT), "application/x-ndjson": {"schema": DOCUMENT}},
        (409,),
    )
    flag = _query(
        "bulk",
        _FLAG,
        "The body is NDJSON of any size, and each line has one line in the response."
        " Read the response while uploading, or the connection is closed.",
    )
    operation["parameters"].append(flag)
    answer = operation["responses"]["200"]["content"]
    answer["application/x-ndjson"] = {"schema": {"anyOf": [ref("BulkAnswer"), ref("Problem")]}}
    return operation


def _patch() -> Operation:
    content = {
        media_type: {"schema": format.schema} for media_type, format in PATCH_FORMATS.items()
    } | _json(DOCUMENT)
    return _write("patchDocument", "Change a part of a document", content, (404,))


def _write(
    name: str, summary: str, content: dict[str, Any] | None, problems: tuple[int, ...] = ()
) -> Operation:
    parameters = [
        _query(
            "replicas",
            _REPLICAS,
            "Number of peers that must have the write on disk before the response.",
        ),
        _query(
            "timeout",
            {"type": "number", "minimum": 0, "maximum": 60},
            "Seconds to wait for the peers.",
        ),
        _header("If-Match", _TAGS),
        _header("If-None-Match", _TAGS),
    ]
    expected = {400, 401, 403, 409, 412, 413, 503, 507, *problems}
    if content is not None:
        ttl = {"type": "number", "minimum": 0, "maximum": 3_162_240_000}
        parameters.insert(0, _query("ttl", ttl, "Seconds until the document expires; 0: never."))
        expected |= {408, 411, 415, 422}
    written = {"content": _json(ref("Written")), "headers": _HEADERS}
    operation: Operation = {
        "operationId": name,
        "summary": summary,
        "tags": ["documents"],
        "parameters": parameters,
        "responses": {
            "200": {"description": "The write is on this node's disk.", **written},
            "201": {
                "description": "The document was created and is on this node's disk.",
                **written,
            },
            "202": {
                "description": "The write is on this node's disk; fewer peers than requested have it.",
                **written,
            },
            **_problems(tuple(sorted(expected))),
        },
    }
    if content is not None:
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _events() -> Operation:
    operation = _read("events", "Follow changes and peers as server-sent events", "feed", EVENTS)
    operation["parameters"] = [*_feed_parameters(), _header("Last-Event-ID", _COUNT)]
    operation["responses"]["200"]["content"] = {"text/event-stream": {"schema": EVENTS}}
    return operation


def _websocket() -> Operation:
    return {
        "operationId": "websocket",
        "summary": "Follow changes and peers over a WebSocket, one JSON text per event",
        "tags": ["feed"],
        "parameters": _feed_parameters(),
        "responses": {
            "101": {"description": "Switching to the WebSocket protocol."},
            **_problems((400, 401, 403, 426, 503)),
        },
    }


def _yjs() -> Operation:
    return {
        "operationId": "yjs",
        "summary": "Open the document with a Yjs client (protocol of y-websocket)",
        "tags": ["documents"],
        "responses": {
            "101": {"description": "Switching to the WebSocket protocol."},
            **_problems((400, 401, 403, 426, 503)),
        },
    }


def _metrics() -> Operation:
    operation = _read("metrics", "Metrics for Prometheus", "node", _TEXT)
    operation["responses"]["200"]["content"] = {"text/plain": {"schema": _TEXT}}
    return operation


def _feed_parameters() -> list[dict[str, Any]]:
    return [
        _query(
            "since",
            _COUNT,
            "Resume after this sequence. Without it, the stream starts with the next change.",
        ),
        _query("collection", _TEXT, "Only changes of this collection."),
        _query("doc_id", _TEXT, "Only changes of this document; requires collection."),
        _query("prefix", _TEXT, "Only changes of documents whose id begins with this prefix."),
        _query("types", _TEXT, "Types of events, separated by commas."),
        _query("value", _FLAG, "Include the value of the document."),
    ]


_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"enum": ["true", "false", ""]}
_TAG = r'(W/)?"[!#-~]*"'
_TAGS: Schema = {
    "type": "string",
    "pattern": rf"^(\*|{_TAG}(, ?{_TAG})*)$",
    "examples": ['"6c1a0e5f0b7d4c2f9a3e8d5b1c7f2a60"', "*"],
}
_STEPS = r"(\.[^,.]+){0,31}"
_PATH = rf"[^,.]+{_STEPS}"
_KEY = rf"(-[^,.]+|[^,.-][^,.]*){_STEPS}"
_SORT: Schema = {"type": "string", "pattern": rf"^({_KEY}(,{_KEY}){{0,15}})?$"}
_FIELDS: Schema = {"type": "string", "pattern": rf"^({_PATH}(,{_PATH}){{0,15}})?$"}
_NAME = "[^=!<>.]"
_CLAUSE: Schema = {
    "type": "string",
    "pattern": rf"^{_NAME}*[^=!<>.\s]{_NAME}*(\.{_NAME}+){{0,31}}(=|!=|<|<=|>|>=)",
}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_INCARNATION: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_INCARNATION - 1}
_WHICH = "Which of its ends; by default the last one that is kept."
_REPLICAS: Schema = {"type": "integer", "minimum": 0, "maximum": 1000}
_HEADERS = {
    "ETag": {"schema": _TEXT, "description": "The fingerprint of the document, in quotes."},
    "Peat-Sequence": {
        "schema": _TEXT,
        "description": "Sequence of the change in this node's feed.",
    },
}


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _path(name: str, description: str, pattern: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "pattern": pattern},
    }


def _query(name: str, schema: Schema, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _header(name: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": schema}


def _problems(statuses: tuple[int, ...]) -> dict[str, Any]:
    return {
        str(status): {"description": "A problem; detail describes it.", "content": PROBLEM}
        for status in sorted(set(statuses))
    }


PEER_ID = _path(
    "peer_id",
    f"Id of the peer, at most {MAX_NAME_BYTES} bytes in UTF-8; to read it, also its instance.",
    f"^{NAME_PATTERN}$",
)
COLLECTION = _path("collection", "Name of the collection.", "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$")
DOC_ID = _path(
    "doc_id", "Name of the document.", r"^[^/.\x00-\x1f\x7f-\x9f][^/\x00-\x1f\x7f-\x9f]{0,63}$"
)
