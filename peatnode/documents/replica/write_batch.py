"""A group of changes that reaches the disk as one: what was decided, and the writes that it comes to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from peatnode.documents.replica.hash_tree import NO_DIGEST, digest_of, place_of
from peatnode.documents.replica.keyspace import (
    BASE,
    EXPIRY,
    FEED,
    PLACE,
    RECORD,
    SEQUENCE,
    TOMBSTONE,
    VALUE,
    number,
)
from peatnode.documents.replica.record import (
    FeedEntry,
    Record,
    Trait,
    encode_feed_entry,
    encode_place,
    encode_record,
)
from peatnode.documents.replica.state_packing import squeeze

APART_BYTES = 4096
"""Beyond it a state or a value has an entry of its own, so that a small change does not rewrite it."""


@dataclass(slots=True)
class Change:
    """One change to one document, with its place in the feed."""

    sequence: int
    key: bytes
    entry: FeedEntry
    update: bytes
    """Just what is new; empty for a deletion."""
    value: bytes | None
    """After it; None: not known yet."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What a document's change means for the tree and the counts."""

    place: bytes
    difference: int
    """XOR of its digests before and after."""
    collection: str
    documents: int
    tombstones: int


@dataclass(slots=True)
class Group:
    """Not yet on disk. Later groups build on it."""

    records: dict[bytes, Record] = field(default_factory=dict)
    former: dict[bytes, Record | None] = field(default_factory=dict)
    """What this group found."""
    changes: list[Change] = field(default_factory=list)
    extra: dict[bytes, bytes | None] = field(default_factory=dict)
    """Other writes; None deletes."""

    @property
    def is_empty(self) -> bool:
        return not self.records and not self.extra

    def put(self, key: bytes, former: Record | None, record: Record) -> None:
        if key not in self.former:
            self.former[key] = former
        self.records[key] = record

    def writes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Puts and deletions (None), each key once."""
        for key, record in self.records.items():
            yield from _record_writes(key, self.former[key], record)
        for change in self.changes:
            yield FEED + number(change.sequence), encode_feed_entry(change.entry)
        if self.changes:
            yield SEQUENCE, number(self.changes[-1].sequence)
        yield from self.extra.items()

    def deltas(self) -> Iterator[Delta]:
        for key, record in self.records.items():
            yield _delta(key, self.former[key], record)


def _record_writes(
    key: bytes, former: Record | None, record: Record
) -> Iterator[tuple[bytes, bytes | None]]:
    traits, base, value = record.traits, record.base, record.value
    if base is not None:
        traits &= ~Trait.BASE_APART
        if len(base) > APART_BYTES:
            traits |= Trait.BASE_APART
            yield BASE + key, squeeze(base)
            base = None
    if value is not None:
        traits &= ~Trait.VALUE_APART
        if len(value) > APART_BYTES:
            traits |= Trait.VALUE_APART
            yield VALUE + key, value
            value = None
    gone = former.traits & ~traits if former is not None else 0
    if gone & Trait.BASE_APART:
        yield BASE + key, None
    if gone & Trait.VALUE_APART:
        yield VALUE + key, None
    home, other = (TOMBSTONE, RECORD) if record.is_deleted else (RECORD, TOMBSTONE)
    yield home + key, encode_record(record, traits, base, value)
    if former is not None and former.is_deleted != record.is_deleted:
        yield other + key, None
    digest = record.fingerprint
    yield PLACE + place_of(key) + key, encode_place(record.incarnation, record.is_deleted, digest)
    yield from _expiry_writes(key, former.expires_at if former else 0.0, record.expires_at)


def _expiry_writes(key: bytes, before: float, now: float) -> Iterator[tuple[bytes, bytes | None]]:
    if before == now:
        return
    if before:
        yield expiry_key(key, before), None
    if now:
        yield expiry_key(key, now), b""


LAST_EXPIRY = 2.0**50
"""Seconds; whatever ends later ends never."""


def expiry_key(key: bytes, expires_at: float) -> bytes:
    return EXPIRY + number(int(min(expires_at, LAST_EXPIRY) * 1000)) + key


def _delta(key: bytes, former: Record | None, record: Record) -> Delta:
    before = NO_DIGEST if former is None else digest_of(key, former.fingerprint)
    was_live = former is not None and not former.is_deleted
    was_dead = former is not None and former.is_deleted
    return Delta(
        place_of(key),
        before ^ digest_of(key, record.fingerprint),
        key.partition(b"\0")[0].decode(),
        (not record.is_deleted) - was_live,
        record.is_deleted - was_dead,
    )
