"""The protocols that connections can carry, by ALPN: their streams, and the messages that open these.

A further protocol is one more ConnectionProtocol in PROTOCOLS; the endpoint and the handshake need no
change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from peatnode.protocol.wire.messages import ALPN, EARLIER_ALPNS, Message, Stream, Unanswered


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
    earlier: Mapping[str, int] = field(default_factory=dict)
    """The ALPNs of its earlier versions, which are refused, and their numbers."""

    @property
    def first_stream(self) -> int:
        return next(iter(self.streams.values()))


DOCUMENTS = ConnectionProtocol(
    ALPN,
    streams={Stream.LIVE: 0, Stream.BULK: 4},
    openings={Stream.BULK: Unanswered(0)},
    earlier=EARLIER_ALPNS,
)

PROTOCOLS = (DOCUMENTS,)


def offered(protocols: Iterable[ConnectionProtocol]) -> list[str]:
    """The ALPNs that TLS may negotiate. Those of earlier versions come last, so that they are the last choice."""
    known = list(protocols)
    return [p.alpn for p in known] + [
        alpn for p in known for alpn in sorted(p.earlier, reverse=True)
    ]


def by_alpn(protocols: Iterable[ConnectionProtocol]) -> dict[str, ConnectionProtocol]:
    """The protocols by their ALPN."""
    return {protocol.alpn: protocol for protocol in protocols}
