"""The scrub: compares records, indexes and separate entries on disk, a slice at a time, while the store serves.

A start does not read them, so that its time does not grow with the number of documents. The scrub reads all of them
once after each start, and again after a day: it finds damaged blocks that no request has read, and entries that belong
together and differ. It compares what is on disk within one turn of the event loop while no write batch is in flight.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from peatnode.documents.names import display_name
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.index.clock_cache import clocks_on_disk
from peatnode.documents.replica.index.hash_tree import (
    TREE_KEY_BYTES,
    bucket_of,
    bucket_start,
    digest_of,
)
from peatnode.documents.replica.keyspace import (
    ENDED,
    ENDED_STATE,
    LEAP,
    LEAP_UPDATE,
    PEER,
    RECORD,
    SNAPSHOT,
    TOMBSTONE,
    TREE,
    after,
)
from peatnode.documents.replica.record import Record, decode_tree_entry
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.state_packing import PLAIN, unpack_snapshot
from peatnode.documents.replica.write_batch import WriteBatch, expiry_key
from peatnode.errors import EntriesDiffer, StorageFailed
from peatnode.model.tree import BUCKETS

START_SECONDS = 5.0
"""Pause between the start of the store and the first slice."""
SLICE_SECONDS = 0.001
"""Time of one slice, in which no request is answered. One entry is always read."""
SHARE = 0.04
"""Share of a core that the scrub takes."""
BUSY_FACTOR = 4
"""The pause is so many times as long while requests wait."""
AGAIN_SECONDS = 24 * 3600.0
"""Pause between two passes."""
RETRY_SECONDS = 600.0
"""Pause before the next pass, if damage was found that cannot be repaired now."""


class ScrubPass:
    """One pass over the entries, as a machine: `advance` reads the next slice.

    The records are read first. Their number and the XOR of their digests must then be those of the hash tree; changes
    that are committed meanwhile are added, if their records were read before. Then the index is read, and each bucket
    of it must have the hash that the tree has.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._cursor = RECORD
        """All records and tombstones before this key have been read."""
        self._digest = 0
        self._records = 0
        self._ended_cursor = ENDED
        """The same for what is kept of deleted documents."""
        self._bucket = 0
        """All buckets before this one have been read."""
        self.entries = 0
        """Entries that this pass has read."""
        self.large: list[tuple[bytes, Record, bytes]] = []
        """Packed snapshots whose length the caller has to check, because that takes long: key, record, snapshot."""

    @property
    def is_done(self) -> bool:
        return bool(self._bucket == BUCKETS)

    def committed(self, batch: WriteBatch) -> None:
        """Takes the changes of a batch into account, which is on disk since the last slice."""
        if self._cursor >= after(TOMBSTONE):
            return
        for key, record in batch.records.items():
            previous = batch.previous[key]
            if previous is not None and _place_of(key, previous) < self._cursor:
                self._count(key, previous, -1)
            if _place_of(key, record) < self._cursor:
                self._count(key, record, 1)

    def advance(self, seconds: float, clock: Callable[[], float]) -> None:
        """Reads entries for so many seconds. The caller makes sure that no batch is in flight.

        Raises EntriesDiffer, and StorageFailed if an entry cannot be read.
        """
        end = clock() + seconds
        if self._cursor < after(TOMBSTONE):
            self._read_records(end, clock)
        elif self._ended_cursor < after(ENDED_STATE):
            self._read_ended(end, clock)
        else:
            self._read_index(end, clock)

    def _read_records(self, end: float, clock: Callable[[], float]) -> None:
        for entry, data in self._records_from(self._cursor):
            self._read_record(entry[1:], self._decoded(entry[1:], data))
            self._cursor = entry + b"\0"
            if clock() >= end:
                return
        self._cursor = after(TOMBSTONE)
        self._compare_records()
        self._read_others()

    def _read_ended(self, end: float, clock: Callable[[], float]) -> None:
        """Reads what is kept of deleted documents, so that damaged blocks are found."""
        for prefix in (ENDED, ENDED_STATE):
            if self._ended_cursor >= after(prefix):
                continue
            start = max(self._ended_cursor, prefix)
            for entry, _ in self._replica.kv.scan(start, after(prefix)):
                self.entries += 1
                self._ended_cursor = entry + b"\0"
                if clock() >= end:
                    return
        self._ended_cursor = after(ENDED_STATE)

    def _records_from(self, cursor: bytes) -> Iterator[tuple[bytes, bytes]]:
        for prefix in (RECORD, TOMBSTONE):
            if cursor < after(prefix):
                yield from self._replica.kv.scan(max(cursor, prefix), after(prefix))

    def _read_record(self, key: bytes, record: Record) -> None:
        self.entries += 1
        self._count(key, record, 1)
        kv = self._replica.kv
        if record.expires_at and kv.get(expiry_key(key, record.expires_at)) is None:
            raise EntriesDiffer(f"the expiry of {display_name(key)} is not in its index")
        if base := record.clocks.base:
            clocks_on_disk(kv, key, base.id)  # the cache may hold what the disk has lost
        if record.flags & DocumentFlag.VALUE_SEPARATE:
            self._replica.value(key, record)  # raises an error if it is missing
        if record.snapshot is None:
            snapshot = kv.get(SNAPSHOT + key) or b""
            if snapshot[:1] == PLAIN:
                unpack_snapshot(key, record, snapshot)
            else:
                self.large.append((key, record, snapshot))

    def _decoded(self, key: bytes, data: bytes) -> Record:
        try:
            return self._replica.decoded(key, data)
        except ValueError as error:
            raise EntriesDiffer(
                f"the record of {display_name(key)} cannot be decoded: {error}"
            ) from error

    def _count(self, key: bytes, record: Record, number: int) -> None:
        self._digest ^= digest_of(key, record.fingerprint)
        self._records += number

    def _compare_records(self) -> None:
        replica = self._replica
        indexed = replica.counts.documents + replica.counts.tombstones
        if self._records != indexed:
            raise EntriesDiffer(f"the index has {indexed} entries for {self._records} records")
        if self._digest.to_bytes(16, "big") != replica.tree.root:
            raise EntriesDiffer("the index has other fingerprints than the records")

    def _read_others(self) -> None:
        """Reads what is kept of peers and of changes that leap, which is little.

        Entries that cannot be decoded are left to their reader.
        """
        for prefix in (LEAP, LEAP_UPDATE, PEER):
            for _ in self._replica.kv.scan(prefix, after(prefix)):
                self.entries += 1

    def _read_index(self, end: float, clock: Callable[[], float]) -> None:
        bucket, found = self._bucket, 0
        start = TREE + bucket_start(bucket)
        for entry, data in self._replica.kv.scan(start, after(TREE)):
            at = bucket_of(entry[1:])
            if at != bucket:
                self._compare_buckets(bucket, at, found)
                bucket, found = at, 0
                if clock() >= end:
                    return
            self.entries += 1
            found ^= digest_of(entry[1 + TREE_KEY_BYTES :], decode_tree_entry(data)[2])
        self._compare_buckets(bucket, BUCKETS, found)

    def _compare_buckets(self, bucket: int, following: int, found: int) -> None:
        """Compares a bucket that was read, and the empty ones up to `following`."""
        tree = self._replica.tree
        if tree.leaf(bucket) != found or not tree.is_empty(bucket + 1, following):
            raise EntriesDiffer(
                f"the index has other entries than the tree in bucket {bucket}, or up to {following}"
            )
        self._bucket = following


def _place_of(key: bytes, record: Record) -> bytes:
    return (TOMBSTONE if record.is_deleted else RECORD) + key


class Scrub:
    """Runs passes in the background, at a bounded rate, and hands damage to the disk's health."""

    def __init__(
        self,
        replica: Replica,
        is_busy: Callable[[], bool],
        on_damage: Callable[[StorageFailed], None],
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._replica = replica
        self._is_busy = is_busy
        self._on_damage = on_damage
        self._start_seconds = start_seconds
        self._pass: ScrubPass | None = None
        self._turn: asyncio.Future[None] | None = None
        """Waits for the next slice, while a batch is in flight."""
        self._earlier_entries = 0
        self.passes = 0
        """Passes that were completed."""

    @property
    def entries(self) -> int:
        """Entries that were compared since the start."""
        return self._earlier_entries + (self._pass.entries if self._pass is not None else 0)

    @property
    def is_running(self) -> bool:
        return self._pass is not None

    def committed(self, batch: WriteBatch) -> None:
        """Notes a batch that is on disk. At this moment none is in flight, so a slice that waits is read now."""
        if self._pass is None:
            return
        self._pass.committed(batch)
        turn, self._turn = self._turn, None
        if turn is None or turn.done():
            return
        try:
            self._pass.advance(SLICE_SECONDS, time.perf_counter)
            turn.set_result(None)
        except StorageFailed as error:
            turn.set_exception(error)

    async def run(self) -> None:
        await asyncio.sleep(self._start_seconds)
        while True:
            pause = AGAIN_SECONDS
            self._pass = ScrubPass(self._replica)
            try:
                await self._run_pass(self._pass)
                self.passes += 1
            except StorageFailed as error:
                self._on_damage(error)
                pause = RETRY_SECONDS
            self._earlier_entries += self._pass.entries
            self._pass = None
            await asyncio.sleep(pause)

    async def _run_pass(self, scrub: ScrubPass) -> None:
        """Raises StorageFailed."""
        while not scrub.is_done:
            started = time.perf_counter()
            if self._replica.is_settled:
                scrub.advance(SLICE_SECONDS, time.perf_counter)
            else:
                self._turn = asyncio.get_running_loop().create_future()
                await self._turn
                started = time.perf_counter() - SLICE_SECONDS
            while scrub.large:
                key, record, stored = scrub.large.pop()
                await asyncio.to_thread(unpack_snapshot, key, record, stored)
            pause = (time.perf_counter() - started) / SHARE
            await asyncio.sleep(pause * BUSY_FACTOR if self._is_busy() else pause)
