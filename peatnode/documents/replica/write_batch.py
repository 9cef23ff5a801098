"""Write batches: changes that reach the disk together, and the database writes that they cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from peatnode.documents.names import names_of
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.index.hash_tree import NO_DIGEST, digest_of, tree_key_of
from peatnode.documents.replica.keyspace import (
    CLOCKS,
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
    existence_of,
)
from peatnode.documents.replica.state_packing import pack_state
from peatnode.documents.yjs.clocks.base_clocks import encode_clocks
from peatnode.model.states import ChangeAction

MAX_INLINE_BYTES = 4096
"""A larger snapshot or value has an entry of its own, so that a small change does not rewrite it."""


@dataclass(slots=True)
class StagedChange:
    """One change to one document, with its place in the feed."""

    sequence: int
    key: bytes
    entry: FeedEntry
    update: bytes
    """Only what the change adds; for a deletion, the ended vector."""
    value: bytes | None
    """The JSON after the change; None until the engine has computed it."""


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
    """Changes that are not on disk yet. Later batches start from their records."""

    records: dict[bytes, Record] = field(default_factory=dict)
    previous: dict[bytes, Record | None] = field(default_factory=dict)
    """The records before this batch."""
    changes: list[StagedChange] = field(default_factory=list)
    packed: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)
    """Large snapshots by document key, and how they are stored, where the caller has packed them in a thread."""
    extra: dict[bytes, bytes | None] = field(default_factory=dict)
    """Entries that belong to no record; None deletes the key."""

    @property
    def is_empty(self) -> bool:
        return not self.records and not self.extra

    def put(self, key: bytes, previous: Record | None, record: Record) -> None:
        """Replaces a record without a change in the feed. The fingerprint must stay, as a start replays the feed."""
        if key not in self.previous:
            self.previous[key] = previous
        self.records[key] = record

    def stage(
        self, key: bytes, previous: Record | None, record: Record, update: bytes, origin: str
    ) -> None:
        """Replaces a record, and adds the change to the feed."""
        self.put(key, previous, record)
        action = _action_of(previous, record)
        entry = FeedEntry(
            *names_of(key),
            action,
            record.incarnation,
            record.fingerprint,
            origin,
            existence_of(previous),
        )
        value = b"" if record.is_deleted else None if record.is_value_outdated else record.value
        self.changes.append(StagedChange(record.sequence, key, entry, update, value))

    def set_value(self, key: bytes, value: bytes) -> None:
        """Sets the value of the document's last change in this batch, if there is one."""
        for change in reversed(self.changes):
            if change.key == key:
                change.value = value
                break

    def large_snapshots(self, size: int) -> list[tuple[bytes, bytes]]:
        """Document keys and their new snapshots of more bytes, which take long to pack."""
        return [
            (key, record.snapshot)
            for key, record in self.records.items()
            if record.snapshot_bytes > size and _has_new_snapshot(self.previous[key], record)
            if record.snapshot is not None
        ]

    def writes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Puts and deletions (None), each key once."""
        for key, record in self.records.items():
            yield from _record_writes(key, self.previous[key], record, self.packed.get(key))
        for change in self.changes:
            yield FEED + number(change.sequence), encode_feed_entry(change.entry)
        if self.changes:
            yield SEQUENCE, number(self.changes[-1].sequence)
        yield from self.extra.items()

    def tree_changes(self) -> Iterator[TreeChange]:
        for key, record in self.records.items():
            yield _tree_change(key, self.previous[key], record)


def _action_of(previous: Record | None, record: Record) -> ChangeAction:
    if record.is_deleted:
        return ChangeAction.DELETED
    if previous is None or previous.incarnation != record.incarnation:
        return ChangeAction.CREATED
    return ChangeAction.UPDATED


def _record_writes(
    key: bytes, previous: Record | None, record: Record, packed: tuple[bytes, bytes] | None
) -> Iterator[tuple[bytes, bytes | None]]:
    flags, snapshot, value = _stored_flags(record), record.snapshot, record.value
    if snapshot is not None and flags & DocumentFlag.SNAPSHOT_SEPARATE:
        if _has_new_snapshot(previous, record):
            is_packed = packed is not None and packed[0] is snapshot
            yield SNAPSHOT + key, packed[1] if packed and is_packed else pack_state(snapshot)
        snapshot = None
    if value is not None and flags & DocumentFlag.VALUE_SEPARATE:
        yield VALUE + key, value
        value = None
    obsolete = _stored_flags(previous) & ~flags if previous is not None else 0
    if obsolete & DocumentFlag.SNAPSHOT_SEPARATE:
        yield SNAPSHOT + key, None
    if obsolete & DocumentFlag.VALUE_SEPARATE:
        yield VALUE + key, None
    yield from _clocks_writes(key, previous, record)
    prefix, other_prefix = (TOMBSTONE, RECORD) if record.is_deleted else (RECORD, TOMBSTONE)
    yield prefix + key, encode_record(record, flags, snapshot, value)
    if previous is not None and previous.is_deleted != record.is_deleted:
        yield other_prefix + key, None
    digest = record.fingerprint
    yield (
        TREE + tree_key_of(key) + key,
        encode_tree_entry(record.incarnation, record.is_deleted, digest),
    )
    yield from _expiry_writes(key, previous.expires_at if previous else 0.0, record.expires_at)


def _stored_flags(record: Record) -> int:
    """The flags with which a record is stored: whether what is in memory is too large for it."""
    flags = record.flags
    if record.snapshot is not None:
        flags &= ~DocumentFlag.SNAPSHOT_SEPARATE
        if len(record.snapshot) > MAX_INLINE_BYTES:
            flags |= DocumentFlag.SNAPSHOT_SEPARATE
    if record.value is not None:
        flags &= ~DocumentFlag.VALUE_SEPARATE
        if len(record.value) > MAX_INLINE_BYTES:
            flags |= DocumentFlag.VALUE_SEPARATE
    return flags


def _has_new_snapshot(previous: Record | None, record: Record) -> bool:
    """Whether the record's snapshot is in memory, and no earlier batch has written it."""
    return record.snapshot is not None and (
        previous is None or previous.snapshot is not record.snapshot
    )


def _clocks_writes(
    key: bytes, previous: Record | None, record: Record
) -> Iterator[tuple[bytes, bytes | None]]:
    base = record.clocks.base
    before = None if previous is None else previous.clocks.base
    if base is not None and (before is None or before.id != base.id):
        yield CLOCKS + key, encode_clocks(base.clocks)
    elif base is None and before is not None:
        yield CLOCKS + key, None


def _expiry_writes(key: bytes, before: float, now: float) -> Iterator[tuple[bytes, bytes | None]]:
    if before == now:
        return
    if before:
        yield expiry_key(key, before), None
    if now:
        yield expiry_key(key, now), b""


LAST_EXPIRY = 2.0**50
"""Unix seconds, millions of years away. A later expiry is stored as this one."""


def expiry_key(key: bytes, expires_at: float) -> bytes:
    """The key of a document's entry in the expiry index, which sorts by time."""
    return EXPIRY + number(int(min(expires_at, LAST_EXPIRY) * 1000)) + key


def _tree_change(key: bytes, previous: Record | None, record: Record) -> TreeChange:
    before = NO_DIGEST if previous is None else digest_of(key, previous.fingerprint)
    was_live = previous is not None and not previous.is_deleted
    was_tombstone = previous is not None and previous.is_deleted
    return TreeChange(
        tree_key_of(key),
        before ^ digest_of(key, record.fingerprint),
        key.partition(b"\0")[0].decode(),
        (not record.is_deleted) - was_live,
        record.is_deleted - was_tombstone,
    )
