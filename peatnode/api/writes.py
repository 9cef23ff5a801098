"""A write: from the fields of a request to the message for the store, and how many peers have it."""

from __future__ import annotations

from peatnode.api.encode_document import ReplicaProgress
from peatnode.api.etags import BadCondition, match_fingerprints, none_match_fingerprints
from peatnode.api.failures import HttpProblem
from peatnode.api.write_kinds import PATCH_FORMATS, WRITE_FORMATS
from peatnode.codec.lines import without_mark
from peatnode.ipc.messages import ReplicasReply, UndeleteDocument, WriteDocument, WriteKind

MAX_TTL_SECONDS = 100 * 366 * 86400.0

MAX_REPLICAS = 1000
"""Maximum number of peers that a write may wait for."""

MAX_REPLICAS_SECONDS = 60.0
"""Maximum time that a write may wait for peers."""

REPLICAS_GRACE_SECONDS = 2.0
"""Added to the time of the wait, before the sync worker counts as silent."""

UNCHANGED_EXPIRY = -1.0
"""In a message: the write keeps the expiry of the document."""


def write_message(
    collection: str,
    doc_id: str,
    kind: WriteKind,
    content: bytes,
    if_match: str | None,
    if_none_match: str | None,
    expires_at: float,
) -> WriteDocument:
    """The message for the store. The caller has checked the names and the content.

    `if_match`, `if_none_match`: the header fields, None if the request has none. Raises HttpProblem.
    """
    return WriteDocument(
        collection=collection,
        id=doc_id,
        kind=kind,
        body=content,
        if_match=fingerprints_of_if_match(if_match),
        if_none_match=fingerprints_of_if_none_match(if_none_match),
        expires_at=UNCHANGED_EXPIRY if kind is WriteKind.DELETE else expires_at,
    )


def patch_kind(media_type: str) -> WriteKind:
    """The kind of a PATCH: a merge patch if the type is empty or plain JSON. Raises HttpProblem."""
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


def is_repeatable(message: WriteDocument | UndeleteDocument) -> bool:
    """Whether the write is idempotent, so that it may be sent again after its answer was lost."""
    if isinstance(message, UndeleteDocument):
        return False
    if message.if_match or message.if_none_match:
        return False
    return WRITE_FORMATS[message.kind].is_idempotent


def fingerprints_of_if_match(field: str | None) -> tuple[bytes, ...]:
    """The fingerprints of an If-Match field; empty: no condition. Raises HttpProblem."""
    try:
        return () if field is None else match_fingerprints(field)
    except BadCondition as error:
        raise HttpProblem(400, "bad-condition", f"If-Match: {error}.", "If-Match") from None


def fingerprints_of_if_none_match(field: str | None) -> tuple[bytes, ...]:
    """The fingerprints of an If-None-Match field; empty: no condition. Raises HttpProblem."""
    try:
        return () if field is None else none_match_fingerprints(field)
    except BadCondition as error:
        raise HttpProblem(
            400, "bad-condition", f"If-None-Match: {error}.", "If-None-Match"
        ) from None


def content_of(kind: WriteKind, body: bytes, doc_id: str) -> bytes:
    """The body that the store accepts: checked, without `_id` and without a byte order mark. Raises HttpProblem."""
    return WRITE_FORMATS[kind].read(without_mark(body), doc_id)


def expires_at(ttl: float | None, now: float) -> float:
    """When the document expires, in Unix seconds; 0: never; negative: unchanged. Raises HttpProblem.

    `ttl`: seconds from now; 0: never; None: the request does not set it.
    """
    if ttl is None:
        return UNCHANGED_EXPIRY
    if not 0 <= ttl <= MAX_TTL_SECONDS:
        raise bad_seconds("ttl", MAX_TTL_SECONDS, f"{ttl:g}")
    return now + ttl if ttl > 0 else 0.0


def check_replicas(wanted: int, seconds: float) -> None:
    """Checks the number of peers to wait for, and the time. Raises HttpProblem."""
    if not 0 <= wanted <= MAX_REPLICAS:
        raise bad_integer("replicas", 0, MAX_REPLICAS, str(wanted))
    if not 0 <= seconds <= MAX_REPLICAS_SECONDS:
        raise bad_seconds("timeout", MAX_REPLICAS_SECONDS, f"{seconds:g}")


def bad_integer(name: str, low: int, high: int, text: str) -> HttpProblem:
    detail = f"{name} must be a whole number from {low} to {high}, not {text!r}."
    return HttpProblem(400, "bad-parameter", detail, name)


def bad_seconds(name: str, high: float, text: str) -> HttpProblem:
    detail = f"{name} must be a number of seconds from 0 to {high:.0f}, not {text!r}."
    return HttpProblem(400, "bad-parameter", detail, name)


def replica_progress(reply: ReplicasReply | None, wanted: int, seconds: float) -> ReplicaProgress:
    """How many peers have a write. `reply`: None if the sync worker did not answer."""
    if reply is None:
        detail = "The write is on this node's disk; the number of peers that have it is not known."
        return ReplicaProgress(wanted, 0, (), detail)
    detail = ""
    if reply.count < wanted and reply.is_other_feed:
        detail = (
            "The write was acknowledged, and then the store was replaced, restored or repaired. "
            f"{reply.count} of {wanted} peers are known to have the write. Read it again."
        )
    elif reply.count < wanted:
        detail = (
            f"The write is on this node's disk and on {reply.count} of {wanted} peers after "
            f"{seconds:g} s. Sync continues to send it to the others."
        )
    return ReplicaProgress(wanted, reply.count, reply.peers, detail)
