"""Every request to a node as a value: what to send, and how to read the response. No I/O.

`Client` and `AsyncClient` have one method for each, which sends it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar
from urllib.parse import quote

from peatnode.client._wire import responses
from peatnode.client._wire.responses import NodeResponse
from peatnode.client.errors import BadArgument
from peatnode.client.models import (
    Collection,
    DeletedDocument,
    DeletedPage,
    Document,
    Json,
    LostDocument,
    Node,
    Page,
    Peer,
    PeerLogEntry,
    Peers,
    Quarantined,
    Readiness,
    Topology,
    Written,
)

T = TypeVar("T")

PREFIX = "/api/v1"

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

REPLICAS_GRACE_SECONDS = 10.0
"""Added to the time that a write waits for peers, before the client gives up on the response."""


@dataclass(frozen=True, slots=True)
class NodeRequest(Generic[T]):
    """A request whose response is read as a `T`."""

    method: str
    path: str
    read: Callable[[NodeResponse], T]
    params: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    accepted: tuple[int, ...] = ()
    """Statuses other than 2xx that are not errors."""
    extra_seconds: float = 0.0
    """Added to the time limit of a response."""

    @property
    def changes_nothing(self) -> bool:
        return self.method in ("GET", "HEAD")


class WriteOptions(TypedDict, total=False):
    """Keyword arguments of every write: see `Conditions`."""

    if_match: str
    if_none_match: str
    replicas: int
    timeout: float
    ttl: float | None


class QueryOptions(TypedDict, total=False):
    """Keyword arguments of every listing: see `ListQuery`."""

    where: Sequence[str]
    sort: Sequence[str]
    fields: Sequence[str]
    prefix: str


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions and options of a write."""

    if_match: str = ""
    """An etag that the document must have, or `*`: the document must exist."""
    if_none_match: str = ""
    """`*`: the document must not exist."""
    replicas: int = 0
    """Number of peers that must have the write on disk before the response."""
    timeout: float = 10.0
    """Seconds to wait for the peers."""
    ttl: float | None = None
    """Seconds after which every node deletes the document."""

    def headers(self) -> tuple[tuple[str, str], ...]:
        pairs = (("If-Match", self.if_match), ("If-None-Match", self.if_none_match))
        return tuple((name, quoted_etag(etag)) for name, etag in pairs if etag)

    def params(self) -> tuple[tuple[str, str], ...]:
        params: list[tuple[str, str]] = []
        if self.replicas:
            params += [("replicas", str(self.replicas)), ("timeout", f"{self.timeout:g}")]
        if self.ttl is not None:
            params.append(("ttl", f"{self.ttl:g}"))
        return tuple(params)


def quoted_etag(etag: str) -> str:
    """The etag with the quotes that HTTP requires (RFC 9110, 8.8.3). The caller may omit them. Raises BadArgument."""
    if not (etag.isascii() and etag.isprintable()):
        raise BadArgument(f"{etag!r} is not an etag: it has only printable ASCII characters")
    return etag if etag == "*" or etag.endswith('"') else f'"{etag}"'


def collection_path(collection: str) -> str:
    """Raises BadArgument."""
    return f"{PREFIX}/documents/{quoted_name(collection)}"


def document_path(collection: str, id: str) -> str:
    """Raises BadArgument."""
    return f"{collection_path(collection)}/{quoted_name(id)}"


def quoted_name(name: str) -> str:
    """The name, quoted for a path. Clients remove the segments `.` and `..` (RFC 3986, 5.2.4). Raises BadArgument."""
    if not name:
        raise BadArgument("the name of a collection, document or peer is empty")
    try:
        return "%2E" * len(name) if name in (".", "..") else quote(name, safe="")
    except UnicodeEncodeError:
        raise BadArgument(f"the name {name!r} is not valid Unicode") from None


def encode(value: Any) -> bytes:
    """The value as JSON. Raises BadArgument for one that JSON cannot represent, such as NaN."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except RecursionError:
        raise BadArgument("the value is nested too deep, or contains itself") from None
    except ValueError as error:
        raise BadArgument(f"the value is not JSON: {error}") from None


def get_document(collection: str, id: str) -> NodeRequest[Document]:
    return NodeRequest("GET", document_path(collection, id), responses.read_document)


def put_document(
    collection: str, id: str, value: Json | bytes, conditions: Conditions
) -> NodeRequest[Written]:
    return _write("PUT", document_path(collection, id), value, conditions)


def patch_document(
    collection: str, id: str, patch: Json | bytes, conditions: Conditions
) -> NodeRequest[Written]:
    path = document_path(collection, id)
    return _write("PATCH", path, patch, conditions, MERGE_PATCH)


def json_patch_document(
    collection: str, id: str, operations: Iterable[Mapping[str, Any]], conditions: Conditions
) -> NodeRequest[Written]:
    path = document_path(collection, id)
    return _write("PATCH", path, list(operations), conditions, JSON_PATCH)


def create_document(
    collection: str, value: Json | bytes, conditions: Conditions
) -> NodeRequest[Written]:
    return _write("POST", collection_path(collection), value, conditions)


def _write(
    method: str, path: str, body: Any, conditions: Conditions, kind: str = "application/json"
) -> NodeRequest[Written]:
    return NodeRequest(
        method,
        path,
        responses.read_written,
        conditions.params(),
        (("Content-Type", kind), *conditions.headers()),
        body if isinstance(body, bytes) else encode(body),
        extra_seconds=_grace(conditions),
    )


def delete_document(collection: str, id: str, conditions: Conditions) -> NodeRequest[Written]:
    return NodeRequest(
        "DELETE",
        document_path(collection, id),
        responses.read_written,
        conditions.params(),
        conditions.headers(),
        extra_seconds=_grace(conditions),
    )


def write(
    kind: str, collection: str, id: str, body: bytes, conditions: Conditions
) -> NodeRequest[Written]:
    """A write by the name of its kind. Raises ValueError for an unknown kind."""
    path = collection_path(collection) if kind == "create" else document_path(collection, id)
    match kind:
        case "put":
            return _write("PUT", path, body, conditions)
        case "patch":
            return _write("PATCH", path, body, conditions, MERGE_PATCH)
        case "json_patch":
            return _write("PATCH", path, body, conditions, JSON_PATCH)
        case "delete":
            return delete_document(collection, id, conditions)
        case "create":
            return _write("POST", path, body, conditions)
    raise ValueError(
        f"{kind!r} is not a kind of write: use put, patch, json_patch, delete or create"
    )


def _grace(conditions: Conditions) -> float:
    return conditions.timeout + REPLICAS_GRACE_SECONDS if conditions.replicas else 0.0


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which documents of a collection to list, in which order, with which fields."""

    where: Sequence[str] = ()
    """Conditions that must all hold, such as `age>=30` or `address.city=Oslo`: a dotted path, one of
    = != < <= > >=, and a JSON scalar or text."""
    sort: Sequence[str] = ()
    """Dotted paths. Prefix a path with `-` to sort descending."""
    fields: Sequence[str] = ()
    """Dotted paths of the fields to return. Empty: all fields."""
    prefix: str = ""
    """Prefix of the document id."""

    @property
    def has_prefix_only(self) -> bool:
        return not (self.where or self.sort or self.fields)

    def params(self) -> tuple[tuple[str, str], ...]:
        params = [("where", clause) for clause in self.where]
        if self.sort:
            params.append(("sort", ",".join(self.sort)))
        if self.fields:
            params.append(("fields", ",".join(self.fields)))
        if self.prefix:
            params.append(("prefix", self.prefix))
        return tuple(params)


def list_page(
    collection: str, query: ListQuery, limit: int | None = None, cursor: str = ""
) -> NodeRequest[Page]:
    params = list(query.params())
    if limit is not None:
        params.append(("limit", str(limit)))
    if cursor:
        params.append(("cursor", cursor))
    return NodeRequest("GET", collection_path(collection), responses.read_page, tuple(params))


def list_collections(cursor: str = "") -> NodeRequest[tuple[tuple[Collection, ...], str]]:
    """The answer is a page, and the cursor of the next one, which is empty for the last page."""
    params = (("cursor", cursor),) if cursor else ()
    return NodeRequest("GET", f"{PREFIX}/documents", responses.read_collections, params)


def list_deleted_collections(cursor: str = "") -> NodeRequest[tuple[tuple[str, ...], str]]:
    """The answer is a page, and the cursor of the next one, which is empty for the last page."""
    params = (("cursor", cursor),) if cursor else ()
    return NodeRequest("GET", f"{PREFIX}/deleted", responses.read_deleted_collections, params)


def list_deleted(
    collection: str,
    prefix: str = "",
    since: float = 0.0,
    limit: int | None = None,
    cursor: str = "",
) -> NodeRequest[DeletedPage]:
    given = {"prefix": prefix, "since": f"{since:.3f}" if since else "", "cursor": cursor}
    params = [(name, text) for name, text in given.items() if text]
    if limit is not None:
        params.append(("limit", str(limit)))
    path = f"{PREFIX}/deleted/{quoted_name(collection)}"
    return NodeRequest("GET", path, responses.read_deleted_page, tuple(params))


def get_deleted(collection: str, id: str, incarnation: int) -> NodeRequest[DeletedDocument]:
    path = _deleted_path(collection, id)
    return NodeRequest("GET", path, responses.read_deleted_document, _which(incarnation))


def undelete_document(
    collection: str, id: str, incarnation: int, conditions: Conditions
) -> NodeRequest[Written]:
    return NodeRequest(
        "POST",
        f"{_deleted_path(collection, id)}/undelete",
        responses.read_written,
        (*_which(incarnation), *conditions.params()),
        extra_seconds=_grace(conditions),
    )


def _deleted_path(collection: str, id: str) -> str:
    return f"{PREFIX}/deleted/{quoted_name(collection)}/{quoted_name(id)}"


def _which(incarnation: int) -> tuple[tuple[str, str], ...]:
    return (("incarnation", str(incarnation)),) if incarnation else ()


def list_conflicts() -> NodeRequest[tuple[LostDocument, ...]]:
    return NodeRequest("GET", f"{PREFIX}/conflicts", responses.read_conflicts)


def get_conflict(id: str) -> NodeRequest[LostDocument]:
    return NodeRequest("GET", f"{PREFIX}/conflicts/{quoted_name(id)}", responses.read_conflict)


def dismiss_conflict(id: str) -> NodeRequest[None]:
    path = f"{PREFIX}/conflicts/{quoted_name(id)}"
    return NodeRequest("DELETE", path, lambda response: None)


def list_quarantine() -> NodeRequest[tuple[Quarantined, ...]]:
    return NodeRequest("GET", f"{PREFIX}/quarantine", responses.read_quarantine)


def accept_quarantined(id: str) -> NodeRequest[str]:
    path = f"{PREFIX}/quarantine/{quoted_name(id)}/accept"
    return NodeRequest("POST", path, responses.read_accepted)


def drop_quarantined(id: str) -> NodeRequest[None]:
    path = f"{PREFIX}/quarantine/{quoted_name(id)}"
    return NodeRequest("DELETE", path, lambda response: None)


def get_node() -> NodeRequest[Node]:
    return NodeRequest("GET", f"{PREFIX}/node", responses.read_node)


def get_peers() -> NodeRequest[Peers]:
    return NodeRequest("GET", f"{PREFIX}/peers", responses.read_peers)


def get_peer(id: str) -> NodeRequest[Peer]:
    return NodeRequest("GET", f"{PREFIX}/peers/{quoted_name(id)}", responses.read_peer)


def forget_peer(id: str) -> NodeRequest[None]:
    path = f"{PREFIX}/peers/{quoted_name(id)}"
    return NodeRequest("DELETE", path, lambda response: None)


def block_peer(id: str, reason: str) -> NodeRequest[None]:
    path = f"{PREFIX}/peers/{quoted_name(id)}/block"
    params = (("reason", reason),) if reason else ()
    return NodeRequest("PUT", path, lambda response: None, params)


def unblock_peer(id: str) -> NodeRequest[None]:
    path = f"{PREFIX}/peers/{quoted_name(id)}/block"
    return NodeRequest("DELETE", path, lambda response: None)


def allow_deletions(id: str) -> NodeRequest[None]:
    path = f"{PREFIX}/peers/{quoted_name(id)}/deletion-pause"
    return NodeRequest("DELETE", path, lambda response: None)


def get_peer_log() -> NodeRequest[tuple[PeerLogEntry, ...]]:
    return NodeRequest("GET", f"{PREFIX}/peer-log", responses.read_peer_log)


def get_topology() -> NodeRequest[Topology]:
    return NodeRequest("GET", f"{PREFIX}/topology", responses.read_topology)


def get_readiness() -> NodeRequest[Readiness]:
    return NodeRequest("GET", f"{PREFIX}/ready", responses.read_readiness, accepted=(503,))


def get_metrics() -> NodeRequest[str]:
    return NodeRequest("GET", "/metrics", responses.read_text)
