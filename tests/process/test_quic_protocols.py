"""Two endpoints on loopback: each connection has the streams of the protocol that TLS negotiated."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from peatnode.identity import (
    endpoint_private_key,
    endpoint_public_key,
    formation_key,
    instance_private_key,
)
from peatnode.protocol.connect.dial_plan import Dial
from peatnode.protocol.connect.handshake import Credentials
from peatnode.protocol.wire.errors import CloseCode
from peatnode.protocol.wire.messages import Message, Root, Stream, Tree, Unanswered
from workers.sync.quic.connection import PeerConnection
from workers.sync.quic.endpoint import UNPROVED, QuicEndpoint
from workers.sync.quic.protocols import DOCUMENTS, PROTOCOLS, ConnectionProtocol

SECRET = bytes(range(32))

OTHER = ConnectionProtocol(
    "cap/other/1", streams={Stream.BULK: 8}, openings={Stream.BULK: Unanswered(0)}
)
"""One stream, at another place than those of documents."""


class Side:
    """An endpoint, and what its owner receives."""

    def __init__(self, name: str, protocols: tuple[ConnectionProtocol, ...]) -> None:
        self.members: list[PeerConnection] = []
        self.messages: list[Message] = []
        self.closed: list[PeerConnection] = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        key = endpoint_private_key(SECRET, name)
        credentials = Credentials(
            name,
            instance_private_key(os.urandom(32)),
            1,
            "test",
            formation_key(SECRET),
            key.sign,
            lambda other: endpoint_public_key(SECRET, other),
        )
        self.endpoint = QuicEndpoint(self.sock, key, credentials, self, protocols=protocols)

    def peer_authenticated(self, connection: PeerConnection) -> None:
        self.members.append(connection)

    def message_received(self, connection: PeerConnection, message: Message) -> None:
        self.messages.append(message)

    def connection_closed(self, connection: PeerConnection) -> None:
        self.closed.append(connection)

    def input_rejected(self, reason: str) -> None: ...


@asynccontextmanager
async def two_sides(
    dialling: tuple[ConnectionProtocol, ...], accepting: tuple[ConnectionProtocol, ...]
) -> AsyncIterator[tuple[Side, Side]]:
    sides = Side("node-a", dialling), Side("node-b", accepting)
    try:
        yield sides
    finally:
        for side in sides:
            side.endpoint.close_all()
            side.sock.close()


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(10.0):
        while not is_so():
            await asyncio.sleep(0.005)


def dial(a: Side, b: Side, protocol: ConnectionProtocol) -> PeerConnection:
    address = b.sock.getsockname()
    return a.endpoint.dial(address, Dial("key", address, 1, False), protocol)


async def test_documents_have_their_two_streams() -> None:
    async with two_sides(PROTOCOLS, PROTOCOLS) as (a, b):
        dialled = dial(a, b, DOCUMENTS)
        await until(lambda: a.members and b.members)
        assert dialled.protocol is b.members[0].protocol is DOCUMENTS
        a.endpoint.send(dialled.peer, Root(bytes(16), False))
        await until(lambda: Root(bytes(16), False) in b.messages)
        b.endpoint.send(b.members[0].peer, Tree(1, bytes(16)))
        await until(lambda: Tree(1, bytes(16)) in a.messages)
        assert set(dialled.quic._streams) == {0, 4}


async def test_another_protocol_brings_its_own_streams() -> None:
    async with two_sides((OTHER,), (*PROTOCOLS, OTHER)) as (a, b):
        dialled = dial(a, b, OTHER)
        await until(lambda: a.members and b.members)
        assert dialled.protocol is b.members[0].protocol is OTHER
        b.endpoint.send(b.members[0].peer, Tree(1, bytes(16)))
        await until(lambda: Tree(1, bytes(16)) in a.messages)
        assert 0 not in dialled.quic._streams
        assert 8 in dialled.quic._streams


async def test_a_protocol_that_the_other_side_does_not_have_is_refused() -> None:
    async with two_sides((OTHER,), PROTOCOLS) as (a, b):
        dialled = dial(a, b, OTHER)
        await until(lambda: a.closed)
        assert a.closed == [dialled]
        assert "TLS handshake failed" in dialled.close_reason
        assert not a.members
        assert not b.members


EARLIER = replace(DOCUMENTS, alpn="cap/yjs/1", earlier={})
"""What a node of 0.1 offers."""


@pytest.mark.parametrize("is_earlier_dialling", [True, False])
async def test_a_node_of_an_earlier_version_is_refused_with_a_reason_for_both_sides(
    is_earlier_dialling: bool,
) -> None:
    protocols = ((EARLIER,), PROTOCOLS) if is_earlier_dialling else (PROTOCOLS, (EARLIER,))
    async with two_sides(*protocols) as (a, b):
        dial(a, b, EARLIER if is_earlier_dialling else DOCUMENTS)
        await until(lambda: a.closed and b.closed)
        for side in (a, b):
            reason = side.closed[0].close_reason
            assert (
                "one node speaks version 1 of the wire, the other one 2: update the one with 1"
                in reason
            )
        codes = {side.closed[0].close_code for side in (a, b)}
        assert codes == {
            CloseCode.NOT_AUTHENTICATED,
            UNPROVED,
        }  # what the other side says is only shown
        assert not a.members
        assert not b.members
