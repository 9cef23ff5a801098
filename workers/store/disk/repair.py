"""Repair of a damaged database: all readable entries are kept, and parts that do not fit together are dropped.

The fingerprints then differ from those of the peers, which send the missing changes. A record contains the state
vector and the delete set of its state, so lost parts are found. The indexes (tree, expiries) are rebuilt from the
records. The feed begins again far beyond its old end, so its followers receive a gap.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial

from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import names_of
from peatnode.documents.replica.ended.matching import unmatched
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.index.clock_cache import clocks_on_disk
from peatnode.documents.replica.index.hash_tree import tree_key_of
from peatnode.documents.replica.keyspace import (
    CHECKPOINT,
    CLOCKS,
    ENDED,
    ENDED_STATE,
    EXPIRY,
    FEED,
    FLUSHED,
    LEAP,
    LEAP_UPDATE,
    META,
    PEER,
    QUARANTINE,
    RECORD,
    SEQUENCE,
    SNAPSHOT,
    SUMMED,
    TOMBSTONE,
    TREE,
    VALUE,
    KeyValue,
    after,
    number,
    stored_number,
)
from peatnode.documents.replica.reads import ended_of
from peatnode.documents.replica.record import (
    Record,
    decode_record,
    encode_record,
    encode_tree_entry,
)
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.state_packing import state_reader, unpack_state
from peatnode.documents.replica.write_batch import expiry_key
from peatnode.documents.yjs.merge import merge_updates
from peatnode.errors import EntriesDiffer, MalformedUpdate
from peatnode.model.documents import DocumentUpdate
from workers.store.disk.database import Database, StorageFailed

FEED_JUMP = 1_000_000
"""Gap in the sequences after a repair. It exceeds the number of changes that can have been sent and then lost."""
BATCH_BYTES = 1024 * 1024
"""Size of one write while entries are copied."""
MAX_PROBES = 100_000
"""Keys at which `readable` tries to go on in one kind of entry. One damaged block needs a few hundred."""
MAX_DEPTH = 160
"""Halvings of the keys between two damages until the search there ends: 20 bytes beyond their common beginning."""

_COPIED = (
    RECORD,
    TOMBSTONE,
    SNAPSHOT,
    VALUE,
    CLOCKS,
    ENDED,
    ENDED_STATE,
    QUARANTINE,
    LEAP,
    LEAP_UPDATE,
    PEER,
    META,
)

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
    low = yield from _read_forwards(database, start, end)
    if low is None:
        return
    high = yield from _read_backwards(database, low.key, end)
    gaps = [_Gap(low, _Damaged(high, ""), 0)]
    for _ in range(MAX_PROBES):
        if not gaps:
            return
        gap = gaps.pop()
        middle = gap.middle()
        if middle is None:
            continue
        error = _probe(database, middle, gap.high.key)
        if error is not None:
            gaps += (_Gap(gap.low, error, gap.depth + 1), _Gap(error, gap.high, gap.depth + 1))
            continue
        last = yield from _read_forwards(database, middle, gap.high.key)
        first = yield from _read_backwards(database, gap.low.key, middle)
        gaps.append(_Gap(gap.low, _Damaged(first, ""), gap.depth + 1 if first == middle else 0))
        if last is not None:
            gaps.append(_Gap(last, gap.high, 0))


@dataclass(frozen=True, slots=True)
class _Damaged:
    """A key from which no scan can start.

    RocksDB's error names the file and the place of the damaged block. If two keys have the same error, one block, or
    one file, extends from the one to the other, and nothing between them can be read.
    """

    key: bytes
    text: str
    """The error; empty if it is not known."""


@dataclass(frozen=True, slots=True)
class _Gap:
    """Keys between two damages, of which none has been read."""

    low: _Damaged
    high: _Damaged
    depth: int
    """How often the gap was halved since entries beside it were read."""

    def middle(self) -> bytes | None:
        """A key halfway through; None if nothing can be read in the gap."""
        if self.low.text == self.high.text or self.depth > MAX_DEPTH:
            return None
        size = max(len(self.low.key), len(self.high.key)) + 1
        first = int.from_bytes(self.low.key.ljust(size, b"\0"), "big")
        last = int.from_bytes(self.high.key.ljust(size, b"\0"), "big")
        middle = (first + last) // 2
        return middle.to_bytes(size, "big") if first < middle else None


def _read_forwards(
    database: KeyValue, start: bytes, end: bytes
) -> Generator[tuple[bytes, bytes], None, _Damaged | None]:
    """Yields the entries up to the first damage. Returns that damage."""
    try:
        for key, value in database.scan(start, end):
            yield key, value
            start = key + b"\0"
    except StorageFailed as error:
        return _Damaged(start, _corruption(error))
    return None


def _read_backwards(
    database: KeyValue, start: bytes, end: bytes
) -> Generator[tuple[bytes, bytes], None, bytes]:
    """Yields the entries from the end down to the first damage. Returns the last key that was read."""
    try:
        for key, value in database.scan(start, end, reverse=True):
            yield key, value
            end = key
    except StorageFailed as error:
        _corruption(error)
        return end
    return start


def _probe(database: KeyValue, start: bytes, end: bytes) -> _Damaged | None:
    """The damage at which a scan from `start` fails at once; None if it can begin."""
    try:
        next(database.scan(start, end), None)
    except StorageFailed as error:
        return _Damaged(start, _corruption(error))
    return None


def _corruption(error: StorageFailed) -> str:
    """The text of the error. Raises the error if it may pass."""
    if not error.is_corruption:
        raise error
    return str(error)


# --- reconciliation


def reconcile(database: Database) -> None:
    """Rebuilds the indexes from the records, and begins a new feed. Raises StorageFailed if a record cannot be read."""
    newest = _newest_sequence(database)
    # before the entries that they describe change
    database.write([(CHECKPOINT, None), (FLUSHED, None)])
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
    database.write([*batch, *unmatched(database), (SEQUENCE, number(newest + FEED_JUMP))])
    if broken:
        database.write([(SUMMED, None)])  # this module has no key: the sums are computed anew
        _rejoin_parts(database, broken)
        database.delete_range(FEED, after(FEED))
    database.sync()


def _newest_sequence(database: Database) -> int:
    newest = max(stored_number(database, SEQUENCE), stored_number(database, FLUSHED))
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
        record = decode_record(data, partial(clocks_on_disk, database, key))
    except ValueError:
        return [(entry, None)], 0
    if _is_superseded(database, key, record):
        return [(entry, None)], record.sequence
    if not record.is_deleted and not _is_whole(database, key, record):
        broken.append(key)
        return [], record.sequence
    if record.is_deleted and record.snapshot is None and not _has_snapshot(database, key, record):
        flags = record.flags & ~DocumentFlag.SNAPSHOT_SEPARATE
        bare = encode_record(replace(record, snapshot_bytes=0), flags, b"", None)
        return [*_tree_writes(key, record), (entry, bare)], record.sequence
    writes = _tree_writes(key, record)
    if record.expires_at:
        writes.append((expiry_key(key, record.expires_at), b""))
    if record.flags & DocumentFlag.VALUE_SEPARATE:
        writes.append((entry, _with_outdated_value(database, key, record)))
    return writes, record.sequence


def _tree_writes(key: bytes, record: Record) -> Writes:
    tree_entry = encode_tree_entry(record.incarnation, record.is_deleted, record.fingerprint)
    return [(TREE + tree_key_of(key) + key, tree_entry)]


def _has_snapshot(database: Database, key: bytes, record: Record) -> bool:
    """Whether the snapshot that a tombstone keeps is there."""
    try:
        return bool(state_reader(database, key, record)())
    except EntriesDiffer:
        return False


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
    """Whether the stored state is the state of the record. What is inline is, because it is part of the record."""
    if record.snapshot is not None and record.clocks.base is None:
        return True
    try:
        # the snapshot of another record is refused, even if it has the same state
        whole = merge_updates(state_reader(database, key, record)(), STATE_LIMITS)
        vector = {client: structs[-1].end for client, structs in whole.structs.items()}
        return vector == record.state_vector and whole.delete_set == record.delete_set
    except (EntriesDiffer, MalformedUpdate):
        return False


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
        parts[key] = decode_record(
            database.get(RECORD + key) or b"", partial(clocks_on_disk, database, key)
        )
        database.write([(RECORD + key, None), (VALUE + key, None)])
    replica = Replica(database, 1)
    for key, record in parts.items():
        snapshot = record.snapshot or _unpacked(database.get(SNAPSHOT + key))
        ended = _ended(record)
        database.write([(SNAPSHOT + key, None), (CLOCKS + key, None)])
        for update in (snapshot, *record.delta_log):
            # the replica refuses a part with a gap before it, and bytes that are no update
            change = DocumentUpdate(*names_of(key), record.incarnation, False, 0.0, update, ended)
            replica.join(change, "repair")
        batch = replica.take_batch()
        database.write(batch.writes())
        replica.committed(batch)


def _ended(record: Record) -> bytes:
    """The ended vector of a record; empty if it is lost with the other clocks."""
    try:
        return ended_of(record)
    except EntriesDiffer:
        return b""


def _unpacked(snapshot: bytes | None) -> bytes:
    """The stored snapshot as an update; for a lost or broken one, bytes that are no update."""
    try:
        return unpack_state(snapshot or b"")
    except MalformedUpdate:
        return b""
