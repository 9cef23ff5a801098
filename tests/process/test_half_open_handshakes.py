"""Handshakes that strangers begin and do not end: they hold no place that a member needs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import ssl
from collections.abc import AsyncIterator

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from peatnode.protocol.wire.messages import ALPN
from tests.process.test_quic_protocols import Side, dial, until
from workers.sync.quic.address_check import AddressCheck
from workers.sync.quic.half_open import MAX_OF_ONE_ADDRESS, MAX_UNAUTHENTICATED, SECONDS_TO_STAY
from workers.sync.quic.protocols import DOCUMENTS, PROTOCOLS


class Counting(Side):
    """A node's endpoint, and why it has refused something."""

    def __init__(self, name: str) -> None:
        self.rejected: list[str] = []
        super().__init__(name, PROTOCOLS)

    def input_rejected(self, reason: str) -> None:
        self.rejected.append(reason)

    @property
    def half_open(self) -> int:
        return sum(c.member is None for c in self.endpoint.connections.values())

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.sock.getsockname()
        return str(host), int(port)


@contextlib.asynccontextmanager
async def running(name: str) -> AsyncIterator[Counting]:
    side = Counting(name)
    yield side
    side.endpoint.close_all()
    side.sock.close()


@pytest.fixture
async def node() -> AsyncIterator[Counting]:
    async with running("node") as side:
        yield side


@pytest.fixture
async def member() -> AsyncIterator[Counting]:
    async with running("member") as side:
        yield side


class Idler:
    """A client at an address of its own that opens a connection, proves the address, and says nothing more."""

    def __init__(self, to: tuple[str, int], host: str, *, is_deaf: bool = False) -> None:
        self.loop = asyncio.get_running_loop()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, 0))
        self.sock.setblocking(False)
        self.quic = QuicConnection(
            configuration=QuicConfiguration(
                alpn_protocols=[ALPN], verify_mode=ssl.CERT_NONE, server_name="peatnode"
            )
        )
        self.quic.connect(to, now=self.loop.time())
        self.first = [data for data, _ in self.quic.datagrams_to_send(self.loop.time())]
        self.to = to
        for data in self.first:
            self.sock.sendto(data, to)
        if not is_deaf:
            self.loop.add_reader(self.sock.fileno(), self._readable)

    def _readable(self) -> None:
        data, address = self.sock.recvfrom(65536)
        self.quic.receive_datagram(data, address, self.loop.time())
        for answer, to in self.quic.datagrams_to_send(self.loop.time()):
            self.sock.sendto(answer, to)

    def close(self) -> None:
        self.loop.remove_reader(self.sock.fileno())
        self.sock.close()


async def test_initials_of_forged_senders_leave_nothing_behind_and_keep_nobody_out(
    node: Counting, member: Counting, rng: random.Random
) -> None:
    """57 of them a second held all 128 places of a node, for as long as they came."""
    for n in range(400):
        host = f"127.{rng.randrange(1, 255)}.{rng.randrange(255)}.{rng.randrange(1, 255)}"
        Idler(node.address, host, is_deaf=True).close()
        if n == 200:
            dial(member, node, DOCUMENTS)
        if n % 20 == 0:
            await asyncio.sleep(0)
            assert len(node.endpoint.connections) <= 1
            assert len(node.endpoint._by_cid) <= 10 * len(node.endpoint.connections)
    await until(lambda: member.members and node.members)
    assert node.half_open == 0


async def test_one_address_has_a_few_places_and_its_oldest_makes_room(
    node: Counting, member: Counting
) -> None:
    idlers = [Idler(node.address, "127.0.0.2") for _ in range(MAX_OF_ONE_ADDRESS + 4)]
    await until(lambda: "too many handshakes" in node.rejected)
    assert node.half_open == MAX_OF_ONE_ADDRESS
    oldest = min(node.endpoint.connections)
    dial(member, node, DOCUMENTS)
    await until(lambda: member.members and node.members)
    ends = asyncio.get_running_loop().time() + SECONDS_TO_STAY
    await until(lambda: asyncio.get_running_loop().time() > ends)
    idlers.append(Idler(node.address, "127.0.0.2"))
    await until(lambda: oldest not in node.endpoint.connections)
    assert node.half_open <= MAX_OF_ONE_ADDRESS
    assert "slow handshake" in node.rejected
    for idler in idlers:
        idler.close()


async def test_however_many_addresses_idle_a_member_gets_in(
    node: Counting, member: Counting
) -> None:
    count = MAX_UNAUTHENTICATED // MAX_OF_ONE_ADDRESS + 1
    idlers = [
        Idler(node.address, f"127.0.1.{n + 1}")
        for n in range(count)
        for _ in range(MAX_OF_ONE_ADDRESS)
    ]
    await until(lambda: node.half_open == MAX_UNAUTHENTICATED)
    dial(member, node, DOCUMENTS)
    await until(lambda: member.members and node.members)
    assert node.half_open <= MAX_UNAUTHENTICATED
    for idler in idlers:
        idler.close()


async def test_a_token_counts_for_its_address_and_for_a_while(node: Counting) -> None:
    check = node.endpoint._check
    idler = Idler(node.address, "127.0.0.3")
    await until(lambda: node.half_open)
    token, cid = idler.quic._peer_token, idler.quic._retry_source_connection_id
    host, port = idler.sock.getsockname()
    now = asyncio.get_running_loop().time()
    validate = check._tokens.validate_token
    assert cid is not None
    assert validate(address=(host, port), destination_cid=cid, token=token, now=now)
    for about in (
        {"address": ("127.0.0.4", port)},
        {"address": (host, port + 1)},
        {"destination_cid": os.urandom(8)},
        {"token": token[:-1] + bytes([token[-1] ^ 1])},
        {"now": now + 31.0},
    ):
        known = {"address": (host, port), "destination_cid": cid, "token": token, "now": now}
        with pytest.raises(ValueError, match=r".+"):
            validate(**(known | about))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r".+"):  # that of another process
        AddressCheck([1])._tokens.validate_token(
            address=(host, port), destination_cid=cid, token=token, now=now
        )
    idler.close()


@pytest.mark.parametrize("size", [7, 30, 1199, 1200, 1500])
async def test_no_answer_is_larger_than_what_it_answers(node: Counting, size: int) -> None:
    """Of another version of QUIC, of this one, and of none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.5", 0))
        sock.setblocking(False)
        for first, version in ((0xC0, b"\x1a\x2a\x3a\x4a"), (0xC0, b"\0\0\0\1"), (0x00, b"\0" * 4)):
            head = bytes([first]) + version + b"\x08" + bytes(8) + b"\x14" + bytes(20)
            body = b"\0" + (0x4000 | max(0, size - len(head) - 3)).to_bytes(2, "big")
            sock.sendto((head + body).ljust(size, b"\0")[:size], node.address)
        sock.sendto(bytes(size), node.address)
        last = Idler(node.address, "127.0.0.6")  # the node reads what it is sent in order
        await until(lambda: node.half_open)
        last.close()
        answered = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                answered += len(sock.recv(65536))
    assert (answered > 0) == (size >= 1200)
    assert answered <= size
    assert len(node.endpoint.connections) == 1
