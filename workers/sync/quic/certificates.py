"""Creates the self-signed certificate of the endpoint key, and reads the key in a peer's certificate."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_NOT_BEFORE = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)
"""Peers do not check the validity: the key is pinned, and clocks may be wrong."""


def make_certificate(key: Ed25519PrivateKey) -> x509.Certificate:
    """A self-signed certificate for the endpoint key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peatnode")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
    )
    return builder.sign(key, None)


def to_der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def public_key_of(certificate: x509.Certificate) -> bytes:
    """The raw Ed25519 public key (32 bytes); empty if the key is of another kind, which no node uses."""
    try:
        key = certificate.public_key()
    except ValueError:
        return b""
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else b""
