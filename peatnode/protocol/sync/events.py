"""What the sync machine is told, and what it tells to do."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.model.feed import FeedEvent
from peatnode.model.sync import StoreAnswer, StoreQuestion
from peatnode.protocol.connect.handshake import Member
from peatnode.protocol.wire.errors import CloseCode
from peatnode.protocol.wire.messages import Message

# --- events -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConnectionUp:
    """A connection is authenticated."""

    peer: int
    """Of the connection; never used for another."""
    member: Member


@dataclass(frozen=True, slots=True)
class ConnectionDown:
    peer: int
    reason: str


@dataclass(frozen=True, slots=True)
class MessageReceived:
    peer: int
    message: Message


@dataclass(frozen=True, slots=True)
class StoreAnswered:
    number: int
    answer: StoreAnswer | None
    """None: it could not be asked, or failed."""


@dataclass(frozen=True, slots=True)
class StoreLost:
    """The link to it broke: what was read of it may not hold any more."""


@dataclass(frozen=True, slots=True)
class AwarenessPublished:
    """By a Yjs client of ours."""

    collection: str
    id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class ReplicasWanted:
    waiter: int
    sequence: int
    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WakeUp:
    """`next_wake` has come."""


Event = (
    ConnectionUp
    | ConnectionDown
    | MessageReceived
    | StoreAnswered
    | StoreLost
    | FeedEvent
    | AwarenessPublished
    | ReplicasWanted
    | WakeUp
)

# --- actions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    peer: int
    message: Message


@dataclass(frozen=True, slots=True)
class AskStore:
    number: int
    question: StoreQuestion


@dataclass(frozen=True, slots=True)
class Close:
    """The machine has forgotten this connection already."""

    peer: int
    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class PeerAppeared:
    """Said once for a peer, however many connections to it follow each other without a break."""

    peer: int
    node_id: str
    instance: str


@dataclass(frozen=True, slots=True)
class PeerVanished:
    node_id: str
    instance: str
    reason: str


@dataclass(frozen=True, slots=True)
class NeighboursChanged:
    """Our neighbours have changed, or a neighbour's."""

    peer_count: int


@dataclass(frozen=True, slots=True)
class AwarenessReceived:
    collection: str
    id: str
    payload: bytes
    origin: str


@dataclass(frozen=True, slots=True)
class ReplicasKnown:
    """The answer to ReplicasWanted."""

    waiter: int
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdateRefused:
    """For the log."""

    peer: str
    collection: str
    id: str
    reason: str


Action = (
    Send
    | AskStore
    | Close
    | PeerAppeared
    | PeerVanished
    | NeighboursChanged
    | AwarenessReceived
    | ReplicasKnown
    | UpdateRefused
)
