"""What a node tells those who follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from peatnode.client._wire.fields import Fields
from peatnode.client.models import Json


@dataclass(frozen=True, slots=True)
class SyncEvent:
    """A document changed, here or on a peer, and the change is on this node's disk."""

    collection: str
    doc_id: str
    action: str
    """created | updated | deleted"""
    sequence: int
    origin: str
    """Instance of the peer it came from; `client`: a Yjs client; empty: written on this node."""
    fingerprint: str
    value: Json | None = None
    """Where asked for. Of a change of the past it is the present value; None when the document is deleted by now."""


@dataclass(frozen=True, slots=True)
class PeerConnected:
    peer_id: str


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    peer_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TopologyChanged:
    peer_count: int


@dataclass(frozen=True, slots=True)
class Gap:
    """The changes after `since` up to `upto` cannot be told any more: read again what you hold. `upto` is the lower one
    where `since` was another node's, or of a store that lost its tail."""

    since: int
    upto: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """The node ends the stream (we were too slow, or it stops). A client goes on after `resume` by itself."""

    reason: str
    resume: int


@dataclass(frozen=True, slots=True)
class CurrentDocument:
    """Of `watch`: a document that was there at the beginning."""

    collection: str
    doc_id: str
    fingerprint: str
    value: Json


@dataclass(frozen=True, slots=True)
class Current:
    """Of `watch`: all that were there have been told; changes after `sequence` follow."""

    sequence: int


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """One that this version does not know."""

    type: str
    content: Mapping[str, Any] = field(default_factory=dict)


Event: TypeAlias = (
    SyncEvent
    | PeerConnected
    | PeerDisconnected
    | TopologyChanged
    | Gap
    | Dropped
    | CurrentDocument
    | Current
    | OtherEvent
)


def event_of(content: Mapping[str, Any]) -> Event:
    """The event that a JSON object of the feed is."""
    fields = Fields(content)
    match fields.text("type"):
        case "SyncEvent":
            return SyncEvent(
                collection=fields.text("collection"),
                doc_id=fields.text("doc_id"),
                action=fields.text("action"),
                sequence=fields.whole("sequence"),
                origin=fields.text("origin"),
                fingerprint=fields.text("fingerprint"),
                value=fields.mapping_or_none("value"),
            )
        case "PeerConnected":
            return PeerConnected(fields.text("peer_id"))
        case "PeerDisconnected":
            return PeerDisconnected(fields.text("peer_id"), fields.text("reason"))
        case "TopologyChanged":
            return TopologyChanged(fields.whole("peer_count"))
        case "Gap":
            return Gap(fields.whole("since"), fields.whole("upto"))
        case "Dropped":
            return Dropped(fields.text("reason"), fields.whole("resume", -1))
        case "Document":
            return CurrentDocument(
                fields.text("collection"),
                fields.text("doc_id"),
                fields.text("fingerprint"),
                fields.mapping("value"),
            )
        case "Current":
            return Current(fields.whole("sequence"))
        case kind:
            return OtherEvent(kind, dict(content))
