"""openapi.json: what each route takes and answers (OpenAPI 3.1). A test compares it with the router. No I/O."""

from __future__ import annotations

from typing import Any

import peatnode
from workers.broker.openapi.schemas import DOCUMENT, SCHEMAS, Schema, array, ref

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
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "peatnode",
            "version": peatnode.__version__,
            "description": "One node of a mesh that keeps the same documents, writable, on every node.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {}],
        "tags": [
            {"name": "documents", "description": "JSON documents in collections."},
            {"name": "feed", "description": "What happens, as it happens."},
            {"name": "node", "description": "The node and the mesh around it."},
        ],
        "paths": _paths(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "PEAT_API_TOKEN, or PEAT_READ_TOKEN for reading. Asked for only where one is set.",
                }
            },
        },
    }


def _paths() -> dict[str, Any]:
    return {
        "/api/v1/health": {
            "get": _read("health", "Is this process alive?", "node", ref("Health"), is_public=True)
        },
        "/api/v1/ready": {"get": _ready()},
        "/api/v1/node": {"get": _read("node", "About this node", "node", ref("Node"))},
        "/api/v1/peers": {"get": _read("peers", "Its peers", "node", ref("Peers"))},
        "/api/v1/peers/{peer_id}": {
            "parameters": [_path("peer_id", "Node id or instance.", "^[A-Za-z0-9._-]{1,253}$")],
            "get": _read("peer", "One peer", "node", ref("Peer"), (404,)),
        },
        "/api/v1/topology": {
            "get": _read("topology", "The mesh as this node knows it", "node", ref("Topology"))
        },
        "/api/v1/documents": {
            "get": _read("collections", "The collections", "documents", ref("Collections"))
        },
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
        "/api/v1/events": {"get": _events()},
        "/api/v1/ws": {"get": _websocket()},
        "/api/v1/yjs/{collection}/{doc_id}": {"parameters": [COLLECTION, DOC_ID], "get": _yjs()},
        "/metrics": {"get": _metrics()},
        "/openapi.json": {"get": _read("openapi", "This description", "node", {"type": "object"})},
    }


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
            "200": {"description": "As asked.", "content": _json(schema)},
            **_problems((400, 401, 503, *problems)),
        },
    }
    if is_public:
        operation["security"] = []
        operation["responses"] = {"200": operation["responses"]["200"]}
    return operation


def _ready() -> Operation:
    operation = _read("ready", "Can this node do its work?", "node", ref("Ready"), is_public=True)
    operation["responses"]["503"] = {"description": "Not now.", "content": _json(ref("Ready"))}
    return operation


def _get_document() -> Operation:
    operation = _read(
        "getDocument", "Read a document", "documents", ref("Document"), (404, 409, 412)
    )
    operation["parameters"] = [_header("If-None-Match", _TAGS), _header("If-Match", _TAGS)]
    operation["responses"]["200"]["headers"] = _HEADERS
    operation["responses"]["304"] = {"description": "It is as you know it.", "headers": _HEADERS}
    return operation


def _listing() -> Operation:
    operation = _read(
        "listDocuments", "List, query, export or watch", "documents", ref("Listing"), (422,)
    )
    operation["parameters"] = [
        _query(
            "where",
            {**array(_CLAUSE), "maxItems": 16},
            "PATH OP VALUE with = != < <= > >= and a scalar; all must hold.",
        ),
        _query("sort", _SORT, "Dotted paths, commas between; - before one turns it round."),
        _query("fields", _FIELDS, "Dotted paths to answer, commas between."),
        _query("prefix", _TEXT, "Of the name."),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "Documents in a page."),
        _query("cursor", _TEXT, "next_cursor of the page before."),
        _query(
            "format", {"enum": ["json", "ndjson"]}, "ndjson: the whole collection, a line each."
        ),
        _query("watch", _FLAG, "The documents there are, then what changes."),
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
    flag = _query("bulk", _FLAG, "The body is NDJSON of any size; a line is answered for each.")
    operation["parameters"].append(flag)
    answer = operation["responses"]["200"]["content"]
    answer["application/x-ndjson"] = {"schema": {"anyOf": [ref("BulkAnswer"), ref("Problem")]}}
    return operation


def _patch() -> Operation:
    content = {
        "application/merge-patch+json": {"schema": DOCUMENT},
        "application/json-patch+json": {"schema": array(ref("PatchOperation"))},
        "application/json": {"schema": DOCUMENT},
    }
    return _write("patchDocument", "Change a part of a document", content, (404,))


def _write(
    name: str, summary: str, content: dict[str, Any] | None, problems: tuple[int, ...] = ()
) -> Operation:
    parameters = [
        _query("replicas", _REPLICAS, "Answer when so many peers have it on disk, too."),
        _query(
            "timeout", {"type": "number", "minimum": 0, "maximum": 60}, "Seconds to wait for them."
        ),
        _header("If-Match", _TAGS),
        _header("If-None-Match", _TAGS),
    ]
    expected = {400, 401, 403, 409, 412, 413, 503, 507, *problems}
    if content is not None:
        ttl = {"type": "number", "minimum": 0, "maximum": 3_162_240_000}
        parameters.insert(0, _query("ttl", ttl, "Seconds until it deletes itself; 0: never."))
        expected |= {408, 411, 415, 422}
    written = {"content": _json(ref("Written")), "headers": _HEADERS}
    operation: Operation = {
        "operationId": name,
        "summary": summary,
        "tags": ["documents"],
        "parameters": parameters,
        "responses": {
            "200": {"description": "It is on this node's disk.", **written},
            "201": {"description": "Created, on this node's disk.", **written},
            "202": {
                "description": "On this node's disk; fewer peers have it than asked.",
                **written,
            },
            **_problems(tuple(sorted(expected))),
        },
    }
    if content is not None:
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _events() -> Operation:
    operation = _read("events", "Server-sent events", "feed", EVENTS)
    operation["parameters"] = [*_feed_parameters(), _header("Last-Event-ID", _COUNT)]
    operation["responses"]["200"]["content"] = {"text/event-stream": {"schema": EVENTS}}
    return operation


def _websocket() -> Operation:
    return {
        "operationId": "websocket",
        "summary": "The same events over a WebSocket, a JSON text each",
        "tags": ["feed"],
        "parameters": _feed_parameters(),
        "responses": {
            "101": {"description": "Switching to WebSocket."},
            **_problems((400, 401, 403, 426, 503)),
        },
    }


def _yjs() -> Operation:
    return {
        "operationId": "yjs",
        "summary": "The document for a Yjs client, over the WebSocket protocol of y-websocket",
        "tags": ["documents"],
        "responses": {
            "101": {"description": "Switching to WebSocket."},
            **_problems((400, 401, 403, 426, 503)),
        },
    }


def _metrics() -> Operation:
    operation = _read("metrics", "Figures for Prometheus", "node", _TEXT)
    operation["responses"]["200"]["content"] = {"text/plain": {"schema": _TEXT}}
    return operation


def _feed_parameters() -> list[dict[str, Any]]:
    return [
        _query("since", _COUNT, "Resume after this sequence; without it: from now on."),
        _query("collection", _TEXT, "Only of this collection."),
        _query("doc_id", _TEXT, "Only of this document; needs collection."),
        _query("prefix", _TEXT, "Only of documents whose name begins so."),
        _query("types", _TEXT, "Types of events, commas between."),
        _query("value", _FLAG, "Tell the document's value, too."),
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
_REPLICAS: Schema = {"type": "integer", "minimum": 0, "maximum": 1000}
_HEADERS = {
    "ETag": {"schema": _TEXT, "description": "The document's fingerprint, quoted."},
    "Peat-Sequence": {"schema": _TEXT, "description": "Where the change is in this node's feed."},
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
        str(status): {"description": "A problem, in words.", "content": PROBLEM}
        for status in sorted(set(statuses))
    }


COLLECTION = _path("collection", "Name of the collection.", "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$")
DOC_ID = _path(
    "doc_id", "Name of the document.", r"^[^/.\x00-\x1f\x7f-\x9f][^/\x00-\x1f\x7f-\x9f]{0,63}$"
)
