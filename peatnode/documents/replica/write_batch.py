"""Changes that reach the disk together, and the writes that they make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.hash_tree import NO_DIGEST, digest_of, tree_key_of
from peatnode.documents.replica.keyspace import (
    EXPIRY,
    FEED,
    RECORD,
    SEQUENCE,
    SNAPSHOT,
    TOMBSTONE,
    TREE,
    VALUE,
    number,
)
from peatnode.documents.replica.record import (
    FeedEntry,
    Record,
    encode_feed_entry,
    encode_record,
    encode_tree_entry,
)
from peatnode.documents.replica.state_packing import pack_state

MAX_INLINE_BYTES = 4096
"""A larger snapshot or value has an entry of its own, so that a small change does not rewrite it."""


@dataclass(slots=True)
class StagedChange:
    """One change to one document, with its place in the feed."""

    sequence: int
    key: bytes
    entry: FeedEntry
    update: bytes
    """Only what is new; empty for a deletion."""
    value: bytes | None
    """After the change; None: not computed yet."""


@dataclass(frozen=True, slots=True)
class TreeChange:
    """The effect of a document's change on the hash tree and the counts."""

    tree_key: bytes
    difference: int
    """XOR of its digests before and after."""
    collection: str
    documents: int
    tombstones: int


@dataclass(slots=True)
class WriteBatch:
    """Changes that are not on disk yet. Later batches build on them."""

    records: dict[bytes, Record] = field(default_factory=dict)
    former: dict[bytes, Record | None] = field(default_factory=dict)
    """The records before this batch."""
    changes: list[StagedChange] = field(default_factory=list)
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

    def tree_changes(self) -> Iterator[TreeChange]:
        for key, record in self.records.items():
            yield _tree_change(key, self.former[key], record)


def _record_writes(
    key: bytes, former: Record | None, record: Record
) -> Iterator[tuple[bytes, bytes | None]]:
    flags, snapshot, value = record.flags, record.snapshot, record.value
    if snapshot is not None:
        flags &= ~DocumentFlag.SNAPSHOT_SEPARATE
        if len(snapshot) > MAX_INLINE_BYTES:
            flags |= DocumentFlag.SNAPSHOT_SEPARATE
            yield SNAPSHOT + key, pack_state(snapshot)
            snapshot = None
    if value is not None:
        flags &= ~DocumentFlag.VALUE_SEPARATE
        if len(value) > MAX_INLINE_BYTES:
            flags |= DocumentFlag.VALUE_SEPARATE
            yield VALUE + key, value
            value = None
    gone = former.flags & ~flags if former is not None else 0
    if gone & DocumentFlag.SNAPSHOT_SEPARATE:
        yield SNAPSHOT + key, None
    if gone & DocumentFlag.VALUE_SEPARATE:
        yield VALUE + key, None
    home, other = (TOMBSTONE, RECORD) if record.is_deleted else (RECORD, TOMBSTONE)
    yield home + key, encode_record(record, flags, snapshot, value)
    if former is not None and former.is_deleted != record.is_deleted:
        yield other + key, None
    digest = record.fingerprint
    yield (
        TREE + tree_key_of(key) + key,
        encode_tree_entry(record.incarnation, record.is_deleted, digest),
    )
    yield from _expiry_writes(key, former.expires_at if former else 0.0, record.expires_at)


def _expiry_writes(key: bytes, before: float, now: float) -> Iterator[tuple[bytes, bytes | None]]:
    if before == now:
        return
    if before:
        yield expiry_key(key, before), None
    if now:
        yield expiry_key(key, now), b""


LAST_EXPIRY = 2.0**50
"""Unix seconds. A later expiry is stored as this one, which never comes."""


def expiry_key(key: bytes, expires_at: float) -> bytes:
    return EXPIRY + number(int(min(expires_at, LAST_EXPIRY) * 1000)) + key


def _tree_change(key: bytes, former: Record | None, record: Record) -> TreeChange:
    before = NO_DIGEST if former is None else digest_of(key, former.fingerprint)
    was_live = former is not None and not former.is_deleted
    was_dead = former is not None and former.is_deleted
    return TreeChange(
        tree_key_of(key),
        before ^ digest_of(key, record.fingerprint),
        key.partition(b"\0")[0].decode(),
        (not record.is_deleted) - was_live,
        record.is_deleted - was_dead,
    )
