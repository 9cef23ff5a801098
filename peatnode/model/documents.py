"""A document's state and changes, as stores and nodes exchange them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class DocumentUpdate:
    """A document's change between nodes: the updates of one incarnation, or its end."""

    collection: str
    id: str
    incarnation: int
    is_deleted: bool
    expires_at: float
    update: bytes
    """Yjs update v1; for a tombstone the state vector of what it ended, or nothing."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the asker has of a document."""

    collection: str
    id: str
    incarnation: int
    """The asker's; 0: it has none. A higher one at the answerer's is answered whole."""
    state_vector: bytes
    """Yjs-encoded; empty: everything."""


@dataclass(frozen=True, slots=True)
class BucketEntry:
    """A document as a bucket of the tree lists it."""

    collection: str
    id: str
    incarnation: int
    is_deleted: bool
    fingerprint: bytes


class Outcome(StrEnum):
    """What became of an update in a store."""

    APPLIED = "applied"
    KNOWN = "known"
    """Nothing new in it."""
    STALE = "stale"
    """Of an incarnation that has ended here: ours is higher."""
    GAP = "gap"
    """Something before it is missing: not applied; ask by state vector."""
    REFUSED = "refused"
    """Malformed, over a limit, or quarantined: never ask for it again while it is the same."""
