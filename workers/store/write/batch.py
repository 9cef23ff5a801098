"""Builds a batch: carries out its requests in order, in rounds with the engine.

Two requests for one document never share a round, because the second starts from the result of the first. The changes
are not on disk yet: `committer.py` writes and syncs the batch, and then answers the requests.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import document_key
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.join import CLIENT, EndingGate, JoinResult
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import encode_update
from peatnode.ipc.messages import (
    AllowDeletions,
    AppliedReply,
    ApplyUpdates,
    ConflictDismissed,
    DeletionsAllowed,
    DocumentUpdate,
    EngineKind,
    EngineOutcome,
    Failed,
    Failure,
    KeepMembership,
    OperationResult,
    Outcome,
    QuarantineAccepted,
    QuarantineDropped,
    UndeleteDocument,
    WriteDocument,
    WrittenReply,
)
from peatnode.model.feed import CONFLICT
from workers.store.ended.undeletions import Undeletions, reply_of
from workers.store.engine.client import EngineClient, EngineUnavailable
from workers.store.engine.quarantine import Quarantine
from workers.store.engine.question import EngineQuestion
from workers.store.engine.reading import LAZY_BYTES
from workers.store.engine.refusal import RequestRefused
from workers.store.names import checked_key
from workers.store.pace import Pace
from workers.store.peers.deletions import Deletions
from workers.store.peers.members import KeptMembers
from workers.store.quarantine.entries import BrokenEntry, QuarantineEntries
from workers.store.quarantine.leaps import Leaps
from workers.store.write.alone import AloneRequests
from workers.store.write.conflicts import Conflicts
from workers.store.write.large_contents import LargeContents
from workers.store.write.request import WriteResolver
from workers.store.write.withdrawal import Withdrawals
from workers.store.write.work import (
    Accept,
    Compact,
    Dismiss,
    Drop,
    Expire,
    FillValue,
    FinishAlone,
    QueuedRequest,
    RemoveEnded,
    RenewClient,
    SetSnapshot,
    TakeValue,
    Withdraw,
    keys_of,
)

ENDED = JoinResult(Outcome.STALE, "an earlier change of this client holds what has ended")
"""A client's changes after the one that ends its session are not joined: they may build on the same old copy."""

BATCH_SECONDS = 0.1
"""Work on one batch, after which it is committed. What it has not begun comes first in the next one."""


@dataclass(slots=True)
class BuiltBatch:
    """The requests of a batch after it was built."""

    done: list[QueuedRequest] = field(default_factory=list)
    """Requests to answer once the batch is on disk."""
    waiting: list[QueuedRequest] = field(default_factory=list)
    """Requests that need the engine, which is not available."""
    rest: list[QueuedRequest] = field(default_factory=list)
    """Requests that were not begun, in order: the batch has taken long enough."""


class BatchBuilder:
    """Carries out requests on the replica's open batch, and asks the engine for results that only it can compute.

    It keeps the updates that the engine has not received, so that the values of all changed documents are computed,
    or marked as outdated, before the batch is committed.
    """

    def __init__(
        self,
        replica: Replica,
        engine: EngineClient,
        quarantine: Quarantine,
        resolver: WriteResolver,
        withdrawals: Withdrawals,
        conflicts: Conflicts,
        leaps: Leaps,
        members: KeptMembers,
        undeletions: Undeletions,
        deletions: Deletions,
        renew_client: Callable[[], None],
        stage_client: Callable[[], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`renew_client` is called when another writer uses this node's Yjs client id, and `stage_client` in the batch
        after one that was dropped."""
        self._pace = Pace(clock)
        self._clock = clock
        self._end = 0.0
        """Time at which the batch that is built has taken long enough."""
        self._stage_client = stage_client
        self._was_dropped = False
        self._withdrawals = withdrawals
        self._conflicts = conflicts
        self._leaps = leaps
        self._entries = QuarantineEntries(leaps, quarantine)
        self._members = members
        self._undeletions = undeletions
        self._deletions = deletions
        self._renew_client = renew_client
        self._replica = replica
        self._engine = engine
        self._quarantine = quarantine
        self._resolver = resolver
        self._contents = LargeContents(replica)
        self.alone = AloneRequests(engine)
        self._arrived: dict[bytes, list[bytes]] = {}
        """Updates of the open batch that the engine has not received, for documents whose value only it can compute."""
        self.rejected: Counter[str] = Counter()
        self.outdated: set[bytes] = set()
        """Documents whose value waits for the engine."""

    def forget(self) -> None:
        """Drops the state of the open batch."""
        self._arrived.clear()
        self._engine.forget()
        self.alone.release_finished()
        self._withdrawals.forget()
        self._conflicts.forget()
        self._leaps.forget()
        self._undeletions.contents.forget()
        self._deletions.forget()
        self._was_dropped = True

    async def build(self, requests: Iterable[QueuedRequest]) -> BuiltBatch:
        """Carries out the requests on the open batch, and sets their replies. Raises StorageFailed."""
        built = BuiltBatch()
        if self._was_dropped:
            self._was_dropped = False
            self._stage_client()
        self._pace.begin()
        self._end = self._clock() + BATCH_SECONDS
        remaining = self._after_withdrawals(requests)
        while remaining and not built.rest:
            remaining = await self._round(remaining, built)
        await self._fill_arrived()
        self.alone.release_finished()
        return built

    def _after_withdrawals(self, requests: Iterable[QueuedRequest]) -> list[QueuedRequest]:
        """The requests, each after the pending withdrawal of its documents, so that nothing new depends on them."""
        if not self._replica.own_writes.pending:
            return list(requests)
        ordered: list[QueuedRequest] = []
        for request in requests:
            if isinstance(request.work, WriteDocument | ApplyUpdates):
                for key in filter(self._withdrawals.is_pending, keys_of(request.work)):
                    ordered += (QueuedRequest(FillValue(key)), QueuedRequest(Withdraw(key)))
            ordered.append(request)
        return ordered

    async def _round(
        self, requests: Sequence[QueuedRequest], built: BuiltBatch
    ) -> list[QueuedRequest]:
        """Returns the requests for the next round."""
        busy: set[bytes] = set()
        deferred: list[QueuedRequest] = []
        asking: list[tuple[QueuedRequest, EngineQuestion]] = []
        for at, request in enumerate(requests):
            if self._pace.is_pause_due:
                await self._pace.pause()
                if self._clock() > self._end:
                    built.rest = [*deferred, *requests[at:]]
                    break
            if self.alone.park(request):
                continue
            keys = keys_of(request.work)
            if not busy.isdisjoint(keys):
                busy.update(keys)
                deferred.append(request)
                continue
            if isinstance(request.work, ApplyUpdates):
                request.reply = await self._apply(request.work)
                built.done.append(request)
                continue
            if isinstance(request.work, Accept):
                await self._accept(request, request.work)
                built.done.append(request)
                continue
            if isinstance(request.work, UndeleteDocument):
                request.reply = await self._undelete(request.work)
                built.done.append(request)
                continue
            if isinstance(request.work, FinishAlone):
                await self._finish_alone(request, request.work.question, request.work.result)
                built.done.append(request)
                continue
            question = self._begin(request)
            if question is None:
                built.done.append(request)
            elif self._engine.runs_alone(question) and not isinstance(request.work, Withdraw):
                self.alone.start(request, question)
            else:
                busy.update(keys)
                asking.append((request, question))
        await self._ask(asking, built)
        return deferred

    def _begin(self, request: QueuedRequest) -> EngineQuestion | None:
        """Carries a request out as far as possible without the engine."""
        work = request.work
        try:
            match work:
                case WriteDocument():
                    return self._begin_write(request, work)
                case FillValue(key):
                    return self._question_of_value(key)
                case Expire(key, expires_at):
                    self._expire(key, expires_at)
                case Compact(key):
                    self._replica.compact(key)
                case SetSnapshot(key, record, snapshot):
                    self._replica.set_snapshot(key, record, snapshot)
                case RenewClient():
                    self._renew_if_taken()
                case RemoveEnded(entries):
                    self._undeletions.remove(entries)
                case Withdraw(key):
                    return self._withdrawals.begin(key)
                case Dismiss(number):
                    request.reply = ConflictDismissed(self._conflicts.dismiss(number))
                case Drop(number):
                    request.reply = QuarantineDropped(self._entries.drop(number))
                case KeepMembership():
                    request.reply = self._members.keep(work)
                case AllowDeletions(peer):
                    request.reply = DeletionsAllowed(self._deletions.allow(peer))
                case TakeValue(question, result):
                    self._take_read_value(question, result)
        except RequestRefused as refusal:
            self._refuse(request, refusal)
        return None

    def _begin_write(self, request: QueuedRequest, message: WriteDocument) -> EngineQuestion | None:
        key = checked_key(message.collection, message.id)
        self._renew_if_taken()
        if key in self._arrived:
            # The engine's copy lacks an update of this batch, so it needs the whole state.
            self._engine.forget(key)
        begun = self._resolver.write(key, message)
        if isinstance(begun, EngineQuestion):
            return begun
        self._engine.forget(key)
        request.reply = begun
        return None

    def _renew_if_taken(self) -> None:
        if self._replica.is_client_id_taken:
            self._renew_client()

    def _refuse(self, request: QueuedRequest, refusal: RequestRefused) -> None:
        if refusal.code in (Failure.INVALID, Failure.TOO_LARGE, Failure.QUARANTINED):
            self.rejected[str(refusal.code)] += 1
        request.reply = Failed(refusal.code, refusal.message, refusal.where)

    async def _ask(
        self, asking: list[tuple[QueuedRequest, EngineQuestion]], built: BuiltBatch
    ) -> None:
        if not asking:
            return
        try:
            if not self._engine.is_ready:
                raise EngineUnavailable
            results = await self._engine.ask([question for _, question in asking])
        except EngineUnavailable:
            for request, question in asking:
                if isinstance(request.work, Withdraw):
                    self._withdrawals.undo(question.key)
                else:
                    built.waiting.append(request)
            return
        for (request, question), result in zip(asking, results, strict=True):
            if result.outcome is EngineOutcome.NEEDS_ALONE:
                if not isinstance(request.work, Withdraw):
                    self.alone.start(request, question)
                    continue
                result = await self._engine.ask_alone(question)
            if result.update:
                await self._contents.read(question.key)
            self._finish(request, question, result)
            built.done.append(request)

    def _finish(
        self, request: QueuedRequest, question: EngineQuestion, result: OperationResult
    ) -> None:
        if isinstance(request.work, Withdraw):
            self._withdrawals.finish(question, result)
            return
        if not isinstance(request.work, WriteDocument):
            self._take_value(question, result)
            return
        self._arrived.pop(question.key, None)
        try:
            request.reply = self._resolver.finish(request.work, question, result)
        except RequestRefused as refusal:
            self._refuse(request, refusal)

    async def _finish_alone(
        self, request: QueuedRequest, question: EngineQuestion, result: OperationResult
    ) -> None:
        """Carries out what was computed, or computes it again if the document is not what it was."""
        assert isinstance(request.work, FinishAlone)
        self.alone.finish(question.key)
        record, asked = self._replica.live(question.key), question.record
        is_same = (
            record is not None
            and record.incarnation == asked.incarnation
            and record.fingerprint == asked.fingerprint
            and question.client in (0, self._replica.client_of(record.incarnation))
        )
        original = request.with_work(request.work.work)
        if is_same:
            if result.update:
                await self._contents.read(question.key)
            self._finish(original, question, result)
            request.reply = original.reply
            return
        self.alone.requeue([original])
        request.connection = request.on_done = None

    # --- updates from peers and Yjs clients

    async def _apply(self, message: ApplyUpdates) -> AppliedReply:
        outcomes: list[Outcome] = []
        reasons: list[str] = []
        is_client, has_ended = message.origin.startswith(CLIENT), False
        gate = self._deletions.gate(message.peer)
        for update in message.updates:
            if self._pace.is_pause_due:
                await self._pace.pause()
            joined = ENDED if has_ended else await self._join(update, message.origin, gate=gate)
            has_ended |= is_client and joined.outcome is Outcome.STALE
            if joined.outcome is Outcome.REFUSED:
                self.rejected["leap" if joined.is_leap else "update"] += 1
            outcomes.append(joined.outcome)
            reasons.append(joined.reason)
        self._deletions.stage()
        replica, pause = self._replica, self._deletions.pause_of(message.peer)
        return AppliedReply(
            tuple(outcomes),
            tuple(reasons),
            replica.staged_sequence,
            replica.staged_documents,
            pause.node_id if pause else "",
            pause.at if pause else 0.0,
            pause.refused if pause else 0,
        )

    async def _join(
        self,
        update: DocumentUpdate,
        origin: str,
        is_accepted: bool = False,
        gate: EndingGate | None = None,
    ) -> JoinResult:
        """Joins an update. Keeps what leaps, and what lost."""
        decoded = await self._contents.decode(update, origin)
        await self._contents.read_for(update)
        joined = self._replica.join(update, origin, decoded, is_accepted, gate)
        if joined.is_leap:
            return self._leaps.keep(update, origin, decoded) or joined
        if joined.conflict is not None:
            self._note_conflict(joined, origin)
        elif joined.record is not None:
            key = document_key(update.collection, update.id)
            self._note_joined(key, joined.record, update.update)
        return joined

    async def _accept(self, request: QueuedRequest, work: Accept) -> None:
        """Carries out a change that leaps, or lets the engine try again."""
        try:
            found = self._entries.find(work.id)
            if isinstance(found, BrokenEntry):
                self._quarantine.remove(found.key, found.digest)
                self._engine.forget(found.key)
                self.outdated.add(found.key)
                request.reply = QuarantineAccepted(Outcome.APPLIED)
                return
            change = self._leaps.change_of(found)
            joined = await self._join(change, found.peer, is_accepted=True)
            if joined.outcome in (Outcome.REFUSED, Outcome.GAP):
                why = f"the change cannot be carried out: {joined.reason}"
                raise RequestRefused(Failure.QUARANTINED, why, "id")
            self._leaps.accepted(found)
            request.reply = QuarantineAccepted(joined.outcome)
        except RequestRefused as refusal:
            self._refuse(request, refusal)

    async def _undelete(self, message: UndeleteDocument) -> WrittenReply | Failed:
        self._renew_if_taken()
        try:
            undeleted = await self._undeletions.undelete(message)
        except RequestRefused as refusal:
            return Failed(refusal.code, refusal.message, refusal.where)
        self._note_joined(undeleted.key, undeleted.record, undeleted.encoded)
        return reply_of(message, undeleted.record, self._resolver.generation())

    def _note_joined(self, key: bytes, record: Record, update: bytes) -> None:
        if len(self._quarantine):
            self._quarantine.release(key, record.incarnation + record.is_deleted)
        if len(self._leaps):
            self._leaps.joined(key, record.incarnation)
        if record.is_value_outdated:
            self._arrived.setdefault(key, []).append(update)
        else:
            self._arrived.pop(key, None)
            self._engine.forget(key)

    def _note_conflict(self, joined: JoinResult, peer: str) -> None:
        """Keeps what lost, and tells the peers. The engine's copy and what is quarantined are of another state."""
        conflict, record = joined.conflict, joined.record
        assert conflict is not None
        is_new = self._conflicts.add(conflict, peer)
        if record is None:
            if is_new:
                self._replica.announce(conflict.key, conflict.pushed, CONFLICT)
            return
        self._engine.forget(conflict.key)
        self._arrived.pop(conflict.key, None)
        if len(self._quarantine):
            self._quarantine.release(conflict.key, record.incarnation + 1)
        if record.is_value_outdated:
            self._arrived[conflict.key] = [b""]

    async def _fill_arrived(self) -> None:
        """Computes the values of the documents that this batch has updated, before the batch is committed."""
        if not self._arrived:
            return
        arrived, self._arrived = self._arrived, {}
        questions = []
        for key, updates in arrived.items():
            record = self._replica.live(key)
            if record is None or not record.is_value_outdated:
                continue
            if record.snapshot_bytes > LAZY_BYTES:
                self._engine.fall_behind(key)  # its value is computed when a reader asks for it
                continue
            if not self._engine.is_ready:
                self._engine.fall_behind(key)
                self.outdated.add(key)
                continue
            question = self._question_of_arrival(key, record, updates)
            if question is not None:
                questions.append(question)
        try:
            results = await self._engine.ask(questions) if questions else []
        except EngineUnavailable:
            self.outdated.update(question.key for question in questions)
            return
        for question, result in zip(questions, results, strict=True):
            if result.outcome is EngineOutcome.NEEDS_ALONE:
                self._engine.forget(question.key)
                self.outdated.add(question.key)
            else:
                self._take_value(question, result)

    def _question_of_arrival(
        self, key: bytes, record: Record, updates: Sequence[bytes]
    ) -> EngineQuestion | None:
        if record.flags & DocumentFlag.HAS_OTHER_ROOTS or not self._engine.has_version(key, record):
            self._engine.forget(key)
            return self._question_of_value(key)
        if self._quarantine.holds(key, record.incarnation):
            return None
        update = (
            updates[0] if len(updates) == 1 else encode_update(merge_updates(updates, STATE_LIMITS))
        )
        return EngineQuestion(key, record, EngineKind.APPLY, update)

    def _question_of_value(self, key: bytes) -> EngineQuestion | None:
        record = self._replica.live(key)
        if record is None or not record.is_value_outdated:
            return None
        if self._quarantine.holds(key, record.incarnation):
            return None
        return EngineQuestion(key, record, EngineKind.VALUE, b"")

    def _take_value(self, question: EngineQuestion, result: OperationResult) -> None:
        key = question.key
        self.outdated.discard(key)
        if result.outcome is EngineOutcome.DONE:
            self._replica.set_value(key, result.value)
            return
        self.rejected["engine"] += 1
        self._engine.forget(key)
        self._quarantine.add(key, question.record.incarnation)

    def _take_read_value(self, question: EngineQuestion, result: OperationResult) -> None:
        """Stores a value that was computed meanwhile, or notes that it cannot be computed."""
        record = self._replica.live(question.key)
        asked = question.record
        if (
            record is None
            or not record.is_value_outdated
            or record.incarnation != asked.incarnation
        ):
            return
        if result.outcome is not EngineOutcome.DONE or record.fingerprint == asked.fingerprint:
            self._take_value(question, result)

    def _expire(self, key: bytes, expires_at: float) -> None:
        record = self._replica.live(key)
        if record is not None and record.expires_at == expires_at:
            self._engine.forget(key)
            self._replica.delete(key)
