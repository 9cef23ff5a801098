"""A service account as a pod has it, with the authority's certificate; and the server's side of the TLS."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.kubernetes_api.server import TOKEN


@dataclass
class Account:
    """A source of credentials for the client alone; plain TCP where there is no context."""

    port: int
    token: str = TOKEN
    context: ssl.SSLContext | None = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def authorization(self) -> str:
        return f"bearer {self.token}"

    def tls(self) -> ssl.SSLContext:
        return self.context  # type: ignore[return-value]


def make_account(directory: Path, port: int) -> dict[str, str]:
    """Writes the files (a certificate has to be there already) and gives the variables that a pod would have."""
    (directory / "token").write_text(TOKEN + "\n")
    (directory / "namespace").write_text("mesh")
    return {
        "PEAT_SERVICE_ACCOUNT_DIR": str(directory),
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(port),
    }


def make_server_tls(directory: Path) -> ssl.SSLContext:
    """A server's context for 127.0.0.1; the authority that signed it goes to `ca.crt` in the directory."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    authority = (
        _builder("kubernetes", authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    server = (
        _builder("kube-apiserver", authority_name, server_key)
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (directory / "ca.crt").write_bytes(authority.public_bytes(pem))
    key = server_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "server.pem").write_bytes(key + server.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    return context


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
