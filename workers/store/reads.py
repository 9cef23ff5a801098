"""Answers to questions that change nothing, from the database."""

from __future__ import annotations

from peatnode.documents.names import check_collection, names_of
from peatnode.documents.replica.reads import (
    bucket_entries,
    document_update,
    documents_of,
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
from workers.store.names import checked_key

MAX_LIMIT = 10_000
MAX_REPLY_BYTES = 16 * 1024 * 1024
NO_FINGERPRINT = bytes(16)


class Reads:
    """Answers questions about documents, the hash tree and collections from what the database holds.

    It never waits: a value that is outdated is returned as it is, and the service decides whether to wait for the
    engine.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def living(self, key: bytes) -> Record:
        """Raises RequestRefused."""
        record = self._replica.record_on_disk(key)
        if record is None or record.is_deleted:
            raise RequestRefused(Failure.NOT_FOUND, "there is no such document")
        return record

    def document(self, collection: str, document: str, key: bytes, record: Record) -> DocumentReply:
        return DocumentReply(
            collection,
            document,
            record.incarnation,
            record.fingerprint,
            record.sequence,
            self._replica.value(key, record),
            record.expires_at,
        )

    def documents(self, asked: ListDocuments) -> tuple[DocumentsReply, list[bytes]]:
        """The listing, and the keys of the documents in it whose value is outdated."""
        self._check_listing(asked)
        limit = min(max(asked.limit, 1), MAX_LIMIT)
        room = min(max(asked.max_bytes, 1), MAX_REPLY_BYTES)
        listed: list[ListedDocument] = []
        outdated: list[bytes] = []
        next_after = ""
        for key, record in documents_of(self._replica, asked.collection, asked.after, asked.prefix):
            if len(listed) >= limit or (listed and room <= 0):
                next_after = listed[-1].id
                break
            value = self._replica.value(key, record)
            room -= len(value) + 100
            if record.is_value_outdated:
                outdated.append(key)
            listed.append(
                ListedDocument(
                    names_of(key)[1],
                    record.incarnation,
                    record.fingerprint,
                    record.sequence,
                    value,
                )
            )
        counts = self._replica.counts.get(asked.collection)
        count = counts.documents if counts is not None else 0
        reply = DocumentsReply(
            asked.collection, tuple(listed), next_after, count, self._replica.sequence
        )
        return reply, outdated

    def _check_listing(self, asked: ListDocuments) -> None:
        try:
            check_collection(asked.collection)
        except BadName as error:
            raise RequestRefused(Failure.INVALID, str(error), "collection") from None

    def collections(self) -> CollectionsReply:
        return CollectionsReply(
            tuple(
                CollectionEntry(name, counts.documents)
                for name, counts in sorted(self._replica.counts.items())
                if counts.documents
            )
        )

    # --- for sync

    def tree(self, asked: ReadTree) -> TreeReply:
        try:
            hashes = tuple(self._replica.tree.hash(asked.level, at) for at in asked.indexes)
        except IndexError as error:
            raise RequestRefused(Failure.INVALID, str(error), "indexes") from None
        return TreeReply(hashes, self._replica.sequence)

    def buckets(self, asked: ReadBuckets) -> BucketsReply:
        _check_range(asked.first, asked.last)
        limit = min(max(asked.limit, 1), MAX_LIMIT)
        entries: list[BucketEntry] = []
        for entry in bucket_entries(self._replica, asked.first, asked.last, asked.tree_key):
            if len(entries) == limit:
                return BucketsReply(tuple(entries), entry.tree_key)
            entries.append(
                BucketEntry(
                    *names_of(entry.key), entry.incarnation, entry.is_deleted, entry.fingerprint
                )
            )
        return BucketsReply(tuple(entries), b"")

    def range(self, asked: ReadRange) -> UpdatesReply:
        _check_range(asked.first, asked.last)
        updates: list[DocumentUpdate] = []
        room = min(max(asked.max_bytes, 1), MAX_REPLY_BYTES)
        for entry in bucket_entries(self._replica, asked.first, asked.last, asked.tree_key):
            if updates and room <= 0:
                return UpdatesReply(tuple(updates), len(updates), entry.tree_key)
            record = self._replica.record_on_disk(entry.key)
            if record is None:
                continue
            sent = document_update(self._replica, entry.key, record)
            updates.append(sent)
            room -= len(sent.update) + 60 + len(entry.key)
        return UpdatesReply(tuple(updates), len(updates), b"")

    def differences(self, asked: ReadDifferences) -> UpdatesReply:
        updates: list[DocumentUpdate] = []
        room = min(max(asked.max_bytes, 1), MAX_REPLY_BYTES)
        answered = 0
        for wanted in asked.wanted:
            if updates and room <= 0:
                break
            answered += 1
            key = checked_key(wanted.collection, wanted.id)
            try:
                sent = missing_update(self._replica, key, wanted.incarnation, wanted.state_vector)
            except MalformedUpdate as error:
                raise RequestRefused(Failure.INVALID, str(error), "state_vector") from None
            if sent is not None:
                updates.append(sent)
                room -= len(sent.update) + 60 + len(key)
        return UpdatesReply(tuple(updates), answered, b"")

    def vectors(self, asked: ReadVectors) -> VectorsReply:
        return VectorsReply(tuple(self._wanted(*names) for names in asked.documents))

    def _wanted(self, collection: str, document: str) -> Wanted:
        key = checked_key(collection, document)
        return Wanted(collection, document, *wanted_of(self._replica, key))

    def state(self, asked: ReadState) -> StateReply:
        key = checked_key(asked.collection, asked.id)
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
                b"" if record is None else _ended(record),
            )
        try:
            update = state_difference(self._replica, key, record, asked.state_vector)
        except MalformedUpdate as error:
            raise RequestRefused(Failure.INVALID, str(error), "state_vector") from None
        return StateReply(
            record.incarnation,
            True,
            update or EMPTY_STATE,
            encode_state_vector(record.state_vector),
            record.fingerprint,
            self._replica.sequence,
            _ended(record),
        )


def _ended(record: Record) -> bytes:
    return encode_state_vector(dict(record.ended_vector)) if record.ended_vector else b""


def _check_range(first: int, last: int) -> None:
    if not 0 <= first <= last < BUCKETS:
        raise RequestRefused(Failure.INVALID, f"buckets are numbered 0 to {BUCKETS - 1}", "first")
