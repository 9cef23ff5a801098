"""Reads the JSON of a deleted document: as it was stored, from its state, or by the engine."""

from __future__ import annotations

import asyncio

from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.replica.apply_update import whole_value
from peatnode.documents.replica.ended.contents import EndedContents
from peatnode.documents.replica.ended.entries import EndedHead
from peatnode.documents.replica.flags import flags_of
from peatnode.documents.replica.record import Record
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import encode_update
from peatnode.errors import MalformedUpdate
from peatnode.ipc.messages import (
    DeletedDocumentReply,
    EngineKind,
    EngineOutcome,
    Failure,
    ReadDeleted,
)
from workers.store.ended.listing import EndedListing
from workers.store.ended.undeletions import DAMAGED, NOTHING_KEPT
from workers.store.engine.client import EngineClient, EngineUnavailable
from workers.store.engine.question import EngineQuestion
from workers.store.engine.refusal import RequestRefused
from workers.store.names import checked_key


class EndedReading:
    """Reads what deleted documents held."""

    def __init__(
        self, contents: EndedContents, listing: EndedListing, engine: EngineClient
    ) -> None:
        self._contents = contents
        self._listing = listing
        self._engine = engine

    async def read(self, request: ReadDeleted) -> DeletedDocumentReply:
        """Raises RequestRefused, and StorageFailed."""
        key = checked_key(request.collection, request.id)
        head = self._contents.find(key, request.incarnation)
        parts = None if head is None else self._contents.parts(head)
        if head is None or parts is None:
            raise RequestRefused(Failure.NOT_FOUND, NOTHING_KEPT, "id")
        value = self._contents.value(head)
        if value is None:
            value = await self._computed(head, parts)
        return DeletedDocumentReply(self._listing.entry(head), value)

    async def _computed(self, head: EndedHead, parts: tuple[bytes, ...]) -> bytes:
        """Empty: the engine cannot read it. Raises RequestRefused."""
        try:
            value, record = await asyncio.to_thread(_read, head, parts)
        except MalformedUpdate:
            raise RequestRefused(Failure.NOT_FOUND, DAMAGED, "id") from None
        if value:
            return value
        question = EngineQuestion(head.key, record, EngineKind.VALUE, b"")
        try:
            result = await self._engine.ask_alone(question)
        except EngineUnavailable:
            raise RequestRefused(
                Failure.UNAVAILABLE,
                "the engine, which reads this content, does not answer; try again",
            ) from None
        return result.value if result.outcome is EngineOutcome.DONE else b""


def _read(head: EndedHead, parts: tuple[bytes, ...]) -> tuple[bytes, Record]:
    """The JSON, or empty and the record of which the engine may be asked."""
    state = merge_updates(parts, STATE_LIMITS)
    encoded = encode_update(state)
    record = Record(
        head.incarnation,
        flags_of(state),
        0.0,
        {},
        EMPTY_DELETE_SET,
        head.sequence,
        encoded,
        len(encoded),
        (),
        None,
    )
    return whole_value(state), record
