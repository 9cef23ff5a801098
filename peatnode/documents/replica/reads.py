"""Reads of a replica for the feed, listings and peers. They return only what is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import document_key, names_of
from peatnode.documents.replica.index.hash_tree import TREE_KEY_BYTES, bucket_start
from peatnode.documents.replica.keyspace import FEED, RECORD, TREE, after, number
from peatnode.documents.replica.record import (
    FeedEntry,
    Record,
    decode_feed_entry,
    decode_tree_entry,
)
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.merge import diff_update, merge_updates
from peatnode.documents.yjs.state_vector import (
    StateVector,
    decode_state_vector,
    encode_state_vector,
)
from peatnode.documents.yjs.update import Update, encode_update
from peatnode.model.documents import DocumentUpdate

SUCCESSOR = b"\0"


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One document or tombstone in the tree index."""

    tree_key: bytes
    """The tree key with the document key appended: a later read can continue from here."""
    key: bytes
    incarnation: int
    is_deleted: bool
    fingerprint: bytes


def bucket_entries(replica: Replica, first: int, last: int, tree_key: bytes) -> Iterator[TreeEntry]:
    """Documents and tombstones of the buckets `first` to `last`, in order of tree keys, from `tree_key` on."""
    start = max(tree_key, bucket_start(first))
    for entry, data in replica.kv.scan(TREE + start, _end_of_bucket(last)):
        yield TreeEntry(entry[1:], entry[1 + TREE_KEY_BYTES :], *decode_tree_entry(data))


def _end_of_bucket(last: int) -> bytes:
    return after(TREE) if last >= 0xFFFF else TREE + bucket_start(last + 1)


def document_update(
    replica: Replica, key: bytes, record: Record, vector: bytes = b""
) -> DocumentUpdate:
    """A document as it is sent to a peer: its tombstone, or the part of its state above a state vector.

    Raises MalformedUpdate for a malformed vector.
    """
    if record.is_deleted:
        return DocumentUpdate(*names_of(key), record.incarnation, True, 0.0, ended_of(record))
    replica.own_writes.served(key, record.state_vector, record.incarnation)
    update = state_difference(replica, key, record, vector)
    ended = b"" if vector else ended_of(record)
    return DocumentUpdate(
        *names_of(key), record.incarnation, False, record.expires_at, update, ended
    )


def ended_of(record: Record) -> bytes:
    """The record's ended vector in Yjs's encoding; empty if nothing has ended."""
    return encode_state_vector(record.ended_vector) if record.ended_vector else b""


def state_difference(replica: Replica, key: bytes, record: Record, vector: bytes) -> bytes:
    """The part of a document above a state vector; the whole document for an empty one.

    Raises MalformedUpdate for a malformed vector.
    """
    states = replica.state(key, record)
    known = decode_state_vector(vector, STATE_LIMITS) if vector else {}
    if not known and len(states) == 1:
        return states[0]
    merged = merge_updates(states, STATE_LIMITS)
    return encode_update(diff_update(merged, known) if known else merged)


def missing_update(
    replica: Replica, key: bytes, incarnation: int, vector: bytes
) -> DocumentUpdate | None:
    """The part of a document that a peer with this incarnation and state vector lacks; None if it lacks nothing.

    Raises MalformedUpdate for a malformed vector.
    """
    record = replica.record_on_disk(key)
    if record is None or record.incarnation < incarnation:
        return None
    if record.incarnation > incarnation or record.is_deleted:
        return document_update(replica, key, record)
    peer_vector = decode_state_vector(vector, STATE_LIMITS) if vector else {}
    own_client = replica.client_of(record.incarnation)
    if peer_vector.get(own_client, 0) > record.state_vector.get(own_client, 0):
        replica.id_taken(record, record.incarnation, own_client)
    is_compared = not vector and record.incarnation == incarnation
    if replica.own_writes.is_doubtful(key, record.incarnation, peer_vector) or (
        is_compared and replica.own_writes.is_unconfirmed(key, record.incarnation)
    ):
        return _without_doubtful(replica, key, record, peer_vector)
    if covers(peer_vector, record) and record.delete_set.is_empty:
        return None
    return document_update(replica, key, record, vector)


def _without_doubtful(
    replica: Replica, key: bytes, record: Record, peer_vector: StateVector
) -> DocumentUpdate | None:
    """What the peer lacks of other clients, without deletions: own structs and deletions may mean something else there.

    The peer may be in the same doubt. It finds here what it has to compare.
    """
    write = replica.own_writes.find(key, record.incarnation)
    structs = diff_update(replica.merged(key, record), peer_vector).structs
    others = {c: s for c, s in structs.items() if write is None or c != write.client}
    if not others:
        return None
    update = encode_update(Update(others))
    return DocumentUpdate(*names_of(key), record.incarnation, False, record.expires_at, update)


def covers(vector: dict[int, int], record: Record) -> bool:
    """Whether a state vector reaches that of the record for every client."""
    return all(vector.get(client, 0) >= clock for client, clock in record.state_vector.items())


def wanted_of(replica: Replica, key: bytes) -> tuple[int, bytes]:
    """(incarnation, state vector) of a document, for a request to a peer; (0, b"") if there is no record."""
    record = replica.record_on_disk(key)
    if record is None:
        return 0, b""
    if record.is_deleted:
        return record.incarnation, b""
    vector = record.state_vector
    write = replica.own_writes.find(key, record.incarnation)
    if (
        write is not None
    ):  # the peer sends what it has under the clocks of own writes, and it is compared
        vector = {**vector, write.client: write.clock}
    return record.incarnation, encode_state_vector(vector)


def documents_of(
    replica: Replica, collection: str, after_id: str, prefix: str
) -> Iterator[tuple[bytes, Record]]:
    """Live documents of a collection in order of ids: those after `after_id` whose id begins with `prefix`."""
    start = document_key(collection, prefix)
    end = start + b"\xff"
    if after_id:
        start = max(start, document_key(collection, after_id) + SUCCESSOR)
    for entry, data in replica.kv.scan(RECORD + start, RECORD + end):
        yield entry[1:], replica.decoded(entry[1:], data)


def feed_after(replica: Replica, sequence: int) -> Iterator[tuple[int, FeedEntry]]:
    """(sequence, change) of the changes after `sequence` that the feed still keeps."""
    for entry, data in replica.kv.scan(FEED + number(sequence + 1), after(FEED)):
        yield int.from_bytes(entry[1:], "big"), decode_feed_entry(data)
