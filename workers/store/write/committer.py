"""Group commit: requests that arrive during one sync go into the next batch."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.state_packing import pack_state
from peatnode.documents.replica.write_batch import WriteBatch
from peatnode.ipc.messages import Failed, Failure
from workers.store.disk.database import Database, StorageFailed
from workers.store.disk.witness import CommitWitness
from workers.store.engine.refusal import ENGINE_AWAY
from workers.store.pace import LARGE_BYTES
from workers.store.write.batch import BatchBuilder
from workers.store.write.histogram import Histogram
from workers.store.write.work import QueuedRequest

MAX_QUEUE = 8192
"""Requests in the queue. A request beyond the limit is answered with BUSY."""
MAX_BATCH = 512
"""Requests in one batch. It holds fewer if they take longer than `BATCH_SECONDS`."""
ENGINE_WAIT_SECONDS = 8.0
"""A request waits so long for the engine, and is then answered with UNAVAILABLE."""
QUICK_SYNC_SECONDS = 0.001
"""While the average sync is faster, it runs on the event loop: a thread would cost more than it saves."""


_OUT_OF_MEMORY = (
    "the store had not enough memory for this write, and nothing was changed: try again later"
)


class GroupCommitter:
    """Owns the queue of requests and commits them in batches.

    One batch is built while the previous one is synced. A request is answered, and its changes are visible, only when
    they are on disk. If a write fails, the requests of the batch are refused. If a sync fails, the worker ends.
    """

    def __init__(
        self,
        database: Database,
        witness: CommitWitness,
        replica: Replica,
        builder: BatchBuilder,
        on_committed: Callable[[WriteBatch], None],
        on_storage: Callable[[StorageFailed | None], None],
        on_unreadable: Callable[[StorageFailed], None],
    ) -> None:
        """`on_storage` receives the error of a failed write, and None after a write that succeeded."""
        self._database = database
        self._witness = witness
        self._replica = replica
        self._builder = builder
        builder.alone.requeue = self.add_first
        self._on_committed = on_committed
        self._on_storage = on_storage
        self._on_unreadable = on_unreadable
        self._queue: deque[QueuedRequest] = deque()
        self._waiting: list[QueuedRequest] = []
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        """Set while the queue is empty and no batch is being built."""
        self._idle.set()
        self._syncing: asyncio.Task[None] | None = None
        self._sync_seconds = 0.0
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        """Receives the error that ends the worker."""
        self.durations = Histogram((0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0))
        self.sizes = Histogram((1, 2, 4, 8, 16, 32, 64, 128, 256, 512))

    @property
    def queue_length(self) -> int:
        return len(self._queue) + len(self._waiting) + len(self._builder.alone)

    @property
    def syncing(self) -> asyncio.Task[None] | None:
        """The running sync. Until it is done, reads may see changes that are not on disk."""
        return self._syncing

    def add(self, request: QueuedRequest) -> bool:
        """Adds a request to the queue. Returns False if the queue is full."""
        if len(self._queue) >= MAX_QUEUE:
            return False
        request.deadline = self._loop.time() + ENGINE_WAIT_SECONDS
        self._queue.append(request)
        self._wake()
        return True

    def _wake(self) -> None:
        self._idle.clear()
        self._arrived.set()

    def add_first(self, requests: Iterable[QueuedRequest]) -> None:
        """Puts requests back at the front of the queue, in this order."""
        self._queue.extendleft(reversed(list(requests)))
        if self._queue:
            self._wake()

    def engine_returned(self) -> None:
        """Puts the requests that waited for the engine at the front of the queue."""
        self.add_first(self._waiting)
        self._waiting.clear()

    def give_up_waiting(self) -> None:
        """Answers the requests that have waited too long for the engine."""
        now = self._loop.time()
        late = [request for request in self._waiting if request.deadline <= now]
        for request in late:
            self._waiting.remove(request)
            request.reply = ENGINE_AWAY
            request.answer()

    async def run(self) -> None:
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._queue:
                    await self._next_batch()
                self._idle.set()
        finally:
            self._idle.set()  # nothing more is built, so nobody waits for it

    async def drain(self) -> None:
        """Waits until every request is on disk or refused. Those that wait for the engine stay."""
        while True:
            await self._idle.wait()
            if self._syncing is not None and not self._syncing.done():
                await asyncio.wait([self._syncing])
            elif self._idle.is_set():
                return

    async def _next_batch(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]
        await self._commit_batch(batch)
        # lets the event loop read what has arrived meanwhile
        await asyncio.sleep(0)

    async def _commit_batch(self, batch: list[QueuedRequest]) -> None:
        try:
            built = await self._builder.build(batch)
        except (StorageFailed, MemoryError) as error:
            await self._commit_one_by_one(batch, error)
            return
        self._waiting += built.waiting
        self._queue.extendleft(reversed(built.rest))
        await self._pack_snapshots()
        await self._wait_synced()
        self._commit(built.done)

    async def _pack_snapshots(self) -> None:
        """Packs the large new snapshots of the open batch in a thread."""
        batch = self._replica.open_batch
        for key, snapshot in batch.large_snapshots(LARGE_BYTES):
            batch.packed[key] = snapshot, await asyncio.to_thread(pack_state, snapshot)

    async def _wait_synced(self) -> None:
        """Returns when every write is on disk. Raises StorageFailed if it cannot be known."""
        while (syncing := self._syncing) is not None:
            await syncing
            if syncing is self._syncing:
                return

    async def write_alone(self, write: Callable[[], None]) -> None:
        """Makes a write of the store itself between two batches, and syncs it.

        Never is more than one write unsynced. So a power cut tears only the last one in the log, and whatever is
        before it is whole. Raises StorageFailed if the write is refused.
        """
        await self._wait_synced()
        write()
        self._begin_sync(self._sync_log())

    async def _commit_one_by_one(
        self, batch: list[QueuedRequest], error: StorageFailed | MemoryError
    ) -> None:
        """Commits each request alone after a failed read, or without memory for all of them.

        So only the requests that need the unreadable entry, or too much memory, are refused.
        """
        await self._wait_synced()
        self._forget_open()
        if len(batch) == 1:
            if isinstance(error, MemoryError):
                _refuse(batch, _OUT_OF_MEMORY, Failure.OUT_OF_MEMORY)
            else:
                self._on_unreadable(error)
                _refuse(batch, f"the database cannot be read: {error}")
            return
        for request in batch:
            request.reply = None
            await self._commit_batch([request])

    def _commit(self, requests: list[QueuedRequest]) -> None:
        if self._replica.open_batch.is_empty:
            _answer(requests)
            return
        started = time.perf_counter()
        batch = self._replica.take_batch()
        if batch.changes:
            self._witness.note_write(batch.changes[-1].sequence)
        try:
            self._database.write(batch.writes())
        except StorageFailed as error:
            self._fail(requests, error)
            return
        except MemoryError:
            self._forget_open()
            _refuse(requests, _OUT_OF_MEMORY, Failure.OUT_OF_MEMORY)
            return
        self._begin_sync(self._sync(batch, requests, started))

    def _begin_sync(self, sync: Coroutine[Any, Any, None]) -> None:
        self._syncing = self._loop.create_task(sync)
        self._syncing.add_done_callback(self._note_failure)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self.failed.done():
            self.failed.set_exception(error)

    def _fail(self, requests: list[QueuedRequest], error: StorageFailed) -> None:
        self._forget_open()
        self._on_storage(error)
        _refuse(requests, f"the disk refused the write: {error}")

    def _forget_open(self) -> None:
        self._replica.forget()
        self._builder.forget()

    async def _sync(self, batch: WriteBatch, requests: list[QueuedRequest], started: float) -> None:
        """Syncs a written batch, and answers its requests.

        A failed sync raises StorageFailed, which ends the worker without an answer, because the content of the log on
        disk is unknown. The next worker writes the log to other files when it opens the database.
        """
        await self._sync_log()
        if batch.changes:
            self._witness.note(batch.changes[-1].sequence)
        self._replica.committed(batch)
        self.durations.add(time.perf_counter() - started)
        self.sizes.add(len(requests))
        self._on_storage(None)
        _answer(requests)
        self._on_committed(batch)

    async def _sync_log(self) -> None:
        before = time.perf_counter()
        if self._sync_seconds < QUICK_SYNC_SECONDS:
            self._database.sync()
        else:
            await self._loop.run_in_executor(None, self._database.sync)
        self._sync_seconds += (time.perf_counter() - before - self._sync_seconds) / 16


def has_succeeded(sync: asyncio.Task[None]) -> bool:
    """Whether a sync that has ended brought everything to the disk."""
    return not sync.cancelled() and sync.exception() is None


def _refuse(requests: list[QueuedRequest], reason: str, code: Failure = Failure.STORAGE) -> None:
    for request in requests:
        if not isinstance(request.reply, Failed):
            request.reply = Failed(code, reason)
    _answer(requests)


def _answer(requests: list[QueuedRequest]) -> None:
    for request in requests:
        request.answer()
