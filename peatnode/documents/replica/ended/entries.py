"""The entries of ended content: a head for lists, and the state itself in the order in which the documents ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgpack

from peatnode.codec.records import STORED, record_reader, unpack
from peatnode.documents.names import is_document_key
from peatnode.documents.replica.keyspace import ENDED, ENDED_STATE, number
from peatnode.errors import MalformedFrame

_BUFFER_BYTES = 2048
"""Initial buffer of msgpack, as for records."""

NUMBER_BYTES = 8
OVERHEAD_BYTES = 256
"""Counted for each entry beside its content, so that many small documents are bounded, too."""


@dataclass(frozen=True, slots=True)
class EndedHead:
    """What is known of ended content without reading it."""

    key: bytes
    """Of the document."""
    sequence: int
    """Of the change that ended it."""
    incarnation: int
    at: float
    """Unix seconds, by the clock of this node."""
    ran: float
    """Seconds for which this store had run, over all its starts."""
    origin: str
    """Of the change that ended it, as in the feed."""
    size: int
    """Bytes that count against the bound."""
    expires_at: float
    """Of the document; 0: it had no expiry."""


_read_head = record_reader(EndedHead, STORED)


class EndedState(NamedTuple):
    """The content of a document when it ended."""

    ran: float
    size: int
    snapshot: bytes | None
    """None: it is in `packed`, or still where the document had it, and the tombstone says so."""
    delta_log: tuple[bytes, ...]
    value: bytes | None
    """JSON; None: it is computed from the state."""
    packed: bytes | None = None
    """The snapshot as `state_packing` packs it."""

    @property
    def is_in_place(self) -> bool:
        """Whether the snapshot is still where the document had it."""
        return self.snapshot is None and self.packed is None


def head_key(key: bytes, sequence: int) -> bytes:
    return heads_of(key) + number(sequence)


def heads_of(key: bytes) -> bytes:
    """Begins the keys of all heads of one document. No name has a zero byte."""
    return ENDED + key + b"\0"


def state_key(key: bytes, sequence: int) -> bytes:
    return ENDED_STATE + number(sequence) + key


def names_in_head_key(entry: bytes) -> tuple[bytes, int]:
    """(document key, sequence) in the key of a head."""
    return entry[1 : -NUMBER_BYTES - 1], int.from_bytes(entry[-NUMBER_BYTES:], "big")


def names_in_state_key(entry: bytes) -> tuple[bytes, int]:
    """(document key, sequence) in the key of a state."""
    return entry[1 + NUMBER_BYTES :], int.from_bytes(entry[1 : 1 + NUMBER_BYTES], "big")


def encode_head(
    incarnation: int, at: float, ran: float, origin: str, size: int, expires_at: float
) -> bytes:
    """The fields of an EndedHead that are not in its key."""
    fields = (incarnation, at, ran, origin, size, expires_at)
    packed: bytes = msgpack.packb(fields, buf_size=_BUFFER_BYTES)
    return packed


def decode_head(entry: bytes, data: bytes) -> EndedHead | None:
    """None for bytes that are no head."""
    try:
        fields = unpack(data, STORED)
        head: EndedHead | None = None
        if type(fields) is tuple:
            head = _read_head((*names_in_head_key(entry), *fields))
    except MalformedFrame:
        return None
    return head if head is not None and is_document_key(head.key) else None


def encode_state(state: EndedState) -> bytes:
    packed: bytes = msgpack.packb(state, buf_size=_BUFFER_BYTES)
    return packed


def decode_state(data: bytes | None) -> EndedState | None:
    """None for bytes that are no state."""
    if data is None:
        return None
    try:
        state = EndedState(*msgpack.unpackb(data, use_list=False)[:6])
    except (ValueError, TypeError, msgpack.exceptions.UnpackException):
        return None
    return state if _is_sound(state) else None


def _is_sound(state: EndedState) -> bool:
    """Whether each field is of its type: `record_reader` knows no field that may be None."""
    contents = [each for each in (state.snapshot, state.value, state.packed) if each is not None]
    return (
        type(state.ran) is float
        and type(state.size) is int
        and type(state.delta_log) is tuple
        and all(type(each) is bytes for each in (*contents, *state.delta_log))
    )


def encode_totals(count: int, size: int, ran: float) -> bytes:
    packed: bytes = msgpack.packb((count, size, ran), buf_size=_BUFFER_BYTES)
    return packed


def decode_totals(data: bytes | None) -> tuple[int, int, float] | None:
    """(number, bytes, seconds for which the store had run); None for bytes that are no totals."""
    if data is None:
        return None
    try:
        count, size, ran = msgpack.unpackb(data)
        return int(count), int(size), float(ran)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException):
        return None
