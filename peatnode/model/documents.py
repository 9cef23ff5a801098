"""The state and the changes of a document, as stores and nodes exchange them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class DocumentUpdate:
    """A change of a document that one node sends another: an update of one incarnation, or its tombstone."""

    collection: str
    id: str
    incarnation: int
    is_deleted: bool
    expires_at: float
    update: bytes
    """Yjs update v1. For a tombstone: the state vector of the ended incarnations, or empty."""
    ended: bytes = b""
    """For a whole document: the state vector of its earlier incarnations, which have ended, or empty."""
    is_whole: bool = False
    """Whether it is a whole document, to be compared with the one here unit by unit."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The part of a document that the asking store already has."""

    collection: str
    id: str
    incarnation: int
    """Incarnation in the asking store; 0: none.
    If the answering store has a higher one, it sends the whole document."""
    state_vector: bytes
    """Yjs-encoded; empty: everything is wanted. With the same incarnation, it is wanted for a comparison."""


@dataclass(frozen=True, slots=True)
class BucketEntry:
    """One document or tombstone of a bucket of the hash tree."""

    collection: str
    id: str
    incarnation: int
    is_deleted: bool
    fingerprint: bytes


class Outcome(StrEnum):
    """The result of an update in a store."""

    APPLIED = "applied"
    KNOWN = "known"
    """It contains nothing new."""
    STALE = "stale"
    """Its incarnation has ended in this store, which has a higher one.
    For an update of a Yjs client: it holds structs or deletions of such an incarnation."""
    GAP = "gap"
    """It depends on structs that are missing.
    It is not applied; the missing part is asked for by state vector."""
    REFUSED = "refused"
    """It is malformed, over a limit, or quarantined.
    It must not be asked for again while it is unchanged."""
