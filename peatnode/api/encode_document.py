"""Encodes responses about documents. A document's value passes through as the bytes that the store holds."""

from __future__ import annotations

from base64 import b64encode
from binascii import hexlify
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from peatnode.api.etags import etag
from peatnode.api.json_schema import EXPIRY, FLAG, INTEGER, TEXT, array, nullable, record, ref
from peatnode.documents.names import ID_MEMBER, RESERVED_MEMBERS
from peatnode.ipc.messages import (
    CollectionsReply,
    ConflictEntry,
    ConflictReply,
    ConflictsReply,
    DeletedCollectionsReply,
    DeletedDocumentReply,
    DeletedEntry,
    DeletedReply,
    DocumentReply,
    ListedDocument,
    WrittenReply,
)
from peatnode.model.clock import TOLERANCE_SECONDS

JSON = "application/json"
NDJSON = "application/x-ndjson"


def quoted(text: str) -> bytes:
    """The text as a JSON string."""
    return orjson.dumps(text)


def expiry(seconds: float) -> bytes:
    """Unix time in seconds as JSON; null for 0, which means never."""
    return orjson.dumps(seconds) if seconds > 0 else b"null"


def document_body(reply: DocumentReply) -> bytes:
    """The body of GET /documents/{collection}/{id}."""
    return (
        b'{"collection":%b,"id":%b,"document":%b,"incarnation":%d,"fingerprint":"%b","expires_at":%b}'
        % (
            quoted(reply.collection),
            quoted(reply.id),
            reply.value,
            reply.incarnation,
            hexlify(reply.fingerprint),
            expiry(reply.expires_at),
        )
    )


@dataclass(frozen=True, slots=True)
class ReplicaProgress:
    """How many peers have a write on disk."""

    wanted: int
    have: int
    peers: tuple[str, ...]
    """Their node ids."""
    detail: str
    """Why fewer peers than wanted have it. Empty: enough have it."""

    def encode(self) -> bytes:
        content: dict[str, object] = {"wanted": self.wanted, "have": self.have, "peers": self.peers}
        if self.detail:
            content["detail"] = self.detail
        return orjson.dumps(content)


def written_body(reply: WrittenReply, is_deleted: bool, replicas: ReplicaProgress | None) -> bytes:
    """The body of the answer to a write. `replicas`: None if the write did not wait for peers."""
    parts = [
        b'{"collection":%b,"id":%b,"document":%b'
        % (quoted(reply.collection), quoted(reply.id), reply.value or b"null"),
        b',"created":%b,"changed":%b' % (_flag(reply.was_created), _flag(reply.was_changed)),
        b',"deleted":true' if is_deleted else b"",
        b',"incarnation":%d,"fingerprint":"%b","sequence":%d,"expires_at":%b'
        % (
            reply.incarnation,
            hexlify(reply.fingerprint),
            reply.sequence,
            expiry(reply.expires_at),
        ),
        b',"replicas":' + replicas.encode() if replicas is not None else b"",
        b"}",
    ]
    return b"".join(parts)


def _flag(value: bool) -> bytes:
    return b"true" if value else b"false"


def with_id(doc_id: str, value: bytes) -> bytes:
    """The document's JSON object with its id under `_id`, and without reserved members that a Yjs client wrote."""
    if b'"_' in value and (b'"_id"' in value or b'"_deleted"' in value):
        return orjson.dumps(named(doc_id, orjson.loads(value)))
    head = value.rstrip()[:-1]
    return b'%b%b"_id":%b}' % (head, b"" if head.rstrip() == b"{" else b",", quoted(doc_id))


def named(doc_id: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a document for a list: its id under `_id`, and no other reserved member."""
    kept = {name: member for name, member in content.items() if name not in RESERVED_MEMBERS}
    return {**kept, ID_MEMBER: doc_id}


def listing_body(
    collection: str, documents: Iterable[bytes], count: int, total: int, sequence: int, cursor: str
) -> bytes:
    """A page of GET /documents/{collection}. `cursor`: the start of the next page; empty on the last."""
    return (
        b'{"collection":%b,"count":%d,"total":%d,"sequence":%d,"next_cursor":%b,"documents":[%b]}'
        % (
            quoted(collection),
            count,
            total,
            sequence,
            quoted(cursor) if cursor else b"null",
            b",".join(documents),
        )
    )


def collections_body(reply: CollectionsReply) -> bytes:
    entries = [{"name": entry.name, "count": entry.count} for entry in reply.collections]
    return orjson.dumps(
        {
            "count": len(entries),
            "total": reply.total,
            "next_cursor": reply.next_after or None,
            "collections": entries,
        }
    )


def document_headers(fingerprint: bytes, sequence: int) -> tuple[tuple[str, str], ...]:
    """`ETag`, and the change in the feed with which the document got this state."""
    return (("etag", etag(fingerprint)), ("peat-sequence", str(sequence)))


def listed_line(document: ListedDocument) -> bytes:
    """One line of an export."""
    return with_id(document.id, document.value) + b"\n"


_DELETED = {
    "id": TEXT,
    "incarnation": {"type": "integer", "description": "The one that has ended."},
    "deleted_at": {"type": "number", "description": "Unix seconds, when it ended on this node."},
    "until": {"type": "number", "description": "Unix seconds until which its content is kept."},
    "origin": TEXT,
    "origin_peer": {"type": "string", "description": "Node id of the origin, if it is known."},
    "expired": {"type": "boolean", "description": "Whether its expiry had passed."},
    "expires_at": EXPIRY,
    "bytes": INTEGER,
    "live": {"type": "boolean", "description": "Whether there is a document of this name now."},
}
DELETED_SCHEMA = record(("origin_peer",), **_DELETED)
DELETED_PAGE_SCHEMA = record(
    collection=TEXT, count=INTEGER, next_cursor=nullable("string"), deleted=array(ref("Deleted"))
)
DELETED_DOCUMENT_SCHEMA = record(
    ("origin_peer",), collection=TEXT, **_DELETED, document=nullable("object")
)
DELETED_COLLECTIONS_SCHEMA = record(
    count=INTEGER,
    documents={
        "type": "integer",
        "description": "Documents of all collections of which content is kept.",
    },
    bytes=INTEGER,
    next_cursor=nullable("string"),
    collections=array(record(name=TEXT)),
)

_CONFLICT = {
    "id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "time": {"type": "number", "description": "Unix seconds."},
    "collection": TEXT,
    "doc_id": TEXT,
    "incarnation": INTEGER,
    "clients": array(INTEGER),
    "peer": TEXT,
    "peer_id": {"type": "string", "description": "Node id of the peer, if it is known."},
    "lost": {"enum": ["local", "peer"]},
    "bytes": INTEGER,
}
_OPTIONAL = ("peer_id",)
CONFLICT_SCHEMA = record(_OPTIONAL, **_CONFLICT)
LOST_SCHEMA = record(_OPTIONAL, **_CONFLICT, value=nullable("object"), update=TEXT)
CONFLICTS_SCHEMA = record(count=INTEGER, dropped=INTEGER, conflicts=array(ref("Conflict")))
DISMISSED_SCHEMA = record(dismissed=FLAG)


NameOf = Callable[[str], str]
"""Gives the node id of an instance; empty: it is not known."""


def deleted_content(entry: DeletedEntry, name_of: NameOf) -> dict[str, Any]:
    """A deleted document of which the content is kept. Clocks of nodes may differ a little."""
    name = name_of(entry.origin)
    return {
        "id": entry.id,
        "incarnation": entry.incarnation,
        "deleted_at": entry.at,
        "until": entry.until,
        "origin": entry.origin,
        **({"origin_peer": name} if name else {}),
        "expired": 0 < entry.expires_at <= entry.at + TOLERANCE_SECONDS,
        "expires_at": entry.expires_at or None,
        "bytes": entry.size,
        "live": entry.is_live,
    }


def deleted_page_body(reply: DeletedReply, name_of: NameOf) -> bytes:
    """The body of GET /deleted/{collection}."""
    entries = [deleted_content(entry, name_of) for entry in reply.entries]
    return orjson.dumps(
        {
            "collection": reply.collection,
            "count": len(entries),
            "next_cursor": reply.next_place.hex() or None,
            "deleted": entries,
        }
    )


def deleted_document_body(collection: str, reply: DeletedDocumentReply, name_of: NameOf) -> bytes:
    """The body of GET /deleted/{collection}/{id}."""
    value = orjson.Fragment(reply.value) if reply.value else None
    content = deleted_content(reply.entry, name_of)
    return orjson.dumps({"collection": collection, **content, "document": value})


def deleted_collections_body(reply: DeletedCollectionsReply) -> bytes:
    """The body of GET /deleted."""
    return orjson.dumps(
        {
            "count": len(reply.collections),
            "documents": reply.documents,
            "bytes": reply.size,
            "next_cursor": reply.next_after or None,
            "collections": [{"name": name} for name in reply.collections],
        }
    )


def conflict_content(entry: ConflictEntry, name_of: NameOf) -> dict[str, Any]:
    """A state that contradicted another one and lost."""
    name = name_of(entry.peer)
    return {
        "id": entry.id.hex(),
        "time": entry.at,
        "collection": entry.collection,
        "doc_id": entry.document,
        "incarnation": entry.incarnation,
        "clients": entry.clients,
        "peer": entry.peer,
        **({"peer_id": name} if name else {}),
        "lost": "local" if entry.was_local else "peer",
        "bytes": entry.size,
    }


def conflicts_body(reply: ConflictsReply, name_of: NameOf) -> bytes:
    """The body of GET /conflicts."""
    conflicts = [conflict_content(entry, name_of) for entry in reply.conflicts]
    return orjson.dumps({"count": len(conflicts), "dropped": reply.dropped, "conflicts": conflicts})


def conflict_body(reply: ConflictReply, name_of: NameOf) -> bytes:
    """The body of GET /conflicts/{id}: the lost state too, as JSON where it is readable, and as a Yjs update."""
    value = orjson.Fragment(reply.value) if reply.value else None
    update = b64encode(reply.update).decode()
    return orjson.dumps(
        {**conflict_content(reply.conflict, name_of), "value": value, "update": update}
    )


def dismissed_body() -> bytes:
    """The body of DELETE /conflicts/{id}."""
    return orjson.dumps({"dismissed": True})
