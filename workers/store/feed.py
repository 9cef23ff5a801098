"""The feed of changes: each follower has a position, from which changes are read from memory or from disk."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from peatnode.documents.names import document_key
from peatnode.documents.replica.fingerprint import FINGERPRINT_BYTES
from peatnode.documents.replica.reads import feed_after, state_difference
from peatnode.documents.replica.record import FeedEntry, Record, tombstone
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import StagedChange, WriteBatch
from peatnode.errors import LinkLost
from peatnode.ipc.link import Connection
from peatnode.ipc.messages import Change, ChangesSeen, FeedGap, FollowChanges
from peatnode.model.states import ChangeAction
from workers.store.disk.database import StorageFailed

RING_CHANGES = 1024
"""Changes in memory."""
RING_BYTES = 1024 * 1024
"""Estimated size of the changes in memory."""
BATCH_CHANGES = 500
"""Changes that are read at once, and sent in one message."""
BATCH_BYTES = 1024 * 1024
"""Updates and values in one message."""
NO_FINGERPRINT = bytes(FINGERPRINT_BYTES)
"""The fingerprint in a change whose incarnation has ended."""
UNREADABLE_SECONDS = 1.0
"""Pause before a failed read is tried again."""
QUIET_CHANGES = 1000
"""A follower receives the position of the feed after so many changes that do not concern it, and when it has caught up
for the first time."""


class Feed:
    """Serves the changes of the store to its followers, from any sequence that is still kept.

    The newest changes are in memory. Older ones are read from disk, with the current content of their documents. A
    follower whose position is no longer kept receives a gap. A slow follower waits for its link and then reads from
    disk, so the feed has no buffer for each follower.
    """

    def __init__(self, replica: Replica, on_unreadable: Callable[[StorageFailed], None]) -> None:
        self._replica = replica
        self._on_unreadable = on_unreadable
        self._ring: deque[StagedChange] = deque()
        self._ring_bytes = 0
        self._advanced: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.followers = 0

    def committed(self, batch: WriteBatch) -> None:
        """Sends the changes of a batch, which is on disk, to the followers."""
        for change in batch.changes:
            self._ring.append(change)
            self._ring_bytes += _weight(change)
        while len(self._ring) > RING_CHANGES or self._ring_bytes > RING_BYTES:
            self._ring_bytes -= _weight(self._ring.popleft())
        if batch.changes and self.followers:
            advanced, self._advanced = self._advanced, asyncio.get_running_loop().create_future()
            advanced.set_result(None)

    async def serve(self, connection: Connection, cause: int, follow: FollowChanges) -> None:
        """Sends the changes after `follow.since` until the connection is closed."""
        start = self._replica.sequence if follow.since < 0 else follow.since
        follower = _Follower(connection, cause, follow, start)
        self.followers += 1
        try:
            while True:
                advanced = self._advanced
                if follower.cursor >= self._replica.sequence:
                    follower.announce_position()
                    # all followers share the future: a cancelled follower must not cancel it
                    await asyncio.shield(advanced)
                    continue
                await connection.wait_writable()
                try:
                    is_sent = self._send_next(follower)
                except StorageFailed as error:
                    self._on_unreadable(error)
                    await asyncio.sleep(UNREADABLE_SECONDS)
                    continue
                if not is_sent:
                    await asyncio.sleep(0)
        except LinkLost:
            return
        finally:
            self.followers -= 1

    def _send_next(self, follower: _Follower) -> bool:
        """Sends the next changes, or the gap before them. Returns False if none of them concerns the follower."""
        gap = self._replica.oldest_sequence - 1
        if follower.cursor < gap:
            follower.send(FeedGap(follower.cursor, gap), gap)
            return True
        changes, cursor = self._read(follower.cursor, follower.request)
        if changes:
            follower.send(ChangesSeen(tuple(changes), cursor), cursor)
        follower.cursor = cursor
        return bool(changes)

    def _read(self, cursor: int, follow: FollowChanges) -> tuple[list[Change], int]:
        """The changes after `cursor`, and the position after them."""
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
        changes: list[Change] = []
        sent: dict[bytes, int] = {}
        size = 0
        for number, (sequence, entry) in enumerate(feed_after(self._replica, cursor)):
            if number == BATCH_CHANGES or sequence > self._replica.sequence or size > BATCH_BYTES:
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
            return _change(sequence, entry, follow, b"", b"")
        if record is None or record.is_deleted or record.incarnation != entry.incarnation:
            ended = replace(entry, fingerprint=NO_FINGERPRINT)
            return None if follow.with_update else _change(sequence, ended, follow, b"", b"")
        update = b""
        if follow.with_update:
            if sent.get(key, 0) >= sequence:
                return None
            sent[key] = record.sequence
            update = state_difference(self._replica, key, record, b"")
        value = self._replica.value(key, record) if follow.with_value else b""
        present = replace(entry, fingerprint=record.fingerprint)
        return _change(sequence, present, follow, update, value)

    def _value(self, key: bytes) -> bytes:
        record: Record | None = self._replica.record_on_disk(key)
        return b"" if record is None or record.is_deleted else self._replica.value(key, record)


class _Follower:
    """One follower: its request, and its position in the feed."""

    __slots__ = ("_announced", "_cause", "_connection", "_has_caught_up", "cursor", "request")

    def __init__(
        self, connection: Connection, cause: int, request: FollowChanges, cursor: int
    ) -> None:
        self._connection = connection
        self._cause = cause
        self.request = request
        self.cursor = cursor
        """The last sequence that was read for this follower."""
        self._announced = cursor
        """The last sequence that was sent to this follower."""
        self._has_caught_up = False

    def send(self, message: ChangesSeen | FeedGap, cursor: int) -> None:
        """Sends a message that moves the follower to `cursor`. Raises LinkLost."""
        self._connection.reply(self._cause, message)
        self.cursor = self._announced = cursor

    def announce_position(self) -> None:
        """Sends the position when the follower has caught up first, and after QUIET_CHANGES without a message."""
        if self.cursor - self._announced >= (QUIET_CHANGES if self._has_caught_up else 1):
            self.send(ChangesSeen((), self.cursor), self.cursor)
        self._has_caught_up = True


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
