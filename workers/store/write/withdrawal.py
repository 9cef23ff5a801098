"""Withdraws own writes that another writer has contradicted, and writes the documents' values again under a new id.

Both happen in one batch, so nobody sees a document without these writes. The structs that the other writer made under
the same clocks then arrive by anti-entropy, and nothing of either side is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from peatnode.documents.names import display_name, names_of
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.withdraw import PENDING, OwnWrite
from peatnode.ipc.messages import OperationResult, WriteDocument, WriteKind
from workers.store.engine.client import EngineClient
from workers.store.engine.quarantine import Quarantine
from workers.store.engine.question import EngineQuestion
from workers.store.engine.refusal import RequestRefused
from workers.store.write.request import WriteResolver

WRITTEN_AGAIN, KEPT = "written_again", "kept"
"""Outcomes of a withdrawal, part of a metric: KEPT documents may differ between nodes."""


class Withdrawals:
    """Carries out the withdrawals of a replica's own writes that are pending."""

    def __init__(
        self,
        replica: Replica,
        engine: EngineClient,
        quarantine: Quarantine,
        resolver: WriteResolver,
        on_kept: Callable[[str, str], None],
    ) -> None:
        """`on_kept` receives the name of a document that could not be withdrawn, and the reason."""
        self._replica = replica
        self._engine = engine
        self._quarantine = quarantine
        self._resolver = resolver
        self._on_kept = on_kept
        self._asked: dict[bytes, tuple[Record, WriteDocument]] = {}
        """The record before the withdrawal, and the write, of documents that the engine is asked about."""
        self.outcomes: Counter[str] = Counter({WRITTEN_AGAIN: 0, KEPT: 0})

    def is_pending(self, key: bytes) -> bool:
        return key in self._replica.own_writes.pending

    def begin(self, key: bytes) -> EngineQuestion | None:
        """Withdraws a document whose value is known, as far as possible without the engine."""
        write = self._replica.own_writes.pending.get(key)
        record = self._replica.live(key)
        if write is None:
            return None
        if record is None or not _holds(record, write):
            self._end(key)
            return None
        if record.is_value_outdated:
            self._keep_quarantined(key, record)
            return None
        remaining = self._replica.remaining(key, record, write)
        if remaining is None:
            self._keep(key, "changes of others depend on it")
            return None
        return self._write_again(key, record, remaining)

    def _keep_quarantined(self, key: bytes, record: Record) -> None:
        """Waits for the document's value, unless the engine can never compute it."""
        if self._quarantine.holds(key, record.incarnation):
            self._keep(key, "it is quarantined")

    def _write_again(self, key: bytes, record: Record, remaining: Record) -> EngineQuestion | None:
        value = self._replica.value(key, record)
        names = names_of(key)
        message = WriteDocument(*names, WriteKind.PUT, value, expires_at=record.expires_at)
        self._asked[key] = record, message
        self._replica.replace_state(key, record, remaining)
        self._engine.forget(key)
        try:
            begun = self._resolver.write(key, message)
        except RequestRefused as refusal:
            self._undo_and_keep(key, refusal.message)
            return None
        if isinstance(begun, EngineQuestion):
            return begun
        self._written(key, begun.was_changed)
        return None

    def finish(self, question: EngineQuestion, result: OperationResult) -> None:
        """Takes the answer of the engine to the question of `begin`."""
        _, message = self._asked[question.key]
        try:
            reply = self._resolver.finish(message, question, result)
        except RequestRefused as refusal:
            self._undo_and_keep(question.key, refusal.message)
            return
        self._written(question.key, reply.was_changed)

    def undo(self, key: bytes) -> None:
        """Puts the document back, because the engine has not answered. It stays pending."""
        record, _ = self._asked.pop(key)
        self._replica.replace_state(key, record, record)
        self._engine.forget(key)

    def forget(self) -> None:
        """Drops the state of the open batch."""
        self._asked.clear()

    def _written(self, key: bytes, was_changed: bool) -> None:
        del self._asked[key]
        self._engine.forget(key)
        if not was_changed:
            self._replica.announce(key)
        self.outcomes[WRITTEN_AGAIN] += 1
        self._end(key)

    def _undo_and_keep(self, key: bytes, reason: str) -> None:
        self.undo(key)
        self._keep(key, reason)

    def _keep(self, key: bytes, reason: str) -> None:
        self.outcomes[KEPT] += 1
        self._on_kept(display_name(key), reason)
        self._end(key)

    def _end(self, key: bytes) -> None:
        """The entry goes with the batch; then the document is no longer pending."""
        self._replica.put(PENDING + key, None)


def _holds(record: Record, write: OwnWrite) -> bool:
    """Whether the document still has structs that have to be withdrawn."""
    is_same = record.incarnation == write.incarnation
    return is_same and record.state_vector.get(write.client, 0) > write.clock
