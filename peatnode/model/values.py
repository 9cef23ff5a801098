"""What the protocol carries and asks of the store, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

HASH_BYTES = 16
EMPTY_HASH = bytes(HASH_BYTES)
"""Of a subtree with nothing below it."""

FAN_OUT = 16
BUCKET_LEVEL = 4
BUCKETS = FAN_OUT**BUCKET_LEVEL


@dataclass(frozen=True, slots=True)
class DocumentUpdate:
    """A document's change between nodes: the updates of one incarnation, or its end."""

    collection: str
    id: str
    incarnation: int
    is_deleted: bool
    expires_at: float
    update: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of our own store's feed."""

    sequence: int
    origin: str
    """Instance of the peer it came from; anything else: it began here."""
    update: DocumentUpdate


@dataclass(frozen=True, slots=True)
class Entry:
    """A document as a bucket of the tree lists it."""

    collection: str
    id: str
    incarnation: int
    is_deleted: bool
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the asker has of a document; incarnation 0 and no vector: nothing."""

    collection: str
    id: str
    incarnation: int
    state_vector: bytes


class Outcome(StrEnum):
    """What became of an update in a store."""

    APPLIED = "applied"
    KNOWN = "known"
    STALE = "stale"
    GAP = "gap"
    REFUSED = "refused"


# --- questions to our own store, and their answers ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadTree:
    level: int
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TreeRead:
    hashes: tuple[bytes, ...]
    sequence: int


@dataclass(frozen=True, slots=True)
class ReadBuckets:
    first: int
    last: int
    place: bytes
    limit: int


@dataclass(frozen=True, slots=True)
class BucketsRead:
    entries: tuple[Entry, ...]
    next_place: bytes


@dataclass(frozen=True, slots=True)
class ReadVectors:
    documents: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class VectorsRead:
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class ReadDifferences:
    wanted: tuple[Wanted, ...]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class ReadRange:
    first: int
    last: int
    place: bytes
    max_bytes: int


@dataclass(frozen=True, slots=True)
class UpdatesRead:
    updates: tuple[DocumentUpdate, ...]
    answered: int
    next_place: bytes


@dataclass(frozen=True, slots=True)
class ApplyUpdates:
    updates: tuple[DocumentUpdate, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class UpdatesApplied:
    outcomes: tuple[Outcome, ...]
    reasons: tuple[str, ...]
    sequence: int


Question = ReadTree | ReadBuckets | ReadVectors | ReadDifferences | ReadRange | ApplyUpdates
Answer = TreeRead | BucketsRead | VectorsRead | UpdatesRead | UpdatesApplied
