"""What a batch of requests changes: decided in order, document by document, in rounds with the engine.

Two requests for one document never share a round: the second starts from what the first has made. Nothing in here is
on disk; `committing.py` brings it there, and only then is anybody answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import document_key
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import encode_update
from peatnode.ipc.link import Connection
from peatnode.ipc.messages import (
    AppliedReply,
    ApplyUpdates,
    EngineKind,
    EngineOutcome,
    Failed,
    Failure,
    Message,
    OperationResult,
    Outcome,
    WriteDocument,
)
from workers.store.engine.client import EngineClient, EngineRequest, EngineUnavailable
from workers.store.engine.quarantine import Quarantine
from workers.store.engine.refusal import RequestRefused
from workers.store.names import checked_key
from workers.store.write.request import WriteResolver

LAZY_BYTES = 64 * 1024
"""A larger document's value is read when somebody asks for it, not with each change from elsewhere."""


@dataclass(frozen=True, slots=True)
class FillValue:
    """Somebody asks for a value that is outdated."""

    key: bytes


@dataclass(frozen=True, slots=True)
class Expire:
    key: bytes
    expires_at: float


@dataclass(frozen=True, slots=True)
class Compact:
    key: bytes


@dataclass(frozen=True, slots=True)
class SetSnapshot:
    """The same, of a large document, after a thread has done the work."""

    key: bytes
    compacted_from: Record
    base: bytes


Work: TypeAlias = WriteDocument | ApplyUpdates | FillValue | Expire | Compact | SetSnapshot


@dataclass(slots=True, eq=False)
class QueuedWork:
    """Work, and who waits for it."""

    work: Work
    connection: Connection | None = None
    cause: int = 0
    deadline: float = 0.0
    """By when the engine must be there, if it is needed."""
    reply: Message | None = None
    on_done: Callable[[Message | None], None] | None = None
    """For those who wait in this process."""

    def answer(self) -> None:
        if self.on_done is not None:
            self.on_done(self.reply)
        if self.connection is not None and self.reply is not None:
            self.connection.reply(self.cause, self.reply)


@dataclass(slots=True)
class BuiltBatch:
    """The outcome of a batch."""

    done: list[QueuedWork] = field(default_factory=list)
    waiting: list[QueuedWork] = field(default_factory=list)
    """For the engine, which is away."""


class BatchBuilder:
    def __init__(
        self,
        replica: Replica,
        engine: EngineClient,
        quarantine: Quarantine,
        resolver: WriteResolver,
        renew_client: Callable[[], None],
    ) -> None:
        """`renew_client` is called when somebody else writes under our client id."""
        self._renew_client = renew_client
        self._replica = replica
        self._engine = engine
        self._quarantine = quarantine
        self._resolver = resolver
        self._arrived: dict[bytes, list[bytes]] = {}
        """Updates of the open batch that the engine has not seen, of documents whose value only it can tell."""
        self.rejected: Counter[str] = Counter()
        self.outdated: set[bytes] = set()
        """Documents whose value is behind for want of an engine."""

    def forget(self) -> None:
        """The open batch is not to be."""
        self._arrived.clear()
        self._engine.forget()

    async def build(self, requests: Iterable[QueuedWork]) -> BuiltBatch:
        built = BuiltBatch()
        left = list(requests)
        while left:
            left = await self._round(left, built)
        await self._fill_arrived()
        return built

    async def _round(self, requests: Sequence[QueuedWork], built: BuiltBatch) -> list[QueuedWork]:
        """Returns those that have to wait for the next one."""
        busy: set[bytes] = set()
        deferred: list[QueuedWork] = []
        asking: list[tuple[QueuedWork, EngineRequest]] = []
        for request in requests:
            keys = _keys(request.work)
            if not busy.isdisjoint(keys):
                busy.update(keys)
                deferred.append(request)
                continue
            question = self._begin(request)
            if question is None:
                built.done.append(request)
            else:
                busy.update(keys)
                asking.append((request, question))
        await self._ask(asking, built)
        return deferred

    def _begin(self, request: QueuedWork) -> EngineRequest | None:
        """Carries it out as far as is possible without the engine."""
        work = request.work
        try:
            match work:
                case WriteDocument():
                    return self._begin_write(request, work)
                case ApplyUpdates():
                    request.reply = self._apply(work)
                case FillValue(key):
                    return self._question_of_value(key)
                case Expire(key, expires_at):
                    self._expire(key, expires_at)
                case Compact(key):
                    self._replica.compact(key)
                case SetSnapshot(key, record, base):
                    self._replica.set_snapshot(key, record, base)
        except RequestRefused as refusal:
            self._refuse(request, refusal)
        return None

    def _begin_write(self, request: QueuedWork, message: WriteDocument) -> EngineRequest | None:
        key = checked_key(message.collection, message.id)
        if self._replica.is_client_id_taken:
            self._renew_client()
        if key in self._arrived:
            # The engine's copy lacks what has just come: it has to take the whole state.
            self._engine.forget(key)
        begun = self._resolver.write(key, message)
        if isinstance(begun, EngineRequest):
            return begun
        self._engine.forget(key)
        request.reply = begun
        return None

    def _refuse(self, request: QueuedWork, refusal: RequestRefused) -> None:
        if refusal.code in (Failure.INVALID, Failure.TOO_LARGE, Failure.QUARANTINED):
            self.rejected[str(refusal.code)] += 1
        request.reply = Failed(refusal.code, refusal.message, refusal.where)

    async def _ask(self, asking: list[tuple[QueuedWork, EngineRequest]], built: BuiltBatch) -> None:
        if not asking:
            return
        try:
            if not self._engine.is_ready:
                raise EngineUnavailable
            results = await self._engine.ask([question for _, question in asking])
        except EngineUnavailable:
            built.waiting += [request for request, _ in asking]
            return
        for (request, question), result in zip(asking, results, strict=True):
            self._finish(request, question, result)
            built.done.append(request)

    def _finish(
        self, request: QueuedWork, question: EngineRequest, result: OperationResult
    ) -> None:
        if not isinstance(request.work, WriteDocument):
            self._take_value(question, result)
            return
        self._arrived.pop(question.key, None)
        try:
            request.reply = self._resolver.finish(request.work, question, result)
        except RequestRefused as refusal:
            self._refuse(request, refusal)

    # --- from elsewhere

    def _apply(self, message: ApplyUpdates) -> AppliedReply:
        outcomes: list[Outcome] = []
        reasons: list[str] = []
        for update in message.updates:
            joined = self._replica.join(update, message.origin)
            if joined.outcome is Outcome.REFUSED:
                self.rejected["update"] += 1
            if joined.record is not None:
                key = document_key(update.collection, update.id)
                self._note_joined(key, joined.record, update.update)
            outcomes.append(joined.outcome)
            reasons.append(joined.reason)
        return AppliedReply(tuple(outcomes), tuple(reasons), self._replica.staged_sequence)

    def _note_joined(self, key: bytes, record: Record, update: bytes) -> None:
        if len(self._quarantine):
            self._quarantine.release(key, record.incarnation + record.is_deleted)
        if record.is_value_outdated:
            self._arrived.setdefault(key, []).append(update)
        else:
            self._arrived.pop(key, None)
            self._engine.forget(key)

    async def _fill_arrived(self) -> None:
        """The values of what came in with this batch, before it is shown to anyone."""
        if not self._arrived:
            return
        arrived, self._arrived = self._arrived, {}
        questions = []
        for key, updates in arrived.items():
            record = self._replica.live(key)
            if record is None or not record.is_value_outdated:
                continue
            if record.snapshot_bytes > LAZY_BYTES or not self._engine.is_ready:
                self._engine.forget(key)
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
            self._take_value(question, result)

    def _question_of_arrival(
        self, key: bytes, record: Record, updates: Sequence[bytes]
    ) -> EngineRequest | None:
        if record.flags & DocumentFlag.HAS_OTHER_ROOTS or not self._engine.is_alive(key, record):
            self._engine.forget(key)
            return self._question_of_value(key)
        if self._quarantine.holds(key, record.incarnation):
            return None
        update = (
            updates[0] if len(updates) == 1 else encode_update(merge_updates(updates, STATE_LIMITS))
        )
        return EngineRequest(key, record, EngineKind.APPLY, update)

    def _question_of_value(self, key: bytes) -> EngineRequest | None:
        record = self._replica.live(key)
        if record is None or not record.is_value_outdated:
            return None
        if self._quarantine.holds(key, record.incarnation):
            return None
        return EngineRequest(key, record, EngineKind.VALUE, b"")

    def _take_value(self, question: EngineRequest, result: OperationResult) -> None:
        key = question.key
        self.outdated.discard(key)
        if result.outcome is EngineOutcome.DONE:
            self._replica.set_value(key, result.value)
            return
        self.rejected["engine"] += 1
        self._engine.forget(key)
        self._quarantine.add(key, question.record.incarnation)

    def _expire(self, key: bytes, expires_at: float) -> None:
        record = self._replica.live(key)
        if record is not None and record.expires_at == expires_at:
            self._engine.forget(key)
            self._replica.delete(key)


def _keys(work: Work) -> tuple[bytes, ...]:
    match work:
        case WriteDocument(collection, document):
            return (f"{collection}\0{document}".encode(errors="replace"),)
        case ApplyUpdates(updates):
            return tuple(f"{u.collection}\0{u.id}".encode(errors="replace") for u in updates)
        case FillValue(key) | Expire(key) | Compact(key) | SetSnapshot(key):
            return (key,)
