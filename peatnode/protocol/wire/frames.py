"""The frames between nodes and their limits, which a peer must not exceed."""

from __future__ import annotations

from peatnode.codec.frames import FrameBuffer
from peatnode.protocol.wire.errors import PeerFault

UNAUTHENTICATED_LIMIT = 4 * 1024
"""Bytes of one frame, and of all data that a peer may send, before authentication."""

MAX_FRAME_BYTES = 40 * 1024 * 1024
"""The largest document is 32 MiB; the rest is room for the fields around it."""


class PeerFrames(FrameBuffer):
    """The received frames of one stream. Raises PeerFault where FrameBuffer raises MalformedFrame."""

    __slots__ = ()

    def too_long(self, length: int) -> PeerFault:
        return PeerFault("frame too long", f"{length} bytes, {self.limit} allowed")
