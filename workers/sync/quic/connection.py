"""One QUIC connection: it authenticates the peer, then sends and receives the messages of its protocol.

aioquic buffers all data of a stream until the peer acknowledges it. Therefore each stream passes at most a
window of data to aioquic; the rest waits here, within a limit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from aioquic.quic import events
from aioquic.quic.connection import QuicConnection
from aioquic.tls import AlertDescription

from peatnode.codec.frames import frame
from peatnode.model.peer_limits import MAX_FRAME_BYTES, UNAUTHENTICATED_LIMIT
from peatnode.protocol.connect.dial_plan import Dial
from peatnode.protocol.connect.handshake import (
    Authentication,
    Credentials,
    Member,
    other_version,
)
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.errors import CloseCode, MessageTooLarge, NotAuthenticated, PeerFault
from peatnode.protocol.wire.frames import PeerFrames
from peatnode.protocol.wire.messages import Message
from workers.sync.quic.certificates import public_key_of, to_der
from workers.sync.quic.paths import SocketAddress
from workers.sync.quic.protocols import ConnectionProtocol, by_alpn

STREAM_WINDOW = 1024 * 1024
"""Bytes of one stream that aioquic may buffer, sent or unsent."""

MAX_QUEUED_BYTES = 96 * 1024 * 1024
"""Bytes that may wait for one peer. A peer that reads too slowly and exceeds it is disconnected."""


class PeerConnection:
    """One connection, numbered by `peer`. Its methods raise PeerFault if the peer violates the protocol."""

    def __init__(
        self,
        peer: int,
        quic: QuicConnection,
        credentials: Credentials,
        own_certificate: tuple[bytes, bytes],
        *,
        address: SocketAddress,
        dial: Dial | None,
        protocols: Iterable[ConnectionProtocol],
        nonce: bytes,
        now: float,
        reject: Callable[[str], None],
    ) -> None:
        """`protocols` are those that TLS may negotiate. `dial` is None if the peer opened the connection. `reject` is
        told why a message is dropped."""
        self.peer = peer
        self.quic = quic
        self.address = address
        self.dial = dial
        self.member: Member | None = None
        self.protocol: ConnectionProtocol | None = None
        """None: TLS has not negotiated it yet."""
        self.opened_at = now
        self.last_seen = now
        """When the last datagram arrived that only the peer can have sent."""
        self.bytes_received = 0
        self.bytes_sent = 0
        self.refusal: NotAuthenticated | None = None
        """Why the peer cannot become a member, known since TLS has negotiated an earlier version."""
        self.close_code = 0
        """Code of the CONNECTION_CLOSE that was sent or received; negative: QUIC itself ended it."""
        self.close_reason = ""
        self.is_closing = False
        self.has_left = False
        """Whether the peer closed it with CloseCode.LEFT."""
        self._credentials = credentials
        self._own_certificate = own_certificate
        self._nonce = nonce
        self._reject = reject
        self._authentication: Authentication | None = None
        self._unauthenticated_bytes = 0
        self._protocols = by_alpn(protocols)
        self._readers: dict[int, PeerFrames] = {}
        self._queues: dict[int, deque[bytes]] = {}
        self._queued_bytes = 0
        self._writable: set[int] = set()
        """Streams that exist already. The dialling side opens all of them."""

    @property
    def is_dialled(self) -> bool:
        """Whether this node dialled."""
        return self.dial is not None

    @property
    def rtt(self) -> float:
        """Seconds, smoothed; negative: not measured yet."""
        loss = self.quic._loss  # the library has no public interface for it
        return float(loss._rtt_smoothed) if loss._rtt_initialized else -1.0

    def receive_datagram(self, data: bytes, address: SocketAddress, now: float) -> None:
        before = self.quic._close_at  # only a packet that was decrypted moves the idle timeout
        self.quic.receive_datagram(data, address, now)
        if self.quic._close_at != before:
            self.last_seen = now

    def receive_event(self, event: events.QuicEvent) -> Iterator[Message]:
        """Yields the messages that an event completes. Frames of the authentication set `member` instead."""
        if isinstance(event, events.HandshakeCompleted):
            self._begin(event.alpn_protocol)
        elif isinstance(event, events.StreamDataReceived):
            yield from self._receive(event.stream_id, event.data)

    def _begin(self, alpn: str | None) -> None:
        protocol = self._protocols.get(alpn or "")
        if protocol is None:
            protocol = self._refused(alpn)
        if protocol is None:
            raise NotAuthenticated("unknown ALPN", repr(alpn))
        self._open_streams(protocol)
        if self.is_dialled:
            peer_certificate = (
                self.quic.tls._peer_certificate
            )  # the library has no public interface for it
            if peer_certificate is None:
                raise NotAuthenticated("no certificate")
            certificate, certificate_key = to_der(peer_certificate), public_key_of(peer_certificate)
        else:
            certificate, certificate_key = self._own_certificate
        self._authentication = Authentication(
            self._credentials,
            is_dialling=self.is_dialled,
            alpn=protocol.alpn,
            certificate=certificate,
            certificate_key=certificate_key,
            nonce=self._nonce,
            attempt=self.dial.number if self.dial else 0,
        )
        for content in self._authentication.begin():
            said = wire.hello_for_earlier(content) if self.refusal else content
            self._enqueue(protocol.first_stream, said)

    def _refused(self, alpn: str | None) -> ConnectionProtocol | None:
        """The protocol of which an earlier version was negotiated.

        The accepting side refuses it at once. The dialling side cannot give a reason yet: it says its version, and the
        peer refuses that.
        """
        for protocol in self._protocols.values():
            if alpn is not None and alpn in protocol.earlier:
                self.refusal = other_version(protocol.earlier[alpn])
                if not self.is_dialled:
                    raise self.refusal
                return protocol
        return None

    def _open_streams(self, protocol: ConnectionProtocol) -> None:
        self.protocol = protocol
        for stream_id in protocol.streams.values():
            self._readers[stream_id] = PeerFrames(UNAUTHENTICATED_LIMIT)
            self._queues[stream_id] = deque()
            if self.is_dialled:
                self._writable.add(stream_id)

    def _receive(self, stream_id: int, data: bytes) -> Iterator[Message]:
        if self.protocol is None:
            raise NotAuthenticated("data before the handshake")
        reader = self._readers.get(stream_id)
        if reader is None:
            raise PeerFault("unknown stream")
        first = self.protocol.first_stream
        self._writable.add(stream_id)
        was_member = self.member is not None
        if not was_member:
            self._unauthenticated_bytes += len(data)
            if self._unauthenticated_bytes > UNAUTHENTICATED_LIMIT:
                raise NotAuthenticated("too much before authentication")
        reader.keep(data)
        if not was_member and stream_id != first:
            return
        yield from self._messages(stream_id)
        if not was_member and self.member is not None:  # frames that arrived early on other streams
            for other in self._readers:
                yield from self._messages(other)

    def _messages(self, stream_id: int) -> Iterator[Message]:
        for content in self._readers[stream_id].contents():
            if self.member is None:
                self._authenticate(content)
            elif (message := self._decode(content)) is not None:
                yield message

    def _decode(self, content: bytes) -> Message | None:
        try:
            return wire.decode(content)
        except MessageTooLarge as fault:
            self._reject(fault.reason)
            return None

    def _authenticate(self, content: bytes) -> None:
        if self.refusal is not None:
            raise self.refusal
        protocol, authentication = self.protocol, self._authentication
        assert protocol is not None
        assert authentication is not None
        for answer in authentication.receive(content):
            self._enqueue(protocol.first_stream, answer)
        if authentication.member is not None:
            self.member = authentication.member
            self._authentication = None
            for reader in self._readers.values():
                reader.limit = MAX_FRAME_BYTES
            if self.is_dialled:
                for stream, message in protocol.openings.items():
                    self._enqueue(protocol.streams[stream], wire.encode(message))

    # --- sending -----------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Raises PeerFault if too much data waits for this peer."""
        assert self.protocol is not None
        self._enqueue(self.protocol.streams[message.STREAM], wire.encode(message))

    def _enqueue(self, stream_id: int, content: bytes) -> None:
        self._queues[stream_id].append(frame(content))
        self._queued_bytes += 4 + len(content)
        if self._queued_bytes > MAX_QUEUED_BYTES:
            raise TooSlow("too slow", f"{self._queued_bytes} bytes wait for the peer")

    @property
    def queued_bytes(self) -> int:
        return self._queued_bytes

    def fill_streams(self) -> None:
        """Passes queued frames to aioquic, up to its window."""
        if not self._queued_bytes:
            return
        for stream_id, queue in self._queues.items():
            if stream_id not in self._writable:
                continue
            room = STREAM_WINDOW - self._buffered_bytes(stream_id)
            while queue and room > 0:
                content = queue.popleft()
                room -= len(content)
                self._queued_bytes -= len(content)
                self.quic.send_stream_data(stream_id, content)

    def _buffered_bytes(self, stream_id: int) -> int:
        stream = self.quic._streams.get(stream_id)  # the library has no back-pressure
        return len(stream.sender._buffer) if stream is not None else 0

    def close(self, code: int, reason: str) -> None:
        self.is_closing = True
        self.close_code, self.close_reason = code, reason
        self.quic.close(error_code=code, reason_phrase=reason[:200])


class TooSlow(PeerFault):
    """The peer does not read fast enough."""

    code = CloseCode.TOO_SLOW


def is_handshake_failure(code: int) -> bool:
    """Whether TLS closed the connection (CRYPTO_ERROR), for example because no ALPN is shared."""
    return 0x100 <= code < 0x200


def alert_name(code: int) -> str:
    """The name of the TLS alert in a CRYPTO_ERROR code."""
    try:
        return AlertDescription(code - 0x100).name
    except ValueError:
        return f"TLS alert {code - 0x100}"
