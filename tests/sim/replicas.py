"""The store of a node without its process: the real replica, builder, reads and feed, on a disk that forgets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgpack
import orjson

from peatnode.documents.json.size import ChangeLimits
from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import document_key
from peatnode.documents.replica.ended.contents import EndedBounds, EndedContents
from peatnode.documents.replica.index.checkpoint import encode_checkpoint
from peatnode.documents.replica.keyspace import CHECKPOINT, META
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import WriteBatch
from peatnode.documents.yjs.update import decode_update
from peatnode.ipc.messages import (
    Change,
    ChangesSeen,
    FeedGap,
    FollowChanges,
    Message,
    UndeleteDocument,
    WriteDocument,
    WriteKind,
    WrittenReply,
)
from peatnode.model.clock import ClockReading, ClockState, ClockVerdict
from peatnode.model.documents import Outcome
from peatnode.model.members import AllowDeletions, KeepMembership, PausedDeletions, ReadMembership
from peatnode.model.states import ChangeAction
from peatnode.model.sync import (
    AppliedReply,
    ApplyUpdates,
    ClockReply,
    JudgeClock,
    ReadBuckets,
    ReadDifferences,
    ReadRange,
    ReadTree,
    ReadVectors,
    StoreAnswer,
    StoreQuestion,
)
from tests.sim.clocks import EPOCH
from tests.sim.contents import record_of
from tests.sim.disk import ForgetfulDisk, Image
from tests.sim.engine import EngineInProcess
from tests.sim.ledger import Acknowledged, DiskView, Ledger
from tests.sim.standin import Key
from tests.support.conflict_notes import ConflictNotes
from tests.support.leap_notes import LeapNotes
from tests.support.member_notes import MemberNotes
from tests.support.pause_notes import PauseNotes
from workers.store.checkpoints import Checkpoints
from workers.store.client_ids import ClientIds
from workers.store.disk.generation import client_id, continue_or_begin
from workers.store.disk.witness import Witnessed
from workers.store.ended.undeletions import Undeletions
from workers.store.engine.quarantine import Quarantine
from workers.store.feed_reader import FeedReader
from workers.store.maintenance import due_expiries, due_withdrawals
from workers.store.peers.deletions import Deletions
from workers.store.peers.members import KeptMembers
from workers.store.quarantine.leaps import Leaps
from workers.store.reads import Reads
from workers.store.write.batch import BatchBuilder, BuiltBatch
from workers.store.write.conflicts import Conflicts
from workers.store.write.expiry_clock import ExpiryClock
from workers.store.write.request import WriteResolver
from workers.store.write.withdrawal import Withdrawals
from workers.store.write.work import Compact, Expire, FillValue, QueuedRequest, RemoveEnded, Work

GENERATION = META + b"generation"
ENDED_BOUNDS = EndedBounds(60.0, 4000)
"""So little that content has to go in many histories."""
RANGE_BYTES = 200
"""Ranges are answered in small parts, so that they go on."""
MAX_BODY_BYTES = 1 << 20


class MemoryWitness:
    """A commit witness, in the memory of the simulated machine."""

    boot = b""
    """No log of the simulator ends within a record, so no restart of the machine has to explain one."""

    def __init__(self) -> None:
        self.found: Witnessed | None = None

    def begin(self, generation: int, sequence: int) -> None:
        self.found = Witnessed(True, generation, sequence, sequence)

    def note_write(self, sequence: int) -> None:
        if self.found is not None:
            self.found = replace(self.found, written=sequence)

    def note(self, sequence: int) -> None:
        if self.found is not None:
            self.found = replace(self.found, sequence=sequence)

    def discard(self) -> None:
        self.found = None


class Reports:
    """What the store tells its operator of client ids."""

    def __init__(self, kept: set[bytes]) -> None:
        self._kept = kept

    def renewed(self, generation: int, withdrawals: int) -> None:
        pass

    def withdrawn(self, outcomes: object, is_complete: bool) -> None:
        assert is_complete

    def kept(self, name: str, reason: str) -> None:
        self._kept.add(document_key(*name.split("/", 1)))


Reply = Callable[[StoreAnswer | None], None]

Then = Callable[[Acknowledged, int], None]
"""Receives a write that was acknowledged, and its sequence."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What clients do how often, as a part of the writes."""

    puts: float = 0.15
    drops: float = 0.1
    arrays: float = 0.0
    expiries: float = 0.0


NO_EXPIRY = Habits()


class StoreHost(Protocol):
    """What a store is given by the node that it runs on."""

    random: random.Random

    def at(self, seconds: float, act: Callable[[], None]) -> None: ...
    def read_clock(self) -> ClockReading: ...
    def sync_seconds(self) -> float: ...
    def committed(self) -> None: ...


class AtOnce:
    """A host on which everything happens in the moment it is begun."""

    def __init__(self) -> None:
        self.random = random.Random(0)  # fixed: nothing is drawn from it that a test could see
        self._acts: list[Callable[[], None]] = []
        self._is_running = False

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        self._acts.append(act)
        if self._is_running:
            return
        self._is_running = True
        while self._acts:
            self._acts.pop(0)()
        self._is_running = False

    def read_clock(self) -> ClockReading:
        return ClockReading(EPOCH, EPOCH)

    def sync_seconds(self) -> float:
        return 0.0

    def committed(self) -> None:
        pass


class _TrustedClock(ExpiryClock):
    def may_end_documents(self, reading: ClockReading) -> bool:
        return True

    def refusal(self, message: WriteDocument, reading: ClockReading) -> None:
        return None


@dataclass(slots=True)
class _Syncing:
    """A batch that is written and not synced yet."""

    batch: WriteBatch
    requests: list[QueuedRequest]
    written: int
    """Batches of the disk that the sync covers."""
    reads: list[tuple[Reply, StoreAnswer]] = field(default_factory=list)
    """Answers that may have seen the batch."""


class ReplicaStore:
    """Opens, serves and loses a disk as the store worker does. `keeps_generation`, `acknowledges_early` and
    `trusts_its_clock` are faults for the control runs."""

    may_refuse = False
    """Whether a member of the mesh sends what no honest one has."""

    engine_type = EngineInProcess
    keeps_generation = False
    trusts_its_clock = False
    max_peer_deletions = 5000
    acknowledges_early = False

    def __init__(
        self, node_id: str = "node-0", host: StoreHost | None = None, ledger: Ledger | None = None
    ) -> None:
        self.node_id = node_id
        self._host = host or AtOnce()
        self._ledger = ledger or Ledger()
        self.habits = NO_EXPIRY
        self.kept: set[bytes] = set()
        """Documents of which it has said that they may differ from those of the peers."""
        self.reports = ConflictNotes()
        self._written = 0
        self.disk = ForgetfulDisk()
        self.witness = MemoryWitness()
        self.epoch = 0
        """Counts the openings: what was begun before is dropped."""
        self.has_been_cloned = False
        """Whether an image came back together with its witness, so that nothing here tells that a tail is missing."""
        self.open()

    @staticmethod
    def finish(build: Any) -> BuiltBatch:
        """The batch of a coroutine."""
        return _finished(build)

    # --- opening and losing

    def open(self) -> None:
        if self.keeps_generation and (stored := self.disk.get(GENERATION)):
            generation = int(msgpack.unpackb(stored)[0])
        else:
            choice = continue_or_begin(self.disk, self.witness, "", self._draw)
            generation = choice.generation
        self.disk.sync()
        self.is_open = True
        self.epoch += 1
        self.replica = Replica(self.disk, client_id(self.node_id, generation))
        self._engine = self.engine_type(self.replica)
        quarantine = Quarantine(self.replica)
        resolver = WriteResolver(
            self.replica, self._engine, quarantine, ChangeLimits(MAX_BODY_BYTES)
        )
        observer = Reports(self.kept)
        self._ids = ClientIds(
            self.node_id,
            generation,
            self.witness,
            self.replica,
            self._engine,
            observer,
            self._draw,
        )
        self._withdrawals = Withdrawals(
            self.replica, self._engine, quarantine, resolver, observer.kept
        )
        self._conflicts = Conflicts(self.replica, self._unix, self.reports)
        self.leap_notes = LeapNotes()
        self.leaps = Leaps(self.replica, self._unix, self.leap_notes)
        self.ended = EndedContents(self.replica, ENDED_BOUNDS, self._unix, self._steady)
        self._members = KeptMembers(self.replica, MemberNotes())
        self._deletions = Deletions(
            self.replica,
            self.max_peer_deletions,
            PauseNotes(),
            unix=self._unix,
            steady=self._steady,
        )
        self._builder = BatchBuilder(
            self.replica,
            self._engine,
            quarantine,
            resolver,
            self._withdrawals,
            self._conflicts,
            self.leaps,
            self._members,
            Undeletions(self.replica, self.ended, self._unix),
            self._deletions,
            self._ids.renew,
            self._ids.stage,
            clock=lambda: 0.0,  # in virtual time no work takes long
        )
        self._expiry_clock = ExpiryClock(self._host.read_clock())
        if self.trusts_its_clock:
            self._expiry_clock = _TrustedClock(self._host.read_clock())
        if isinstance(self._host, AtOnce):  # nothing syncs there that could judge the clock
            verdict = ClockVerdict(ClockState.RIGHT, "it is that of the test")
            self._expiry_clock.judged(JudgeClock(verdict, self._host.read_clock().shift))
        self._reads = Reads(self.replica, lambda: 0.0, lambda: self.leaps.decisions)
        self._feed = FeedReader(self.replica, clock=lambda: 0.0)
        self._acknowledged: dict[int, Acknowledged] = {}
        self._queue: list[QueuedRequest] = []
        self._built: BuiltBatch | None = None
        self._syncing: _Syncing | None = None

    def _unix(self) -> float:
        return self._host.read_clock().unix

    def _steady(self) -> float:
        return self._host.read_clock().steady

    @property
    def generation(self) -> int:
        return self._ids.generation

    @property
    def paused(self) -> tuple[PausedDeletions, ...]:
        """The peers of which no deletions are carried out."""
        return self._deletions.paused

    def _draw(self) -> int:
        return self._host.random.getrandbits(48)

    def crash(self, lost: int | None = None) -> None:
        """The process ends. Of what is not synced, the newest `lost` batches are lost; None: as chance has it."""
        outstanding = [*self._queue, *(self._built.done if self._built else ())]
        reads = self._syncing.reads if self._syncing is not None else []
        if self._syncing is not None and not self.acknowledges_early:
            outstanding += self._syncing.requests
        self.is_open = False
        self.epoch += 1
        unsynced = self.disk.unsynced
        self.disk.lose(self._host.random.randint(0, unsynced) if lost is None else lost)
        self.disk.sync()
        for request in outstanding:
            request.reply = None
            request.answer()
        for reply, _ in reads:
            reply(None)

    def power_off(self) -> None:
        """After `crash`: what was kept in memory is gone too."""
        self.witness.discard()

    def image(self) -> Image:
        return self.disk.image()

    # --- requests

    @property
    def sequence(self) -> int:
        return self.replica.sequence

    @property
    def root(self) -> bytes:
        return self.replica.tree.root

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in hand, so that memory and disk are the same."""
        return self.is_open and not (self._queue or self._built or self._syncing)

    def ask(self, question: StoreQuestion, reply: Reply) -> None:
        """`reply` receives the answer after the running sync; None if the process ends before."""
        if isinstance(question, ApplyUpdates | KeepMembership | AllowDeletions):
            self.add(question, reply)
            return
        answer = self._read(question)
        if self._syncing is not None:
            self._syncing.reads.append((reply, answer))
        else:
            reply(answer)

    def answer(self, question: StoreQuestion) -> StoreAnswer:
        """The answer, on a host where everything happens at once."""
        replies: list[StoreAnswer | None] = []
        self.ask(question, replies.append)
        (reply,) = replies
        assert reply is not None
        return reply

    def _read(self, question: StoreQuestion) -> StoreAnswer:
        match question:
            case ReadTree():
                return self._reads.tree(question)
            case ReadBuckets():
                return self._reads.buckets(question)
            case ReadVectors():
                return self._reads.vectors(question)
            case ReadDifferences():
                return self._reads.differences(question)
            case ReadRange():
                return self._reads.range(replace(question, max_bytes=RANGE_BYTES))
            case JudgeClock():
                if not self.trusts_its_clock:
                    self._expiry_clock.judged(question)
                return ClockReply()
            case ReadMembership():
                return replace(self._members.read(), paused=self.paused)
            case ApplyUpdates() | KeepMembership() | AllowDeletions():
                raise AssertionError("it is added to the queue")

    # --- writes of clients

    def write_of_client(self, key: Key, then: Then = lambda write, sequence: None) -> None:
        """Some change to a document: it creates it, patches it, or puts another value in its place."""
        rng, habits = self._host.random, self.habits
        self._written += 1
        value = f"{self.node_id}.{self._written}"
        name = f"field-{rng.randrange(3)}"
        kind, body = WriteKind.PATCH, {name: value}
        if self._live(key) is None:
            kind, body = WriteKind.PUT, {name: value}
        elif rng.random() < habits.puts:
            kind, body = WriteKind.PUT, {name: value, "put": self._written}
        elif rng.random() < habits.drops:
            body = {name: None}
        if rng.random() < habits.arrays:
            body["list"] = [self._written, *range(rng.randrange(3))]
        expires_at = -1.0
        if rng.random() < habits.expiries:
            expires_at = rng.choice(
                [0.0, self._host.read_clock().unix + rng.choice([0.3, 3.0, 20.0])]
            )
        self._submit(WriteDocument(*key, kind, orjson.dumps(body), expires_at=expires_at), then)

    def delete_of_client(self, key: Key) -> None:
        if self._live(key) is not None:
            self._submit(WriteDocument(*key, WriteKind.DELETE, b""), lambda write, sequence: None)

    def undelete_of_client(self, key: Key) -> None:
        if self._live(key) is None:
            self._submit(UndeleteDocument(*key), lambda write, sequence: None)

    def _submit(self, message: WriteDocument | UndeleteDocument, then: Then) -> None:
        def answered(reply: Message | None) -> None:
            # a write that changes nothing names an earlier one, which a peer may have lost since
            if isinstance(reply, WrittenReply) and reply.was_changed:
                then(self._acknowledged[reply.sequence], reply.sequence)

        self.add(message, answered)

    def has(self, key: Key) -> bool:
        return self._live(key) is not None

    def _live(self, key: Key) -> Record | None:
        record = self.replica.record_on_disk(document_key(*key))
        return None if record is None or record.is_deleted else record

    def add(self, work: Work, reply: Callable[[Any], None] = lambda _: None) -> None:
        """As `StoreService` takes what arrives: during a sync it goes into the next batch."""
        if isinstance(work, WriteDocument):
            refusal = self._expiry_clock.refusal(work, self._host.read_clock())
            if refusal is not None:
                reply(refusal)
                return
        self._queue.append(QueuedRequest(work, on_done=reply))
        if len(self._queue) == 1 and self._built is None:
            self._later(0.0, self._build)

    def maintain(self) -> None:
        """One turn of the maintenance: expiry, and compaction of some document at any time."""
        reading = self._host.read_clock()
        if self._expiry_clock.may_end_documents(reading):
            for expire in due_expiries(self.replica, reading.unix):
                self.add(expire)
        if due := self.ended.due():
            self.ended.begin_removal()
            self.add(RemoveEnded(due), lambda _: self.ended.end_removal())
        for work in due_withdrawals(self.replica):
            self.add(work)
        for key in list(self._builder.outdated):
            self.add(FillValue(key))

    def checkpoint(self) -> None:
        """Writes a checkpoint of the index, at any time. It is not synced."""
        checkpoint = self.replica.checkpoint()
        assert checkpoint is not None
        self.disk.write([(CHECKPOINT, encode_checkpoint(checkpoint))])
        self.replica.checkpointed(checkpoint.sequence)

    def stop(self) -> None:
        """The process ends in order; only where nothing is in hand."""
        assert self.is_idle
        Checkpoints(self.disk, self.replica).write_at_stop()
        self.disk.sync()
        self.crash()

    def compact(self, collection: str, document: str) -> None:
        self.add(Compact(document_key(collection, document)))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        epoch = self.epoch

        def still() -> None:
            if self.epoch == epoch:
                act()

        self._host.at(seconds, still)

    # --- batches

    def _build(self) -> None:
        if self._built is not None or not self._queue:
            return
        requests, self._queue = self._queue, []
        for request in requests:
            self._check_expiry(request.work)
        self._built = self.finish(self._builder.build(requests))
        assert not self._built.waiting
        assert self.has_been_cloned or self.keeps_generation or not self.replica.is_client_id_taken
        if self._syncing is None:
            self._commit()

    def _check_expiry(self, work: Work) -> None:
        if not isinstance(work, Expire):
            return
        record = self.replica.live(work.key)
        if record is None or record.expires_at != work.expires_at:
            return
        assert (work.key, record.incarnation) in self._ledger.expiring, "it has no expiry"
        self._ledger.ended.add((work.key, record.incarnation))

    def _commit(self) -> None:
        built, self._built = self._built, None
        assert built is not None
        if self.replica.open_batch.is_empty:
            _answer(built.done)
            self._build()
            return
        batch = self.replica.take_batch()
        self._note(batch, built.done)
        if batch.changes:
            self.witness.note_write(batch.changes[-1].sequence)
        self.disk.write(batch.writes())
        self._syncing = _Syncing(batch, built.done, self.disk.unsynced)
        if self.acknowledges_early:
            self._acknowledge(batch, built.done)
        self._later(self._host.sync_seconds(), self._synced)
        self._build()

    def _note(self, batch: WriteBatch, requests: list[QueuedRequest]) -> None:
        """What may end from now on, whether or not the client hears of it."""
        for request in requests:
            reply = request.reply
            if isinstance(reply, WrittenReply):
                ended = (document_key(reply.collection, reply.id), reply.incarnation)
                if reply.expires_at:
                    self._ledger.expiring.add(ended)
                work = request.work
                if isinstance(work, WriteDocument) and work.kind is WriteKind.DELETE:
                    self._ledger.ended.add(ended)

    def _synced(self) -> None:
        syncing, self._syncing = self._syncing, None
        assert syncing is not None
        self.disk.sync(syncing.written)
        self.replica.committed(syncing.batch)
        if syncing.batch.changes:
            self.witness.note(syncing.batch.changes[-1].sequence)
        self._ids.committed(syncing.batch, self._withdrawals.outcomes)
        self._conflicts.committed()
        self.leaps.committed()
        self._deletions.committed()
        if not self.acknowledges_early:
            self._acknowledge(syncing.batch, syncing.requests)
        self._feed.committed(syncing.batch)
        for reply, answer in syncing.reads:
            reply(answer)
        self._host.committed()
        if self._built is not None:
            self._commit()

    def _acknowledge(self, batch: WriteBatch, requests: list[QueuedRequest]) -> None:
        changes = {change.sequence: change for change in batch.changes}
        for request in requests:
            reply = request.reply
            if isinstance(reply, WrittenReply) and reply.was_changed:
                change = changes[reply.sequence]
                is_deleted = change.entry.action is ChangeAction.DELETED
                write = Acknowledged(
                    change.key, reply.incarnation, is_deleted, change.update, self.node_id
                )
                self._ledger.writes.append(write)
                self._acknowledged[reply.sequence] = write
            if isinstance(reply, AppliedReply):
                assert self.may_refuse or Outcome.REFUSED not in reply.outcomes, reply.reasons
        _answer(requests)

    # --- what must hold

    def missing(self) -> list[Acknowledged]:
        """What was acknowledged and is not in here."""
        return self._ledger.missing(self.disk.get)

    def holds(self, write: Acknowledged) -> bool:
        """Whether a write is in here, and no crash can take it away."""
        return DiskView(self.disk.durable).holds(write)

    # --- feed

    def events_after(self, cursor: int) -> Iterator[ChangesSeen | FeedGap]:
        """What a follower at this position receives now."""
        follow = FollowChanges(cursor, with_update=True)
        while cursor < self.replica.sequence:
            gap = self._feed.gap_after(cursor)
            if gap is not None:
                cursor = gap.upto
                yield gap
                continue
            changes, cursor = self._feed.read(cursor, follow)
            if self._feed.has_read_disk:
                if self._syncing is not None:  # as `Feed` does, which waits
                    return
                self._check_durable(changes)
            yield ChangesSeen(tuple(changes), cursor)

    def _check_durable(self, changes: list[Change]) -> None:
        """Whatever is sent is on disk for certain."""
        for change in changes:
            record = record_of(self.disk.durable, document_key(change.collection, change.id))
            assert record is not None
            is_end = change.action is ChangeAction.DELETED  # its update is the ended vector
            if change.update and not is_end and record.incarnation == change.incarnation:
                sent = decode_update(change.update, STATE_LIMITS).state_vector()
                assert all(record.state_vector.get(c, 0) >= clock for c, clock in sent.items())


def _answer(requests: list[QueuedRequest]) -> None:
    for request in requests:
        request.answer()


def _finished(build: Any) -> BuiltBatch:
    """The result of a coroutine that waits for nothing."""
    try:
        build.send(None)
    except StopIteration as stop:
        built: BuiltBatch = stop.value
        return built
    raise AssertionError("the engine is in this process: there is nothing to wait for")
