"""The events that the sync machine receives, and the actions that it returns."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.model.clock import ClockVerdict
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
    """Number of the connection, which is never reused."""
    member: Member
    addresses: tuple[str, ...] = ()
    """`host:port` where the peer is reached or was found, the best first."""


@dataclass(frozen=True, slots=True)
class ConnectionDown:
    """An authenticated connection has ended."""

    peer: int
    reason: str
    has_left: bool = False
    """Whether the peer closed it with CloseCode.LEFT."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A peer sent a message."""

    peer: int
    message: Message
    rtt: float = 0.0
    """Round-trip time of the connection in seconds; 0: unknown."""


@dataclass(frozen=True, slots=True)
class PeersExpected:
    """Whether this node will meet a peer, as far as discovery can tell."""

    are_known: bool
    are_sought: bool
    """Whether discovery may still find one."""


@dataclass(frozen=True, slots=True)
class StoreAnswered:
    """The store answered an AskStore."""

    number: int
    answer: StoreAnswer | None
    """None: the store could not be reached, or failed."""


@dataclass(frozen=True, slots=True)
class StoreLost:
    """The link to the store is lost, so the root that was last read may be outdated."""


@dataclass(frozen=True, slots=True)
class FeedOpened:
    """The feed of this generation of the store is followed. It precedes the first event of that feed."""

    generation: int


@dataclass(frozen=True, slots=True)
class AwarenessPublished:
    """A Yjs client of this node published awareness."""

    collection: str
    id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class ReplicasWanted:
    """A writer waits until `count` peers have everything up to `sequence` on disk, at most `seconds`."""

    waiter: int
    sequence: int
    count: int
    seconds: float
    generation: int = 0
    """Generation of the store that assigned the sequence; 0: unknown."""


@dataclass(frozen=True, slots=True)
class DialFailed:
    """A dial has failed."""

    peer: str
    """Node id; while that is unknown, the key of the discovered peer."""
    reason: str
    is_refused: bool


@dataclass(frozen=True, slots=True)
class ForgetOrdered:
    """An operator has said that an absent member is gone for good."""

    node_id: str


@dataclass(frozen=True, slots=True)
class BlockOrdered:
    """An operator wants no connection to a node, known or not."""

    node_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class UnblockOrdered:
    """An operator lets a blocked node in again."""

    node_id: str


@dataclass(frozen=True, slots=True)
class DeletionsResumed:
    """An operator has allowed the deletions of a peer again, and the store carries them out."""

    node_id: str


@dataclass(frozen=True, slots=True)
class StopOrdered:
    """The node stops. The connections that end after this are no news of the peers."""


@dataclass(frozen=True, slots=True)
class WakeUp:
    """`SyncMachine.next_wake` has passed."""


Event = (
    ConnectionUp
    | ConnectionDown
    | MessageReceived
    | PeersExpected
    | StoreAnswered
    | StoreLost
    | FeedOpened
    | FeedEvent
    | AwarenessPublished
    | ReplicasWanted
    | DialFailed
    | ForgetOrdered
    | BlockOrdered
    | UnblockOrdered
    | DeletionsResumed
    | StopOrdered
    | WakeUp
)

# --- actions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to a peer."""

    peer: int
    message: Message


@dataclass(frozen=True, slots=True)
class AskStore:
    """Ask the store. The answer is returned as StoreAnswered with the same number."""

    number: int
    question: StoreQuestion


@dataclass(frozen=True, slots=True)
class Close:
    """Close a connection; the machine has removed it already."""

    peer: int
    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class PeerAppeared:
    """A peer is connected. Returned once for a peer, even if another connection replaces the first one."""

    peer: int
    node_id: str
    instance: str


@dataclass(frozen=True, slots=True)
class PeerVanished:
    """The last connection to a peer has ended."""

    node_id: str
    instance: str
    reason: str


@dataclass(frozen=True, slots=True)
class NeighboursChanged:
    """The neighbours of this node, or of a peer, have changed."""

    peer_count: int


@dataclass(frozen=True, slots=True)
class AwarenessReceived:
    """A peer sent awareness that this node has not received before."""

    collection: str
    id: str
    payload: bytes
    sender: str
    """Instance of the peer that sent it, or passed it on."""


@dataclass(frozen=True, slots=True)
class ReplicasKnown:
    """The answer to ReplicasWanted."""

    waiter: int
    peers: tuple[str, ...]
    is_other_feed: bool = False
    """Whether the sequence belongs to another feed than the one that is followed now."""


@dataclass(frozen=True, slots=True)
class UpdateRefused:
    """The local store refused an update of a peer. The shell logs it."""

    peer: str
    collection: str
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class InstanceRefused:
    """A member has shown an instance that another node id has. A Close ends its connection."""

    node_id: str
    holder: str


@dataclass(frozen=True, slots=True)
class ClockJudged:
    """The verdict on the wall clock of this node has changed, or its distance from the median of the peers.
    An AskStore tells the store."""

    verdict: ClockVerdict
    deviation: str = ""
    """How far it is from the median, as a sentence; empty: not far."""


@dataclass(frozen=True, slots=True)
class MemberRemembered:
    """A member is absent: it may be dialled at its last addresses."""

    node_id: str
    addresses: tuple[str, ...]
    """`host:port`, the best first."""


@dataclass(frozen=True, slots=True)
class MemberForgotten:
    """A node is no member any more, as far as this node knows."""

    node_id: str
    reason: str
    """Who has said so, or why it is."""


@dataclass(frozen=True, slots=True)
class MemberBlocked:
    """A node must not be dialled."""

    node_id: str


@dataclass(frozen=True, slots=True)
class MemberUnblocked:
    """A node may be dialled again."""

    node_id: str


@dataclass(frozen=True, slots=True)
class DeletionsArePaused:
    """A peer has deleted so many documents that the store carries out no further deletion of it. The shell logs it."""

    node_id: str


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
    | InstanceRefused
    | ClockJudged
    | MemberRemembered
    | MemberForgotten
    | MemberBlocked
    | MemberUnblocked
    | DeletionsArePaused
)
