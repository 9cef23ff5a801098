"""The pool of the engine's live documents, within a bound of memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import replace

from peatnode.documents.json.size import ChangeLimits
from peatnode.documents.json.value import TOO_COSTLY, TOO_LARGE, TOO_MANY
from peatnode.errors import BadValue
from peatnode.ipc.messages import EngineKind, EngineOutcome, Operation, OperationResult
from workers.engine.document import EnginePanic, LiveDocument

LIVE_BYTES = 6 * 1024 * 1024
"""Bound on the estimated memory of all live documents together."""


class DocumentPool:
    """Runs operations on live documents, and drops the least recently used ones beyond its bound.

    It counts the memory that y-py does not release for dropped documents, so that the service can ask for a new
    process in time.
    """

    def __init__(
        self, limits: ChangeLimits, live_bytes: int = LIVE_BYTES, is_light: bool = False
    ) -> None:
        """`limits`: bounds on the values that changes lead to. `is_light`: a change that exceeds them runs alone."""
        self._is_light = is_light
        self._limits = limits
        self._limit = live_bytes
        self._documents: OrderedDict[bytes, LiveDocument] = OrderedDict()
        self.live_bytes = 0
        self.leaked_bytes = 0
        """Estimated memory that y-py has not released for dropped documents."""

    def __len__(self) -> int:
        return len(self._documents)

    def run(self, operation: Operation) -> OperationResult:
        """Runs an operation. A panic drops the live document and becomes the result. Raises MemoryError."""
        started = time.thread_time()
        result = self._run(operation)
        return replace(result, cpu_seconds=time.thread_time() - started)

    def _run(self, operation: Operation) -> OperationResult:
        try:
            live = self._find(operation)
            if live is None:
                return _result(EngineOutcome.NEEDS_STATE)
            return self._run_on(live, operation)
        except EnginePanic as panic:
            self._drop(operation.key)
            return _result(EngineOutcome.PANICKED, message=str(panic))
        except MemoryError:  # the document may be half changed, and is not to blame
            self._drop(operation.key)
            raise

    def _find(self, operation: Operation) -> LiveDocument | None:
        live = self._documents.get(operation.key)
        if live is not None and (live.version, live.client) == (
            operation.version,
            operation.client,
        ):
            self._documents.move_to_end(operation.key)
            return live
        if operation.version and not operation.state:
            return None
        self._drop(operation.key)
        live = LiveDocument(operation.client, operation.state)
        live.version = operation.version
        self._documents[operation.key] = live
        self.live_bytes += live.weight
        return live

    def _run_on(self, live: LiveDocument, operation: Operation) -> OperationResult:
        weight = live.weight
        try:
            if operation.kind is EngineKind.VALUE:
                return _result(EngineOutcome.DONE, value=live.value())
            if operation.kind is EngineKind.APPLY:
                value = live.apply(operation.payload)
                live.version = operation.next_version
                return _result(EngineOutcome.DONE, value=value)
            update, value = live.change(operation.kind, operation.payload, self._limits)
            if update:
                live.version = operation.next_version
            return _result(EngineOutcome.DONE, update, value)
        except BadValue as error:
            if self._is_light and error.code in (TOO_MANY, TOO_LARGE, TOO_COSTLY):
                return _result(EngineOutcome.NEEDS_ALONE)
            is_too_large = error.code == TOO_LARGE and not error.where
            outcome = EngineOutcome.TOO_LARGE if is_too_large else EngineOutcome.INVALID
            return _result(outcome, message=error.message, where=error.where)
        finally:
            self.live_bytes += live.weight - weight
            self._shrink(operation.key)

    def _shrink(self, keep: bytes) -> None:
        while self.live_bytes > self._limit and len(self._documents) > 1:
            oldest = next(iter(self._documents))
            if oldest == keep:
                self._documents.move_to_end(oldest)
                continue
            self._drop(oldest)

    def _drop(self, key: bytes) -> None:
        live = self._documents.pop(key, None)
        if live is not None:
            self.live_bytes -= live.weight
            self.leaked_bytes += live.weight


def _result(
    outcome: EngineOutcome,
    update: bytes = b"",
    value: bytes = b"",
    message: str = "",
    where: str = "",
) -> OperationResult:
    return OperationResult(outcome, update, value, message, where)
