"""Records of documents and entries of the feed, and their encoding on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Protocol, TypeAlias

import msgpack

from peatnode.documents.content.fingerprint import fingerprint
from peatnode.documents.content.unit_sums import SUM_BYTES
from peatnode.documents.limits import MAX_ENDED_CLIENTS
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.yjs.clocks.base_clocks import BaseClocks, Clocks
from peatnode.documents.yjs.clocks.folding import DocumentClocks, on_base
from peatnode.documents.yjs.clocks.layers import LayeredRanges, LayeredVector
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET, DeleteSet
from peatnode.documents.yjs.state_vector import StateVector
from peatnode.errors import EntriesDiffer
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
    """With the delete set and the ended vector, it has a base of its own on disk where they are large."""
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
    content_sum: int = 0
    """The sum of all units (`content/unit_sums.py`); 0 for a tombstone, whose content is gone."""
    _fingerprint: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)
    """Holds the fingerprint after its first use."""

    @property
    def is_deleted(self) -> bool:
        return bool(self.flags & DocumentFlag.DELETED)

    @property
    def is_value_outdated(self) -> bool:
        return bool(self.flags & DocumentFlag.VALUE_OUTDATED)

    @property
    def clocks(self) -> DocumentClocks:
        return DocumentClocks(self.state_vector, self.delete_set, self.ended_vector)

    def with_ended(self, ended: EndedVector) -> Record:
        """The record with another ended vector."""
        clocks = self.clocks.with_ended(ended)
        return replace(
            self,
            state_vector=clocks.vector,
            delete_set=clocks.deleted,
            ended_vector=clocks.ended,
        )

    @property
    def fingerprint(self) -> bytes:
        if not self._fingerprint:
            self._fingerprint.append(
                fingerprint(self.incarnation, self.is_deleted, self.content_sum)
            )
        return self._fingerprint[0]


class EndedKeeper(Protocol):
    """Keeps what documents held when they ended. It is called while the change that ends one is staged."""

    def ended(self, key: bytes, previous: Record, end: Record, origin: str) -> Record:
        """`end`: the tombstone. Returns the one to store, which may say that the snapshot stays where it is."""
        ...

    def replaced(self, key: bytes, previous: Record, sequence: int, origin: str) -> None:
        """A later incarnation takes the place of a document that lives."""

    def begun(self, key: bytes, end: Record) -> None:
        """Something follows on a tombstone that says that a snapshot stays where it was."""

    def closing(self) -> None:
        """The open batch is about to be written."""


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
    return with_ended_of_peer(joined_vectors(previous.ended_vector, previous.state_vector), more)


def with_ended_of_peer(known: EndedVector, more: StateVector) -> EndedVector:
    """An ended vector with the clocks that a peer tells. If there are too many clients, those that are known stay."""
    if not more:
        return known
    joined = joined_vectors(known, more)
    if all(client in joined for client in known):
        return joined
    room = MAX_ENDED_CLIENTS - len(known)
    new = [client for client in more if client not in known][:room]
    kept = {client: max(clock, more.get(client, 0)) for client, clock in known.items()}
    return {**kept, **{client: more[client] for client in new}}


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
    vector, ranges, ended = record.state_vector, record.delete_set.ranges, record.ended_vector
    base_id = b""
    if isinstance(vector, LayeredVector) and isinstance(ranges, LayeredRanges):
        base_id = vector.base.id
        vector, ranges, ended = vector.changed, ranges.added, EMPTY_VECTOR
    deleted = [[c, [n for r in found for n in r]] for c, found in ranges.items()]
    fields: tuple[object, ...] = (
        record.incarnation,
        flags,
        record.expires_at or 0,
        [n for pair in vector.items() for n in pair],
        deleted,
        record.sequence,
        snapshot,
        record.snapshot_bytes,
        record.delta_log,
        value,
    )
    if base_id or ended or record.content_sum:
        fields = (*fields, () if base_id else [n for pair in ended.items() for n in pair])
    if base_id or record.content_sum:
        fields = (*fields, base_id)
    if record.content_sum:
        fields = (*fields, record.content_sum.to_bytes(SUM_BYTES, "big"))
    packed: bytes = msgpack.packb(fields, buf_size=_BUFFER_BYTES)
    return packed


LoadClocks: TypeAlias = Callable[[bytes], Clocks]
"""Returns the clocks of an id. Raises EntriesDiffer if the entry is missing, or has other clocks."""


def no_clocks(base_id: bytes) -> Clocks:
    """The loader of records whose clocks are not needed."""
    raise EntriesDiffer(f"the clocks {base_id.hex()} of a record are not at hand")


def decode_record(data: bytes, load: LoadClocks = no_clocks) -> Record:
    """A record, whose clocks are loaded when they are needed. Raises ValueError for bytes that are not a record.

    A record of 0.1 has no content sum: it gets 0.
    """
    try:
        fields = msgpack.unpackb(data, use_list=False)
        vector, deleted = _vector(fields[3]), _ranges(fields[4]) if fields[4] else None
        if len(fields) > 11 and fields[11]:
            clocks = on_base(BaseClocks(fields[11], load), vector, deleted or {})
        else:
            ended = _vector(fields[10]) if len(fields) > 10 else EMPTY_VECTOR
            deletes = EMPTY_DELETE_SET if deleted is None else DeleteSet(deleted)
            clocks = DocumentClocks(vector, deletes, ended)
        return Record(
            fields[0],
            fields[1],
            float(fields[2]),
            clocks.vector,
            clocks.deleted,
            fields[5],
            fields[6],
            fields[7],
            fields[8],
            fields[9],
            clocks.ended,
            int.from_bytes(fields[12], "big") if len(fields) > 12 else 0,
        )
    except (ValueError, TypeError, IndexError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"not a record: {error}") from error


def _vector(fields: tuple[int, ...]) -> dict[int, int]:
    return dict(zip(fields[::2], fields[1::2], strict=True))


def _pairs(fields: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple(zip(fields[::2], fields[1::2], strict=True))


def _ranges(
    fields: tuple[tuple[int, tuple[int, ...]], ...],
) -> dict[int, tuple[tuple[int, int], ...]]:
    return {client: _pairs(numbers) for client, numbers in fields}


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
