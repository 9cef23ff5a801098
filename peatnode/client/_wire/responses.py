"""Reads the responses of a node. No I/O. A response that no node sends raises UnexpectedAnswer."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from peatnode.client._wire.fields import Fields
from peatnode.client._wire.records import decode_record, decode_records
from peatnode.client.errors import Problem, ProblemAnswer, UnexpectedAnswer, error_of
from peatnode.client.models import (
    Check,
    Collection,
    DeletedDocument,
    DeletedPage,
    Document,
    ImportedLine,
    LostDocument,
    Node,
    NodeFinding,
    Page,
    Peer,
    PeerLogEntry,
    Peers,
    Quarantined,
    Readiness,
    Replicas,
    Topology,
    Written,
)


@dataclass(frozen=True, slots=True)
class NodeResponse:
    """A response whose body has been read."""

    status: int
    headers: Mapping[str, str]
    """The names are in lower case."""
    body: bytes


def decode_object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        raise UnexpectedAnswer(
            "the response is not JSON: check that this is the address of a peatnode"
        ) from None
    if not isinstance(content, dict):
        raise UnexpectedAnswer(
            "the response is not a JSON object: check that this is the address of a peatnode"
        )
    return content


def problem_of(response: NodeResponse) -> ProblemAnswer:
    """The error in a response whose status is not 2xx."""
    try:
        fields = Fields(decode_object(response.body))
        detail = fields.text("detail") or fields.text("error") or fields.text("title")
        problem = Problem(
            response.status,
            detail or f"The response has status {response.status}.",
            fields.text("title"),
            fields.text("type", "about:blank"),
            fields.text("type").rpartition(":")[2],
            fields.text("where"),
            fields.content,
        )
    except UnexpectedAnswer:  # for example from a proxy
        problem = Problem(
            response.status, f"The response has status {response.status} and gives no reason."
        )
    return error_of(problem)


def etag_of(response: NodeResponse) -> str:
    return response.headers.get("etag", "").removeprefix("W/").strip('"')


def read_text(response: NodeResponse) -> str:
    return response.body.decode()


def read_document(response: NodeResponse) -> Document:
    fields = Fields(decode_object(response.body))
    return Document(
        fields.text("collection"),
        fields.text("id"),
        fields.mapping("document"),
        fields.text("fingerprint") or etag_of(response),
        fields.number_or_none("expires_at"),
    )


def read_written(response: NodeResponse) -> Written:
    fields = Fields(decode_object(response.body))
    replicas = fields.mapping_or_none("replicas")
    return Written(
        collection=fields.text("collection"),
        id=fields.text("id"),
        value=fields.mapping_or_none("document"),
        etag=fields.text("fingerprint"),
        was_created=fields.boolean("created"),
        was_changed=fields.boolean("changed"),
        sequence=fields.integer("sequence"),
        expires_at=fields.number_or_none("expires_at"),
        replicas=None if replicas is None else _replicas(Fields(replicas)),
    )


def _replicas(fields: Fields) -> Replicas:
    return Replicas(
        fields.integer("wanted"),
        fields.integer("have"),
        fields.texts("peers"),
        fields.text("detail"),
    )


def read_page(response: NodeResponse) -> Page:
    fields = Fields(decode_object(response.body))
    collection = fields.text("collection")
    return Page(
        collection,
        fields.integer("total"),
        fields.integer("sequence"),
        tuple(listed_document(collection, item.content) for item in fields.each("documents")),
        fields.text("next_cursor"),
    )


def listed_document(collection: str, content: dict[str, Any]) -> Document:
    """A document of a list, from its value with the id in `_id`. Removes `_id` from `content`."""
    id = content.pop("_id", None)
    if not isinstance(id, str):
        raise UnexpectedAnswer("a document in the response has no _id")
    return Document(collection, id, content)


def read_collections(response: NodeResponse) -> tuple[tuple[Collection, ...], str]:
    """The collections of a page, and the cursor of the next one."""
    fields = Fields(decode_object(response.body))
    collections = tuple(
        Collection(item.text("name") or item.text("collection"), item.integer("count"))
        for item in fields.each("collections")
    )
    return collections, fields.text("next_cursor")


def read_node(response: NodeResponse) -> Node:
    return decode_record(Node, Fields(decode_object(response.body)))


def read_peers(response: NodeResponse) -> Peers:
    return peers_of(decode_object(response.body))


def peers_of(content: Mapping[str, Any]) -> Peers:
    return decode_record(Peers, Fields(content))


def read_peer(response: NodeResponse) -> Peer:
    return decode_record(Peer, Fields(decode_object(response.body)))


def read_peer_log(response: NodeResponse) -> tuple[PeerLogEntry, ...]:
    return decode_records(PeerLogEntry, Fields(decode_object(response.body)).each("events"))


def read_conflicts(response: NodeResponse) -> tuple[LostDocument, ...]:
    found = Fields(decode_object(response.body)).each("conflicts")
    return tuple(_lost_document(fields) for fields in found)


def read_conflict(response: NodeResponse) -> LostDocument:
    return _lost_document(Fields(decode_object(response.body)))


def read_quarantine(response: NodeResponse) -> tuple[Quarantined, ...]:
    return tuple(
        Quarantined(
            fields.text("id"),
            fields.text("reason"),
            fields.number_or_none("time"),
            fields.text("collection"),
            fields.text("doc_id"),
            fields.integer("here"),
            fields.integer("incarnation"),
            fields.boolean("deletes"),
            fields.text("peer"),
            fields.text("peer_id"),
            fields.integer("bytes"),
        )
        for fields in Fields(decode_object(response.body)).each("entries")
    )


def read_accepted(response: NodeResponse) -> str:
    return Fields(decode_object(response.body)).text("outcome")


def _lost_document(fields: Fields) -> LostDocument:
    content = fields.content
    value, update = content.get("value"), content.get("update", "")
    return LostDocument(
        fields.text("id"),
        fields.number("time"),
        fields.text("collection"),
        fields.text("doc_id"),
        fields.text("lost"),
        fields.text("peer"),
        tuple(content.get("clients", ())),
        fields.integer("bytes"),
        value if isinstance(value, dict) else None,
        b64decode(update) if isinstance(update, str) else b"",
        fields.text("peer_id"),
        content,
    )


def read_deleted_page(response: NodeResponse) -> DeletedPage:
    fields = Fields(decode_object(response.body))
    collection = fields.text("collection")
    found = (_deleted_document(collection, item) for item in fields.each("deleted"))
    return DeletedPage(tuple(found), fields.text("next_cursor"))


def read_deleted_document(response: NodeResponse) -> DeletedDocument:
    fields = Fields(decode_object(response.body))
    return _deleted_document(fields.text("collection"), fields)


def _deleted_document(collection: str, fields: Fields) -> DeletedDocument:
    return DeletedDocument(
        collection,
        fields.text("id"),
        fields.integer("incarnation"),
        fields.number("deleted_at"),
        fields.number("until"),
        fields.text("origin"),
        fields.text("origin_peer"),
        fields.boolean("expired"),
        fields.integer("bytes"),
        fields.boolean("live"),
        fields.mapping_or_none("document"),
    )


def read_deleted_collections(response: NodeResponse) -> tuple[tuple[str, ...], str]:
    """The collections of a page, and the cursor of the next one."""
    fields = Fields(decode_object(response.body))
    names = tuple(item.text("name") for item in fields.each("collections"))
    return names, fields.text("next_cursor")


def read_topology(response: NodeResponse) -> Topology:
    fields = Fields(decode_object(response.body))
    return Topology(
        fields.integer("peer_count"),
        fields.text("role"),
        fields.integer("hierarchy_level"),
        fields.content,
    )


def read_readiness(response: NodeResponse) -> Readiness:
    fields = Fields(decode_object(response.body))
    if "ready" not in fields.content:
        raise problem_of(response)
    checks = (
        Check(item.text("name"), item.boolean("ready"), item.text("message"))
        for item in fields.each("checks")
    )
    findings = (
        decode_records(NodeFinding, fields.each("findings"))
        if fields.has_value("findings")
        else None
    )
    return Readiness(fields.boolean("ready"), fields.text("node_id"), tuple(checks), findings)


def imported_line(content: dict[str, Any], first_line: int) -> ImportedLine:
    """The result of one line. Line 1 of the request is line `first_line` of the whole import."""
    fields = Fields(content)
    return ImportedLine(
        fields.integer("line") + first_line - 1,
        fields.text("id") or fields.text("_id"),
        fields.integer("status"),
        fields.text("detail") or fields.text("error"),
    )
