"""Values of large documents, computed when a reader asks, and at most once a second."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.ipc.messages import EngineKind, EngineOutcome, OperationResult
from workers.store.engine.client import EngineClient, EngineUnavailable
from workers.store.engine.question import EngineQuestion

MAX_AGE_SECONDS = 1.0
"""A value that was read so recently is read again, although its document has changed since."""
CACHED_BYTES = 8 * 1024 * 1024
"""Values in memory; the newest one is always kept."""


@dataclass(frozen=True, slots=True)
class ReadValue:
    """The value of a document at a moment, with the fingerprint and the sequence of that moment."""

    record: Record
    value: bytes
    read_at: float
    """Monotonic time at which the state was read."""


class LargeValues:
    """Computes outdated values for readers. The engine computes one value of a document at a time.

    A value that was read less than a second ago is returned as it was then, with its own fingerprint, unless the reader
    wants a fresh one, or a write of this node has changed the document meanwhile.
    """

    def __init__(
        self,
        replica: Replica,
        engine: EngineClient,
        take: Callable[[EngineQuestion, OperationResult], None],
    ) -> None:
        """`take` receives each result, to store it."""
        self._replica = replica
        self._engine = engine
        self._take = take
        self._cache: OrderedDict[bytes, ReadValue] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[ReadValue | None]] = {}
        self.computed = 0

    def forget(self, key: bytes) -> None:
        """Notes a write of this node: whoever has written reads no value from before."""
        self._cache.pop(key, None)
        self._running.pop(key, None)

    def find(self, key: bytes, record: Record, is_fresh: bool = False) -> ReadValue | None:
        """A value that is young enough, or that is still the document's."""
        found = self._cache.get(key)
        if found is None or found.record.incarnation != record.incarnation:
            return None
        if found.record.sequence == record.sequence:
            return found
        is_young = time.monotonic() - found.read_at < MAX_AGE_SECONDS
        return found if is_young and not is_fresh else None

    async def read(self, key: bytes, record: Record, is_fresh: bool = False) -> ReadValue | None:
        """The value, computed if need be; None if the engine cannot compute it. Raises EngineUnavailable."""
        found = self.find(key, record, is_fresh)
        if found is not None:
            return found
        running = self._running.get(key)
        if running is not None and is_fresh:
            await asyncio.wait([running])
            running = self._running.get(key)
        if running is None or running.done():
            running = asyncio.create_task(self._compute(key))
            self._running[key] = running
        return await asyncio.shield(running)

    async def read_covering(self, key: bytes, record: Record, sequence: int) -> ReadValue | None:
        """A value that contains the change of this sequence, at most one new one a second. Raises EngineUnavailable."""
        found = self._cache.get(key)
        if found is not None and found.record.incarnation == record.incarnation:
            if found.record.sequence >= sequence:
                return found
            await asyncio.sleep(max(0.0, found.read_at + MAX_AGE_SECONDS - time.monotonic()))
        return await self.read(key, record, is_fresh=True)

    async def _compute(self, key: bytes) -> ReadValue | None:
        task = asyncio.current_task()
        try:
            record = self._replica.record_on_disk(key)
            if record is None or record.is_deleted:
                return None
            read_at = time.monotonic()
            question = EngineQuestion(key, record, EngineKind.VALUE, b"")
            result = await self._answer(question)
            self.computed += 1
            self._take(question, result)
            if result.outcome is not EngineOutcome.DONE:
                return None
            found = ReadValue(record, result.value, read_at)
            if self._running.get(key) is task:
                self._keep(key, found)
            return found
        finally:
            if self._running.get(key) is task:
                del self._running[key]

    async def _answer(self, question: EngineQuestion) -> OperationResult:
        if not self._engine.runs_alone(question):
            if not self._engine.is_ready:
                raise EngineUnavailable
            (result,) = await self._engine.ask([question])
            if result.outcome is not EngineOutcome.NEEDS_ALONE:
                return result
        return await self._engine.ask_alone(question)

    def _keep(self, key: bytes, found: ReadValue) -> None:
        self._cache.pop(key, None)
        self._cache[key] = found
        size = sum(len(each.value) for each in self._cache.values())
        while size > CACHED_BYTES and len(self._cache) > 1:
            size -= len(self._cache.popitem(last=False)[1].value)
