"""One write: from what a request says to the message for the store."""

from __future__ import annotations

from peatnode.api.encode_document import ReplicaProgress
from peatnode.api.etags import BadCondition, match_fingerprints, none_match_fingerprints
from peatnode.api.failures import HttpProblem
from peatnode.api.write_kinds import PATCH_FORMATS, WRITE_FORMATS
from peatnode.ipc.messages import ReplicasReply, WriteDocument, WriteKind

MAX_TTL_SECONDS = 100 * 366 * 86400.0

MAX_REPLICAS = 1000
"""Peers that one write may wait for."""

MAX_REPLICAS_SECONDS = 60.0

REPLICAS_GRACE_SECONDS = 2.0
"""How much longer than the wait itself the answer of the sync worker may take."""

UNCHANGED_EXPIRY = -1.0


def write_message(
    collection: str,
    doc_id: str,
    kind: WriteKind,
    content: bytes,
    if_match: str | None,
    if_none_match: str | None,
    expires_at: float,
) -> WriteDocument:
    """The conditions are header fields; None: the request has no such field. The names and the content must have been
    checked. Raises HttpProblem.
    """
    return WriteDocument(
        collection=collection,
        id=doc_id,
        kind=kind,
        body=content,
        if_match=match_of(if_match),
        if_none_match=none_match_of(if_none_match),
        expires_at=UNCHANGED_EXPIRY if kind is WriteKind.DELETE else expires_at,
    )


def patch_kind(media_type: str) -> WriteKind:
    """A PATCH without a type, or of plain JSON, is a merge patch. Raises HttpProblem."""
    if media_type in ("", "application/json"):
        return WriteKind.PATCH
    if media_type in PATCH_FORMATS:
        return PATCH_FORMATS[media_type].kind
    types = list(PATCH_FORMATS)
    raise HttpProblem(
        415,
        "unsupported-media-type",
        f"The Content-Type of a patch must be {' or '.join(types)}, not {media_type!r}.",
        "Content-Type",
        headers=(("accept-patch", ", ".join(types)),),
    )


def is_repeatable(message: WriteDocument) -> bool:
    """Whether the write is idempotent."""
    if message.if_match or message.if_none_match:
        return False
    return WRITE_FORMATS[message.kind].is_idempotent


def match_of(field: str | None) -> tuple[bytes, ...]:
    """The fingerprints of an If-Match field; empty: no condition. Raises HttpProblem."""
    try:
        return () if field is None else match_fingerprints(field)
    except BadCondition as error:
        raise HttpProblem(400, "bad-condition", f"If-Match: {error}.", "If-Match") from None


def none_match_of(field: str | None) -> tuple[bytes, ...]:
    """The fingerprints of an If-None-Match field; empty: no condition. Raises HttpProblem."""
    try:
        return () if field is None else none_match_fingerprints(field)
    except BadCondition as error:
        raise HttpProblem(
            400, "bad-condition", f"If-None-Match: {error}.", "If-None-Match"
        ) from None


def content_of(kind: WriteKind, body: bytes, doc_id: str) -> bytes:
    """The body as the store takes it, without `_id`. Raises HttpProblem."""
    return WRITE_FORMATS[kind].read(body, doc_id)


def expires_at(ttl: float | None, now: float) -> float:
    """When the document ends, in Unix seconds; 0: never; negative: unchanged. Raises HttpProblem."""
    if ttl is None:
        return UNCHANGED_EXPIRY
    if not 0 <= ttl <= MAX_TTL_SECONDS:
        raise bad_seconds("ttl", MAX_TTL_SECONDS, f"{ttl:g}")
    return now + ttl if ttl > 0 else 0.0


def check_replicas(wanted: int, seconds: float) -> None:
    """Raises HttpProblem."""
    if not 0 <= wanted <= MAX_REPLICAS:
        raise bad_integer("replicas", 0, MAX_REPLICAS, str(wanted))
    if not 0 <= seconds <= MAX_REPLICAS_SECONDS:
        raise bad_seconds("timeout", MAX_REPLICAS_SECONDS, f"{seconds:g}")


def bad_integer(name: str, low: int, high: int, text: str) -> HttpProblem:
    detail = f"{name} is a whole number from {low} to {high}, not {text!r}."
    return HttpProblem(400, "bad-parameter", detail, name)


def bad_seconds(name: str, high: float, text: str) -> HttpProblem:
    detail = f"{name} is a number of seconds from 0 to {high:.0f}, not {text!r}."
    return HttpProblem(400, "bad-parameter", detail, name)


def replica_progress(reply: ReplicasReply | None, wanted: int, seconds: float) -> ReplicaProgress:
    """How far a write is, after the sync worker answered or (None) did not."""
    if reply is None:
        detail = "The write is on this node's disk; how many peers have it is not known."
        return ReplicaProgress(wanted, 0, (), detail)
    detail = ""
    if reply.count < wanted:
        detail = (
            f"The write is on this node's disk and on {reply.count} of {wanted} peers after "
            f"{seconds:g} s. It goes on to the other peers."
        )
    return ReplicaProgress(wanted, reply.count, reply.peers, detail)
