"""A member that obeys no rule: it holds the secret, and says over real QUIC whatever a test wants."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from cryptography.hazmat.primitives.serialization import Encoding

from peatnode.codec.frames import frame
from peatnode.identity import (
    endpoint_private_key,
    endpoint_public_key,
    formation_key,
    instance_private_key,
)
from peatnode.model.peer_limits import MAX_FRAME_BYTES
from peatnode.protocol.connect.handshake import Authentication, Credentials
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.frames import PeerFrames
from peatnode.protocol.wire.messages import ALPN
from tests.support.sync_mesh import Worker, secret_of

SECRET = secret_of("secret")

LIVE_STREAM, BULK_STREAM = 0, 4
"""The first two that a QUIC client opens."""


class Stranger(QuicConnectionProtocol):
    """A QUIC client that keeps what it gets."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.received: dict[int, bytes] = {}
        self.closed: events.ConnectionTerminated | None = None

    def quic_event_received(self, event: events.QuicEvent) -> None:
        if isinstance(event, events.StreamDataReceived):
            self.received[event.stream_id] = self.received.get(event.stream_id, b"") + event.data
        elif isinstance(event, events.ConnectionTerminated):
            self.closed = event

    def say(self, data: bytes, stream_id: int = 0) -> None:
        self._quic.send_stream_data(stream_id, data)
        self.transmit()

    @property
    def certificate(self) -> Any:
        return self._quic.tls._peer_certificate

    async def wait_frame(self) -> bytes:
        reader = PeerFrames(4096)
        seen = 0
        while True:
            data = self.received.get(0, b"")
            reader.keep(data[seen:])
            seen = len(data)
            content = next(reader.contents(), None)
            if content is not None:
                self.received[0] = self.received[0][4 + len(content) :]
                return content
            assert self.closed is None, self.closed
            await asyncio.sleep(0.005)


@asynccontextmanager
async def stranger(worker: Worker, alpn: str = ALPN) -> AsyncIterator[Stranger]:
    configuration = QuicConfiguration(
        alpn_protocols=[alpn], verify_mode=ssl.CERT_NONE, server_name="peatnode"
    )
    async with connect(
        "127.0.0.1", worker.port, configuration=configuration, create_protocol=Stranger
    ) as client:
        assert isinstance(client, Stranger)
        yield client


def credentials(node_id: str, secret: bytes = SECRET) -> Credentials:
    return Credentials(
        node_id,
        instance_private_key(os.urandom(32)),
        1,
        "stranger",
        formation_key(secret),
        endpoint_private_key(secret, node_id).sign,
        lambda other: endpoint_public_key(secret, other),
    )


def authentication(client: Stranger, who: Credentials) -> Authentication:
    return Authentication(
        who,
        is_dialling=True,
        alpn=ALPN,
        certificate=client.certificate.public_bytes(Encoding.DER),
        certificate_key=client.certificate.public_key().public_bytes_raw(),
        nonce=os.urandom(32),
        attempt=1,
    )


async def authenticate(client: Stranger, who: Credentials) -> None:
    machine = authentication(client, who)
    for content in machine.begin():
        client.say(frame(content))
    while machine.member is None:
        for content in machine.receive(await client.wait_frame()):
            client.say(frame(content))


class Insider:
    """An authenticated connection: sends any message, and keeps those of the other side in order."""

    def __init__(self, client: Stranger) -> None:
        self.client = client
        self._readers: dict[int, PeerFrames] = {}

    def send(self, message: wire.Message) -> None:
        stream_id = LIVE_STREAM if message.STREAM is wire.Stream.LIVE else BULK_STREAM
        self.client.say(frame(wire.encode(message)), stream_id)

    async def wait(
        self, is_wanted: Callable[[wire.Message], bool], seconds: float = 60.0
    ) -> wire.Message:
        """The first message that is wanted. Those before it are dropped."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            for message in self.take():
                if is_wanted(message):
                    return message
            assert self.client.closed is None, self.client.closed
            assert asyncio.get_running_loop().time() < end, "no such message"
            await asyncio.sleep(0.002)

    def take(self) -> list[wire.Message]:
        """What has arrived since the last call."""
        found = []
        for stream_id in list(self.client.received):
            reader = self._readers.setdefault(stream_id, PeerFrames(MAX_FRAME_BYTES))
            data, self.client.received[stream_id] = self.client.received[stream_id], b""
            for content in reader.receive_data(data):
                message = wire.decode(content)
                if message is not None:
                    found.append(message)
        return found


async def insider(client: Stranger, node_id: str = "insider") -> Insider:
    """Authenticates the connection as a member of this name, and opens its second stream."""
    await authenticate(client, credentials(node_id))
    member = Insider(client)
    # Of its two streams only one has been used yet: the other side answers on what who dials has opened.
    client.say(frame(wire.encode(wire.Unanswered(0))), BULK_STREAM)
    return member
