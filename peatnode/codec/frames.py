"""The framing of all streams: the length of the content in 4 bytes, big-endian, then the content."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from peatnode.errors import MalformedFrame, PeatnodeError

LENGTH_BYTES = 4

_LARGE_BYTES = 1024 * 1024

_read_length = Struct(">I").unpack_from


def frame(content: bytes) -> bytes:
    """The content with its length before it."""
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


class FrameBuffer:
    """Collects the bytes of one stream as they arrive, and returns the contents of complete frames."""

    __slots__ = ("_buffer", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """The longest content, in bytes. It may be increased at any time."""
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> Iterator[bytes]:
        """The contents of the frames that `data` completes.
        Raises MalformedFrame as soon as a length is over the limit."""
        self._buffer += data
        return self.contents()

    def keep(self, data: bytes) -> None:
        """Stores `data` for `contents`. Raises MalformedFrame if the length
        of the first frame is over the limit."""
        self._buffer += data
        length = int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
        if len(self._buffer) >= LENGTH_BYTES and length > self.limit:
            raise self.too_long(length)

    def contents(self) -> Iterator[bytes]:
        """Removes each complete frame and yields its content. Raises MalformedFrame."""
        buffer = self._buffer
        start = 0
        try:
            while len(buffer) - start >= LENGTH_BYTES:
                (length,) = _read_length(buffer, start)
                if length > self.limit:
                    raise self.too_long(length)
                end = start + LENGTH_BYTES + length
                if len(buffer) < end:
                    break
                content = bytes(memoryview(buffer)[start + LENGTH_BYTES : end])
                start = end
                if (
                    length > _LARGE_BYTES
                ):  # a large frame does not exist twice while its content is used
                    del buffer[:start]
                    start = 0
                yield content
        finally:
            del buffer[:start]

    def too_long(self, length: int) -> PeatnodeError:
        """The exception for a length over the limit; a subclass may return another one."""
        return MalformedFrame(f"a frame of {length} bytes is over the limit of {self.limit}")
