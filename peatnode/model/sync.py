"""What the sync protocol asks of a store, and the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from peatnode.model.documents import BucketEntry, DocumentUpdate, Outcome, Wanted
from peatnode.model.message import Ask, Message


@dataclass(frozen=True, slots=True)
class TreeReply(Message):
    TAG = "tree_reply"
    hashes: tuple[bytes, ...]
    """16 bytes each, for the nodes asked for, in that order; sixteen zero bytes: nothing below."""
    sequence: int


@dataclass(frozen=True, slots=True)
class ReadTree(Ask[TreeReply]):
    """Nodes of the tree of fingerprints: level 0 is the root, 16 children a node, level 4 the buckets."""

    TAG = "read_tree"
    level: int
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BucketsReply(Message):
    TAG = "buckets_reply"
    entries: tuple[BucketEntry, ...]
    """In the order of their places in the tree (`hash of collection and id`)."""
    next_tree_key: bytes
    """Ask again from here; empty: complete."""


@dataclass(frozen=True, slots=True)
class ReadBuckets(Ask[BucketsReply]):
    """Documents and tombstones of the buckets first..last of level 4, from `tree_key` on, at most `limit`."""

    TAG = "read_buckets"
    first: int
    last: int
    tree_key: bytes
    limit: int


@dataclass(frozen=True, slots=True)
class UpdatesReply(Message):
    TAG = "updates_reply"
    updates: tuple[DocumentUpdate, ...]
    """Those that have something to give, in the order asked; as many as fit `max_bytes` (at least one)."""
    answered: int
    """How many of those wanted this speaks for; ask again for the rest."""
    next_tree_key: bytes
    """For ReadRange: continue from here; empty: complete."""


@dataclass(frozen=True, slots=True)
class ReadDifferences(Ask[UpdatesReply]):
    """What the asker lacks of some documents."""

    TAG = "read_differences"
    wanted: tuple[Wanted, ...]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class ReadRange(Ask[UpdatesReply]):
    """Whole documents and tombstones of the buckets first..last of level 4: for an asker that has nothing there."""

    TAG = "read_range"
    first: int
    last: int
    tree_key: bytes
    max_bytes: int


@dataclass(frozen=True, slots=True)
class VectorsReply(Message):
    TAG = "vectors_reply"
    wanted: tuple[Wanted, ...]
    """What to ask a peer for, one for each document asked about."""


@dataclass(frozen=True, slots=True)
class ReadVectors(Ask[VectorsReply]):
    """The store's own state vectors of some documents."""

    TAG = "read_vectors"
    documents: tuple[tuple[str, str], ...]
    """(collection, id)"""


@dataclass(frozen=True, slots=True)
class AppliedReply(Message):
    """Said after what was applied is on disk."""

    TAG = "applied_reply"
    outcomes: tuple[Outcome, ...]
    """One for each update, in order."""
    reasons: tuple[str, ...]
    """One for each update; empty but for REFUSED and GAP."""
    sequence: int


@dataclass(frozen=True, slots=True)
class ApplyUpdates(Ask[AppliedReply]):
    """Changes from elsewhere, to be joined with what the store has."""

    TAG = "apply_updates"
    updates: tuple[DocumentUpdate, ...]
    origin: str
    """Instance of the peer, or `client`."""


StoreQuestion: TypeAlias = (
    ReadTree | ReadBuckets | ReadVectors | ReadDifferences | ReadRange | ApplyUpdates
)
StoreAnswer: TypeAlias = TreeReply | BucketsReply | VectorsReply | UpdatesReply | AppliedReply
