"""Records of documents and entries of the feed, and their encoding on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias

import msgpack

from peatnode.documents.limits import MAX_ENDED_CLIENTS
from peatnode.documents.replica.fingerprint import fingerprint
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET, DeleteSet
from peatnode.documents.yjs.state_vector import StateVector
from peatnode.model.states import ChangeAction

_BUFFER_BYTES = 2048
"""Initial buffer of msgpack. Its default of 256 KiB is mapped and unmapped for each record."""

EMPTY_VECTOR: StateVector = MappingProxyType({})

EndedVector: TypeAlias = StateVector
"""The joined state vectors of a document's ended incarnations. A client that holds any of these clocks holds deleted
content. The vector is not part of the fingerprint, because nodes may know different parts of it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One document, or the tombstone of its last incarnation."""

    incarnation: int
    flags: int
    expires_at: float
    """Unix seconds; 0: never."""
    state_vector: StateVector
    delete_set: DeleteSet
    sequence: int
    """The sequence of its last change."""
    snapshot: bytes | None
    """The compacted state; None if it has an entry of its own."""
    snapshot_bytes: int
    delta_log: tuple[bytes, ...]
    """Updates since the snapshot, in causal order."""
    value: bytes | None
    """JSON; None if it has an entry of its own, or there is none."""
    ended_vector: EndedVector = field(default_factory=lambda: EMPTY_VECTOR)
    """Covers all earlier incarnations, and in a tombstone also the one that it ended. See `ended_vector_after`."""
    _fingerprint: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)
    """Holds the fingerprint after its first use."""

    @property
    def is_deleted(self) -> bool:
        return bool(self.flags & DocumentFlag.DELETED)

    @property
    def is_value_outdated(self) -> bool:
        return bool(self.flags & DocumentFlag.VALUE_OUTDATED)

    @property
    def fingerprint(self) -> bytes:
        if not self._fingerprint:
            self._fingerprint.append(
                fingerprint(self.incarnation, self.is_deleted, self.state_vector, self.delete_set)
            )
        return self._fingerprint[0]


EMPTY_STATE = b"\0\0"


def tombstone(incarnation: int, sequence: int, ended_vector: EndedVector = EMPTY_VECTOR) -> Record:
    """The record of a deleted document."""
    return Record(
        incarnation,
        DocumentFlag.DELETED,
        0.0,
        {},
        EMPTY_DELETE_SET,
        sequence,
        b"",
        0,
        (),
        None,
        ended_vector,
    )


def ended_vector_after(previous: Record | None, more: StateVector = EMPTY_VECTOR) -> EndedVector:
    """The ended vector of the tombstone or incarnation that follows `previous`, joined with the clocks of `more`."""
    if previous is None:
        return joined_vectors(more)
    return joined_vectors(previous.ended_vector, previous.state_vector, more)


def joined_vectors(*vectors: StateVector) -> EndedVector:
    """The vectors as one, which has at most MAX_ENDED_CLIENTS clients: the last ones."""
    vector: dict[int, int] = {}
    for part in vectors:
        for client, clock in part.items():
            vector[client] = max(clock, vector.get(client, 0))
    if len(vector) > MAX_ENDED_CLIENTS:
        return dict(list(vector.items())[-MAX_ENDED_CLIENTS:])
    return vector


def encode_record(record: Record, flags: int, snapshot: bytes | None, value: bytes | None) -> bytes:
    """The bytes on disk. `snapshot` and `value` are None if they have entries of their own."""
    deleted = [
        [c, [n for r in ranges for n in r]] for c, ranges in record.delete_set.ranges.items()
    ]
    fields: tuple[object, ...] = (
        record.incarnation,
        flags,
        record.expires_at or 0,
        [n for pair in record.state_vector.items() for n in pair],
        deleted,
        record.sequence,
        snapshot,
        record.snapshot_bytes,
        record.delta_log,
        value,
    )
    if record.ended_vector:
        fields = (*fields, [n for pair in record.ended_vector.items() for n in pair])
    packed: bytes = msgpack.packb(fields, buf_size=_BUFFER_BYTES)
    return packed


def decode_record(data: bytes) -> Record:
    """Raises ValueError for bytes that are not a record."""
    try:
        fields = msgpack.unpackb(data, use_list=False)
        vector, deleted = fields[3], fields[4]
        return Record(
            fields[0],
            fields[1],
            float(fields[2]),
            _vector(vector),
            _delete_set(deleted) if deleted else EMPTY_DELETE_SET,
            *fields[5:10],
            *(_vector(ended_vector) for ended_vector in fields[10:11]),
        )
    except (ValueError, TypeError, IndexError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"not a record: {error}") from error


def _vector(fields: tuple[int, ...]) -> StateVector:
    return dict(zip(fields[::2], fields[1::2], strict=True))


def _delete_set(fields: tuple[tuple[int, tuple[int, ...]], ...]) -> DeleteSet:
    return DeleteSet({c: tuple(zip(r[::2], r[1::2], strict=True)) for c, r in fields})


class Existence(Enum):
    """What a replica holds of a document. The value is the number on disk."""

    ABSENT = 0
    LIVE = 1
    TOMBSTONE = 2


def existence_of(record: Record | None) -> Existence:
    if record is None:
        return Existence.ABSENT
    return Existence.TOMBSTONE if record.is_deleted else Existence.LIVE


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """A change as the feed stores it. The content of the change is read from the document."""

    collection: str
    id: str
    action: ChangeAction
    incarnation: int
    fingerprint: bytes
    """Of the document after the change. It is empty in an entry from disk, where it is not stored because 16 random
    bytes do not compress. The record has the current fingerprint."""
    origin: str
    """Who sent the change; empty for a change of this node."""
    before: Existence
    """Of the document before the change, so that a start can count documents from the feed."""


_ACTIONS = (ChangeAction.CREATED, ChangeAction.UPDATED, ChangeAction.DELETED)
"""The index of an action is its number on disk."""

_ACTION_NUMBERS = {action: number for number, action in enumerate(_ACTIONS)}


_USUALLY_BEFORE = {
    ChangeAction.CREATED: Existence.ABSENT,
    ChangeAction.UPDATED: Existence.LIVE,
    ChangeAction.DELETED: Existence.LIVE,
}
"""What is not stored. Entries of format 1 never say what was before."""


def encode_feed_entry(entry: FeedEntry) -> bytes:
    fields: tuple[str | int, ...] = (
        entry.collection,
        entry.id,
        _ACTION_NUMBERS[entry.action],
        entry.incarnation,
        entry.origin,
    )
    if entry.before is not _USUALLY_BEFORE[entry.action]:
        fields += (entry.before.value,)
    packed: bytes = msgpack.packb(fields, buf_size=_BUFFER_BYTES)
    return packed


def decode_feed_entry(data: bytes) -> FeedEntry:
    """Raises ValueError for bytes that are no entry of the feed."""
    try:
        collection, document, number, incarnation, origin, *more = msgpack.unpackb(data)
        action = _ACTIONS[number]
        before = Existence(more[0]) if more else _USUALLY_BEFORE[action]
    except (ValueError, TypeError, IndexError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"not a change: {error}") from error
    return FeedEntry(collection, document, action, incarnation, b"", origin, before)


def encode_tree_entry(incarnation: int, is_deleted: bool, digest: bytes) -> bytes:
    """The bytes of a document's entry in the tree index."""
    return digest + (incarnation << 1 | is_deleted).to_bytes(8, "big").lstrip(b"\0")


def decode_tree_entry(data: bytes) -> tuple[int, bool, bytes]:
    """(incarnation, is_deleted, fingerprint)"""
    number = int.from_bytes(data[16:], "big")
    return number >> 1, bool(number & 1), data[:16]


def tree_entry_fingerprint(data: bytes) -> bytes:
    return data[:16]


def is_of_tombstone(data: bytes) -> bool:
    """Whether an entry of the tree index is that of a tombstone."""
    return bool(data[-1] & 1)
