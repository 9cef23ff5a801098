"""A frame on a link: 4 bytes of length, then a msgpack array `[tag, cause, field, …]`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack

from peatnode.errors import MalformedFrame
from peatnode.ipc import messages
from peatnode.ipc.messages import Message
from peatnode.ipc.schema import fields_getter, message_classes, record_reader

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""The longest content of a frame: what the largest batch of documents between two workers needs, with room."""

_BUFFER_BYTES = 2048
"""What msgpack begins with. Its own 256 KiB are mapped and unmapped anew for each message."""

_CLASSES = message_classes()
_RECORDS = [
    cls
    for cls in vars(messages).values()
    if isinstance(cls, type) and hasattr(cls, "__dataclass_fields__")
]
_GET_FIELDS = {cls: fields_getter(cls) for cls in _RECORDS}
_READERS = {tag: record_reader(cls) for tag, cls in _CLASSES.items()}


def encode_frame(message: Message, cause: int) -> bytes:
    """The whole frame, length included. Raises ValueError for a message that is too long for any frame."""
    content: bytes = msgpack.packb(
        (message.TAG, cause, *_GET_FIELDS[type(message)](message)),
        default=_fields_of_record,
        buf_size=_BUFFER_BYTES,
    )
    if len(content) > MAX_FRAME_BYTES:
        raise ValueError(f"a {message.TAG} of {len(content)} bytes is too long for a frame")
    return len(content).to_bytes(4, "big") + content


def _fields_of_record(record: Any) -> tuple[Any, ...]:
    return _GET_FIELDS[type(record)](record)


def decode_content(content: bytes) -> tuple[int, Message]:
    """(cause, message) of a frame's content. Raises MalformedFrame."""
    try:
        wire = msgpack.unpackb(content, use_list=False, raw=False)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise MalformedFrame(f"not msgpack: {error}") from error
    if (
        type(wire) is not tuple
        or len(wire) < 2
        or type(wire[0]) is not str
        or type(wire[1]) is not int
    ):
        raise MalformedFrame("not an array of tag, cause and fields")
    reader = _READERS.get(wire[0])
    if reader is None:
        raise MalformedFrame(f"no message is tagged {wire[0][:40]!r}")
    return wire[1], reader(wire[2:])


class FrameBuffer:
    """Collects bytes as they come and gives the contents of whole frames."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> Iterator[bytes]:
        """The contents that `data` completes. Raises MalformedFrame as soon as a length is over the limit."""
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= 4:
                length = int.from_bytes(buffer[start : start + 4], "big")
                if length > MAX_FRAME_BYTES:
                    raise MalformedFrame(
                        f"a frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}"
                    )
                end = start + 4 + length
                if len(buffer) < end:
                    break
                content = bytes(buffer[start + 4 : end])
                start = end
                yield content
        finally:
            del buffer[:start]
