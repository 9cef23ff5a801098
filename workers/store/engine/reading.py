"""What the engine holds of a large document that it has read: it catches up instead of loading the whole again."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.documents.replica.record import Record

LAZY_BYTES = 64 * 1024
"""The value of a document with a larger snapshot is computed on demand, not after each change from a peer or client."""

MAX_READINGS = 16
"""Large documents that the engine catches up with: it keeps no more of them live."""


@dataclass(frozen=True, slots=True)
class EngineReading:
    """The version that the engine has of a large document, and what part of the record it covers."""

    incarnation: int
    version: int
    snapshot_bytes: int
    delta_log: tuple[bytes, ...]

    def news(self, record: Record) -> tuple[bytes, ...] | None:
        """The updates of the record since then; None if they cannot be told any more."""
        covered = self.delta_log
        if (
            record.incarnation != self.incarnation
            or record.snapshot_bytes != self.snapshot_bytes
            or record.delta_log[: len(covered)] != covered
        ):
            return None
        return record.delta_log[len(covered) :]
