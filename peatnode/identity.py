"""A node's identity: keys derived from the formation secret and the node id,
so that a restart does not change them.

All derivations are HKDF-SHA256 (RFC 5869) with 32 bytes of output; `tests/vectors/identity.json` pins each
of them. Anyone who has the formation secret can derive the keys of every member, except the key of its present start
(its instance), which is random.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FORMATION_SALT = b"peat"
_FORMATION_INFO = b"peat-protocol-v1-formation"
_CONTENT_SALT = b"peatnode"
_CONTENT_INFO = b"peatnode-content-v1"
_ENDPOINT_PREFIX = b"iroh:"
_INSTANCE_PREFIX = b"peatnode instance 1"
_RESPONSE_SUFFIX = b"peat"


SEED_BYTES = 32
INSTANCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Identity:
    """The public keys of a node, and the secret key that the whole formation shares."""

    node_id: str
    device_public_key: bytes
    device_id: str
    """32 hex digits."""
    endpoint_public_key: bytes
    endpoint_id: str
    """64 hex digits: the endpoint public key, which the QUIC certificate contains."""
    formation_key: bytes
    """Secret; proves membership."""

    def __repr__(self) -> str:
        return f"Identity({self.node_id!r}, device_id={self.device_id}, endpoint_id={self.endpoint_id})"


def derive_identity(secret: bytes, node_id: str) -> Identity:
    """The identity of `node_id` in the formation of `secret`."""
    device = _private_key(secret, node_id.encode()).public_key().public_bytes_raw()
    endpoint = endpoint_public_key(secret, node_id)
    return Identity(
        node_id=node_id,
        device_public_key=device,
        device_id=hashlib.sha256(device).digest()[:16].hex(),
        endpoint_public_key=endpoint,
        endpoint_id=endpoint.hex(),
        formation_key=formation_key(secret),
    )


def endpoint_private_key(secret: bytes, node_id: str) -> Ed25519PrivateKey:
    """The key of the node's QUIC certificate."""
    return _private_key(secret, _ENDPOINT_PREFIX + node_id.encode())


def endpoint_public_key(secret: bytes, node_id: str) -> bytes:
    """The key that the certificate of `node_id` must contain: 32 bytes."""
    return endpoint_private_key(secret, node_id).public_key().public_bytes_raw()


def instance_private_key(seed: bytes) -> Ed25519PrivateKey:
    """The key that one start of a node proves itself with. `seed`: 32 random bytes, made at that start."""
    return Ed25519PrivateKey.from_private_bytes(seed)


def instance_of(public_key: bytes) -> bytes:
    """The id of the start with this instance key: 16 bytes. So nobody else can prove it, whatever secret he holds."""
    return hashlib.sha256(_INSTANCE_PREFIX + public_key).digest()[:INSTANCE_BYTES]


def formation_key(secret: bytes) -> bytes:
    """The key that proves membership: 32 bytes. A secret that is not 32 bytes long is hashed first."""
    return _hkdf(_material(secret), _FORMATION_INFO, _FORMATION_SALT)


def content_key(secret: bytes) -> bytes:
    """The key of the sums of documents, of which fingerprints are made: 32 bytes. It is no derivation of peat."""
    return _hkdf(_material(secret), _CONTENT_INFO, _CONTENT_SALT)


def _material(secret: bytes) -> bytes:
    return secret if len(secret) == 32 else hashlib.sha256(secret).digest()


def challenge_response(key: bytes, challenge: bytes) -> bytes:
    """HMAC-SHA256 of the challenge under the formation key."""
    return hmac.new(key, challenge + _RESPONSE_SUFFIX, hashlib.sha256).digest()


def _private_key(secret: bytes, info: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_hkdf(secret, info, None))


def _hkdf(material: bytes, info: bytes, salt: bytes | None) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(material)
