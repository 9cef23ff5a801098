"""Answers the requests that change nothing, from the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from peatnode.documents.names import check_collection, names_of
from peatnode.documents.replica.reads import (
    bucket_entries,
    document_update,
    documents_of,
    ended_of,
    missing_update,
    state_difference,
    wanted_of,
)
from peatnode.documents.replica.record import EMPTY_STATE, Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.state_vector import encode_state_vector
from peatnode.errors import BadName, MalformedUpdate
from peatnode.ipc.messages import (
    BucketEntry,
    BucketsReply,
    CollectionEntry,
    CollectionsReply,
    DocumentReply,
    DocumentsReply,
    DocumentUpdate,
    Failure,
    ListCollections,
    ListDocuments,
    ListedDocument,
    ReadBuckets,
    ReadDifferences,
    ReadRange,
    ReadState,
    ReadTree,
    ReadVectors,
    StateReply,
    TreeReply,
    UpdatesReply,
    VectorsReply,
    Wanted,
)
from peatnode.model.tree import BUCKETS
from workers.store.engine.refusal import RequestRefused
from workers.store.engine.values import ReadValue
from workers.store.names import checked_key

MAX_LIMIT = 10_000
"""Entries in one reply."""
MAX_REPLY_BYTES = 16 * 1024 * 1024
"""Values or updates in one reply; one entry is always update."""
MAX_VECTORS_BYTES = 4 * 1024 * 1024
"""State vectors in one reply; there is at least one."""
READ_SECONDS = 0.05
"""Work on one reply to a peer, after which it ends early. Also an empty difference of a large document takes long."""
NOTHING_READ: Mapping[bytes, ReadValue] = MappingProxyType({})
NO_FINGERPRINT = bytes(16)
"""The fingerprint of a document that does not exist."""


class Reads:
    """Answers requests about documents, the hash tree and collections from the database.

    It never waits: an outdated value is returned as it is, and the service decides whether to wait for the engine.
    """

    def __init__(
        self,
        replica: Replica,
        clock: Callable[[], float] = time.perf_counter,
        decisions: Callable[[], int] = lambda: 0,
    ) -> None:
        """`decisions`: see TreeReply."""
        self._replica = replica
        self._clock = clock
        self._decisions = decisions

    def live_record(self, key: bytes) -> Record:
        """The record of a document that exists. Raises RequestRefused."""
        record = self._replica.record_on_disk(key)
        if record is None or record.is_deleted:
            raise RequestRefused(Failure.NOT_FOUND, "there is no such document")
        return record

    def document(
        self,
        collection: str,
        document: str,
        key: bytes,
        record: Record,
        large: ReadValue | None = None,
    ) -> DocumentReply:
        """`large`: the value of the record, if it was computed for this reader."""
        return DocumentReply(
            collection,
            document,
            record.incarnation,
            record.fingerprint,
            record.sequence,
            self._replica.value(key, record) if large is None else large.value,
            record.expires_at,
        )

    def documents(
        self, request: ListDocuments, large: Mapping[bytes, ReadValue] = NOTHING_READ
    ) -> tuple[DocumentsReply, list[bytes]]:
        """The listing, and the keys of its documents whose value is outdated. Raises RequestRefused.

        `large`: values that were computed for this reader.
        """
        self._check_listing(request)
        limit = min(max(request.limit, 1), MAX_LIMIT)
        room = min(max(request.max_bytes, 1), MAX_REPLY_BYTES)
        listed: list[ListedDocument] = []
        outdated: list[bytes] = []
        next_after = ""
        for key, record in documents_of(
            self._replica, request.collection, request.after, request.prefix
        ):
            if len(listed) >= limit or (listed and room <= 0):
                next_after = listed[-1].id
                break
            read = large.get(key) if large else None
            if read is not None and read.record.incarnation == record.incarnation:
                record, value = read.record, read.value
            else:
                value = self._replica.value(key, record)
                if record.is_value_outdated:
                    outdated.append(key)
            room -= len(value) + 100
            listed.append(
                ListedDocument(
                    names_of(key)[1],
                    record.incarnation,
                    record.fingerprint,
                    record.sequence,
                    value,
                )
            )
        count = self._replica.counts.of(request.collection)
        reply = DocumentsReply(
            request.collection, tuple(listed), next_after, count, self._replica.sequence
        )
        return reply, outdated

    def _check_listing(self, request: ListDocuments) -> None:
        try:
            check_collection(request.collection)
        except BadName as error:
            raise RequestRefused(Failure.INVALID, str(error), "collection") from None

    def collections(self, request: ListCollections) -> CollectionsReply:
        counts = self._replica.counts
        limit = min(max(request.limit, 1), MAX_LIMIT)
        found = counts.listed(request.after, limit + 1)
        next_after = found[limit - 1][0] if len(found) > limit else ""
        listed = tuple(CollectionEntry(*entry) for entry in found[:limit])
        return CollectionsReply(listed, next_after, len(counts))

    # --- for sync

    def tree(self, request: ReadTree) -> TreeReply:
        try:
            hashes = tuple(self._replica.tree.hash(request.level, at) for at in request.indexes)
        except IndexError as error:
            raise RequestRefused(Failure.INVALID, str(error), "indexes") from None
        if request.level:
            return TreeReply(hashes, self._replica.sequence)
        self._replica.own_writes.agreed(request.agreed)
        self._replica.own_writes.root_read(hashes[0], self._replica.sequence)
        documents, decisions = self._replica.counts.documents, self._decisions()
        return TreeReply(hashes, self._replica.sequence, documents, decisions)

    def buckets(self, request: ReadBuckets) -> BucketsReply:
        limit = min(max(request.limit, 1), MAX_LIMIT)
        entries: list[BucketEntry] = []
        for first, last in request.runs:
            _check_range(first, last)
            for entry in bucket_entries(self._replica, first, last, request.tree_key):
                if len(entries) == limit:
                    return BucketsReply(tuple(entries), entry.tree_key)
                entries.append(
                    BucketEntry(
                        *names_of(entry.key), entry.incarnation, entry.is_deleted, entry.fingerprint
                    )
                )
        return BucketsReply(tuple(entries), b"")

    def range(self, request: ReadRange) -> UpdatesReply:
        _check_range(request.first, request.last)
        updates: list[DocumentUpdate] = []
        room = min(max(request.max_bytes, 1), MAX_REPLY_BYTES)
        end = self._clock() + READ_SECONDS
        for entry in bucket_entries(self._replica, request.first, request.last, request.tree_key):
            if updates and (room <= 0 or self._clock() > end):
                return UpdatesReply(tuple(updates), len(updates), entry.tree_key)
            record = self._replica.record_on_disk(entry.key)
            if record is None:
                continue
            update = document_update(self._replica, entry.key, record)
            updates.append(update)
            room -= len(update.update) + 60 + len(entry.key)
        return UpdatesReply(tuple(updates), len(updates), b"")

    def differences(self, request: ReadDifferences) -> UpdatesReply:
        updates: list[DocumentUpdate] = []
        room = min(max(request.max_bytes, 1), MAX_REPLY_BYTES)
        answered = 0
        end = self._clock() + READ_SECONDS
        for wanted in request.wanted:
            if (updates and room <= 0) or (answered and self._clock() > end):
                break
            answered += 1
            key = checked_key(wanted.collection, wanted.id)
            try:
                update = missing_update(self._replica, key, wanted.incarnation, wanted.state_vector)
            except MalformedUpdate as error:
                raise RequestRefused(Failure.INVALID, str(error), "state_vector") from None
            if update is not None:
                updates.append(update)
                room -= len(update.update) + 60 + len(key)
        return UpdatesReply(tuple(updates), answered, b"")

    def vectors(self, request: ReadVectors) -> VectorsReply:
        wanted: list[Wanted] = []
        room = MAX_VECTORS_BYTES
        end = self._clock() + READ_SECONDS
        for names in request.documents:
            if wanted and (room <= 0 or self._clock() > end):
                break
            wanted.append(self._wanted(*names))
            room -= len(wanted[-1].state_vector) + 60
        return VectorsReply(tuple(wanted))

    def _wanted(self, collection: str, document: str) -> Wanted:
        key = checked_key(collection, document)
        return Wanted(collection, document, *wanted_of(self._replica, key))

    def state(self, request: ReadState) -> StateReply:
        key = checked_key(request.collection, request.id)
        record = self._replica.record_on_disk(key)
        if record is None or record.is_deleted:
            incarnation = 1 if record is None else record.incarnation + 1
            return StateReply(
                incarnation,
                False,
                EMPTY_STATE,
                b"\0",
                NO_FINGERPRINT,
                self._replica.sequence,
                b"" if record is None else ended_of(record),
            )
        try:
            update = state_difference(self._replica, key, record, request.state_vector)
        except MalformedUpdate as error:
            raise RequestRefused(Failure.INVALID, str(error), "state_vector") from None
        return StateReply(
            record.incarnation,
            True,
            update or EMPTY_STATE,
            encode_state_vector(record.state_vector),
            record.fingerprint,
            self._replica.sequence,
            ended_of(record),
        )


def _check_range(first: int, last: int) -> None:
    if not 0 <= first <= last < BUCKETS:
        raise RequestRefused(Failure.INVALID, f"buckets are numbered 0 to {BUCKETS - 1}", "first")
