"""The protocols that connections can carry, by ALPN: their streams, and the messages that open these.

A further protocol is one more ConnectionProtocol in PROTOCOLS; the endpoint and the handshake need no
change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from peatnode.protocol.wire.messages import ALPN, Message, Stream, Unanswered


@dataclass(frozen=True, slots=True)
class ConnectionProtocol:
    """A protocol with its own ALPN."""

    alpn: str
    streams: Mapping[Stream, int]
    """Ids of bidirectional streams, which the dialling side opens.
    The first stream carries the handshake."""
    openings: Mapping[Stream, Message]
    """The first message of the dialling side on each further stream,
    before which the peer cannot send on it."""

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
    """The protocols by their ALPN."""
    return {protocol.alpn: protocol for protocol in protocols}
