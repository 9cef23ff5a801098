"""The engine without its process: the same operations on the same live documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from peatnode.documents.json.size import ChangeLimits
from peatnode.documents.replica.replica import Replica
from peatnode.ipc.messages import Operation, OperationResult
from workers.engine.pool import DocumentPool
from workers.store.engine.client import EngineClient


class EngineInProcess(EngineClient):
    """Answers at once, so that a batch is built in one moment."""

    def __init__(self, replica: Replica) -> None:
        super().__init__(Path("engine.sock"), replica)
        self._pool = DocumentPool(ChangeLimits())

    @property
    def is_ready(self) -> bool:
        return True

    async def _run(self, operations: Sequence[Operation]) -> list[OperationResult]:
        return [self._pool.run(operation) for operation in operations]

    async def _run_alone(self, operation: Operation) -> OperationResult:
        return self._pool.run(operation)
