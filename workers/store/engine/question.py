"""A question of the store to the engine, and what it needs to know of the document."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.documents.replica.record import Record
from peatnode.ipc.messages import EngineKind


@dataclass(frozen=True, slots=True)
class EngineQuestion:
    """One operation on one document. For APPLY the record may already contain the update."""

    key: bytes
    record: Record
    kind: EngineKind
    payload: bytes
    client: int = 0
    """Yjs client id of the new structs; 0 if there are none."""
    is_heavy: bool = False
    """Whether the computation may take long although the document is small."""
