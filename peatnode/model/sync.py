"""The requests of the sync protocol to a store, and their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from peatnode.model.clock import ClockVerdict
from peatnode.model.documents import BucketEntry, DocumentUpdate, Outcome, Wanted
from peatnode.model.members import (
    AllowDeletions,
    DeletionsAllowed,
    KeepMembership,
    MembershipKept,
    MembershipReply,
    ReadMembership,
)
from peatnode.model.message import Ask, Message


@dataclass(frozen=True, slots=True)
class TreeReply(Message):
    TAG = "tree_reply"
    hashes: tuple[bytes, ...]
    """16 bytes for each requested node, in the order of the request; EMPTY_HASH: no document below it."""
    sequence: int
    documents: int = -1
    """The number of documents at this sequence, told with the root (level 0); -1: not told."""
    decisions: int = 0
    """How often operators have decided on what is in quarantine since the start of the store, told with the root."""


@dataclass(frozen=True, slots=True)
class ReadTree(Ask[TreeReply]):
    """Asks for nodes of the hash tree. Level 0 is the root, each node has 16 children,
    level 4 holds the buckets."""

    TAG = "read_tree"
    level: int
    indexes: tuple[int, ...]
    agreed: bytes = b""
    """The last root of this store that a peer had at the same time; empty: none."""


@dataclass(frozen=True, slots=True)
class BucketsReply(Message):
    TAG = "buckets_reply"
    entries: tuple[BucketEntry, ...]
    """In the order of their tree keys."""
    next_tree_key: bytes
    """The `tree_key` of the next request; empty: complete."""


@dataclass(frozen=True, slots=True)
class ReadBuckets(Ask[BucketsReply]):
    """Asks for the documents and tombstones of some buckets, from `tree_key` on, at most `limit`."""

    TAG = "read_buckets"
    runs: tuple[tuple[int, int], ...]
    """First and last bucket of each run of adjacent buckets, in ascending order."""
    tree_key: bytes
    limit: int


@dataclass(frozen=True, slots=True)
class UpdatesReply(Message):
    TAG = "updates_reply"
    updates: tuple[DocumentUpdate, ...]
    """The documents with something new, in the order of the request;
    as many as fit `max_bytes`, at least one."""
    answered: int
    """Number of entries of `wanted` that this answers; the rest must be asked for again."""
    next_tree_key: bytes
    """For ReadRange: the `tree_key` of the next request; empty: complete."""


@dataclass(frozen=True, slots=True)
class ReadDifferences(Ask[UpdatesReply]):
    """Asks for the parts of some documents that the asking node lacks."""

    TAG = "read_differences"
    wanted: tuple[Wanted, ...]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class ReadRange(Ask[UpdatesReply]):
    """Asks for all documents and tombstones of the buckets `first` to `last`,
    for a node that has none of them."""

    TAG = "read_range"
    first: int
    last: int
    tree_key: bytes
    max_bytes: int


@dataclass(frozen=True, slots=True)
class VectorsReply(Message):
    TAG = "vectors_reply"
    wanted: tuple[Wanted, ...]
    """One for each document of the request, to be sent to a peer; only for the first ones if all are too many."""


@dataclass(frozen=True, slots=True)
class ReadVectors(Ask[VectorsReply]):
    """Asks for the store's own state vectors of some documents."""

    TAG = "read_vectors"
    documents: tuple[tuple[str, str], ...]
    """(collection, id)"""


@dataclass(frozen=True, slots=True)
class AppliedReply(Message):
    """Sent after the applied updates are on disk."""

    TAG = "applied_reply"
    outcomes: tuple[Outcome, ...]
    """One for each update, in order."""
    reasons: tuple[str, ...]
    """One for each update; empty unless the outcome is REFUSED or GAP."""
    sequence: int
    documents: int = -1
    """The number of documents at this sequence; -1: not told."""
    paused_peer: str = ""
    """Node id of the peer that sent them, if its deletions are paused."""
    paused_since: float = 0.0
    """Unix seconds since which they are."""
    refused_deletions: int = 0
    """Documents that it would have deleted since then."""


@dataclass(frozen=True, slots=True)
class ApplyUpdates(Ask[AppliedReply]):
    """Asks the store to merge updates from a peer or a Yjs client into its documents."""

    TAG = "apply_updates"
    updates: tuple[DocumentUpdate, ...]
    origin: str
    """Instance of the peer, or `client`."""
    peer: str = ""
    """Node id of the peer, whose deletions are counted; empty: they are not."""


@dataclass(frozen=True, slots=True)
class ClockReply(Message):
    """The store goes by the verdict."""

    TAG = "clock_reply"


@dataclass(frozen=True, slots=True)
class JudgeClock(Ask[ClockReply]):
    """Tells the store whether expiries may go by the wall clock."""

    TAG = "judge_clock"
    verdict: ClockVerdict
    shift: float
    """`ClockReading.shift` of the clock that was judged. The verdict does not hold after a jump from it."""


StoreQuestion: TypeAlias = (
    ReadTree
    | ReadBuckets
    | ReadVectors
    | ReadDifferences
    | ReadRange
    | ApplyUpdates
    | JudgeClock
    | ReadMembership
    | KeepMembership
    | AllowDeletions
)
StoreAnswer: TypeAlias = (
    TreeReply
    | BucketsReply
    | VectorsReply
    | UpdatesReply
    | AppliedReply
    | ClockReply
    | MembershipReply
    | MembershipKept
    | DeletionsAllowed
)
