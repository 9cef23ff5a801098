"""Who answers at an address without belonging to the formation, or under another's name, takes no peer away."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest
from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peatnode import __version__
from peatnode.codec.frames import frame
from peatnode.ipc import messages
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.errors import CloseCode
from peatnode.protocol.wire.frames import PeerFrames
from tests.support.insider import authenticate, authentication, credentials, stranger
from tests.support.sync_mesh import Worker, bind_udp, introduce
from tests.support.waiting import until
from workers.sync.quic.certificates import make_certificate


class Answerer(QuicConnectionProtocol):
    """A QUIC server with any certificate, which answers as a test wants."""

    answer: Callable[[Answerer, wire.PeerHello], None]
    seen: list[bytes]
    """The content of each frame with a hello."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reader = PeerFrames(4096)

    def quic_event_received(self, event: events.QuicEvent) -> None:
        if isinstance(event, events.StreamDataReceived):
            for content in self._reader.receive_data(event.data):
                hello = wire.decode(content)
                if isinstance(hello, wire.PeerHello):
                    self.seen.append(content)
                    type(self).answer(self, hello)

    def say(self, message: wire.Message) -> None:
        self._quic.send_stream_data(0, frame(wire.encode(message)))
        self.transmit()


def close_as_itself(stranger: Answerer, hello: wire.PeerHello) -> None:
    stranger._quic.close(CloseCode.SELF_CONNECTION, reason_phrase="ourselves")
    stranger.transmit()


def close_as_left(stranger: Answerer, hello: wire.PeerHello) -> None:
    stranger._quic.close(CloseCode.LEFT, reason_phrase="left\nfor good")
    stranger.transmit()


def echo(stranger: Answerer, hello: wire.PeerHello) -> None:
    stranger.say(hello)


def echo_the_instance(stranger: Answerer, hello: wire.PeerHello) -> None:
    stranger.say(replace(hello, node_id="somebody", nonce=os.urandom(32)))


@asynccontextmanager
async def answering(
    port: int, answer: Callable[[Answerer, wire.PeerHello], None]
) -> AsyncIterator[list[bytes]]:
    """A stranger at this port; what nodes have said to it."""
    key = Ed25519PrivateKey.generate()
    configuration = QuicConfiguration(
        is_client=False,
        alpn_protocols=[wire.ALPN],
        certificate=make_certificate(key),
        private_key=key,
    )
    kind = type("Asked", (Answerer,), {"answer": answer, "seen": []})
    server = await serve(
        "127.0.0.1", port, configuration=configuration, create_protocol=kind, retry=True
    )
    try:
        yield kind.seen  # type: ignore[attr-defined]
    finally:
        server.close()
        await asyncio.sleep(0)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Worker]:
    worker = Worker(tmp_path, "node")
    await worker.open()
    yield worker
    assert worker.is_running, worker.log()
    assert "ERROR" not in worker.log()
    await worker.close()


@pytest.mark.parametrize("answer", [close_as_itself, close_as_left, echo, echo_the_instance])
async def test_a_stranger_at_its_address_once_does_not_make_a_node_forget_a_peer(
    node: Worker, tmp_path: Path, answer: Callable[[Answerer, wire.PeerHello], None]
) -> None:
    udp = bind_udp()
    port = udp.getsockname()[1]
    udp.close()
    async with answering(port, answer) as seen:
        node.discovery.found("static", port)
        await until(lambda: len(seen) > 2)
        (shown,) = await node.peers()
        assert shown.state != messages.PeerStatus.OURSELVES
        assert shown.reason
        assert shown.reason.isprintable()
    true = Worker(tmp_path, "true", udp=bind_udp(port=port))
    await true.open()
    (peer,) = await node.wait_connected(1)
    assert peer.id == "true"
    await true.close()


async def test_a_stranger_reads_neither_version_nor_start(node: Worker) -> None:
    udp = bind_udp()
    port = udp.getsockname()[1]
    udp.close()
    async with answering(port, echo_the_instance) as seen:
        node.discovery.found("static", port)
        await until(lambda: seen)
    tag, *fields = msgpack.unpackb(seen[0])
    instance = bytes.fromhex(node.instance)
    assert (tag, fields[:3], len(fields)) == (tag, [wire.VERSION, "node", instance], 5)
    assert __version__.encode() not in seen[0]


async def rejected(worker: Worker, reason: str) -> float:
    reply = await worker.ask(messages.GetMetrics())
    return sum(each.value for each in reply.metrics if ("reason", reason) in each.labels)


async def test_nobody_takes_the_place_of_a_peer_by_its_instance(
    node: Worker, tmp_path: Path
) -> None:
    """Neither under a name of his own nor under that of the peer, however late he says he was started."""
    peer = Worker(tmp_path, "peer")
    await peer.open()
    introduce(node, peer)
    await node.wait_connected(1)
    for name in ("liar", "peer"):
        async with stranger(node) as client:
            who = replace(credentials(name), started=2**62)
            machine = authentication(client, who)
            machine._instance = bytes.fromhex(peer.instance)
            hello = wire.decode(machine._hello)
            assert isinstance(hello, wire.PeerHello)
            machine._hello = wire.encode(replace(hello, instance=machine._instance))
            client.say(frame(machine.begin()[0]))
            (proof,) = machine.receive(await client.wait_frame())
            client.say(frame(proof))
            await until(lambda: client.closed)
            assert client.closed.error_code == CloseCode.NOT_AUTHENTICATED
            assert "wrong instance" in client.closed.reason_phrase
    assert await rejected(node, "wrong instance") == 2
    node.store.write("notes", "still")
    await until(lambda: ("notes", "still") in peer.store.standin.documents)
    assert "Peer disconnected" not in node.log()
    await peer.close()


async def test_one_instance_under_two_names_is_refused_and_reported(node: Worker) -> None:
    first = credentials("first")
    async with stranger(node) as one, stranger(node) as two:
        await authenticate(one, first)
        await node.wait_connected(1)
        second = credentials("second")
        await authenticate(two, replace(second, instance_key=first.instance_key, started=2**62))
        await until(lambda: two.closed)
        assert two.closed.error_code == CloseCode.NOT_AUTHENTICATED
        assert [peer.id for peer in await node.wait_connected(1)] == ["first"]
    await until(lambda: "Instance refused peer=second holder=first" in node.log())
    assert await rejected(node, "instance of another node") == 1
