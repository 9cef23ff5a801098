"""The events of a feed, and how they are read from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from peatnode.client._wire.fields import Fields
from peatnode.client.models import Json


@dataclass(frozen=True, slots=True)
class SyncEvent:
    """A document changed, here or on a peer. The change is on the disk of this node."""

    collection: str
    doc_id: str
    action: str
    """created | updated | deleted"""
    sequence: int
    origin: str
    """The instance of the peer that sent it. `client:…`: a Yjs client. Empty: the API of this node."""
    fingerprint: str
    value: Json | None = None
    """The current value, if `with_value` is set. None: not requested, or the document is deleted."""
    origin_peer: str = ""
    """The node id of the peer that sent it. Empty: no peer did, or the node does not know its name."""


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A peer connected to the node."""

    peer_id: str
    """Its node id."""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    """The connection to a peer ended."""

    peer_id: str
    """Its node id."""
    reason: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class TopologyChanged:
    """The number of connected peers changed."""

    peer_count: int


@dataclass(frozen=True, slots=True)
class Gap:
    """The node no longer keeps the changes after `since` up to `upto`: read the documents again.

    `upto` is below `since` if `since` comes from another node, or from a store that has been replaced.
    """

    since: int
    upto: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """The node ends the stream: the client reads too slowly, or the node stops. The client reconnects."""

    reason: str
    resume: int


@dataclass(frozen=True, slots=True)
class CurrentDocument:
    """In a watch: a document that existed at the beginning."""

    collection: str
    doc_id: str
    fingerprint: str
    value: Json


@dataclass(frozen=True, slots=True)
class Current:
    """In a watch: all existing documents have been sent. The changes after `sequence` follow."""

    sequence: int


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """An event that this version does not know."""

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
    """The event in a JSON object. Raises UnexpectedAnswer."""
    fields = Fields(content)
    match fields.text("type"):
        case "SyncEvent":
            return SyncEvent(
                collection=fields.text("collection"),
                doc_id=fields.text("doc_id"),
                action=fields.text("action"),
                sequence=fields.integer("sequence"),
                origin=fields.text("origin"),
                fingerprint=fields.text("fingerprint"),
                value=fields.mapping_or_none("value"),
                origin_peer=fields.text("origin_peer"),
            )
        case "PeerConnected":
            return PeerConnected(fields.text("peer_id"), fields.text("instance"))
        case "PeerDisconnected":
            return PeerDisconnected(
                fields.text("peer_id"), fields.text("reason"), fields.text("instance")
            )
        case "TopologyChanged":
            return TopologyChanged(fields.integer("peer_count"))
        case "Gap":
            return Gap(fields.integer("since"), fields.integer("upto"))
        case "Dropped":
            return Dropped(fields.text("reason"), fields.integer("resume", -1))
        case "Document":
            return CurrentDocument(
                fields.text("collection"),
                fields.text("doc_id"),
                fields.text("fingerprint"),
                fields.mapping("value"),
            )
        case "Current":
            return Current(fields.integer("sequence"))
        case kind:
            return OtherEvent(kind, dict(content))
