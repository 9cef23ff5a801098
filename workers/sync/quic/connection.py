"""One QUIC connection: frames in and out of its two streams, authentication first.

aioquic keeps whatever it is given until it is acknowledged, so it is given no more than a window for each stream;
the rest waits here, bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from aioquic.quic import events
from aioquic.quic.connection import QuicConnection
from aioquic.tls import AlertDescription

from peatnode.codec.frames import frame
from peatnode.protocol.connect.dial_plan import Dial
from peatnode.protocol.connect.handshake import ALPN, Authentication, Credentials, Member
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.errors import CloseCode, NotAuthenticated, PeerFault
from peatnode.protocol.wire.frames import MAX_FRAME_BYTES, UNAUTHENTICATED_LIMIT, PeerFrames
from peatnode.protocol.wire.messages import Message, Stream, Unanswered
from workers.sync.quic.certificates import encoded, key_in
from workers.sync.quic.paths import SocketAddress

STREAM_IDS = {Stream.LIVE: 0, Stream.BULK: 4}
"""Bidirectional, both opened by the dialling side."""

STREAM_WINDOW = 1024 * 1024
"""Bytes of one stream that aioquic holds, sent or not."""

MAX_QUEUED_BYTES = 96 * 1024 * 1024
"""Of a peer that does not take what it is sent; beyond it is let go."""


class PeerConnection:
    """`peer` numbers the connection. Its methods raise PeerFault when the other side is at fault."""

    def __init__(
        self,
        peer: int,
        quic: QuicConnection,
        credentials: Credentials,
        own_certificate: tuple[bytes, bytes],
        *,
        address: SocketAddress,
        dial: Dial | None,
        nonce: bytes,
        now: float,
    ) -> None:
        """`dial` is None for a connection that the other side opened."""
        self.peer = peer
        self.quic = quic
        self.address = address
        self.dial = dial
        self.member: Member | None = None
        self.opened_at = self.last_seen = now
        self.bytes_received = 0
        self.bytes_sent = 0
        self.close_code = 0
        """Of the CONNECTION_CLOSE, whoever sent it."""
        self.close_reason = ""
        self.is_closing = False
        self._credentials = credentials
        self._own_certificate = own_certificate
        self._nonce = nonce
        self._authentication: Authentication | None = None
        self._unauthenticated_bytes = 0
        self._readers = {id_: PeerFrames(UNAUTHENTICATED_LIMIT) for id_ in STREAM_IDS.values()}
        self._queues: dict[int, deque[bytes]] = {id_: deque() for id_ in STREAM_IDS.values()}
        self._queued_bytes = 0
        self._writable = set(STREAM_IDS.values()) if dial else set()
        """Streams that exist: the dialling side opens both."""

    @property
    def is_dialled(self) -> bool:
        """By us."""
        return self.dial is not None

    @property
    def rtt(self) -> float:
        """Seconds, smoothed; negative: not measured yet."""
        loss = self.quic._loss  # the library shows it nowhere else
        return float(loss._rtt_smoothed) if loss._rtt_initialized else -1.0

    def receive_event(self, event: events.QuicEvent) -> Iterator[Message]:
        """The messages that an event completes; the one that authenticates gives none but sets `member`."""
        if isinstance(event, events.HandshakeCompleted):
            self._begin(event.alpn_protocol)
        elif isinstance(event, events.StreamDataReceived):
            yield from self._receive(event.stream_id, event.data)

    def _begin(self, alpn: str | None) -> None:
        if alpn != ALPN:
            raise NotAuthenticated("unknown ALPN", repr(alpn))
        if self.is_dialled:
            shown = self.quic.tls._peer_certificate  # the library shows it nowhere else
            if shown is None:
                raise NotAuthenticated("no certificate")
            certificate, certificate_key = encoded(shown), key_in(shown)
        else:
            certificate, certificate_key = self._own_certificate
        self._authentication = Authentication(
            self._credentials,
            is_dialling=self.is_dialled,
            certificate=certificate,
            certificate_key=certificate_key,
            nonce=self._nonce,
            attempt=self.dial.number if self.dial else 0,
        )
        for content in self._authentication.begin():
            self._enqueue(STREAM_IDS[Stream.LIVE], content)

    def _receive(self, stream_id: int, data: bytes) -> Iterator[Message]:
        reader = self._readers.get(stream_id)
        if reader is None:
            raise PeerFault("unknown stream")
        self._writable.add(stream_id)
        if self.member is None:
            self._unauthenticated_bytes += len(data)
            if self._unauthenticated_bytes > UNAUTHENTICATED_LIMIT:
                raise NotAuthenticated("too much before authentication")
        reader.keep(data)
        if self.member is None and stream_id != STREAM_IDS[Stream.LIVE]:
            return
        yield from self._messages(stream_id)
        if self.member is not None and stream_id == STREAM_IDS[Stream.LIVE]:
            yield from self._messages(STREAM_IDS[Stream.BULK])

    def _messages(self, stream_id: int) -> Iterator[Message]:
        for content in self._readers[stream_id].contents():
            if self.member is None:
                self._authenticate(content)
            elif (message := wire.decode(content)) is not None:
                yield message

    def _authenticate(self, content: bytes) -> None:
        if self._authentication is None:
            raise NotAuthenticated("data before the handshake")
        for answer in self._authentication.receive(content):
            self._enqueue(STREAM_IDS[Stream.LIVE], answer)
        if self._authentication.member is not None:
            self.member = self._authentication.member
            self._authentication = None
            for reader in self._readers.values():
                reader.limit = MAX_FRAME_BYTES
            if self.is_dialled:  # the other side cannot write before there is a stream
                self._enqueue(STREAM_IDS[Stream.BULK], wire.encode(Unanswered(0)))

    # --- sending -----------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Raises PeerFault when too much waits for this peer already."""
        self._enqueue(STREAM_IDS[message.STREAM], wire.encode(message))

    def _enqueue(self, stream_id: int, content: bytes) -> None:
        self._queues[stream_id].append(frame(content))
        self._queued_bytes += 4 + len(content)
        if self._queued_bytes > MAX_QUEUED_BYTES:
            raise TooSlow("too slow", f"{self._queued_bytes} bytes wait for it")

    @property
    def queued_bytes(self) -> int:
        return self._queued_bytes

    def fill_streams(self) -> None:
        """Give aioquic what its window has room for."""
        if not self._queued_bytes:
            return
        for stream_id, queue in self._queues.items():
            if stream_id not in self._writable:
                continue
            room = STREAM_WINDOW - self._held(stream_id)
            while queue and room > 0:
                content = queue.popleft()
                room -= len(content)
                self._queued_bytes -= len(content)
                self.quic.send_stream_data(stream_id, content)

    def _held(self, stream_id: int) -> int:
        stream = self.quic._streams.get(stream_id)  # the library has no back-pressure
        return len(stream.sender._buffer) if stream is not None else 0

    def close(self, code: int, reason: str) -> None:
        self.is_closing = True
        self.close_code, self.close_reason = code, reason
        self.quic.close(error_code=code, reason_phrase=reason[:200])


class TooSlow(PeerFault):
    """It does not read what it is sent."""

    code = CloseCode.TOO_SLOW


def is_handshake_failure(code: int) -> bool:
    """Whether a close came from TLS (CRYPTO_ERROR), e.g. for want of a common ALPN."""
    return 0x100 <= code < 0x200


def alert_name(code: int) -> str:
    try:
        return AlertDescription(code - 0x100).name
    except ValueError:
        return f"TLS alert {code - 0x100}"
