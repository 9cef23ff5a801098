"""The frames between nodes: their limits, and whose fault it is when a length is over them."""

from __future__ import annotations

from peatnode.codec.frames import FrameBuffer
from peatnode.protocol.wire.errors import PeerFault

UNAUTHENTICATED_LIMIT = 4 * 1024
"""Bytes of a frame, and of all that is unread, before the peer is authenticated."""

MAX_FRAME_BYTES = 40 * 1024 * 1024
"""The largest document is 32 MiB; with what surrounds it this is ample."""


class PeerFrames(FrameBuffer):
    """One direction of one stream. Raises PeerFault where a FrameBuffer raises MalformedFrame."""

    __slots__ = ()

    def too_long(self, length: int) -> PeerFault:
        return PeerFault("frame too long", f"{length} bytes, {self.limit} allowed")
