"""Repair of a damaged database: all readable entries are kept, and parts that do not fit together are dropped.

The fingerprints then differ from those of the peers, which send the missing changes. A record contains the state
vector and the delete set of its state, so lost parts are found. The indexes (tree, expiries) are rebuilt from the
records. The feed begins again far beyond its old end, so its followers receive a gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import names_of
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.index.hash_tree import tree_key_of
from peatnode.documents.replica.keyspace import (
    CHECKPOINT,
    EXPIRY,
    FEED,
    META,
    QUARANTINE,
    RECORD,
    SEQUENCE,
    SNAPSHOT,
    TOMBSTONE,
    TREE,
    VALUE,
    KeyValue,
    after,
    number,
)
from peatnode.documents.replica.record import (
    Record,
    decode_record,
    encode_record,
    encode_tree_entry,
)
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.state_packing import unpack_state
from peatnode.documents.replica.write_batch import expiry_key
from peatnode.documents.yjs.merge import merge_updates
from peatnode.errors import MalformedUpdate
from peatnode.model.documents import DocumentUpdate
from workers.store.disk.database import Database, StorageFailed

FEED_JUMP = 1_000_000
"""Gap in the sequences after a repair. It exceeds the number of changes that can have been sent and then lost."""
BATCH_BYTES = 1024 * 1024
"""Size of one write while entries are copied."""

_COPIED = (RECORD, TOMBSTONE, SNAPSHOT, VALUE, QUARANTINE, META)

Writes = list[tuple[bytes, bytes | None]]


def copy_readable(damaged: Database, into: Database, keep_existing: bool) -> None:
    """Copies all readable entries. With `keep_existing`, entries that `into` has already stay.

    Raises StorageFailed for each error except corruption: a disk that cannot be read now may be readable later.
    """
    batch: Writes = []
    size = 0
    for prefix in _COPIED:
        for key, value in readable(damaged, prefix, after(prefix)):
            if keep_existing and into.get(key) is not None:
                continue
            batch.append((key, value))
            size += len(value)
            if size > BATCH_BYTES:
                into.write(batch)
                batch, size = [], 0
    into.write(batch)
    into.sync()


def readable(database: KeyValue, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Entries with start <= key < end, without those in damaged blocks, in no particular order."""
    last = start
    while True:
        try:
            for key, value in database.scan(last, end):
                yield key, value
                last = key + b"\0"
            return
        except StorageFailed as error:
            _raise_unless_corrupt(error)
        beyond = _first_beyond(database, last, end)
        yield from _backwards(database, last, beyond or end)
        if beyond is None:
            return
        last = beyond


def _first_beyond(database: KeyValue, bad: bytes, end: bytes) -> bytes | None:
    """A readable key after `bad`, which is searched near `bad` first, and then further away.

    The caller reads the skipped entries backwards.
    """
    for target in _keys_beyond(bad):
        if target >= end:
            continue
        try:
            found = next(database.scan(target, end), None)
        except StorageFailed as error:
            _raise_unless_corrupt(error)
            continue
        return None if found is None else found[0]
    return None


def _keys_beyond(key: bytes) -> Iterator[bytes]:
    """Keys beyond `key`, those with the longest common prefix first."""
    for depth in range(len(key) - 1, -1, -1):
        for step in (1, 2, 4, 8, 16, 32, 64, 128):
            if key[depth] + step < 256:
                yield key[:depth] + bytes((key[depth] + step,))


def _backwards(database: KeyValue, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Entries between the damage and the next readable key, from the end to the damage."""
    try:
        yield from database.scan(start, end, reverse=True)
    except StorageFailed as error:
        _raise_unless_corrupt(error)


def _raise_unless_corrupt(error: StorageFailed) -> None:
    if not error.is_corruption:
        raise error


# --- reconciliation


def reconcile(database: Database) -> None:
    """Rebuilds the indexes from the records, and begins a new feed. Raises StorageFailed if a record cannot be read."""
    newest = _newest_sequence(database)
    database.write([(CHECKPOINT, None)])  # before the entries that it describes change
    for index in (TREE, EXPIRY, FEED):
        database.delete_range(index, after(index))
    broken: list[bytes] = []
    batch: Writes = []
    for prefix in (TOMBSTONE, RECORD):
        for entry, data in database.scan(prefix, after(prefix)):
            writes, sequence = _reconciled(database, entry, data, broken)
            newest = max(newest, sequence)
            batch += writes
            if len(batch) > 10_000:
                database.write(batch)
                batch = []
    database.write([*batch, (SEQUENCE, number(newest + FEED_JUMP))])
    if broken:
        _rejoin_parts(database, broken)
        database.delete_range(FEED, after(FEED))
    database.sync()


def _newest_sequence(database: Database) -> int:
    stored = database.get(SEQUENCE)
    newest = int.from_bytes(stored, "big") if stored else 0
    try:
        last = next(database.scan(FEED, after(FEED), reverse=True), None)
    except StorageFailed:  # a damaged feed is no problem: the caller deletes it
        return newest
    return max(newest, int.from_bytes(last[0][1:], "big") if last else 0)


def _reconciled(
    database: Database, entry: bytes, data: bytes, broken: list[bytes]
) -> tuple[Writes, int]:
    """The writes for one record, and its sequence."""
    key = entry[1:]
    try:
        record = decode_record(data)
    except ValueError:
        return [(entry, None)], 0
    if _is_superseded(database, key, record):
        return [(entry, None)], record.sequence
    if not record.is_deleted and not _is_whole(database, key, record):
        broken.append(key)
        return [], record.sequence
    tree_entry = encode_tree_entry(record.incarnation, record.is_deleted, record.fingerprint)
    writes: Writes = [(TREE + tree_key_of(key) + key, tree_entry)]
    if record.expires_at:
        writes.append((expiry_key(key, record.expires_at), b""))
    if record.flags & DocumentFlag.VALUE_SEPARATE:
        writes.append((entry, _with_outdated_value(database, key, record)))
    return writes, record.sequence


def _is_superseded(database: Database, key: bytes, record: Record) -> bool:
    """Whether a later record or tombstone of the document exists, because the deletion of this one was lost."""
    data = database.get((RECORD if record.is_deleted else TOMBSTONE) + key)
    try:
        other = None if data is None else decode_record(data)
    except ValueError:
        return False
    return other is not None and _rank(other) > _rank(record)


def _rank(record: Record) -> tuple[int, bool]:
    return record.incarnation, record.is_deleted


def _is_whole(database: Database, key: bytes, record: Record) -> bool:
    """Whether the stored state is the state of the record. An inline snapshot is, because it is part of the record."""
    if record.snapshot is not None:
        return True
    try:
        snapshot = _unpacked(database.get(SNAPSHOT + key))
        whole = merge_updates((snapshot, *record.delta_log), STATE_LIMITS)
    except MalformedUpdate:
        return False
    vector = {client: structs[-1].end for client, structs in whole.structs.items()}
    return vector == record.state_vector and whole.delete_set == record.delete_set


def _with_outdated_value(database: Database, key: bytes, record: Record) -> bytes:
    """The record with its value marked as outdated, because a separate value may be an older one, or lost."""
    flags = record.flags | DocumentFlag.VALUE_OUTDATED
    value = None
    if database.get(VALUE + key) is None:
        flags &= ~DocumentFlag.VALUE_SEPARATE
        value = b"{}"
    return encode_record(replace(record, flags=flags), flags, record.snapshot, value)


def _rejoin_parts(database: Database, keys: list[bytes]) -> None:
    """Joins the parts of documents whose parts do not fit together, as if a peer had sent them."""
    parts: dict[bytes, Record] = {}
    for key in keys:
        parts[key] = decode_record(database.get(RECORD + key) or b"")
        database.write([(RECORD + key, None), (VALUE + key, None)])
    replica = Replica(database, 1)
    for key, record in parts.items():
        snapshot = database.get(SNAPSHOT + key)
        database.write([(SNAPSHOT + key, None)])
        for update in (_unpacked(snapshot), *record.delta_log):
            # the replica refuses a part with a gap before it, and bytes that are no update
            change = DocumentUpdate(*names_of(key), record.incarnation, False, 0.0, update)
            replica.join(change, "repair")
        batch = replica.take_batch()
        database.write(batch.writes())
        replica.committed(batch)


def _unpacked(snapshot: bytes | None) -> bytes:
    """The stored snapshot as an update; for a lost or broken one, bytes that are no update."""
    try:
        return unpack_state(snapshot or b"")
    except (MalformedUpdate, IndexError):
        return b""
