"""Answers what is kept of deleted documents, from the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

from peatnode.documents.names import check_collection, names_of
from peatnode.documents.replica.ended.contents import EndedContents
from peatnode.documents.replica.ended.entries import NUMBER_BYTES, EndedHead
from peatnode.documents.replica.keyspace import RECORD, KeyValue, number
from peatnode.errors import BadName
from peatnode.ipc.messages import (
    DeletedCollectionsReply,
    DeletedEntry,
    DeletedReply,
    Failure,
    ListDeleted,
    ListDeletedCollections,
)
from workers.store.engine.refusal import RequestRefused

MAX_LISTED = 1000
"""Entries in one reply."""
READ_SECONDS = 0.05
"""Work on one reply, after which it ends early."""


class EndedListing:
    """Lists what is kept of deleted documents."""

    def __init__(
        self,
        kv: KeyValue,
        contents: EndedContents,
        now: Callable[[], float],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`now`: Unix seconds."""
        self._kv = kv
        self._contents = contents
        self._now = now
        self._clock = clock

    def collections(self, request: ListDeletedCollections) -> DeletedCollectionsReply:
        limit = min(max(request.limit, 1), MAX_LISTED)
        names = self._contents.collections(request.after)
        found = tuple(islice(names, limit + 1))
        next_after = found[limit - 1] if len(found) > limit else ""
        return DeletedCollectionsReply(
            found[:limit], next_after, self._contents.count, self._contents.bytes
        )

    def documents(self, request: ListDeleted) -> DeletedReply:
        """A page. It may be empty although others follow. Raises RequestRefused."""
        try:
            check_collection(request.collection)
        except BadName as error:
            raise RequestRefused(Failure.INVALID, str(error), "collection") from None
        limit = min(max(request.limit, 1), MAX_LISTED)
        prefix = request.prefix.encode()
        end = self._clock() + READ_SECONDS
        entries: list[DeletedEntry] = []
        next_place = b""
        for head in self._contents.listed(request.collection, max(prefix, request.place)):
            name = head.key.partition(b"\0")[2]
            if not name.startswith(prefix):
                break
            if len(entries) >= limit or (next_place and self._clock() > end):
                return DeletedReply(request.collection, tuple(entries), next_place)
            next_place = place_after(head)
            if head.at >= request.since:
                entries.append(self.entry(head))
        return DeletedReply(request.collection, tuple(entries), b"")

    def entry(self, head: EndedHead) -> DeletedEntry:
        left = head.ran + self._contents.bounds.seconds - self._contents.ran
        return DeletedEntry(
            names_of(head.key)[1],
            head.incarnation,
            head.at,
            self._now() + max(0.0, left),
            head.origin,
            head.size,
            head.expires_at,
            self._kv.get(RECORD + head.key) is not None,
        )


def place_after(head: EndedHead) -> bytes:
    """The `place` of the page that begins behind an entry."""
    name = head.key.partition(b"\0")[2]
    place = name + b"\0" + number(head.sequence + 1)
    assert len(place) == len(name) + 1 + NUMBER_BYTES
    return place
