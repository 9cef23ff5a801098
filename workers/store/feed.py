"""The feed of changes: each follower has a position, and receives the changes after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from peatnode.documents.names import document_key
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import WriteBatch
from peatnode.errors import LinkLost
from peatnode.ipc.link import Connection
from peatnode.ipc.messages import Change, ChangesSeen, FeedGap, FollowChanges
from peatnode.model.states import ChangeAction
from workers.store.disk.database import StorageFailed
from workers.store.engine.values import ReadValue
from workers.store.feed_reader import FeedReader
from workers.store.write.committer import has_succeeded

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

    def __init__(
        self,
        replica: Replica,
        on_unreadable: Callable[[StorageFailed], None],
        syncing: Callable[[], asyncio.Task[None] | None],
        read_large: Callable[[bytes, Record, int], Awaitable[ReadValue | None]],
    ) -> None:
        """`syncing` returns the running sync: what was read from disk is sent when it is done.

        `read_large` computes the value of a large document with the change of a sequence."""
        self._replica = replica
        self._read_large = read_large
        self._reader = FeedReader(replica)
        self._on_unreadable = on_unreadable
        self._syncing = syncing
        self._advanced: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.followers = 0

    def committed(self, batch: WriteBatch) -> None:
        """Sends the changes of a batch, which is on disk, to the followers."""
        self._reader.committed(batch)
        if batch.changes and self.followers:
            advanced, self._advanced = self._advanced, asyncio.get_running_loop().create_future()
            advanced.set_result(None)

    async def serve(self, connection: Connection, cause: int, follow: FollowChanges) -> None:
        """Sends the changes after `follow.since` until the connection is closed."""
        start = self._reader.newest if follow.since < 0 else follow.since
        follower = _Follower(connection, cause, follow, start)
        self.followers += 1
        try:
            while True:
                advanced = self._advanced
                if follower.cursor >= self._reader.newest:
                    follower.announce_position()
                    # all followers share the future: a cancelled follower must not cancel it
                    await asyncio.shield(advanced)
                    continue
                await connection.wait_writable()
                try:
                    is_sent = await self._send_next(follower)
                except (StorageFailed, MemoryError) as error:
                    if isinstance(error, StorageFailed):
                        self._on_unreadable(error)
                    await asyncio.sleep(UNREADABLE_SECONDS)
                    continue
                if not is_sent:
                    await asyncio.sleep(0)
        except LinkLost:
            return
        finally:
            self.followers -= 1

    async def _send_next(self, follower: _Follower) -> bool:
        """Sends the next changes, or the gap before them. Returns False if none of them concerns the follower.

        Raises LinkLost, StorageFailed.
        """
        gap = self._reader.gap_after(follower.cursor)
        if gap is not None:
            follower.send(gap, gap.upto)
            return True
        changes, cursor = self._reader.read(follower.cursor, follower.request)
        has_read_disk = self._reader.has_read_disk
        if follower.request.with_value:
            changes = [await self._with_value(change) for change in changes]
        if has_read_disk and not await self._wait_synced():
            raise LinkLost("the store ends, because its log cannot be synced")
        if changes:
            follower.send(ChangesSeen(tuple(changes), cursor), cursor)
        follower.cursor = cursor
        return bool(changes)

    async def _with_value(self, change: Change) -> Change:
        """The change with the value of its document, which for a large one may be that of a later change."""
        if change.value or change.action is ChangeAction.DELETED:
            return change
        key = document_key(change.collection, change.id)
        record = self._replica.record_on_disk(key)
        if record is None or record.is_deleted or record.incarnation != change.incarnation:
            return change
        read = await self._read_large(key, record, change.sequence)
        if read is None:
            return replace(change, value=self._replica.value(key, record))
        return replace(change, value=read.value, fingerprint=read.record.fingerprint)

    async def _wait_synced(self) -> bool:
        """Waits for the running sync. Returns False if it has failed."""
        syncing = self._syncing()
        if syncing is None:
            return True
        await asyncio.wait([syncing])
        return has_succeeded(syncing)


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
