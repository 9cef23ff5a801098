"""What a node remembers of the peers that it has authenticated, also while they are absent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from peatnode.model.message import Ask, Message

MAX_REMEMBERED_PEERS = 1024
"""Beyond it the peer that has been absent longest is forgotten."""

MAX_PEER_EVENTS = 50

MAX_BLOCKED_PEERS = 256
"""Beyond it a block is refused: none is dropped to make room, because a member would be let in again."""

MAX_BLOCK_REASON = 200
"""Characters of the reason that an operator gives."""


@dataclass(frozen=True, slots=True)
class RememberedPeer:
    """A peer that has proved its membership of the formation at least once. Times are Unix seconds; 0: never."""

    node_id: str
    instance: str
    """The last one that was seen, 32 hex digits."""
    addresses: tuple[str, ...]
    """`host:port`, at most 8, the best first: where it was reached, or where discovery found it."""
    version: str
    first_seen: float
    last_seen: float
    last_equal: float
    """When its root was last equal to that of this node."""
    root: bytes
    """The last root that it told; empty: none."""
    documents: int
    """The number of documents that it told with that root; -1: unknown."""
    absent_seconds: float = 0.0
    """For how long this node has run while it was absent: PEAT_PEER_RETENTION is measured by it."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A node has left the mesh for good, or an operator has said so. It counts until the node proves itself again."""

    node_id: str
    instance: str
    """The last instance that was seen, 32 hex digits: a later one is no longer gone."""
    at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class BlockedPeer:
    """A node that this node does not connect to, because an operator has said so."""

    node_id: str
    reason: str
    """As a text for people; may be empty."""
    at: float
    """Unix seconds."""


class PeerEventKind(StrEnum):
    """What has happened between this node and a peer."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    """It cannot be reached: said at the first failure, and when the reason changes."""
    REFUSED = "refused"
    EQUAL = "equal"
    """Its documents are equal to those of this node, after they were not."""
    DIFFERENT = "different"
    LEFT = "left"
    """It said that it leaves for good."""
    FORGOTTEN = "forgotten"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"


@dataclass(frozen=True, slots=True)
class PeerEvent:
    """One line of the log of peers."""

    at: float
    """Unix seconds."""
    peer: str
    """Node id; while that is unknown, the key of the discovered peer."""
    kind: PeerEventKind
    detail: str
    """A reason or an address, as a text for people; may be empty."""


@dataclass(frozen=True, slots=True)
class MembershipReply(Message):
    """Everything that the store keeps about peers."""

    TAG = "membership_reply"
    peers: tuple[RememberedPeer, ...]
    departures: tuple[Departure, ...]
    events: tuple[PeerEvent, ...]
    """The last ones, at most MAX_PEER_EVENTS, the oldest first."""
    blocked: tuple[BlockedPeer, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadMembership(Ask[MembershipReply]):
    """Asks for the peers that are remembered."""

    TAG = "read_membership"


@dataclass(frozen=True, slots=True)
class MembershipKept(Message):
    """The answer to KeepMembership, after the sync of the disk."""

    TAG = "membership_kept"


@dataclass(frozen=True, slots=True)
class KeepMembership(Ask[MembershipKept]):
    """Asks the store to keep what has changed about peers, in one write."""

    TAG = "keep_membership"
    peers: tuple[RememberedPeer, ...]
    """New and changed ones; they replace those of the same node id."""
    forgotten: tuple[str, ...]
    """Node ids."""
    departures: tuple[Departure, ...]
    """All of them."""
    events: tuple[PeerEvent, ...]
    """All of them."""
    blocked: tuple[BlockedPeer, ...] = ()
    """All of them."""
