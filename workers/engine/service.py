"""Dispatches the messages of engine.sock, and checks the memory of the process."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

from peatnode.documents.json.size import ChangeLimits
from peatnode.ipc.link import Connection
from peatnode.ipc.messages import (
    EngineOutcome,
    Failure,
    GetMetrics,
    Message,
    Metric,
    MetricsReply,
    OperationResult,
    OperationsReply,
    RunOperations,
)
from peatnode.worker.shell import WorkerShell
from workers.engine.crash_guard import CrashMarker, find_fatal
from workers.engine.pool import DocumentPool

GROWTH_BYTES = 40 * 1024 * 1024
"""Growth since the start after which the process is replaced between two requests."""
IDLE_GROWTH_BYTES = 8 * 1024 * 1024
"""The same bound for an idle engine."""
IDLE_SECONDS = 5.0
"""Time without a request after which the engine is idle."""
CHECK_SECONDS = 1.0

ENGINE_DIED = OperationResult(
    EngineOutcome.PANICKED, b"", b"", "the operation would kill the engine", ""
)

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


class EngineService:
    """Runs operations in the document pool, and tries them in a child first while the crash guard is active.

    It asks the supervisor for a new process when this one has grown, because y-py leaks memory.
    """

    def __init__(self, shell: WorkerShell) -> None:
        self._shell = shell
        self._pool = DocumentPool(ChangeLimits(shell.config.max_body_bytes))
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
            case GetMetrics():
                connection.reply(cause, MetricsReply(self._metrics()))
            case _:  # a message of another socket: the requester is wrong
                connection.fail(cause, Failure.INVALID, f"the engine does not answer {message.TAG}")

    def _leave_for_memory(self, connection: Connection, cause: int) -> None:
        """Answers that the engine is unavailable: none of the operations is to blame, and none was recorded."""
        self._marker.leave()
        connection.fail(cause, Failure.UNAVAILABLE, "the engine had not enough memory")
        if not self._is_leaving:
            self._is_leaving = True
            self._shell.recycle("out of memory")

    def _run(self, message: RunOperations) -> OperationsReply:
        operations = message.operations
        refused = find_fatal(self._pool, operations) if self._marker.is_guarding else ()
        results = []
        self._marker.enter()
        for at, operation in enumerate(operations):
            result = ENGINE_DIED if at in refused else self._pool.run(operation)
            self._operations[operation.kind, result.outcome] += 1
            results.append(result)
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
