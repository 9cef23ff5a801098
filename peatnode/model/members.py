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


@dataclass(frozen=True, slots=True)
class PausedDeletions:
    """A peer of which this node carries out no deletions, because it made too many."""

    node_id: str
    at: float
    """Unix seconds."""
    refused: int = 0
    """Documents that it would have deleted, since the start of the store."""


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
    PAUSED = "paused"
    """It deleted so many documents that no further deletion of it is carried out."""
    ALLOWED = "allowed"
    """An operator has allowed its deletions again."""


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
    paused: tuple[PausedDeletions, ...] = ()


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


@dataclass(frozen=True, slots=True)
class DeletionsAllowed(Message):
    """The answer to AllowDeletions, after the sync of the disk."""

    TAG = "deletions_allowed"
    were_paused: bool


@dataclass(frozen=True, slots=True)
class AllowDeletions(Ask[DeletionsAllowed]):
    """Asks to carry out the deletions of a peer again: sync asks the store, an operator asks sync.

    Sync fails with NOT_FOUND if they are not paused.
    """

    TAG = "allow_deletions"
    peer: str
    """Node id."""
