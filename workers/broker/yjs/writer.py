"""Writes the changes of a client in order: changes that arrive during a write form the next batch."""

from __future__ import annotations

import asyncio
from enum import Enum

from peatnode.ipc.messages import AppliedReply, ApplyUpdates, DocumentUpdate, Outcome
from workers.broker.worker_client import WorkerClient
from workers.broker.yjs.outbox import DELETED, SessionEnded, refused
from workers.broker.yjs.room import Room

MAX_UNWRITTEN_BYTES = 1024 * 1024
"""Beyond it the node stops reading from the client, which slows down a client faster than the disk."""

MAX_BATCH = 256
"""Maximum number of changes in a batch."""


class BatchResult(Enum):
    """Whether the store applied all of a batch."""

    COMPLETE = "complete"
    HAS_GAP = "has_gap"
    """A change was not applied, because an earlier one is missing."""


class ClientWriter:
    """The queue of changes between a session and the store."""

    def __init__(self, store: WorkerClient, room: Room, origin: str) -> None:
        self._store = store
        self._room = room
        self._origin = origin
        self._unwritten: list[bytes] = []
        self._unwritten_bytes = 0
        self._filled = asyncio.Event()
        self._progressed = asyncio.Event()

    async def put(self, update: bytes) -> None:
        """Queues a change. Waits while the queue is full."""
        while self._unwritten_bytes > MAX_UNWRITTEN_BYTES:
            await self._wait_progress()
        self._unwritten.append(update)
        self._unwritten_bytes += len(update)
        self._filled.set()

    async def wait_written(self) -> None:
        """Waits until the queue is on disk."""
        while self._unwritten_bytes:
            await self._wait_progress()

    async def _wait_progress(self) -> None:
        self._progressed.clear()
        await self._progressed.wait()

    async def write_next(self) -> BatchResult:
        """Waits for changes, and writes a batch to disk. Raises SessionEnded, HttpProblem."""
        await self._filled.wait()
        batch = self._unwritten[:MAX_BATCH]
        room = self._room
        changes = tuple(
            DocumentUpdate(room.collection, room.doc_id, room.incarnation, False, 0.0, update)
            for update in batch
        )
        # repeated after a restart of the store: joining an update twice changes nothing
        reply = await self._store.ask_retrying(ApplyUpdates(changes, self._origin))
        del self._unwritten[: len(batch)]
        if not self._unwritten:
            self._filled.clear()
        self._unwritten_bytes -= sum(map(len, batch))
        self._progressed.set()
        return _result_of(reply)


def _result_of(reply: AppliedReply) -> BatchResult:
    for outcome, reason in zip(reply.outcomes, reply.reasons, strict=True):
        match outcome:
            case Outcome.STALE:
                raise SessionEnded(DELETED)
            case Outcome.REFUSED:
                raise SessionEnded(refused(reason))
            case Outcome.APPLIED | Outcome.KNOWN | Outcome.GAP:
                pass
    return BatchResult.HAS_GAP if Outcome.GAP in reply.outcomes else BatchResult.COMPLETE
