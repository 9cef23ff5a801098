"""What the connections of each ALPN carry: the streams that they have, and what opens them.

A second protocol enters as one more ConnectionProtocol in PROTOCOLS; endpoint and authentication stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from peatnode.protocol.wire.messages import ALPN, Message, Stream, Unanswered


@dataclass(frozen=True, slots=True)
class ConnectionProtocol:
    """One ALPN."""

    alpn: str
    streams: Mapping[Stream, int]
    """Ids of bidirectional streams, which the dialling side opens. The first authenticates the connection."""
    openings: Mapping[Stream, Message]
    """What the dialling side sends first on a further stream: the other side cannot write before."""

    @property
    def first_stream(self) -> int:
        return next(iter(self.streams.values()))


DOCUMENTS = ConnectionProtocol(
    ALPN,
    streams={Stream.LIVE: 0, Stream.BULK: 4},
    openings={Stream.BULK: Unanswered(0)},
)

PROTOCOLS = (DOCUMENTS,)


def by_alpn(protocols: Iterable[ConnectionProtocol]) -> dict[str, ConnectionProtocol]:
    return {protocol.alpn: protocol for protocol in protocols}
