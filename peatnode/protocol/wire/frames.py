"""Frames of a stream: 4 bytes of length, then that many bytes. The limit is checked before anything is kept."""

from __future__ import annotations

from peatnode.protocol.wire.errors import PeerFault

UNAUTHENTICATED_LIMIT = 4 * 1024
"""Bytes of a frame, and of all that is unread, before the peer has proved itself."""

MAX_FRAME_BYTES = 40 * 1024 * 1024
"""The largest document is 32 MiB; with what surrounds it this is ample."""


def frame(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


class FrameReader:
    """One direction of one stream. `limit` may be raised while it runs."""

    __slots__ = ("_buffer", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> None:
        """Take bytes as they came. Raises PeerFault at a length over the limit."""
        self._buffer += data
        self._check()

    def next_frame(self) -> bytes | None:
        """The content of the next whole frame. Raises PeerFault at a length over the limit."""
        buffer = self._buffer
        self._check()
        if len(buffer) < 4:
            return None
        end = 4 + int.from_bytes(buffer[:4], "big")
        if len(buffer) < end:
            return None
        content = bytes(buffer[4:end])
        del buffer[:end]
        return content

    def _check(self) -> None:
        if len(self._buffer) < 4:
            return
        length = int.from_bytes(self._buffer[:4], "big")
        if length > self.limit:
            raise PeerFault("frame too long", f"{length} bytes, {self.limit} allowed")
