"""What the store keeps of deleted documents, as one part of the service: requests, metrics and maintenance."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial

from peatnode.config.values import Config
from peatnode.documents.replica.ended.contents import EndedBounds, EndedContents
from peatnode.documents.replica.replica import Replica
from peatnode.ipc.messages import (
    DeletedCollectionsReply,
    DeletedReply,
    ListDeleted,
    ListDeletedCollections,
    Metric,
)
from workers.store.checkpoints import WriteAlone
from workers.store.disk.database import Database
from workers.store.ended.listing import EndedListing
from workers.store.ended.reading import EndedReading
from workers.store.ended.undeletions import Undeletions
from workers.store.engine.client import EngineClient
from workers.store.write.work import QueuedRequest, RemoveEnded

SLICE = 128
"""Removals in one piece of work."""


class EndedDocuments:
    """Keeps, lists, reads and removes what deletions have ended, with the clocks and the bounds of this process."""

    def __init__(
        self, database: Database, replica: Replica, engine: EngineClient, config: Config
    ) -> None:
        """Raises StorageFailed."""
        self._database = database
        bounds = EndedBounds(config.undelete_seconds, config.undelete_bytes)
        self._contents = EndedContents(replica, bounds, time.time, time.monotonic)
        self.undeletions = Undeletions(replica, self._contents, time.time)
        self._listing = EndedListing(database, self._contents, time.time)
        self.reading = EndedReading(self._contents, self._listing, engine)

    def reply(
        self, message: ListDeleted | ListDeletedCollections
    ) -> DeletedReply | DeletedCollectionsReply:
        """Raises RequestRefused, and StorageFailed."""
        if isinstance(message, ListDeleted):
            return self._listing.documents(message)
        return self._listing.collections(message)

    def metrics(self) -> Iterable[Metric]:
        yield Metric("peatnode_store_ended_documents", (), self._contents.count)
        yield Metric("peatnode_store_ended_bytes", (), self._contents.bytes)
        yield Metric("peatnode_store_undeleted_total", (), self.undeletions.done)

    # --- maintenance

    def remove_due(self, add: Callable[[QueuedRequest], bool]) -> None:
        """Has removed what has been kept long enough, or makes room. Raises StorageFailed."""
        due = self._contents.due()
        for at in range(0, len(due), SLICE):
            self._contents.begin_removal()
            work = RemoveEnded(due[at : at + SLICE])
            if not add(QueuedRequest(work, on_done=lambda _: self._contents.end_removal())):
                self._contents.end_removal()

    async def save_totals_if_due(self, write_alone: WriteAlone) -> None:
        """Writes for how long the store has run. Raises StorageFailed."""
        if self._contents.are_totals_due:
            await write_alone(partial(self._database.write, [self._contents.totals()]))
            self._contents.totals_saved()

    def save_totals_at_stop(self) -> None:
        """Raises StorageFailed."""
        if self._contents.count:
            self._database.write([self._contents.totals()])
