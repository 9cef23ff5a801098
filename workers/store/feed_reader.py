"""Reads the changes of the store from any position: the newest from memory, older ones from disk. It never waits."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from peatnode.documents.content.fingerprint import FINGERPRINT_BYTES
from peatnode.documents.names import document_key
from peatnode.documents.replica.reads import ended_of, feed_after, state_difference
from peatnode.documents.replica.record import FeedEntry, Record, tombstone
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import StagedChange, WriteBatch
from peatnode.ipc.messages import Change, FeedGap, FollowChanges
from peatnode.model.feed import CONFLICT
from peatnode.model.states import ChangeAction
from workers.store.engine.reading import LAZY_BYTES

RING_CHANGES = 1024
"""Changes in memory."""
RING_BYTES = 1024 * 1024
"""Estimated size of the changes in memory."""
BATCH_CHANGES = 500
"""Changes that are read at once, and sent in one message."""
READ_SECONDS = 0.05
"""Work on one batch that is read from disk."""
BATCH_BYTES = 1024 * 1024
"""Updates and values in one message."""
NO_FINGERPRINT = bytes(FINGERPRINT_BYTES)
"""The fingerprint in a change whose incarnation has ended."""


class FeedReader:
    """The changes of the store from any position that the feed still keeps.

    The newest changes are in memory. Older ones are read from disk, with the current content of their documents.
    """

    def __init__(self, replica: Replica, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._replica = replica
        self._ring: deque[StagedChange] = deque()
        self._ring_bytes = 0
        self.has_read_disk = False
        """Whether the last read may have seen a batch that is written and not synced yet."""

    @property
    def newest(self) -> int:
        """The sequence of the newest change that is on disk."""
        return self._replica.sequence

    def committed(self, batch: WriteBatch) -> None:
        """Keeps the changes of a batch, which is on disk, in memory."""
        for change in batch.changes:
            self._ring.append(change)
            self._ring_bytes += _weight(change)
        while len(self._ring) > RING_CHANGES or self._ring_bytes > RING_BYTES:
            self._ring_bytes -= _weight(self._ring.popleft())

    def gap_after(self, cursor: int) -> FeedGap | None:
        """The changes after `cursor` that the feed no longer keeps, if there are any."""
        oldest = self._replica.oldest_sequence
        return FeedGap(cursor, oldest - 1) if cursor < oldest - 1 else None

    def read(self, cursor: int, follow: FollowChanges) -> tuple[list[Change], int]:
        """The changes after `cursor` that concern the follower, and the position after them. Raises StorageFailed."""
        self.has_read_disk = False
        if self._ring and self._ring[0].sequence <= cursor + 1:
            return self._read_ring(cursor, follow)
        return self._read_disk(cursor, follow)

    def _read_ring(self, cursor: int, follow: FollowChanges) -> tuple[list[Change], int]:
        changes: list[Change] = []
        size = 0
        start = cursor + 1 - self._ring[0].sequence
        for at in range(start, min(start + BATCH_CHANGES, len(self._ring))):
            staged = self._ring[at]
            cursor = staged.sequence
            if not _concerns(follow, staged.entry):
                continue
            value = b""
            if follow.with_value:
                value = self._value(staged.key) if staged.value is None else staged.value
            change = _change(staged.sequence, staged.entry, follow, staged.update, value)
            changes.append(change)
            size += len(change.update) + len(change.value)
            if size > BATCH_BYTES:
                break
        return changes, cursor

    def _read_disk(self, cursor: int, follow: FollowChanges) -> tuple[list[Change], int]:
        """Changes that are no longer in memory, with the document's current value and fingerprint.

        The update is the whole document. It is sent with the first of the document's changes, and the later changes
        that it contains are left out. (Sent with the last of them, it would be lost if that one is read from memory.)
        """
        self.has_read_disk = True
        changes: list[Change] = []
        sent: dict[bytes, int] = {}
        size = 0
        end = self._clock() + READ_SECONDS
        for number, (sequence, entry) in enumerate(feed_after(self._replica, cursor)):
            if number == BATCH_CHANGES or sequence > self._replica.sequence or size > BATCH_BYTES:
                break
            if number and self._clock() > end:
                break
            cursor = sequence
            if not _concerns(follow, entry):
                continue
            change = self._reread(sequence, entry, follow, sent)
            if change is not None:
                changes.append(change)
                size += len(change.update) + len(change.value)
        else:
            # the disk has no more changes up to this position, where some sequences may be missing
            cursor = max(cursor, min(self._replica.sequence, cursor + BATCH_CHANGES))
        return changes, cursor

    def _reread(
        self, sequence: int, entry: FeedEntry, follow: FollowChanges, sent: dict[bytes, int]
    ) -> Change | None:
        """The change with the document's current content; None if there is nothing to send.

        `sent` holds for each document the sequence up to which its update has been sent.
        """
        key = document_key(entry.collection, entry.id)
        record = self._replica.record_on_disk(key)
        if entry.action is ChangeAction.DELETED:
            entry = replace(entry, fingerprint=tombstone(entry.incarnation, 0).fingerprint)
            ended = b"" if record is None else ended_of(record)
            return _change(sequence, entry, follow, ended, b"")
        if record is None or record.is_deleted or record.incarnation != entry.incarnation:
            gone = replace(entry, fingerprint=NO_FINGERPRINT)
            return None if follow.with_update else _change(sequence, gone, follow, b"", b"")
        update = b""
        if follow.with_update:
            if sent.get(key, 0) >= sequence and entry.origin != CONFLICT:
                return None
            sent[key] = record.sequence
            update = state_difference(self._replica, key, record, b"")
        value = self._value_of(key, record) if follow.with_value else b""
        present = replace(entry, fingerprint=record.fingerprint)
        return _change(sequence, present, follow, update, value)

    def _value(self, key: bytes) -> bytes:
        self.has_read_disk = True
        record: Record | None = self._replica.record_on_disk(key)
        return b"" if record is None or record.is_deleted else self._value_of(key, record)

    def _value_of(self, key: bytes, record: Record) -> bytes:
        """The value; empty if it is that of a large document and outdated, so that it has to be computed."""
        if record.is_value_outdated and record.snapshot_bytes > LAZY_BYTES:
            return b""
        return self._replica.value(key, record)


def _weight(change: StagedChange) -> int:
    return 300 + len(change.update) + len(change.value or b"")


def _concerns(follow: FollowChanges, entry: FeedEntry) -> bool:
    return (
        (not follow.collection or entry.collection == follow.collection)
        and (not follow.id or entry.id == follow.id)
        and (not follow.prefix or entry.id.startswith(follow.prefix))
    )


def _change(
    sequence: int, entry: FeedEntry, follow: FollowChanges, update: bytes, value: bytes
) -> Change:
    return Change(
        sequence,
        entry.collection,
        entry.id,
        entry.action,
        entry.incarnation,
        entry.fingerprint,
        entry.origin,
        update if follow.with_update else b"",
        value,
    )
