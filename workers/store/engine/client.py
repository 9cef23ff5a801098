"""The client of the engine worker: sends operations and states to it, and finds the operation that kills it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.replica.flags import DocumentFlag, is_value_root
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.merge import merge_updates, subtract_known
from peatnode.documents.yjs.projection import gc_clocks, project
from peatnode.documents.yjs.update import Update, decode_update, encode_update
from peatnode.errors import AskFailed, AskTimedOut, LinkLost
from peatnode.ipc.link import Dialer
from peatnode.ipc.messages import (
    EngineKind,
    EngineOutcome,
    Operation,
    OperationResult,
    RunAlone,
    RunOperations,
)
from workers.store.engine.question import EngineQuestion
from workers.store.engine.reading import LAZY_BYTES, MAX_READINGS, EngineReading

ASK_SECONDS = 20.0
"""Timeout of one batch. The supervisor kills a hanging engine sooner."""

MAX_VERSIONS = 4096
"""Documents whose version in the engine is remembered."""

BATCH_BYTES = 4 * 1024 * 1024
"""Size of the states and payloads in one message; one operation is always sent."""

HEAVY_BYTES = 256 * 1024
"""A question with more bytes of state and payload runs alone."""

SLOW_SECONDS = 0.05
"""The next question about a document runs alone after one that took so much CPU time."""

ALONE_SECONDS = 60.0
"""Timeout of an operation that runs alone. The engine ends it sooner."""

ALONE_TRIES = 3

READY_SECONDS = 8.0
"""A question that runs alone waits so long for an engine that is being replaced."""

_NEEDS_ALONE = OperationResult(EngineOutcome.NEEDS_ALONE, b"", b"", "", "")


class EngineUnavailable(Exception):
    """The engine does not answer. Nothing was changed."""


class EngineClient:
    """Asks the engine to compute values and changes, in batches.

    It remembers which version of a document the engine holds, so that a state is sent only once. If the engine dies
    during a batch, each question of the batch is answered NEEDS_ALONE.
    """

    def __init__(self, path: Path, replica: Replica) -> None:
        self._dialer = Dialer(path, "store")
        self._replica = replica
        self._versions: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        """Document key to its incarnation, and the version that the engine may hold."""
        self._readings: OrderedDict[bytes, EngineReading] = OrderedDict()
        """Large documents as the engine may still hold them, although they have changed since."""
        self._last_version = 0
        self._opening: asyncio.Task[object] | None = None
        self._slow: OrderedDict[bytes, None] = OrderedDict()
        """Documents with whose last operation the engine was busy for long."""
        self._turn = asyncio.Semaphore(1)
        self.deaths = 0

    @property
    def is_ready(self) -> bool:
        """Whether the engine is connected. If it is not, a connection is opened in the background."""
        if self._dialer.is_open:
            return True
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._dialer.wait_open())
        return False

    async def wait_ready(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._dialer.wait_open(), seconds)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        await self._dialer.close()

    def forget(self, key: bytes | None = None) -> None:
        """Forgets the version of a document, or of all, because the engine's copy is no longer the document's state."""
        if key is None:
            self._versions.clear()
            self._readings.clear()
        else:
            self._versions.pop(key, None)
            self._readings.pop(key, None)

    def fall_behind(self, key: bytes) -> None:
        """Notes that the engine's copy lacks updates, which the next question for the value brings."""
        self._versions.pop(key, None)

    def runs_alone(self, question: EngineQuestion) -> bool:
        """Whether a question takes so much that nobody else should wait for its answer."""
        record = question.record
        size = record.snapshot_bytes + sum(map(len, record.delta_log)) + len(question.payload)
        return question.is_heavy or size > HEAVY_BYTES or question.key in self._slow

    def has_version(self, key: bytes, record: Record) -> bool:
        """Whether the engine may hold the document."""
        return self._version(key, record) > 0

    def _version(self, key: bytes, record: Record) -> int:
        incarnation, version = self._versions.get(key, (0, 0))
        return version if incarnation == record.incarnation else 0

    async def ask(self, questions: Sequence[EngineQuestion]) -> list[OperationResult]:
        """One result for each question, in order: PANICKED if the engine failed with the whole state, NEEDS_ALONE if it
        died or would die.

        Raises EngineUnavailable if the engine does not answer in time.
        """
        results: list[OperationResult] = []
        for batch in self._batches(questions):
            try:
                results += await self._ask_batch(batch)
            except LinkLost:
                results += [_NEEDS_ALONE] * len(batch)
        return results

    def _batches(self, questions: Sequence[EngineQuestion]) -> list[list[EngineQuestion]]:
        batches: list[list[EngineQuestion]] = [[]]
        size = 0
        for question in questions:
            weight = len(question.payload) + question.record.snapshot_bytes
            if batches[-1] and size + weight > BATCH_BYTES:
                batches.append([])
                size = 0
            batches[-1].append(question)
            size += weight
        return batches

    async def ask_alone(self, question: EngineQuestion) -> OperationResult:
        """The result of one question, computed in a process of its own, after all earlier ones.

        Raises EngineUnavailable if the engine is away for long.
        """
        if not self.is_ready and not await self.wait_ready(READY_SECONDS):
            raise EngineUnavailable
        async with self._turn:
            operation = self._operation(question, True)
            self.forget(question.key)
            for _ in range(ALONE_TRIES):
                try:
                    result = await self._run_alone(operation)
                    self._note_time(question.key, result)
                    return result
                except (
                    LinkLost
                ):  # by the end of the whole engine, which this operation did not cause
                    continue
            raise EngineUnavailable

    async def _run_alone(self, operation: Operation) -> OperationResult:
        try:
            reply = await self._dialer.ask(RunAlone(operation), ALONE_SECONDS)
        except (AskTimedOut, AskFailed):
            raise EngineUnavailable from None
        return reply.results[0]

    async def _ask_batch(self, questions: Sequence[EngineQuestion]) -> list[OperationResult]:
        operations = [self._operation(question, False) for question in questions]
        results = await self._run(operations)
        retried = [
            at
            for at, result in enumerate(results)
            if result.outcome in (EngineOutcome.NEEDS_STATE, EngineOutcome.PANICKED)
        ]
        if retried:
            for at in retried:
                operations[at] = self._operation(questions[at], True)
            for at, result in zip(
                retried, await self._run([operations[at] for at in retried]), strict=True
            ):
                results[at] = result
        for question, operation, result in zip(questions, operations, results, strict=True):
            self._remember(question, operation, result)
            self._note_time(question.key, result)
        return results

    def _note_time(self, key: bytes, result: OperationResult) -> None:
        """Remembers which documents are slow, however few bytes they have: 30,000 numbers take 64 KiB."""
        if result.cpu_seconds > SLOW_SECONDS:
            self._slow[key] = None
            if len(self._slow) > MAX_VERSIONS:
                self._slow.popitem(last=False)
        elif self._slow and result.cpu_seconds < SLOW_SECONDS / 2:
            self._slow.pop(key, None)

    async def _run(self, operations: Sequence[Operation]) -> list[OperationResult]:
        try:
            reply = await self._dialer.ask(RunOperations(tuple(operations)), ASK_SECONDS)
        except (AskTimedOut, AskFailed):
            self.forget()
            raise EngineUnavailable from None
        except LinkLost:
            self.deaths += 1
            self.forget()
            raise
        return list(reply.results)

    def _operation(self, question: EngineQuestion, with_state: bool) -> Operation:
        caught_up = None if with_state else self._catching_up(question)
        if caught_up is not None:
            return caught_up
        record = question.record
        version = self._version(question.key, record)
        state: tuple[bytes, ...] = ()
        self._last_version += 1
        if with_state or not version:
            state = self._state(question.key, record)
            version = self._last_version
            self._last_version += 1
        return Operation(
            _engine_key(question.key, record),
            version,
            self._last_version,
            question.kind,
            question.payload,
            state,
            self._replica.client_of(record.incarnation),
        )

    def _catching_up(self, question: EngineQuestion) -> Operation | None:
        """The operation that brings a large document up to date and reads it, if the engine may still hold it.

        Sent whole, the document would be loaded again, and y-py does not release the memory of the one before.
        """
        record, reading = question.record, self._readings.get(question.key)
        if question.kind is not EngineKind.VALUE or reading is None:
            return None
        news = reading.news(record)
        if news is None or record.flags & DocumentFlag.HAS_OTHER_ROOTS:
            return None
        self._last_version += 1
        payload = encode_update(merge_updates(news, STATE_LIMITS)) if news else b""
        return Operation(
            _engine_key(question.key, record),
            reading.version,
            self._last_version,
            EngineKind.APPLY if news else EngineKind.VALUE,
            payload,
            (),
            self._replica.client_of(record.incarnation),
        )

    def _state(self, key: bytes, record: Record) -> tuple[bytes, ...]:
        if not record.flags & DocumentFlag.HAS_OTHER_ROOTS:
            return self._replica.state(key, record)
        return (encode_update(self._projected(key, record)),)

    def _projected(self, key: bytes, record: Record) -> Update:
        whole = self._replica.merged(key, record)
        # y-py keeps an item alive that garbage precedes in one deleted range
        return project(compact(whole), is_value_root, flatten=True)

    def _remember(
        self, question: EngineQuestion, operation: Operation, result: OperationResult
    ) -> None:
        if result.outcome in (EngineOutcome.PANICKED, EngineOutcome.NEEDS_ALONE):
            self.forget(question.key)
            return
        has_changed = bool(result.update) or operation.kind is EngineKind.APPLY
        version = operation.next_version if has_changed else operation.version
        self._remember_reading(question, version)
        self._versions[question.key] = (question.record.incarnation, version)
        self._versions.move_to_end(question.key)
        if len(self._versions) > MAX_VERSIONS:
            self._versions.popitem(last=False)

    def _remember_reading(self, question: EngineQuestion, version: int) -> None:
        key, record = question.key, question.record
        self._readings.pop(key, None)
        if question.kind is not EngineKind.VALUE or record.snapshot_bytes <= LAZY_BYTES:
            return
        self._readings[key] = EngineReading(
            record.incarnation, version, record.snapshot_bytes, record.delta_log
        )
        if len(self._readings) > MAX_READINGS:
            self._readings.popitem(last=False)

    def new_part(self, key: bytes, record: Record, update: bytes) -> Update:
        """The new part of an update from the engine.

        The update also contains all known deletions, and for a projected document all GC clocks as deletions.
        """
        decoded = decode_update(update, STATE_LIMITS)
        if record.flags & DocumentFlag.HAS_OTHER_ROOTS:
            garbage = gc_clocks(self._projected(key, record))
            decoded = replace(decoded, delete_set=decoded.delete_set.subtract(garbage))
        return subtract_known(decoded, record.state_vector, record.delete_set)


def _engine_key(key: bytes, record: Record) -> bytes:
    return key + b"\0" + record.incarnation.to_bytes(6, "big")
