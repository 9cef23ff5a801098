"""Undeletes documents: a new incarnation begins with the whole state that a deletion has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import NO_EDITS
from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.replica.ended.contents import EndedContents
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import Update, encode_update
from peatnode.errors import MalformedUpdate, NumbersExhausted
from peatnode.ipc.messages import Failure, UndeleteDocument, WrittenReply
from workers.store.engine.refusal import RequestRefused
from workers.store.names import checked_key
from workers.store.pace import LARGE_BYTES

NOTHING_KEPT = (
    "nothing is kept of such a deleted document: it never lived on this node, or its time or the room for it "
    "(PEAT_UNDELETE_SECONDS, PEAT_UNDELETE_BYTES) is over; ask another node"
)

DAMAGED = "what is kept of this deleted document is damaged on this node: ask another node"


@dataclass(frozen=True, slots=True)
class Undeleted:
    """A document that lives again, in the open batch."""

    key: bytes
    record: Record
    encoded: bytes
    """Its whole state as an update."""


class Undeletions:
    """Carries out undeletions in the open batch."""

    def __init__(self, replica: Replica, contents: EndedContents, now: Callable[[], float]) -> None:
        """`now`: Unix seconds, by which an expiry has passed."""
        self._replica = replica
        self.contents = contents
        self._now = now
        self.done = 0

    async def undelete(self, message: UndeleteDocument) -> Undeleted:
        """Begins a new incarnation. Raises RequestRefused, and StorageFailed if the content cannot be read."""
        key = checked_key(message.collection, message.id)
        record = self._replica.record(key)
        if record is not None and not record.is_deleted:
            raise RequestRefused(
                Failure.EXISTS, f"{message.collection}/{message.id} exists: delete it first", "id"
            )
        try:
            incarnation = self._replica.next_incarnation(key)
        except NumbersExhausted as error:
            raise RequestRefused(Failure.EXHAUSTED, str(error), "id") from None
        head = self.contents.find(key, message.incarnation)
        parts = None if head is None else self.contents.parts(head)
        if head is None or parts is None:
            raise RequestRefused(Failure.NOT_FOUND, NOTHING_KEPT, "id")
        has_expired = 0 < head.expires_at <= self._now()
        client = self._replica.client_of(incarnation) if has_expired else 0
        try:
            if sum(map(len, parts)) > LARGE_BYTES:
                update, encoded = await asyncio.to_thread(self._whole_ahead, parts, client)
            else:
                update, encoded = _whole(parts, client)
        except MalformedUpdate:
            raise RequestRefused(Failure.NOT_FOUND, DAMAGED, "id") from None
        value = self.contents.value(head)
        self.contents.remove(key, head.sequence)
        undeleted = self._replica.undelete(key, update, encoded, value)
        self.done += 1
        return Undeleted(key, undeleted, encoded)

    def remove(self, entries: tuple[tuple[bytes, int], ...]) -> None:
        """Removes what is kept of these ends. Raises StorageFailed."""
        for key, sequence in entries:
            self.contents.remove(key, sequence)

    def _whole_ahead(self, parts: tuple[bytes, ...], client: int) -> tuple[Update, bytes]:
        update, encoded = _whole(parts, client)
        self._replica.sum_ahead(update)
        return update, encoded


def _whole(parts: tuple[bytes, ...], client: int) -> tuple[Update, bytes]:
    """A state as one update; with a client, without its expiry, which that client removes."""
    update = compact(merge_updates(parts, STATE_LIMITS))
    if client:
        controls = root_maps.read(update, frozenset((root_maps.CONTROL,)))
        assert controls is not None
        ends = root_maps.change(controls, NO_EDITS, client, 0, 0.0)
        update = merge_updates((update, ends), STATE_LIMITS)
    return update, encode_update(update)


def reply_of(message: UndeleteDocument, record: Record, generation: int) -> WrittenReply:
    return WrittenReply(
        message.collection,
        message.id,
        True,
        True,
        record.incarnation,
        record.fingerprint,
        record.sequence,
        b"" if record.is_value_outdated else record.value or b"",
        record.expires_at,
        generation,
    )
