"""The mutual proof of membership, before any other message is read. docs/protocol.md explains its design.

dialling            accepting
PeerHello --------------->
         <--------------- PeerHello
(the dialling side compares the key in the certificate with the key of this node id)
Proof ------------------->
         <--------------- Proof
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from peatnode.identity import instance_of
from peatnode.model.peer_limits import INSTANCE_BYTES, NONCE_BYTES
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.errors import NotAuthenticated, SelfConnection
from peatnode.protocol.wire.messages import PeerHello, Proof
from peatnode.texts import cleaned, is_name

SECONDS_TO_AUTHENTICATE = 10.0
_DOMAIN = b"peatnode proof 2"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The identity of this node, the keys with which it proves it, and the means to check others."""

    node_id: str
    instance_key: Ed25519PrivateKey = field(repr=False)
    started: int
    software: str
    formation_key: bytes = field(repr=False)
    sign: Callable[[bytes], bytes]
    """Signs with the endpoint key of this node (Ed25519)."""
    endpoint_key_of: Callable[[str], bytes]
    """Returns the endpoint public key (32 bytes) of a node id in this formation."""

    @property
    def instance_public_key(self) -> bytes:
        return self.instance_key.public_key().public_bytes_raw()

    @property
    def instance(self) -> bytes:
        return instance_of(self.instance_public_key)


@dataclass(frozen=True, slots=True)
class Member:
    """The authenticated other end of a connection."""

    node_id: str
    instance: bytes
    started: int
    attempt: int
    """Number of the dial, counted by the dialling side."""
    software: str
    endpoint_key: bytes
    dialled_by: bytes
    """Instance of the dialling side."""


class Authentication:
    """One side of the handshake. `begin` and `receive` return frames to send;
    `member` is set when it succeeds."""

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
        """`alpn` is the negotiated protocol. `certificate` (DER) and its raw public key are those
        of the accepting side."""
        self.member: Member | None = None
        self._credentials = credentials
        self._instance = credentials.instance
        self._is_dialling = is_dialling
        self._alpn = alpn
        self._channel = sha256(certificate).digest()
        self._certificate_key = certificate_key
        self._hello = wire.encode(
            PeerHello(
                wire.VERSION,
                credentials.node_id,
                self._instance,
                nonce,
                attempt,
            )
        )
        self._attempt = attempt
        self._peer_hello: PeerHello | None = None
        self._transcript = b""

    def begin(self) -> list[bytes]:
        """Returns the frames to send as soon as the TLS handshake is complete."""
        return [self._hello] if self._is_dialling else []

    def receive(self, content: bytes) -> list[bytes]:
        """Handles a frame and returns the frames to send.
        Raises PeerFault, after which nothing may be sent."""
        message = wire.decode(content)
        if isinstance(message, PeerHello) and self._peer_hello is None:
            return self._receive_hello(message, content)
        if isinstance(message, Proof) and self._peer_hello is not None and self.member is None:
            return self._receive_proof(message, self._peer_hello)
        raise NotAuthenticated("unexpected before authentication", type(message).__name__)

    def _receive_hello(self, hello: PeerHello, content: bytes) -> list[bytes]:
        if hello.version != wire.VERSION:
            raise other_version(hello.version)
        is_valid = len(hello.instance) == INSTANCE_BYTES and len(hello.nonce) == NONCE_BYTES
        if not is_valid or not is_name(hello.node_id):
            raise NotAuthenticated("malformed hello")
        self._peer_hello = hello
        first, second = (self._hello, content) if self._is_dialling else (content, self._hello)
        self._transcript = _transcript(self._channel, self._alpn, first, second)
        if not self._is_dialling:
            return [self._hello]
        if hello.instance == self._instance and self._is_own_certificate():
            raise SelfConnection("ourselves")
        expected = self._credentials.endpoint_key_of(hello.node_id)
        if not hmac.compare_digest(expected, self._certificate_key):
            raise NotAuthenticated(
                "wrong certificate", "its key is not the one of its node id in this formation"
            )
        return [self._proof()]

    def _is_own_certificate(self) -> bool:
        """Whether this node, or who holds the secret and imitates it, answered. Strangers can say its instance, too."""
        own = self._credentials.endpoint_key_of(self._credentials.node_id)
        return hmac.compare_digest(own, self._certificate_key)

    def _receive_proof(self, proof: Proof, hello: PeerHello) -> list[bytes]:
        signed = _signed(not self._is_dialling, self._transcript, proof.started, proof.software)
        mac = hmac.digest(self._credentials.formation_key, signed, "sha256")
        if not hmac.compare_digest(mac, proof.mac):
            raise NotAuthenticated(
                "wrong secret", "its proof was made with another formation secret"
            )
        key = self._credentials.endpoint_key_of(hello.node_id)
        if not _is_signed(key, proof.signature, signed):
            raise NotAuthenticated("wrong signature")
        is_own_instance = instance_of(proof.instance_key) == hello.instance
        if not is_own_instance or not _is_signed(
            proof.instance_key, proof.instance_signature, signed
        ):
            raise NotAuthenticated(
                "wrong instance", f"{hello.node_id} shows an instance that is not its own"
            )
        self.member = Member(
            hello.node_id,
            hello.instance,
            proof.started,
            self._attempt if self._is_dialling else hello.attempt,
            cleaned(proof.software),
            key,
            self._instance if self._is_dialling else hello.instance,
        )
        return [] if self._is_dialling else [self._proof()]

    def _proof(self) -> bytes:
        own = self._credentials
        signed = _signed(self._is_dialling, self._transcript, own.started, own.software)
        mac = hmac.digest(own.formation_key, signed, "sha256")
        by_instance = own.instance_key.sign(signed)
        proof = Proof(
            mac, own.sign(signed), own.instance_public_key, by_instance, own.started, own.software
        )
        return wire.encode(proof)


def other_version(theirs: int) -> NotAuthenticated:
    """The refusal of a peer that speaks another version. Both sides show its text."""
    low, high = sorted((theirs, wire.VERSION))
    return NotAuthenticated(
        "other version",
        f"one node speaks version {low} of the wire, the other one {high}: update the one with {low}",
    )


def _is_signed(public_key: bytes, signature: bytes, content: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
    except (InvalidSignature, ValueError):  # a key of another length
        return False
    return True


def _transcript(channel: bytes, alpn: str, dialling_hello: bytes, accepting_hello: bytes) -> bytes:
    digest = sha256(_DOMAIN)
    for part in (channel, alpn.encode(), dialling_hello, accepting_hello):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()


def _signed(is_dialling: bool, transcript: bytes, started: int, software: str) -> bytes:
    role = b" dialling " if is_dialling else b" accepting "
    return _DOMAIN + role + transcript + started.to_bytes(8, "big") + software.encode()
