"""Events as clients receive them: JSON objects with a `type`. No I/O.

Server-sent events and WebSockets share the encoding.
"""

from __future__ import annotations

from binascii import hexlify
from dataclasses import dataclass

import orjson

from peatnode.api.encode_document import quoted
from peatnode.api.encode_event import encode_change
from peatnode.ipc.messages import (
    Change,
    FeedGap,
    PeerConnected,
    PeerDisconnected,
    TopologyChanged,
)
from peatnode.model.feed import FeedRestarted

TYPES = ("SyncEvent", "PeerConnected", "PeerDisconnected", "TopologyChanged")


@dataclass(frozen=True, slots=True)
class Event:
    """One event, encoded once for all subscribers."""

    kind: str
    sequence: int
    """Its number in the feed. Negative: it is not part of the feed."""
    collection: str
    doc_id: str
    body: bytes

    def as_sse(self) -> bytes:
        id_line = b"id: %d\n" % self.sequence if self.sequence >= 0 else b""
        return b"%bevent: %b\ndata: %b\n\n" % (id_line, self.kind.encode(), self.body)

    def as_line(self) -> bytes:
        return self.body + b"\n"


def sync_event(change: Change, with_value: bool, origin_peer: str) -> Event:
    body = encode_change(change, with_value, origin_peer)
    return Event("SyncEvent", change.sequence, change.collection, change.id, body)


def gap_event(gap: FeedGap | FeedRestarted, collection: str) -> Event:
    """The subscriber must read the documents again, because changes are no longer kept."""
    reread = f"/api/v1/documents/{collection}" if collection else "/api/v1/documents"
    content = {
        "type": "Gap",
        "since": gap.since,
        "upto": gap.upto,
        "reread": reread,
        "detail": "The changes in between are no longer kept. Read the documents again, then continue "
        "from `upto`.",
    }
    return Event("Gap", gap.upto, "", "", orjson.dumps(content))


def dropped_event(reason: str, sequence: int) -> Event:
    """The node ends the stream; the client may resume after `sequence`."""
    content = {"type": "Dropped", "reason": reason, "resume": sequence}
    return Event("Dropped", -1, "", "", orjson.dumps(content))


def current_event(sequence: int) -> Event:
    """In a watch: every document of the collection has been sent, and changes follow."""
    content = {"type": "Current", "sequence": sequence}
    return Event("Current", sequence, "", "", orjson.dumps(content))


def document_event(collection: str, doc_id: str, fingerprint: bytes, value: bytes) -> Event:
    """In a watch: a document that existed at the beginning."""
    body = b'{"type":"Document","collection":%b,"doc_id":%b,"fingerprint":"%b","value":%b}' % (
        quoted(collection),
        quoted(doc_id),
        hexlify(fingerprint),
        value,
    )
    return Event("Document", -1, collection, doc_id, body)


def topology_event(message: PeerConnected | PeerDisconnected | TopologyChanged) -> Event:
    content: dict[str, object]
    match message:
        case PeerConnected(peer, instance):
            content = {"type": "PeerConnected", "peer_id": peer, "instance": instance}
        case PeerDisconnected(peer, instance, reason):
            content = {
                "type": "PeerDisconnected",
                "peer_id": peer,
                "instance": instance,
                "reason": reason,
            }
        case TopologyChanged(peer_count):
            content = {"type": "TopologyChanged", "peer_count": peer_count}
    return Event(str(content["type"]), -1, "", "", orjson.dumps(content))
