"""The frames between nodes and their limits, which a peer must not exceed."""

from __future__ import annotations

from peatnode.codec.frames import FrameBuffer
from peatnode.protocol.wire.errors import PeerFault


class PeerFrames(FrameBuffer):
    """The received frames of one stream. Raises PeerFault where FrameBuffer raises MalformedFrame."""

    __slots__ = ()

    def too_long(self, length: int) -> PeerFault:
        return PeerFault("frame too long", f"{length} bytes, {self.limit} allowed")
