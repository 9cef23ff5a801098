"""Reads of a replica for feeds, listings and peers. They see only what is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import document_key, names_of
from peatnode.documents.replica.hash_tree import TREE_KEY_BYTES, bucket_start
from peatnode.documents.replica.keyspace import FEED, RECORD, TREE, after, number
from peatnode.documents.replica.record import (
    FeedEntry,
    Record,
    decode_feed_entry,
    decode_record,
    decode_tree_entry,
)
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.merge import diff_update, merge_updates
from peatnode.documents.yjs.state_vector import decode_state_vector, encode_state_vector
from peatnode.documents.yjs.update import encode_update
from peatnode.model.documents import DocumentUpdate

SUCCESSOR = b"\0"


@dataclass(frozen=True, slots=True)
class TreeEntry:
    tree_key: bytes
    """With the document key appended: the position to continue from."""
    key: bytes
    incarnation: int
    is_deleted: bool
    fingerprint: bytes


def bucket_entries(replica: Replica, first: int, last: int, tree_key: bytes) -> Iterator[TreeEntry]:
    """Documents and tombstones of the buckets first..last, in order, from `tree_key` on."""
    start = max(tree_key, bucket_start(first))
    for entry, data in replica.kv.scan(TREE + start, _end_of_bucket(last)):
        yield TreeEntry(entry[1:], entry[1 + TREE_KEY_BYTES :], *decode_tree_entry(data))


def _end_of_bucket(last: int) -> bytes:
    return after(TREE) if last >= 0xFFFF else TREE + bucket_start(last + 1)


def document_update(
    replica: Replica, key: bytes, record: Record, vector: bytes = b""
) -> DocumentUpdate:
    """The whole document, or the part that a state vector lacks."""
    if record.is_deleted:
        ended_vector = (
            encode_state_vector(dict(record.ended_vector)) if record.ended_vector else b""
        )
        return DocumentUpdate(*names_of(key), record.incarnation, True, 0.0, ended_vector)
    update = state_difference(replica, key, record, vector)
    return DocumentUpdate(*names_of(key), record.incarnation, False, record.expires_at, update)


def state_difference(replica: Replica, key: bytes, record: Record, vector: bytes) -> bytes:
    """The part of a document that a state vector lacks. Raises MalformedUpdate for a malformed vector."""
    states = replica.state(key, record)
    known = decode_state_vector(vector) if vector else {}
    if not known and len(states) == 1:
        return states[0]
    merged = merge_updates(states, STATE_LIMITS)
    return encode_update(diff_update(merged, known) if known else merged)


def missing_update(
    replica: Replica, key: bytes, incarnation: int, vector: bytes
) -> DocumentUpdate | None:
    """What a peer lacks that has this much of a document. None: nothing, or this node knows no more."""
    record = replica.record_on_disk(key)
    if record is None or record.incarnation < incarnation:
        return None
    if record.incarnation > incarnation or record.is_deleted:
        return document_update(replica, key, record)
    theirs = decode_state_vector(vector) if vector else {}
    ours = replica.client_of(record.incarnation)
    if theirs.get(ours, 0) > record.state_vector.get(ours, 0):
        replica.is_client_id_taken = True
    if covers(theirs, record) and record.delete_set.is_empty:
        return None
    return document_update(replica, key, record, vector)


def covers(theirs: dict[int, int], record: Record) -> bool:
    return all(theirs.get(client, 0) >= clock for client, clock in record.state_vector.items())


def wanted_of(replica: Replica, key: bytes) -> tuple[int, bytes]:
    """(incarnation, state vector) to ask a peer with; (0, b"") where there is nothing."""
    record = replica.record_on_disk(key)
    if record is None:
        return 0, b""
    if record.is_deleted:
        return record.incarnation, b""
    return record.incarnation, encode_state_vector(record.state_vector)


def documents_of(
    replica: Replica, collection: str, after_id: str, prefix: str
) -> Iterator[tuple[bytes, Record]]:
    """Living documents of a collection by id, those after `after_id` that begin with `prefix`."""
    start = document_key(collection, prefix)
    end = start + b"\xff"
    if after_id:
        start = max(start, document_key(collection, after_id) + SUCCESSOR)
    for entry, data in replica.kv.scan(RECORD + start, RECORD + end):
        yield entry[1:], decode_record(data)


def feed_after(replica: Replica, sequence: int) -> Iterator[tuple[int, FeedEntry]]:
    for entry, data in replica.kv.scan(FEED + number(sequence + 1), after(FEED)):
        yield int.from_bytes(entry[1:], "big"), decode_feed_entry(data)
