"""Records of documents and entries of the feed, and their bytes on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
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

EndedVector: TypeAlias = tuple[tuple[int, int], ...]
"""The joined state vectors of a document's ended incarnations. A client that holds any of these clocks holds deleted
content. It is no part of the fingerprint, because nodes may know more or less of it."""


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
    """Of its last change."""
    snapshot: bytes | None
    """The compacted state; None: in an entry of its own."""
    snapshot_bytes: int
    delta_log: tuple[bytes, ...]
    """Updates since the snapshot, in causal order."""
    value: bytes | None
    """JSON; None: in an entry of its own, or absent."""
    ended_vector: EndedVector = ()
    """Of all earlier incarnations, and of the one that this tombstone ended. See `ended_vector_after`."""
    _fingerprint: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)
    """Computed once, on first use."""

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


def tombstone(incarnation: int, sequence: int, ended_vector: EndedVector = ()) -> Record:
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


def ended_vector_after(former: Record | None, more: StateVector = EMPTY_VECTOR) -> EndedVector:
    """The ended vector of the tombstone or incarnation that follows `former`."""
    if former is None:
        return tuple(more.items())
    vector = dict(former.ended_vector)
    for part in (former.state_vector, more):
        for client, clock in part.items():
            vector[client] = max(clock, vector.get(client, 0))
    return tuple(vector.items())[-MAX_ENDED_CLIENTS:]


def encode_record(record: Record, flags: int, snapshot: bytes | None, value: bytes | None) -> bytes:
    """Bytes for the disk. `snapshot` and `value` are None where they have entries of their own."""
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
        fields = (*fields, [n for pair in record.ended_vector for n in pair])
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
            dict(zip(vector[::2], vector[1::2], strict=True)),
            _delete_set(deleted) if deleted else EMPTY_DELETE_SET,
            *fields[5:10],
            *(_ended(ended_vector) for ended_vector in fields[10:11]),
        )
    except (ValueError, TypeError, IndexError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"not a record: {error}") from error


def _ended(fields: tuple[int, ...]) -> EndedVector:
    return tuple(zip(fields[::2], fields[1::2], strict=True))


def _delete_set(fields: tuple[tuple[int, tuple[int, ...]], ...]) -> DeleteSet:
    return DeleteSet({c: tuple(zip(r[::2], r[1::2], strict=True)) for c, r in fields})


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """A change as the feed stores it. Its content is read from the document."""

    collection: str
    id: str
    action: ChangeAction
    incarnation: int
    fingerprint: bytes
    """Of the document after the change. Not stored, because 16 random bytes do not compress: it is empty when read from
    disk, and the record has the present one."""
    origin: str


_ACTIONS = (ChangeAction.CREATED, ChangeAction.UPDATED, ChangeAction.DELETED)
"""By the number that is on disk."""


def encode_feed_entry(entry: FeedEntry) -> bytes:
    packed: bytes = msgpack.packb(
        (
            entry.collection,
            entry.id,
            _ACTIONS.index(entry.action),
            entry.incarnation,
            entry.origin,
        ),
        buf_size=_BUFFER_BYTES,
    )
    return packed


def decode_feed_entry(data: bytes) -> FeedEntry:
    collection, document, action, incarnation, origin = msgpack.unpackb(data)
    return FeedEntry(collection, document, _ACTIONS[action], incarnation, b"", origin)


def encode_tree_entry(incarnation: int, is_deleted: bool, digest: bytes) -> bytes:
    """The value of a document's entry in the tree index."""
    return digest + (incarnation << 1 | is_deleted).to_bytes(8, "big").lstrip(b"\0")


def decode_tree_entry(data: bytes) -> tuple[int, bool, bytes]:
    """(incarnation, is_deleted, fingerprint)"""
    number = int.from_bytes(data[16:], "big")
    return number >> 1, bool(number & 1), data[:16]
