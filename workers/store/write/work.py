"""What waits in the queue of the store: the kinds of work, and the requester of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from peatnode.documents.replica.record import Record
from peatnode.ipc.link import Connection
from peatnode.ipc.messages import (
    AllowDeletions,
    ApplyUpdates,
    KeepMembership,
    Message,
    OperationResult,
    UndeleteDocument,
    WriteDocument,
)
from workers.store.engine.question import EngineQuestion
from workers.store.names import unchecked_key


@dataclass(frozen=True, slots=True)
class FillValue:
    """Computes the outdated value of a document."""

    key: bytes


@dataclass(frozen=True, slots=True)
class Expire:
    """Deletes a document, unless its expiry has changed."""

    key: bytes
    expires_at: float


@dataclass(frozen=True, slots=True)
class Compact:
    """Compacts a small document."""

    key: bytes


@dataclass(frozen=True, slots=True)
class SetSnapshot:
    """Stores the snapshot of a large document that a thread has compacted."""

    key: bytes
    compacted_from: Record
    snapshot: bytes


@dataclass(frozen=True, slots=True)
class RenewClient:
    """Begins a new generation, if another writer uses this node's client id."""


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Removes what is kept of a conflict."""

    id: bytes


@dataclass(frozen=True, slots=True)
class Accept:
    """Accepts what is in quarantine."""

    key: bytes
    id: bytes


@dataclass(frozen=True, slots=True)
class Drop:
    """Drops a change that leaps."""

    id: bytes


@dataclass(frozen=True, slots=True)
class RemoveEnded:
    """Removes what is kept of deleted documents."""

    entries: tuple[tuple[bytes, int], ...]
    """Document keys, and the sequences of their ends."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Withdraws contradicted own writes from a document, and writes its value again."""

    key: bytes


@dataclass(frozen=True, slots=True)
class FinishAlone:
    """Takes the result of a computation that ran outside of the batches."""

    work: Work
    """What it was computed for."""
    question: EngineQuestion
    result: OperationResult


@dataclass(frozen=True, slots=True)
class TakeValue:
    """Stores a value that was computed for a reader, if the document has not changed meanwhile."""

    question: EngineQuestion
    result: OperationResult


Work: TypeAlias = (
    WriteDocument
    | ApplyUpdates
    | FillValue
    | Expire
    | Compact
    | SetSnapshot
    | RenewClient
    | Withdraw
    | Dismiss
    | Accept
    | Drop
    | KeepMembership
    | RemoveEnded
    | UndeleteDocument
    | AllowDeletions
    | FinishAlone
    | TakeValue
)


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """Work in the queue, and the requester to answer."""

    work: Work
    connection: Connection | None = None
    cause: int = 0
    deadline: float = 0.0
    """Time of the event loop at which the request stops waiting for the engine."""
    reply: Message | None = None
    on_done: Callable[[Message | None], None] | None = None
    """Receives the reply when the requester is in this process."""

    def with_work(self, work: Work) -> QueuedRequest:
        """Other work for the same requester."""
        return replace(self, work=work, reply=None)

    def answer(self) -> None:
        if self.on_done is not None:
            self.on_done(self.reply)
        if self.connection is not None and self.reply is not None:
            try:
                self.connection.reply(self.cause, self.reply)
            except MemoryError:  # the requester must know that its answer is lost
                self.connection.close()


def keys_of(work: Work) -> tuple[bytes, ...]:
    """The keys of the documents that the work is about."""
    match work:
        case WriteDocument(collection, document) | UndeleteDocument(collection, document):
            return (unchecked_key(collection, document),)
        case ApplyUpdates(updates):
            return tuple(unchecked_key(update.collection, update.id) for update in updates)
        case FillValue(key) | Expire(key) | Compact(key) | SetSnapshot(key) | Withdraw(key):
            return (key,)
        case Accept(key):
            return (key,)
        case RemoveEnded(entries):
            return tuple(key for key, _ in entries)
        case FinishAlone(_, question) | TakeValue(question):
            return (question.key,)
        case RenewClient() | Dismiss() | Drop() | KeepMembership() | AllowDeletions():
            return ()
