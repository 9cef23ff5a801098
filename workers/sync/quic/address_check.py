"""What is said to a client of which nothing is kept yet: it has to show that it receives at its address."""

from __future__ import annotations

import os
from dataclasses import dataclass

from aioquic.quic.packet import (
    QuicHeader,
    QuicPacketType,
    encode_quic_retry,
    encode_quic_version_negotiation,
)
from aioquic.quic.retry import QuicRetryTokenHandler

from workers.sync.quic.paths import SMALLEST_DATAGRAM, SocketAddress

CID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Checked:
    """The client has returned the token of a Retry, from the address to which that was sent."""

    original_cid: bytes
    """The destination of its first packet."""


class AddressCheck:
    """Answers the first packets of clients by Retry (RFC 9000, section 8.1.2). It keeps nothing but a random key.

    A token counts for 30 s, for one address, one port and one connection id. Who sees it on its way may use it again in
    this time, from that address: the places of one address are bounded.
    """

    def __init__(self, versions: list[int]) -> None:
        """`versions` of QUIC that are spoken."""
        self._versions = versions
        self._tokens = QuicRetryTokenHandler()

    def judge(
        self, header: QuicHeader, size: int, address: SocketAddress, now: float
    ) -> Checked | bytes | None:
        """`Checked`, or the datagram to answer with; None: no answer. `size` is that of the datagram. Raises ValueError
        if its token is wrong."""
        if header.version is None or header.packet_type is QuicPacketType.VERSION_NEGOTIATION:
            return None
        if size < SMALLEST_DATAGRAM:  # an answer could be larger than the question (section 14.1)
            return None
        if header.version not in self._versions:
            return encode_quic_version_negotiation(
                source_cid=header.destination_cid,
                destination_cid=header.source_cid,
                supported_versions=self._versions,
            )
        if header.packet_type is not QuicPacketType.INITIAL:
            return None
        if not header.token:
            return self._ask(header, address, now)
        original = self._tokens.validate_token(
            address=address, destination_cid=header.destination_cid, token=header.token, now=now
        )
        return Checked(original)

    def _ask(self, header: QuicHeader, address: SocketAddress, now: float) -> bytes:
        source_cid = os.urandom(CID_BYTES)
        token = self._tokens.create_token(
            address=address,
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=source_cid,
            now=now,
        )
        return encode_quic_retry(
            version=header.version or 0,
            source_cid=source_cid,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=token,
        )
