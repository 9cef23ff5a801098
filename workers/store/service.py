"""Dispatches the messages of store.sock to the parts of the store."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.json.size import ChangeLimits
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import WriteBatch
from peatnode.ipc.link import Connection
from peatnode.ipc.messages import (
    AcceptQuarantined,
    AllowDeletions,
    ApplyUpdates,
    ClockReply,
    DismissConflict,
    DropQuarantined,
    EngineKind,
    EngineOutcome,
    Failed,
    Failure,
    FollowChanges,
    GetDocument,
    GetMetrics,
    GetStore,
    JudgeClock,
    KeepMembership,
    ListCollections,
    ListConflicts,
    ListDeleted,
    ListDeletedCollections,
    ListDocuments,
    ListQuarantine,
    Message,
    Metric,
    MetricsReply,
    OperationResult,
    ReadBuckets,
    ReadConflict,
    ReadDeleted,
    ReadDifferences,
    ReadMembership,
    ReadRange,
    ReadState,
    ReadTree,
    ReadVectors,
    StoreReply,
    UndeleteDocument,
    WriteDocument,
)
from peatnode.model.tree import BUCKETS
from peatnode.worker.shell import WorkerShell
from peatnode.worker.wall_clock import read_clock
from workers.store.checkpoints import Checkpoints
from workers.store.client_ids import ClientIds, IdReports
from workers.store.disk.database import StorageFailed
from workers.store.disk.generation import client_id
from workers.store.disk.health import DiskHealth
from workers.store.disk.open import OpenedStore
from workers.store.disk.space import free_bytes, used_bytes
from workers.store.ended.documents import EndedDocuments
from workers.store.engine.client import EngineClient, EngineUnavailable
from workers.store.engine.quarantine import Quarantine
from workers.store.engine.question import EngineQuestion
from workers.store.engine.reading import LAZY_BYTES
from workers.store.engine.refusal import RequestRefused
from workers.store.engine.values import LargeValues, ReadValue
from workers.store.feed import Feed
from workers.store.maintenance import Maintenance
from workers.store.names import checked_key
from workers.store.peers.deletions import Deletions, PauseReports
from workers.store.peers.members import KeptMembers, MemberReports
from workers.store.quarantine.entries import QuarantineEntries
from workers.store.quarantine.leaps import LeapReports, Leaps
from workers.store.reads import Reads
from workers.store.scrub import Scrub
from workers.store.write.batch import BatchBuilder
from workers.store.write.committer import MAX_QUEUE, GroupCommitter, has_succeeded
from workers.store.write.conflicts import ConflictReports, Conflicts
from workers.store.write.expiry_clock import ExpiryClock
from workers.store.write.request import WriteResolver
from workers.store.write.withdrawal import Withdrawals
from workers.store.write.work import (
    Accept,
    Dismiss,
    Drop,
    FillValue,
    QueuedRequest,
    TakeValue,
)

MAX_FILLED = 64
"""Outdated values that one listing waits for at most."""
SAMPLE_BUCKETS = 64
"""Buckets of the hash tree that a start compares with their entries, so that a wrong checkpoint is found."""


OUT_OF_MEMORY = Failed(
    Failure.OUT_OF_MEMORY,
    "the store had not enough memory to answer: ask for less at a time (limit, prefix, fields), or try again later",
)
"""Made at the start, because there may be no memory for it when it is sent."""


class StoreService:
    """Connects the parts of the store, and passes each message to the part that answers it.

    A read is answered at once, or after the sync that is running. A write goes into the committer's queue. A follower
    of the feed has a task of its own.
    """

    def __init__(self, shell: WorkerShell, opened: OpenedStore, sums: UnitSums) -> None:
        """`sums`: under the formation's key, as the records have been summed. Raises StorageFailed."""
        self._shell = shell
        self._database = database = opened.database
        self.disk = DiskHealth(shell, database, opened.repair)
        sample = random.sample(range(BUCKETS), SAMPLE_BUCKETS)
        self._replica = Replica(
            database, client_id(shell.config.node_id, opened.choice.generation), sample, sums
        )
        if self._replica.checkpoint_fault:
            shell.log.error("Checkpoint is wrong", reason=self._replica.checkpoint_fault)
        self.checkpoints = Checkpoints(database, self._replica)
        self.engine = EngineClient(shell.config.run_dir / "engine.sock", self._replica)
        self._quarantine = Quarantine(self._replica)
        reports = IdReports(shell)
        self._ids = ClientIds(
            shell.config.node_id,
            opened.choice.generation,
            opened.witness,
            self._replica,
            self.engine,
            reports,
        )
        resolver = WriteResolver(
            self._replica,
            self.engine,
            self._quarantine,
            ChangeLimits(shell.config.max_body_bytes),
            lambda: self._ids.generation,
        )
        self._withdrawals = Withdrawals(
            self._replica, self.engine, self._quarantine, resolver, reports.kept
        )
        self._conflicts = Conflicts(self._replica, time.time, ConflictReports(shell))
        self._leaps = Leaps(self._replica, time.time, LeapReports(shell))
        self._entries = QuarantineEntries(self._leaps, self._quarantine)
        self.ended = EndedDocuments(database, self._replica, self.engine, shell.config)
        self._members = KeptMembers(self._replica, MemberReports(shell))
        self._expiry_clock = ExpiryClock(read_clock())
        self._deletions = Deletions(
            self._replica,
            shell.config.max_peer_deletions,
            PauseReports(shell),
            lambda: self._expiry_clock.may_end_documents(read_clock()),
        )
        self._builder = BatchBuilder(
            self._replica,
            self.engine,
            self._quarantine,
            resolver,
            self._withdrawals,
            self._conflicts,
            self._leaps,
            self._members,
            self.ended.undeletions,
            self._deletions,
            self._ids.renew,
            self._ids.stage,
        )
        self._feed = Feed(
            self._replica,
            self.disk.read_failed,
            lambda: self.committer.syncing,
            self._value_for_feed,
        )
        self.committer = GroupCommitter(
            database,
            opened.witness,
            self._replica,
            self._builder,
            self._committed,
            self._storage,
            self.disk.read_failed,
        )
        self.maintenance = Maintenance(
            database,
            self._replica,
            self.committer,
            self._builder,
            self.engine,
            self.disk,
            self.checkpoints,
            self._expiry_clock,
            self.ended,
        )
        self.scrub = Scrub(
            self._replica, lambda: self.committer.queue_length > 0, self.disk.read_failed
        )
        self._reads = Reads(self._replica, decisions=lambda: self._leaps.decisions)
        self._values = LargeValues(self._replica, self.engine, self._take_value)
        self._tasks: set[asyncio.Task[None]] = set()
        self._follows: dict[Connection, list[asyncio.Task[None]]] = {}

    def _committed(self, batch: WriteBatch) -> None:
        self._ids.committed(batch, self._withdrawals.outcomes)
        self._conflicts.committed()
        self._leaps.committed()
        self._deletions.committed()
        for change in batch.changes:
            if not change.entry.origin:
                self._values.forget(change.key)
        self._feed.committed(batch)
        self.maintenance.committed(batch)
        self.scrub.committed(batch)

    def _storage(self, error: StorageFailed | None) -> None:
        if error is None:
            self.disk.write_succeeded()
        else:
            self.disk.write_failed(error)

    # --- messages

    def on_message(self, connection: Connection, cause: int, message: Message) -> None:
        match message:
            case WriteDocument() | ApplyUpdates():
                refusal = self._refusal_of_expiry(message)
                if refusal is not None:
                    connection.reply(cause, refusal)
                else:
                    self._queue(QueuedRequest(message, connection, cause))
            case DismissConflict(number):
                self._queue(QueuedRequest(Dismiss(number), connection, cause))
            case DropQuarantined(number):
                self._queue(QueuedRequest(Drop(number), connection, cause))
            case AcceptQuarantined(number):
                self._accept(connection, cause, number)
            case KeepMembership() | UndeleteDocument() | AllowDeletions():
                self._queue(QueuedRequest(message, connection, cause))
            case FollowChanges():
                self._follow(connection, cause, message)
            case _:
                self._answer(connection, cause, message)

    def _refusal_of_expiry(self, message: WriteDocument | ApplyUpdates) -> Failed | None:
        if isinstance(message, ApplyUpdates) or message.expires_at <= 0:
            return None
        return self._expiry_clock.refusal(message, read_clock())

    def _accept(self, connection: Connection, cause: int, number: bytes) -> None:
        try:
            key = self._entries.find(number).key
        except RequestRefused as refusal:
            connection.fail(cause, refusal.code, refusal.message, refusal.where)
        else:
            self._queue(QueuedRequest(Accept(key, number), connection, cause))

    def _queue(self, request: QueuedRequest) -> None:
        if not self.committer.add(request):
            assert request.connection is not None
            request.connection.fail(
                request.cause, Failure.BUSY, "too many writes are waiting; try again"
            )

    def on_close(self, connection: Connection) -> None:
        for task in self._follows.pop(connection, []):
            task.cancel()

    def _follow(self, connection: Connection, cause: int, message: FollowChanges) -> None:
        task = asyncio.create_task(self._feed.serve(connection, cause, message))
        self._follows.setdefault(connection, []).append(task)

    def _answer(self, connection: Connection, cause: int, message: Message) -> None:
        try:
            reply = self._reply(connection, cause, message)
        except RequestRefused as refusal:
            reply = Failed(refusal.code, refusal.message, refusal.where)
        except StorageFailed as error:
            reply = self._unreadable(error)
        except MemoryError:
            reply = OUT_OF_MEMORY
        if reply is not None:
            self._after_sync(lambda: _send(connection, cause, reply))

    def _unreadable(self, error: StorageFailed) -> Failed:
        self.disk.read_failed(error)
        return Failed(Failure.STORAGE, f"the database cannot be read: {error}")

    def _after_sync(self, send: Callable[[], None]) -> None:
        """Sends a reply after the running sync, because a read sees the changes that are being synced.

        If the sync fails, nothing is sent: the worker ends, and the requester asks the next worker.
        """
        syncing = self.committer.syncing
        if syncing is None or syncing.done():
            send()
        else:
            syncing.add_done_callback(lambda done: send() if has_succeeded(done) else None)

    def _reply(self, connection: Connection, cause: int, message: Message) -> Message | None:
        """None: the reply comes later."""
        match message:
            case GetDocument():
                return self._document(connection, cause, message)
            case ListDocuments():
                return self._documents(connection, cause, message)
            case ListCollections():
                return self._reads.collections(message)
            case ReadTree():
                return self._reads.tree(message)
            case ReadBuckets():
                return self._reads.buckets(message)
            case ReadRange():
                return self._reads.range(message)
            case ReadDifferences():
                return self._reads.differences(message)
            case ReadVectors():
                return self._reads.vectors(message)
            case ReadState():
                return self._reads.state(message)
            case JudgeClock():
                self._expiry_clock.judged(message)
                return ClockReply()
            case ListConflicts():
                return self._conflicts.list()
            case ReadConflict(number):
                return self._conflicts.read(number)
            case ListQuarantine():
                return self._entries.reply()
            case ReadMembership():
                return replace(self._members.read(), paused=self._deletions.paused)
            case ListDeleted() | ListDeletedCollections():
                return self.ended.reply(message)
            case ReadDeleted():
                self._run(self._deleted_document(connection, cause, message))
                return None
            case GetStore():
                return self._store()
            case GetMetrics():
                return MetricsReply(tuple(self._metrics()))
            case _:  # a message of another socket: the requester is wrong
                raise RequestRefused(Failure.INVALID, f"the store does not answer {message.TAG}")

    def _document(self, connection: Connection, cause: int, request: GetDocument) -> Message | None:
        key = checked_key(request.collection, request.id)
        record = self._reads.live_record(key)
        if not record.is_value_outdated:
            return self._reads.document(request.collection, request.id, key, record)
        self._refuse_quarantined(key, record)
        self._run(self._document_when_filled(connection, cause, request, key))
        return None

    def _refuse_quarantined(self, key: bytes, record: Record) -> None:
        if self._quarantine.holds(key, record.incarnation):
            raise RequestRefused(
                Failure.QUARANTINED,
                "the document is quarantined because it broke the engine: its changes are kept and synced, "
                "but its value cannot be read",
            )

    async def _document_when_filled(
        self, connection: Connection, cause: int, request: GetDocument, key: bytes
    ) -> None:
        try:
            record = self._reads.live_record(key)
            large = await self._large_value(key, record, request.is_fresh)
            failed = await self._fill([key]) if large is None else ""
            record = self._reads.live_record(key) if large is None else large.record
            found = self._reads.document(request.collection, request.id, key, record, large)
            if record.is_value_outdated and large is None:
                self._refuse_quarantined(key, record)
                value = await self._value_without_disk(key, record)
                if value is None:
                    raise RequestRefused(
                        Failure.UNAVAILABLE, failed or "the document changes too quickly; try again"
                    )
                found = replace(found, value=value)
            reply: Message = found
        except RequestRefused as refusal:
            reply = Failed(refusal.code, refusal.message, refusal.where)
        except StorageFailed as error:
            reply = self._unreadable(error)
        except MemoryError:
            reply = OUT_OF_MEMORY
        self._after_sync(lambda: _send(connection, cause, reply))

    async def _large_value(
        self, key: bytes, record: Record, is_fresh: bool = False
    ) -> ReadValue | None:
        """The outdated value of a large document; None for any other, and if the engine does not compute it."""
        if not record.is_value_outdated or record.snapshot_bytes <= LAZY_BYTES:
            return None
        if self._quarantine.holds(key, record.incarnation):
            return None
        try:
            return await self._values.read(key, record, is_fresh)
        except EngineUnavailable:
            return None

    async def _value_for_feed(self, key: bytes, record: Record, sequence: int) -> ReadValue | None:
        if not record.is_value_outdated or self._quarantine.holds(key, record.incarnation):
            return None
        try:
            return await self._values.read_covering(key, record, sequence)
        except EngineUnavailable:
            return None

    def _take_value(self, question: EngineQuestion, result: OperationResult) -> None:
        """Stores a value that was computed for readers, unless the document has changed since."""
        record = self._replica.live(question.key)
        if record is not None and (
            result.outcome is not EngineOutcome.DONE or record.sequence == question.record.sequence
        ):
            self.committer.add(QueuedRequest(TakeValue(question, result)))

    async def _value_without_disk(self, key: bytes, record: Record) -> bytes | None:
        """The value as the engine computes it, where the disk refuses to take it. None: it cannot be had."""
        if self.disk.is_writable or not self.engine.is_ready:
            return None
        try:
            (result,) = await self.engine.ask([EngineQuestion(key, record, EngineKind.VALUE, b"")])
        except EngineUnavailable:
            return None
        return result.value if result.outcome is EngineOutcome.DONE else None

    async def _deleted_document(
        self, connection: Connection, cause: int, request: ReadDeleted
    ) -> None:
        reply: Message
        try:
            reply = await self.ended.reading.read(request)
        except RequestRefused as refusal:
            reply = Failed(refusal.code, refusal.message, refusal.where)
        except StorageFailed as error:
            reply = self._unreadable(error)
        except MemoryError:
            reply = OUT_OF_MEMORY
        self._after_sync(lambda: _send(connection, cause, reply))

    def _documents(
        self, connection: Connection, cause: int, request: ListDocuments
    ) -> Message | None:
        reply, outdated = self._reads.documents(request)
        wanted = [key for key in outdated if not self._is_set_aside(key)][:MAX_FILLED]
        if not wanted:
            return reply
        self._run(self._documents_when_filled(connection, cause, request, wanted))
        return None

    def _is_set_aside(self, key: bytes) -> bool:
        record = self._replica.record_on_disk(key)
        return record is not None and self._quarantine.holds(key, record.incarnation)

    async def _documents_when_filled(
        self, connection: Connection, cause: int, request: ListDocuments, keys: list[bytes]
    ) -> None:
        """Replies after the engine has computed the values; without an engine, with the values that were last known."""
        large: dict[bytes, ReadValue] = {}
        reply: Message
        try:
            for key in keys:
                record = self._replica.record_on_disk(key)
                found = None if record is None else await self._large_value(key, record)
                if found is not None:
                    large[key] = found
            await self._fill(key for key in keys if key not in large)
            reply = self._reads.documents(request, large)[0]
        except StorageFailed as error:
            reply = self._unreadable(error)
        except MemoryError:
            reply = OUT_OF_MEMORY
        self._after_sync(lambda: _send(connection, cause, reply))

    async def _fill(self, keys: Iterable[bytes]) -> str:
        """Waits until the engine has computed outdated values. Returns the reason if it has not, otherwise ""."""
        loop = asyncio.get_running_loop()
        waits: list[asyncio.Future[Message | None]] = []
        for key in keys:
            wait: asyncio.Future[Message | None] = loop.create_future()
            request = QueuedRequest(FillValue(key), on_done=_setter(wait))
            if self.committer.add(request):
                waits.append(wait)
        replies = await asyncio.gather(*waits)
        return next((reply.message for reply in replies if isinstance(reply, Failed)), "")

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- status and metrics

    def _store(self) -> StoreReply:
        replica, path = self._replica, self._database.path
        return StoreReply(
            replica.counts.documents,
            replica.counts.tombstones,
            replica.sequence,
            replica.oldest_sequence,
            replica.tree.root,
            self._ids.generation,
            used_bytes(path),
            free_bytes(path),
            self.disk.is_writable,
            self.disk.problem,
            self._quarantine.names(),
            self.engine.is_ready,
        )

    def _metrics(self) -> Iterable[Metric]:
        yield Metric("peatnode_documents", (), self._replica.counts.documents)
        yield Metric("peatnode_tombstones", (), self._replica.counts.tombstones)
        yield Metric("peatnode_store_changes_total", (), self._replica.sequence)
        yield from self.committer.durations.samples("peatnode_store_commit_duration_seconds")
        yield from self.committer.sizes.samples("peatnode_store_group_size")
        yield Metric("peatnode_store_disk_bytes", (), used_bytes(self._database.path))
        yield Metric("peatnode_store_disk_free_bytes", (), free_bytes(self._database.path))
        yield Metric("peatnode_store_writable", (), float(self.disk.is_writable))
        yield Metric("peatnode_store_compactions_total", (), self.maintenance.compactions)
        yield Metric("peatnode_store_scrubbed_entries_total", (), self.scrub.entries)
        yield Metric("peatnode_store_scrubs_total", (), self.scrub.passes)
        yield Metric("peatnode_store_stale_values", (), len(self._builder.outdated))
        yield Metric("peatnode_store_values_computed_total", (), self._values.computed)
        yield Metric("peatnode_store_quarantined", (), len(self._quarantine))
        yield Metric("peatnode_store_followers", (), self._feed.followers)
        yield Metric("peatnode_store_engine_deaths_total", (), self.engine.deaths)
        for name, source in (
            ("memtable_bytes", "cur-size-all-mem-tables"),
            ("cache_bytes", "block-cache-usage"),
            ("pending_compaction_bytes", "estimate-pending-compaction-bytes"),
        ):
            yield Metric(f"peatnode_store_{name}", (), self._database.property(source))
        for outcome, count in self._withdrawals.outcomes.items():
            yield Metric("peatnode_store_withdrawals_total", (("outcome", outcome),), count)
        yield Metric(
            "peatnode_store_withdrawals_pending", (), len(self._replica.own_writes.pending)
        )
        yield Metric("peatnode_store_conflicts_total", (), self._conflicts.found)
        yield Metric("peatnode_store_conflicts_dropped_total", (), self._conflicts.dropped)
        yield Metric("peatnode_store_conflicts_kept", (), len(self._conflicts))
        yield Metric("peatnode_store_leaps_total", (), self._leaps.found)
        yield Metric("peatnode_store_leaps_lost_total", (), self._leaps.lost)
        yield Metric("peatnode_store_leaps_kept", (), len(self._leaps))
        yield from self.ended.metrics()
        yield Metric("peatnode_store_deletions_paused", (), len(self._deletions.paused))
        yield Metric("peatnode_store_deletions_refused_total", (), self._deletions.refused)
        for reason, count in sorted(self._builder.rejected.items()):
            yield Metric("peatnode_rejected_input_total", (("reason", reason),), count)
        queue = (("queue", "store"),)
        yield Metric("peatnode_queue_length", queue, self.committer.queue_length)
        yield Metric("peatnode_queue_capacity", queue, MAX_QUEUE)


def _setter(wait: asyncio.Future[Message | None]) -> Callable[[Message | None], None]:
    def done(reply: Message | None) -> None:
        if not wait.done():
            wait.set_result(reply)

    return done


def _send(connection: Connection, cause: int, reply: Message) -> None:
    """Sends a reply, or that there is not enough memory to send it."""
    try:
        connection.reply(cause, reply)
    except MemoryError:
        connection.reply(cause, OUT_OF_MEMORY)
