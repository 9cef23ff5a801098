"""Batches of document updates: one byte for the encoding, then msgpack,
which is compressed if that is shorter."""

from __future__ import annotations

from collections.abc import Iterable

import msgpack
import zstandard

from peatnode.codec.records import TOLERANT, fields_getter, record_reader
from peatnode.errors import MalformedFrame
from peatnode.model.documents import DocumentUpdate
from peatnode.model.feed import CONFLICT, Change
from peatnode.model.peer_limits import MAX_BATCH_BYTES, MAX_BATCH_UPDATES, MAX_UPDATE_FIELDS
from peatnode.model.states import ChangeAction
from peatnode.protocol.wire.errors import PeerFault

_PLAIN = b"\0"
_COMPRESSED = b"\1"
_WORTH_COMPRESSING = 96
"""Bytes. A shorter batch would not become smaller, because of the header of zstd."""

_UPDATE_BYTES = 400
"""What an update takes as an object, beside its content."""
_LEAST_UPDATE_BYTES = 8
"""A record of empty fields."""

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


def memory_of(batch: bytes) -> int:
    """Bytes that the updates of a batch take in memory at most, told before it is unpacked. Raises PeerFault."""
    size = _plain_bytes(batch)
    return size + _UPDATE_BYTES * min(size // _LEAST_UPDATE_BYTES, MAX_BATCH_UPDATES)


def unpack_updates(batch: bytes) -> tuple[DocumentUpdate, ...]:
    """The updates of a batch. Raises PeerFault if `pack_updates` cannot have produced it."""
    _plain_bytes(batch)
    try:
        if batch[:1] == _COMPRESSED:
            return _read_updates(_decompress(batch))
        return _read_updates(memoryview(batch)[1:])
    except MalformedFrame as error:
        raise PeerFault("malformed message", str(error)) from error
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise PeerFault("malformed batch", f"not msgpack: {error}") from error


def _read_updates(plain: bytes | memoryview) -> tuple[DocumentUpdate, ...]:
    """Field by field: an array anywhere else would become many objects, each of which takes 50 bytes for one."""
    size = len(plain)
    unpacker = msgpack.Unpacker(
        max_buffer_size=size,
        max_array_len=0,
        max_map_len=0,
        max_ext_len=0,
        max_str_len=TOLERANT.max_text_bytes,
    )
    unpacker.feed(plain)
    del plain
    read_header, read_field = unpacker.read_array_header, unpacker.unpack
    count = read_header()
    if count > MAX_BATCH_UPDATES:
        raise PeerFault("malformed batch", f"{count} updates")
    updates = []
    for _ in range(count):
        fields = read_header()
        if fields > MAX_UPDATE_FIELDS:
            raise PeerFault("malformed batch", f"an update of {fields} fields")
        if fields == 8:  # as this version packs them; a fifth faster than a loop
            record: tuple[object, ...] = (
                read_field(),
                read_field(),
                read_field(),
                read_field(),
                read_field(),
                read_field(),
                read_field(),
                read_field(),
            )
        else:
            record = tuple([read_field() for _ in range(fields)])
        updates.append(_read_update(record))
    if unpacker.tell() != size:
        raise PeerFault("malformed batch", "something follows the updates")
    return tuple(updates)


def _plain_bytes(batch: bytes) -> int:
    """Size after decompression, as the header tells it."""
    if batch[:1] == _PLAIN:
        size = len(batch) - 1
    elif batch[:1] == _COMPRESSED:
        try:
            size = zstandard.frame_content_size(memoryview(batch)[1:])
        except zstandard.ZstdError as error:
            raise PeerFault("malformed batch", f"zstd: {error}") from error
    else:
        raise PeerFault("malformed batch", "neither plain nor zstd")
    if not 0 < size <= MAX_BATCH_BYTES:
        raise PeerFault("malformed batch", f"{size} bytes unpacked")
    return size


def _decompress(batch: bytes) -> bytes:
    try:
        return _decompressor.decompress(memoryview(batch)[1:], max_output_size=MAX_BATCH_BYTES)
    except zstandard.ZstdError as error:
        raise PeerFault("malformed batch", f"zstd: {error}") from error
