"""Dispatches the messages of engine.sock, and checks the memory of the process."""

from __future__ import annotations

import asyncio
from collections import Counter

from peatnode.documents.json.size import ChangeLimits
from peatnode.ipc.link import Connection
from peatnode.ipc.messages import (
    EngineOutcome,
    Failure,
    GetMetrics,
    Message,
    Metric,
    MetricsReply,
    Operation,
    OperationResult,
    OperationsReply,
    RunAlone,
    RunOperations,
)
from peatnode.worker.shell import WorkerShell
from workers.engine.alone import AloneRunner
from workers.engine.crash_guard import CrashMarker, is_survivable, set_deadline
from workers.engine.memory import limit_address_space, resident_bytes
from workers.engine.pool import DocumentPool

GROWTH_BYTES = 40 * 1024 * 1024
"""Growth since the start after which the process is replaced between two requests."""
IDLE_GROWTH_BYTES = 8 * 1024 * 1024
"""The same bound for an idle engine."""
IDLE_SECONDS = 5.0
"""Time without a request after which the engine is idle."""
CHECK_SECONDS = 1.0
LIGHT_BYTES, LIGHT_VALUES = 256 * 1024, 10_000
"""A JSON Patch whose result is larger, or that visits more values, runs alone."""

NEEDS_ALONE = OperationResult(EngineOutcome.NEEDS_ALONE, b"", b"", "", "")


class EngineService:
    """Runs operations of small documents in the document pool, and each of a large one in a process of its own.

    While the crash guard is active, a child tries the small ones first. The engine asks the supervisor for a new
    process when it has grown, because y-py leaks memory.
    """

    def __init__(self, shell: WorkerShell) -> None:
        self._shell = shell
        limits = ChangeLimits(shell.config.max_body_bytes)
        light = ChangeLimits(
            min(limits.max_bytes, LIGHT_BYTES), max_values=LIGHT_VALUES, max_work=LIGHT_VALUES
        )
        self._pool = DocumentPool(light, is_light=True)
        memory = shell.config.engine_memory_bytes
        self._alone = AloneRunner(lambda: DocumentPool(limits), memory)
        limit_address_space(memory + GROWTH_BYTES)
        self._marker = CrashMarker(shell.config.run_dir / "engine.box")
        self._base = resident_bytes()
        self._operations: Counter[tuple[str, str]] = Counter()
        self._last_request = 0.0
        self._is_leaving = False
        self._loop = asyncio.get_running_loop()

    def on_message(self, connection: Connection, cause: int, message: Message) -> None:
        match message:
            case RunOperations():
                try:
                    connection.reply(cause, self._run(message))
                except MemoryError:
                    self._leave_for_memory(connection, cause)
                self._last_request = self._loop.time()
                self._watch_memory(GROWTH_BYTES)
            case RunAlone(operation):
                self._run_alone(connection, cause, operation)
            case GetMetrics():
                connection.reply(cause, MetricsReply(self._metrics()))
            case _:  # a message of another socket: the requester is wrong
                connection.fail(cause, Failure.INVALID, f"the engine does not answer {message.TAG}")

    def _leave_for_memory(self, connection: Connection, cause: int) -> None:
        """Answers that the engine is unavailable: none of the operations is to blame, and none was recorded."""
        set_deadline(0)
        self._marker.leave()
        connection.fail(cause, Failure.UNAVAILABLE, "the engine had not enough memory")
        if not self._is_leaving:
            self._is_leaving = True
            self._shell.recycle("out of memory")

    def _run_alone(self, connection: Connection, cause: int, operation: Operation) -> None:
        def done(result: OperationResult) -> None:
            self._operations[operation.kind, result.outcome] += 1
            connection.reply(cause, OperationsReply((result,)))

        self._alone.run(operation, done)

    def _run(self, message: RunOperations) -> OperationsReply:
        operations = message.operations
        if self._marker.is_guarding and not is_survivable(self._pool, operations):
            return OperationsReply((NEEDS_ALONE,) * len(operations))
        results = []
        self._marker.enter()
        for operation in operations:
            set_deadline()
            result = self._pool.run(operation)
            self._operations[operation.kind, result.outcome] += 1
            results.append(result)
        set_deadline(0)
        self._marker.leave()
        return OperationsReply(tuple(results))

    async def watch(self) -> None:
        """Replaces an idle engine that has grown."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if self._loop.time() - self._last_request > IDLE_SECONDS:
                self._watch_memory(IDLE_GROWTH_BYTES)

    def _watch_memory(self, growth: int) -> None:
        if self._is_leaving or self._pool.leaked_bytes + self._pool.live_bytes < growth // 4:
            return
        grown = resident_bytes() - self._base
        if grown > growth:
            self._is_leaving = True
            self._shell.recycle(f"grown by {grown // 2**20} MiB")

    def _metrics(self) -> tuple[Metric, ...]:
        counts = [
            Metric(
                "peatnode_engine_operations_total",
                (("kind", str(kind)), ("outcome", str(outcome))),
                count,
            )
            for (kind, outcome), count in sorted(self._operations.items())
        ]
        return (
            *counts,
            Metric("peatnode_engine_live_documents", (), len(self._pool)),
            Metric("peatnode_engine_live_bytes", (), self._pool.live_bytes),
            Metric("peatnode_engine_leaked_bytes", (), self._pool.leaked_bytes),
            Metric("peatnode_engine_resident_bytes", (), resident_bytes()),
        )
