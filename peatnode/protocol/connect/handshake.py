"""Mutual proof of membership, before any other message is read. docs/protocol.md gives the reasons.

dialling            accepting
PeerHello --------------->
         <--------------- PeerHello
(the certificate's key is the one that this node id derives)
Proof ------------------->
         <--------------- Proof
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.errors import IsOurselves, NotAuthenticated
from peatnode.protocol.wire.messages import PeerHello, Proof

SECONDS_TO_AUTHENTICATE = 10.0
NONCE_BYTES = 32
INSTANCE_BYTES = 16
MAX_NODE_ID = 253
_DOMAIN = b"peatnode proof 1"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys with which this node proves itself and checks others."""

    node_id: str
    instance: bytes
    started: int
    software: str
    formation_key: bytes
    sign: Callable[[bytes], bytes]
    """Signs with our endpoint key (Ed25519)."""
    endpoint_key_of: Callable[[str], bytes]
    """The endpoint public key (32 bytes) that the formation's secret derives for a node id."""


@dataclass(frozen=True, slots=True)
class Member:
    """The authenticated other end of a connection."""

    node_id: str
    instance: bytes
    started: int
    attempt: int
    """Of the dialling side."""
    software: str
    endpoint_key: bytes
    dialled_by: bytes
    """Instance."""


class Authentication:
    """One side of a connection. `begin` and `receive` return the frames to send; `member` is set at the end."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        is_dialling: bool,
        alpn: str,
        certificate: bytes,
        certificate_key: bytes,
        nonce: bytes,
        attempt: int,
    ) -> None:
        """`alpn` was negotiated; `certificate` (DER) is the accepting side's, `certificate_key` the raw key in it."""
        self.member: Member | None = None
        self._credentials = credentials
        self._is_dialling = is_dialling
        self._alpn = alpn
        self._channel = sha256(certificate).digest()
        self._certificate_key = certificate_key
        self._hello = wire.encode(
            PeerHello(
                wire.VERSION,
                credentials.node_id,
                credentials.instance,
                nonce,
                credentials.started,
                attempt,
                credentials.software,
            )
        )
        self._attempt = attempt
        self._their_hello: PeerHello | None = None
        self._transcript = b""

    def begin(self) -> list[bytes]:
        """The frames to send as soon as the TLS handshake is complete."""
        return [self._hello] if self._is_dialling else []

    def receive(self, content: bytes) -> list[bytes]:
        """Handles a frame and returns the frames to send. After PeerFault nothing may be sent."""
        message = wire.decode(content)
        if isinstance(message, PeerHello) and self._their_hello is None:
            return self._receive_hello(message, content)
        if isinstance(message, Proof) and self._their_hello is not None and self.member is None:
            return self._receive_proof(message, self._their_hello)
        raise NotAuthenticated("unexpected before authentication", type(message).__name__)

    def _receive_hello(self, hello: PeerHello, content: bytes) -> list[bytes]:
        if hello.version != wire.VERSION:
            raise NotAuthenticated("other version", f"it speaks {hello.version}, we {wire.VERSION}")
        if hello.instance == self._credentials.instance:
            raise IsOurselves("ourselves")
        is_sound = len(hello.instance) == INSTANCE_BYTES and len(hello.nonce) == NONCE_BYTES
        if not is_sound or not 0 < len(hello.node_id) <= MAX_NODE_ID:
            raise NotAuthenticated("malformed hello")
        self._their_hello = hello
        first, second = (self._hello, content) if self._is_dialling else (content, self._hello)
        self._transcript = _transcript(self._channel, self._alpn, first, second)
        if not self._is_dialling:
            return [self._hello]
        expected = self._credentials.endpoint_key_of(hello.node_id)
        if not hmac.compare_digest(expected, self._certificate_key):
            raise NotAuthenticated(
                "wrong certificate", "not of this formation, or not of this node"
            )
        return [self._proof()]

    def _receive_proof(self, proof: Proof, hello: PeerHello) -> list[bytes]:
        signed = _signed(not self._is_dialling, self._transcript)
        mac = hmac.digest(self._credentials.formation_key, signed, "sha256")
        if not hmac.compare_digest(mac, proof.mac):
            raise NotAuthenticated("wrong secret", "its proof does not fit our formation's secret")
        key = self._credentials.endpoint_key_of(hello.node_id)
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(proof.signature, signed)
        except InvalidSignature:
            raise NotAuthenticated("wrong signature") from None
        self.member = Member(
            hello.node_id,
            hello.instance,
            hello.started,
            self._attempt if self._is_dialling else hello.attempt,
            hello.software,
            key,
            self._credentials.instance if self._is_dialling else hello.instance,
        )
        return [] if self._is_dialling else [self._proof()]

    def _proof(self) -> bytes:
        signed = _signed(self._is_dialling, self._transcript)
        mac = hmac.digest(self._credentials.formation_key, signed, "sha256")
        return wire.encode(Proof(mac, self._credentials.sign(signed)))


def _transcript(channel: bytes, alpn: str, dialling_hello: bytes, accepting_hello: bytes) -> bytes:
    digest = sha256(_DOMAIN)
    for part in (channel, alpn.encode(), dialling_hello, accepting_hello):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()


def _signed(is_dialling: bool, transcript: bytes) -> bytes:
    return _DOMAIN + (b" dialling " if is_dialling else b" accepting ") + transcript
