"""Periodic work of the store: expiry, compaction, trimming of the feed, checkpoints, outdated values, probes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

from peatnode.documents.replica.apply_update import compacted
from peatnode.documents.replica.keyspace import EXPIRY, FEED, number
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import WriteBatch, expiry_key
from peatnode.worker.wall_clock import read_clock
from workers.store.checkpoints import Checkpoints
from workers.store.disk.database import Database, StorageFailed
from workers.store.disk.health import DiskHealth
from workers.store.ended.documents import EndedDocuments
from workers.store.engine.client import EngineClient
from workers.store.write.batch import BatchBuilder
from workers.store.write.committer import GroupCommitter
from workers.store.write.expiry_clock import ExpiryClock
from workers.store.write.work import (
    Compact,
    Expire,
    FillValue,
    QueuedRequest,
    RenewClient,
    SetSnapshot,
    Withdraw,
    Work,
)

TURN_SECONDS = 0.5
FEED_CHANGES = 100_000
"""Changes that the feed keeps. It is trimmed when it has a tenth more."""
SLICE = 32
"""Documents that one turn compacts or computes values of. It expires 16 times as many."""
INLINE_BYTES = 32 * 1024
"""A larger snapshot is compacted in a thread, so that no request waits for it."""
QUIET_SECONDS = 5.0
"""Time without writes after which the log is flushed to sorted files."""
QUIET_BYTES = 256 * 1024
"""A smaller log is not flushed."""


def due_withdrawals(replica: Replica) -> Iterator[FillValue | RenewClient | Withdraw]:
    """The work that renews a client id which is taken, and withdraws own writes that another writer contradicts."""
    if replica.is_client_id_taken:
        yield RenewClient()
    for key in list(islice(replica.own_writes.pending, SLICE * 4)):
        yield FillValue(key)
        yield Withdraw(key)


class Maintenance:
    """Runs twice a second: adds due work to the queue of the committer, and probes the disk.

    It changes documents only through the queue, so that all changes have one order.
    """

    def __init__(
        self,
        database: Database,
        replica: Replica,
        committer: GroupCommitter,
        builder: BatchBuilder,
        engine: EngineClient,
        disk: DiskHealth,
        checkpoints: Checkpoints,
        expiry_clock: ExpiryClock,
        ended: EndedDocuments,
    ) -> None:
        self._database = database
        self._replica = replica
        self._committer = committer
        self._builder = builder
        self._engine = engine
        self._disk = disk
        self._checkpoints = checkpoints
        self._expiry_clock = expiry_clock
        self._ended = ended
        self._due: set[bytes] = set()
        """Documents whose delta log is due for compaction."""
        self._last_write = time.monotonic()
        self._unflushed = 0
        self.compactions = 0

    def committed(self, batch: WriteBatch) -> None:
        self._last_write = time.monotonic()
        for key, record in batch.records.items():
            self._unflushed += 500 + len(record.value or b"") + sum(map(len, record.delta_log))
            if self._replica.is_compaction_due(record):
                self._due.add(key)
            else:
                self._due.discard(key)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(TURN_SECONDS)
            has_engine = self._engine.is_ready
            if has_engine:
                self._committer.engine_returned()
            else:
                self._committer.give_up_waiting()
            self._builder.alone.give_up_parked()
            if has_engine and self._builder.outdated:
                self._enqueue(
                    FillValue(key) for key in islice(self._builder.outdated.copy(), SLICE)
                )
            self._withdraw()
            if not self._disk.is_writable:
                if self._replica.open_batch.is_empty:
                    self._disk.probe()
                continue
            self._disk.clear_old_problem()
            try:
                self._expire()
                self._ended.remove_due(self._committer.add)
                await self._compact()
            except StorageFailed as error:
                self._disk.read_failed(error)
            try:
                await self._checkpoints.write_if_due(self._committer.write_alone)
                await self._trim()
                await self._ended.save_totals_if_due(self._committer.write_alone)
                await self._flush_if_quiet()
            except StorageFailed as error:
                self._disk.write_failed(error)

    def _enqueue(self, works: Iterator[Work]) -> None:
        if self._committer.queue_length < SLICE:
            for work in works:
                self._committer.add(QueuedRequest(work))

    def _withdraw(self) -> None:
        self._enqueue(due_withdrawals(self._replica))

    def _expire(self) -> None:
        reading = read_clock()
        if not self._expiry_clock.may_end_documents(reading):
            return
        for work in due_expiries(self._replica, reading.unix):
            self._committer.add(QueuedRequest(work))

    async def _compact(self) -> None:
        keys = [self._due.pop() for _ in range(min(SLICE, len(self._due)))]
        self.compactions += len(keys)
        for key in keys:
            record = self._replica.record_on_disk(key)
            if record is None or not record.delta_log:
                continue
            if record.snapshot_bytes <= INLINE_BYTES:
                self._committer.add(QueuedRequest(Compact(key)))
                continue
            read = self._replica.state_reader(key, record)
            snapshot = await asyncio.to_thread(_compacted, read)
            self._committer.add(QueuedRequest(SetSnapshot(key, record, snapshot)))

    async def _trim(self) -> None:
        keep = first_kept(self._replica)
        if keep - self._replica.oldest_sequence < FEED_CHANGES // 10:
            return
        await self._committer.write_alone(
            partial(self._database.delete_range, FEED + number(0), FEED + number(keep))
        )
        self._replica.trimmed(keep)

    async def _flush_if_quiet(self) -> None:
        """Flushes the log while there are no writes: sorted files hold each key once, the log holds each write."""
        quiet = time.monotonic() - self._last_write
        if quiet < QUIET_SECONDS or self._unflushed < QUIET_BYTES:
            return
        self._unflushed = 0
        await self._checkpoints.write_if_due(self._committer.write_alone, is_quiet=True)
        sequence = self._replica.sequence
        await asyncio.get_running_loop().run_in_executor(None, self._database.flush)
        await self._committer.write_alone(partial(self._checkpoints.flushed, sequence))


def _compacted(read: Callable[[], tuple[bytes, ...]]) -> bytes:
    """The state that `read` unpacks as one compacted update. Runs in a thread."""
    return compacted(read())


def first_kept(replica: Replica) -> int:
    """The sequence of the oldest change that the feed has to keep, for its followers and for the next start."""
    oldest = replica.sequence - FEED_CHANGES + 1
    if replica.checkpoint_sequence:
        oldest = min(oldest, replica.checkpoint_sequence + 1)
    return oldest


def due_expiries(replica: Replica, now: float) -> list[Expire]:
    """The documents whose expiry has passed at `now` (Unix seconds), up to the limit of one turn.

    An entry of the index without a document that expires then is deleted with the next batch. Raises StorageFailed.
    """
    due = replica.kv.scan(EXPIRY, EXPIRY + number(max(0, int(now * 1000))))
    works = []
    for entry, _ in islice(due, SLICE * 16):
        key = entry[9:]
        record = replica.record_on_disk(key)
        if record is None or not record.expires_at or expiry_key(key, record.expires_at) != entry:
            replica.put(entry, None)
        else:
            works.append(Expire(key, record.expires_at))
    return works
