"""Batches of document updates: one byte for the encoding, then msgpack,
which is compressed if that is shorter."""

from __future__ import annotations

from collections.abc import Iterable

import msgpack
import zstandard

from peatnode.codec.records import TOLERANT, fields_getter, record_reader, unpack
from peatnode.errors import MalformedFrame
from peatnode.model.documents import DocumentUpdate
from peatnode.model.feed import CONFLICT, Change
from peatnode.model.peer_limits import MAX_BATCH_BYTES
from peatnode.model.states import ChangeAction
from peatnode.protocol.wire.errors import PeerFault

_PLAIN = b"\0"
_COMPRESSED = b"\1"
_WORTH_COMPRESSING = 96
"""Bytes. A shorter batch would not become smaller, because of the header of zstd."""

_fields = fields_getter(DocumentUpdate)
_compressor = zstandard.ZstdCompressor(level=3)
_decompressor = zstandard.ZstdDecompressor(max_window_size=64 * 1024 * 1024)
_read_update = record_reader(DocumentUpdate, TOLERANT)


def pack_updates(updates: tuple[DocumentUpdate, ...]) -> bytes:
    """The bytes of a batch."""
    return _pack([_fields(update) for update in updates])


def pack_changes(changes: Iterable[Change]) -> bytes:
    """Packs changes of the feed as document updates."""
    return _pack([_fields_of_change(change) for change in changes])


def _fields_of_change(change: Change) -> tuple[object, ...]:
    is_deleted = change.action is ChangeAction.DELETED
    is_whole = change.origin == CONFLICT and not is_deleted
    # The update itself contains the expiry.
    names = change.collection, change.id, change.incarnation
    return *names, is_deleted, 0.0, change.update, b"", is_whole


def _pack(updates: list[tuple[object, ...]]) -> bytes:
    plain: bytes = msgpack.packb(updates)
    if len(plain) >= _WORTH_COMPRESSING:
        compressed = _compressor.compress(plain)
        if len(compressed) < len(plain):
            return _COMPRESSED + compressed
    return _PLAIN + plain


def unpack_updates(batch: bytes) -> tuple[DocumentUpdate, ...]:
    """The updates of a batch. Raises PeerFault if `pack_updates` cannot have produced it."""
    kind, content = batch[:1], batch[1:]
    if kind == _COMPRESSED:
        content = _decompress(content)
    elif kind != _PLAIN:
        raise PeerFault("malformed batch", "neither plain nor zstd")
    try:
        wire = unpack(content, TOLERANT)
        if type(wire) is not tuple:
            raise PeerFault("malformed batch", "not an array")
        return tuple([_read_update(value) for value in wire])
    except MalformedFrame as error:
        raise PeerFault("malformed message", str(error)) from error


def _decompress(content: bytes) -> bytes:
    try:
        size = zstandard.frame_content_size(content)
        if not 0 <= size <= MAX_BATCH_BYTES:
            raise PeerFault("malformed batch", f"{size} bytes unpacked")
        return _decompressor.decompress(content, max_output_size=MAX_BATCH_BYTES)
    except zstandard.ZstdError as error:
        raise PeerFault("malformed batch", f"zstd: {error}") from error
