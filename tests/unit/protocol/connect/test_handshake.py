"""Two authentication machines joined in memory, and those who try without the secret."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peatnode.identity import (
    endpoint_private_key,
    endpoint_public_key,
    formation_key,
    instance_of,
    instance_private_key,
)
from peatnode.protocol.connect.handshake import Authentication, Credentials
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.errors import NotAuthenticated, PeerFault, SelfConnection
from tests.support.released_node import ReleasedNode

SECRET = bytes(range(32))


def credentials(node_id: str, secret: bytes = SECRET, seed: str = "") -> Credentials:
    return Credentials(
        node_id,
        instance_private_key((seed or node_id).encode().ljust(32, b".")),
        1,
        "test",
        formation_key(secret),
        endpoint_private_key(secret, node_id).sign,
        lambda other: endpoint_public_key(secret, other),
    )


def pair(
    a: Credentials,
    b: Credentials,
    *,
    certificates: tuple[bytes, bytes] = (b"cert", b"cert"),
    alpns: tuple[str, str] = (wire.ALPN, wire.ALPN),
) -> tuple[Authentication, Authentication]:
    key = b.endpoint_key_of(b.node_id)
    dialling = Authentication(
        a,
        is_dialling=True,
        alpn=alpns[0],
        certificate=certificates[0],
        certificate_key=key,
        nonce=b"a" * 32,
        attempt=3,
    )
    accepting = Authentication(
        b,
        is_dialling=False,
        alpn=alpns[1],
        certificate=certificates[1],
        certificate_key=key,
        nonce=b"b" * 32,
        attempt=0,
    )
    return dialling, accepting


def converse(dialling: Authentication, accepting: Authentication) -> list[bytes]:
    """Everything that was said, in order."""
    said = []
    to_accepting, to_dialling = dialling.begin(), []
    while to_accepting or to_dialling:
        if to_accepting:
            said.append(to_accepting[0])
            to_dialling += accepting.receive(to_accepting.pop(0))
        else:
            said.append(to_dialling[0])
            to_accepting += dialling.receive(to_dialling.pop(0))
    return said


def test_members_know_each_other_afterwards() -> None:
    a, b = credentials("node-a"), credentials("node-b")
    dialling, accepting = pair(a, b)
    assert len(converse(dialling, accepting)) == 4
    assert dialling.member is not None
    assert accepting.member is not None
    assert (dialling.member.node_id, accepting.member.node_id) == ("node-b", "node-a")
    assert dialling.member.endpoint_key == endpoint_public_key(SECRET, "node-b")
    assert dialling.member.dialled_by == accepting.member.dialled_by == a.instance
    assert dialling.member.attempt == accepting.member.attempt == 3


def test_another_secret_is_seen_by_the_dialling_side_in_the_certificate() -> None:
    a, b = credentials("node-a"), credentials("node-b", secret=bytes(32))
    with pytest.raises(NotAuthenticated, match="wrong certificate"):
        converse(*pair(a, b))


def test_another_secret_is_seen_by_the_accepting_side_in_the_proof() -> None:
    a, b = credentials("node-a", secret=bytes(32)), credentials("node-b")
    dialling, accepting = pair(a, b)
    dialling._certificate_key = endpoint_public_key(
        bytes(32), "node-b"
    )  # as a liar would skip the check
    with pytest.raises(NotAuthenticated, match="wrong secret"):
        converse(dialling, accepting)


def test_a_proof_does_not_fit_another_connection() -> None:
    a, b = credentials("node-a"), credentials("node-b")
    said = converse(*pair(a, b))
    _, accepting = pair(a, b)
    accepting._hello = wire.encode(
        replace(wire.decode(accepting._hello), nonce=b"c" * 32)
    )  # a fresh nonce
    accepting.receive(said[0])
    with pytest.raises(NotAuthenticated):
        accepting.receive(said[2])


def test_a_proof_is_bound_to_the_tls_channel() -> None:
    a, b = credentials("node-a"), credentials("node-b")
    with pytest.raises(NotAuthenticated, match="wrong secret"):
        converse(*pair(a, b, certificates=(b"the relay's", b"cert")))


def test_a_proof_is_bound_to_the_alpn_of_the_session() -> None:
    a, b = credentials("node-a"), credentials("node-b")
    with pytest.raises(NotAuthenticated, match="wrong secret"):
        converse(*pair(a, b, alpns=("cap/yjs/1", "cap/blobs/1")))
    dialling, accepting = pair(a, b, alpns=("cap/blobs/1", "cap/blobs/1"))
    converse(dialling, accepting)
    assert dialling.member is not None
    assert accepting.member is not None


def test_what_is_said_is_pinned() -> None:
    a, b = credentials("node-a"), credentials("node-b")
    said = converse(*pair(a, b))
    assert [content.hex() for content in said] == [
        "960002a66e6f64652d61c410390fc6a03c0b4aa67459ce5d44208b79c42061616161616161616161616161616161"
        "6161616161616161616161616161616103",
        "960002a66e6f64652d62c410c74acdfc659700d0e61394173d31e001c42062626262626262626262626262626262"
        "6262626262626262626262626262626200",
        "9701c420947795cd27dd98e3bd7a697c2fb1a81a3f80c5a83028b5815d87f72223047bf2c440c8475ea0b8e1ad51"
        "d241e805aef2bdabe444fb73383f4820597c8215178c192fa0ff1f333323d45a42694ffc92ece43765fec0d1280f"
        "c2ce4732b998e2f8080dc420f38cca312085aa3ccc2c1b4d3043c4307287550cf9a51081d071809b21f2b24cc440"
        "4101e09f02ca38f3aefc9729150ed62cfce68603dfe6ae7345a5b71fa9da2e1e0efcf6fb36febe405409b7d5ff50"
        "38c0beb38b50b09b489b65eecbdbbe20c60e01a474657374",
        "9701c4202d6f2237bc16fb6a74c4e70179dc8e1ca3ca89a97a101c1f7a2fdcac41047913c440120fa286f2ecf605"
        "69fb4626cef297359feac7f2998f1366964c81a9b7b92eda7aa4100ad09b95b26c8d27cc6a0e303a314fa547d0b7"
        "71376b117bbc7f09f00ac420db9844439ea6d1d5c3b2190375628c6be1b8af6afe78fab088dc4cd702381cb0c440"
        "59f63fb767db635cd37b36f05a2f22ca65c13b2e5be5901eb89514d7cd5c79deeedf10360108228ca8b3498d9878"
        "6dd7aeba853632aa0bb297923167c7f1b20801a474657374",
    ]


def test_a_hello_tells_neither_software_nor_start() -> None:
    told = {"software": "peatnode/9.8.7", "started": 0x123456789ABCDE}
    a, b = (replace(credentials(name), **told) for name in ("node-a", "node-b"))
    dialling, accepting = pair(a, b)
    said = converse(dialling, accepting)
    assert accepting.member is not None
    assert (accepting.member.software, accepting.member.started) == (a.software, a.started)
    for hello, proof in ((said[0], said[2]), (said[1], said[3])):
        for fact in (b"peatnode/9.8.7", bytes.fromhex("123456789abcde")):
            assert fact not in hello
            assert fact in proof


@pytest.mark.parametrize("change", [{"started": 2}, {"software": "other"}])
def test_what_a_proof_tells_is_covered_by_it(change: dict[str, Any]) -> None:
    dialling, accepting = pair(credentials("node-a"), credentials("node-b"))
    (answer,) = accepting.receive(dialling.begin()[0])
    (proof,) = dialling.receive(answer)
    with pytest.raises(NotAuthenticated):
        accepting.receive(wire.encode(replace(wire.decode(proof), **change)))


def test_a_proof_cannot_be_reflected() -> None:
    a, b = credentials("node-a"), credentials("node-b")
    dialling, accepting = pair(a, b)
    (hello,) = dialling.begin()
    (answer,) = accepting.receive(hello)
    (proof,) = dialling.receive(answer)
    with pytest.raises(NotAuthenticated):
        dialling.receive(proof)


def test_a_member_cannot_sign_for_another() -> None:
    a, b = credentials("node-a"), credentials("node-b")
    liar = replace(a, sign=endpoint_private_key(SECRET, "node-c").sign)
    with pytest.raises(NotAuthenticated, match="wrong signature"):
        converse(*pair(liar, b))


def showing(side: Authentication, instance: bytes) -> Authentication:
    """The side says another's instance, as a liar would."""
    hello = replace(wire.decode(side._hello), instance=instance)  # type: ignore[type-var]
    side._hello, side._instance = wire.encode(hello), instance  # type: ignore[arg-type]
    return side


def test_our_own_instance_is_told_apart_by_the_dialling_side() -> None:
    a = credentials("node-a")
    dialling, accepting = pair(a, a)
    (answer,) = accepting.receive(
        dialling.begin()[0]
    )  # anybody can say our instance: it is answered
    with pytest.raises(SelfConnection):
        dialling.receive(answer)
    assert accepting.member is None


@pytest.mark.parametrize("secret", [bytes(32), b"another".ljust(32, b".")])
def test_a_stranger_who_echoes_our_instance_is_a_stranger(secret: bytes) -> None:
    a = credentials("node-a")
    dialling, accepting = pair(a, credentials("node-a", secret))
    showing(accepting, a.instance)
    with pytest.raises(NotAuthenticated, match="wrong certificate"):
        converse(dialling, accepting)


def test_a_member_who_echoes_our_instance_is_refused() -> None:
    a, b = credentials("node-a"), credentials("node-b")
    dialling, accepting = pair(a, b)
    showing(accepting, a.instance)
    with pytest.raises(NotAuthenticated, match="wrong instance"):
        converse(dialling, accepting)
    assert dialling.member is None


@pytest.mark.parametrize("name", ["node-a", "node-c"])
def test_nobody_shows_the_instance_of_another_not_even_under_its_name(name: str) -> None:
    """Who holds the secret derives the endpoint key of node-a, and not the key of its start."""
    victim, b = credentials("node-a"), credentials("node-b")
    liar = credentials(name, seed="liar")
    dialling, accepting = pair(liar, b)
    showing(dialling, victim.instance)
    with pytest.raises(NotAuthenticated, match="wrong instance"):
        converse(dialling, accepting)
    dialling, accepting = pair(liar, b)
    showing(dialling, victim.instance)
    dialling._credentials = replace(liar, instance_key=Borrowed(victim.instance_key, liar))
    with pytest.raises(NotAuthenticated, match="wrong instance"):
        converse(dialling, accepting)
    assert accepting.member is None


class Borrowed:
    """The public key of another instance, and signatures with a key of one's own."""

    def __init__(self, shown: Ed25519PrivateKey, liar: Credentials) -> None:
        self.public_key = shown.public_key
        self.sign = liar.instance_key.sign


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(32), b"\xff" * 32])
def test_what_is_no_key_of_an_instance_is_refused(key: bytes) -> None:
    dialling, accepting = pair(credentials("node-a"), credentials("node-b"))
    showing(dialling, instance_of(key))
    (answer,) = accepting.receive(dialling.begin()[0])
    (proof,) = dialling.receive(answer)
    with pytest.raises(NotAuthenticated, match="wrong instance"):
        accepting.receive(wire.encode(replace(wire.decode(proof), instance_key=key)))


@pytest.mark.parametrize(
    "content",
    [
        wire.encode(wire.Proof(b"", b"", b"", b"", 1)),
        wire.encode(wire.Root(bytes(16), False)),
        wire.encode(wire.Push(1, b"\0\x90")),
        wire.encode(wire.PeerHello(wire.VERSION + 1, "node", bytes(16), bytes(32), 1)),
        wire.encode(wire.PeerHello(wire.VERSION, "", bytes(16), bytes(32), 1)),
        wire.encode(wire.PeerHello(wire.VERSION, "n" * 300, bytes(16), bytes(32), 1)),
        wire.encode(wire.PeerHello(wire.VERSION, "node", bytes(15), bytes(32), 1)),
        wire.encode(wire.PeerHello(wire.VERSION, "node", bytes(16), b"", 1)),
        b"\x91\x63",
        b"garbage",
    ],
)
def test_nothing_else_is_read_first(content: bytes) -> None:
    _, accepting = pair(credentials("node-a"), credentials("node-b"))
    with pytest.raises(PeerFault):
        accepting.receive(content)


@pytest.mark.parametrize("is_dialling", [True, False])
def test_another_version_is_refused_with_both_numbers(is_dialling: bool) -> None:
    dialling, accepting = pair(credentials("a"), credentials("b"))
    side = dialling if is_dialling else accepting
    side.begin()
    hello = wire.PeerHello(wire.VERSION + 1, "other", b"o" * 16, b"n" * 32, 1)
    with pytest.raises(NotAuthenticated) as caught:
        side.receive(wire.encode(hello))
    assert str(caught.value) == (
        f"other version: one node speaks version {wire.VERSION} of the wire, the other one {wire.VERSION + 1}: "
        f"update the one with {wire.VERSION}"
    )
    assert side.member is None


def test_a_node_of_version_1_reads_the_hello_that_it_is_to_refuse() -> None:
    dialling, _ = pair(credentials("a"), credentials("b"))
    (hello,) = dialling.begin()
    node = ReleasedNode("0.1", "first")
    with pytest.raises(AssertionError, match="lacks fields"):
        node.read(hello)
    assert node.read(wire.hello_for_earlier(hello))[:2] == [0, wire.VERSION]
