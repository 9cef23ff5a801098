"""QUIC over the UDP socket: accepts and dials connections, passes them datagrams, and runs their timers."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import socket
import ssl
from collections.abc import Sequence
from typing import Protocol

from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicHeader, pull_quic_header
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peatnode.model.peer_limits import NONCE_BYTES
from peatnode.protocol.connect.dial_plan import Dial
from peatnode.protocol.connect.handshake import (
    SECONDS_TO_AUTHENTICATE,
    Credentials,
)
from peatnode.protocol.wire.errors import CloseCode, PeerFault
from peatnode.protocol.wire.messages import Message
from peatnode.texts import cleaned
from workers.sync.quic.address_check import CID_BYTES, AddressCheck, Checked
from workers.sync.quic.certificates import make_certificate, public_key_of, to_der
from workers.sync.quic.connection import PeerConnection, alert_name, is_handshake_failure
from workers.sync.quic.half_open import HalfOpen, NoRoom, crowded_out, network_of
from workers.sync.quic.paths import (
    LARGEST_DATAGRAM,
    SMALLEST_DATAGRAM,
    SocketAddress,
    datagram_size,
    format_address,
    plain_host,
)
from workers.sync.quic.protocols import DOCUMENTS, PROTOCOLS, ConnectionProtocol, offered
from workers.sync.quic.timer import LoopTimer

IDLE_SECONDS = 10.0
SECONDS_TO_ANSWER = 3.0
"""A dial that receives no answer within this time is abandoned; the next one may use smaller datagrams."""

QUIC_ERROR = -1
"""The close code of a connection that neither node has closed."""

UNPROVED = -2
"""The close code of a connection that somebody has closed who had not proved that he belongs to the formation."""

MAX_CONNECTIONS = 512
"""Of members. Handshakes in progress have places of their own."""

DATAGRAMS_AT_ONCE = 64
"""Datagrams that are read in one turn of the loop."""

# The log and the metrics of the node report faults of peers.
logging.getLogger("quic").setLevel(logging.CRITICAL)

_BUFFER_BYTES = 4 * 1024 * 1024


class ConnectionObserver(Protocol):
    """Receives the events of all connections."""

    def peer_authenticated(self, connection: PeerConnection) -> None: ...
    def message_received(self, connection: PeerConnection, message: Message) -> None: ...
    def connection_closed(self, connection: PeerConnection) -> None: ...
    def input_rejected(self, reason: str) -> None: ...


class QuicEndpoint:
    """All QUIC connections of the node, which share one UDP socket. `owner` receives their events."""

    def __init__(
        self,
        sock: socket.socket,
        key: Ed25519PrivateKey,
        credentials: Credentials,
        owner: ConnectionObserver,
        idle_seconds: float = IDLE_SECONDS,
        protocols: Sequence[ConnectionProtocol] = PROTOCOLS,
    ) -> None:
        self.connections: dict[int, PeerConnection] = {}
        self._socket = sock
        self.family = sock.family
        self._credentials = credentials
        self._owner = owner
        self._protocols = protocols
        self._loop = asyncio.get_running_loop()
        self._by_cid: dict[bytes, PeerConnection] = {}
        self._timers: dict[int, LoopTimer] = {}
        self._dirty: dict[int, PeerConnection] = {}
        self._is_flush_planned = False
        self._last_peer = 0
        self._half_open = HalfOpen()
        certificate = make_certificate(key)
        self._certificate = (to_der(certificate), public_key_of(certificate))
        self._accepting = QuicConfiguration(
            is_client=False,
            alpn_protocols=offered(protocols),
            certificate=certificate,
            private_key=key,
            idle_timeout=idle_seconds,
            connection_id_length=CID_BYTES,
            max_data=4 * 1024 * 1024,
            max_stream_data=2 * 1024 * 1024,
        )
        self._check = AddressCheck(self._accepting.supported_versions)
        self._dialling = dataclasses.replace(
            self._accepting,
            is_client=True,
            certificate=None,
            private_key=None,
            verify_mode=ssl.CERT_NONE,  # there is no CA: the handshake of the protocol checks the key
            server_name="peatnode",
        )
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._readable)

    # --- datagrams ---------------------------------------------------------------------------------

    def _readable(self) -> None:
        for _ in range(DATAGRAMS_AT_ONCE):
            try:
                data, address = self._socket.recvfrom(65536)
            except (BlockingIOError, InterruptedError):
                break
            except (
                OSError
            ):  # an ICMP error about an earlier datagram, whose loss QUIC detects itself
                continue
            self._receive(data, address)
        self._flush()

    def _receive(self, data: bytes, address: SocketAddress) -> None:
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=CID_BYTES)
        except ValueError:
            self._owner.input_rejected("not QUIC")
            return
        connection = self._by_cid.get(header.destination_cid)
        if connection is None:
            connection = self._accept(header, data, address)
        if connection is None:
            return
        connection.bytes_received += len(data)
        try:
            connection.receive_datagram(data, address, self._loop.time())
        except Exception as error:  # input of a peer may end its connection, but nothing else
            self._owner.input_rejected(f"QUIC {type(error).__name__}")
            self._forget(connection, CloseCode.PROTOCOL, f"aioquic failed on its input: {error!r}")
            return
        self._process_events(connection)
        self._mark(connection)

    def _accept(
        self, header: QuicHeader, data: bytes, address: SocketAddress
    ) -> PeerConnection | None:
        try:
            checked = self._check.judge(header, len(data), address, self._loop.time())
        except ValueError:
            self._owner.input_rejected("bad retry token")
            return None
        if not isinstance(checked, Checked):
            if checked is not None:
                self._send(checked, address)
            return None
        network = network_of(plain_host(address))
        if not self._make_room(network):
            return None
        # A datagram of this size has passed the path, so the answers have the same size.
        size = max(SMALLEST_DATAGRAM, min(len(data), LARGEST_DATAGRAM))
        quic = QuicConnection(
            configuration=dataclasses.replace(self._accepting, max_datagram_size=size),
            original_destination_connection_id=checked.original_cid,
            retry_source_connection_id=header.destination_cid,
        )
        connection = self._open(quic, address, None, self._protocols)
        self._half_open.add(connection.peer, network, self._loop.time())
        self._by_cid[header.destination_cid] = connection
        return connection

    def _make_room(self, network: str) -> bool:
        """Whether there is room for one more connection from this network. An older handshake may have to make it."""
        try:
            oldest = self._half_open.find_room(network, self._loop.time())
        except NoRoom:
            self._owner.input_rejected("too many handshakes")
            return False
        if oldest is not None:
            self._owner.input_rejected("slow handshake")
            self.close(self.connections[oldest], CloseCode.TOO_MANY, "others wait")
        return True

    def _send(self, data: bytes, address: SocketAddress) -> None:
        # If the buffer is full, the address unreachable or the datagram too large, QUIC treats it as lost.
        with contextlib.suppress(OSError):
            self._socket.sendto(data, address)

    # --- connections -------------------------------------------------------------------------------

    def dial(
        self, address: SocketAddress, dial: Dial, protocol: ConnectionProtocol = DOCUMENTS
    ) -> PeerConnection:
        """Opens a connection. The owner is notified when it is authenticated or closed."""
        size = SMALLEST_DATAGRAM if dial.use_min_datagram else datagram_size(self.family, address)
        quic = QuicConnection(
            configuration=dataclasses.replace(
                self._dialling, max_datagram_size=size, alpn_protocols=offered((protocol,))
            )
        )
        quic.connect(address, now=self._loop.time())
        connection = self._open(quic, address, dial, (protocol,))
        self._mark(connection)
        self._loop.call_later(SECONDS_TO_ANSWER, self._check_answered, connection)
        return connection

    def _check_answered(self, connection: PeerConnection) -> None:
        # A Retry is small: it says nothing about the datagrams that the path carries.
        if connection.rtt < 0 and connection.peer in self.connections:
            self.close(connection, CloseCode.GOODBYE, "no answer")

    def _open(
        self,
        quic: QuicConnection,
        address: SocketAddress,
        dial: Dial | None,
        protocols: Sequence[ConnectionProtocol],
    ) -> PeerConnection:
        self._last_peer += 1
        connection = PeerConnection(
            self._last_peer,
            quic,
            self._credentials,
            self._certificate,
            address=address,
            dial=dial,
            protocols=protocols,
            nonce=os.urandom(NONCE_BYTES),
            now=self._loop.time(),
            reject=self._owner.input_rejected,
        )
        self.connections[connection.peer] = connection
        self._timers[connection.peer] = LoopTimer(lambda: self._timer_due(connection))
        self._by_cid[quic.host_cid] = connection
        self._loop.call_later(SECONDS_TO_AUTHENTICATE, self._check_authenticated, connection)
        return connection

    def _check_authenticated(self, connection: PeerConnection) -> None:
        if connection.member is None and connection.peer in self.connections:
            self._owner.input_rejected("authentication took too long")
            self.close(connection, CloseCode.NOT_AUTHENTICATED, "authentication took too long")

    def _process_events(self, connection: PeerConnection) -> None:
        while (event := connection.quic.next_event()) is not None:
            match event:
                case events.ConnectionIdIssued(connection_id=cid):
                    self._by_cid[cid] = connection
                case events.ConnectionIdRetired(connection_id=cid):
                    self._by_cid.pop(cid, None)
                case events.ConnectionTerminated():
                    self._terminated(connection, event)
                    return
                case _ if not connection.is_closing:
                    self._receive_event(connection, event)

    def _receive_event(self, connection: PeerConnection, event: events.QuicEvent) -> None:
        was_member = connection.member is not None
        try:
            for message in connection.receive_event(event):
                if not was_member:
                    was_member = True
                    self._authenticated(connection)
                if connection.is_closing:
                    return
                self._owner.message_received(connection, message)
            if not was_member and connection.member is not None:
                self._authenticated(connection)
        except PeerFault as fault:
            self._owner.input_rejected(fault.reason)
            self.close(connection, fault.code, str(fault))

    def _authenticated(self, connection: PeerConnection) -> None:
        self._half_open.remove(connection.peer)
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_place()
        if not connection.is_closing:
            self._owner.peer_authenticated(connection)

    def _make_place(self) -> None:
        members = [c for c in self.connections.values() if c.member is not None]
        networks = {c.peer: network_of(plain_host(c.address)) for c in members}
        newest = crowded_out(networks, MAX_CONNECTIONS)
        if newest is not None:
            self._owner.input_rejected("too many connections")
            self.close(self.connections[newest], CloseCode.TOO_MANY, "too many connections")

    def _terminated(self, connection: PeerConnection, event: events.ConnectionTerminated) -> None:
        if connection.is_closing:
            self._forget(connection, connection.close_code, connection.close_reason)
        elif is_handshake_failure(event.error_code):
            reason = f"TLS handshake failed: {alert_name(event.error_code)}"
            self._forget(connection, CloseCode.NOT_AUTHENTICATED, reason)
        else:
            said = connection.refusal or cleaned(event.reason_phrase)
            reason = str(said or f"closed with code {event.error_code}")
            code = _believed_code(connection, event)
            connection.has_left = code == CloseCode.LEFT
            self._forget(connection, code, reason)

    def close(self, connection: PeerConnection, code: int, reason: str) -> None:
        """Closes a connection with CONNECTION_CLOSE. The owner is notified before this returns."""
        if connection.peer not in self.connections:
            return
        connection.close(code, reason)
        self._transmit(connection)
        self._forget(connection, code, reason)

    def _forget(self, connection: PeerConnection, code: int, reason: str) -> None:
        if self.connections.pop(connection.peer, None) is None:
            return
        self._half_open.remove(connection.peer)
        self._dirty.pop(connection.peer, None)
        for cid in [cid for cid, owner in self._by_cid.items() if owner is connection]:
            del self._by_cid[cid]
        self._timers.pop(connection.peer).set(None)
        connection.is_closing = True
        connection.close_code, connection.close_reason = code, reason
        self._owner.connection_closed(connection)

    def close_all(self, code: CloseCode = CloseCode.GOODBYE, reason: str = "stopping") -> None:
        """Closes all connections and stops reading the socket."""
        for connection in list(self.connections.values()):
            self.close(connection, code, reason)
        self._loop.remove_reader(self._socket.fileno())

    # --- sending -----------------------------------------------------------------------------------

    def send(self, peer: int, message: Message) -> None:
        """Queues a message. Does nothing if the connection is closed."""
        connection = self.connections.get(peer)
        if connection is None:
            return
        try:
            connection.send(message)
        except PeerFault as fault:
            self.close(connection, fault.code, str(fault))
            return
        self._mark(connection)

    def _mark(self, connection: PeerConnection) -> None:
        if connection.peer in self.connections:
            self._dirty[connection.peer] = connection
            if not self._is_flush_planned:
                self._is_flush_planned = True
                self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Sends what was queued during one turn of the loop in as few datagrams as possible."""
        self._is_flush_planned = False
        dirty, self._dirty = self._dirty, {}
        for connection in dirty.values():
            if connection.peer in self.connections:
                self._transmit(connection)
                self._set_timer(connection)

    def _transmit(self, connection: PeerConnection) -> None:
        connection.fill_streams()
        for data, address in connection.quic.datagrams_to_send(self._loop.time()):
            connection.bytes_sent += len(data)
            self._send(data, address)

    def _set_timer(self, connection: PeerConnection) -> None:
        self._timers[connection.peer].set(connection.quic.get_timer())

    def _timer_due(self, connection: PeerConnection) -> None:
        if connection.peer not in self.connections:
            return
        connection.quic.handle_timer(self._loop.time())
        self._process_events(connection)
        self._mark(connection)

    def address_of(self, connection: PeerConnection) -> str:
        return format_address(connection.quic.get_peer_address() or connection.address)


def _believed_code(connection: PeerConnection, event: events.ConnectionTerminated) -> int:
    """The code with which the peer has closed the connection, if the peer is one to believe."""
    if (
        event.frame_type is not None
    ):  # an error of QUIC, such as its timeout: its numbers are others
        return QUIC_ERROR
    if connection.member is None:  # anybody can say anything
        return CloseCode.NOT_AUTHENTICATED if connection.refusal else UNPROVED
    return event.error_code
