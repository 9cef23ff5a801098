"""Two authentication machines joined in memory, and those who try without the secret."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from peatnode.identity import endpoint_private_key, endpoint_public_key, formation_key
from peatnode.protocol.connect.handshake import Authentication, Credentials
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.errors import NotAuthenticated, PeerFault, SelfConnection
from tests.support.released_node import ReleasedNode

SECRET = bytes(range(32))


def credentials(node_id: str, secret: bytes = SECRET, instance: int = 0) -> Credentials:
    return Credentials(
        node_id,
        (instance or hash(node_id) % 2**60).to_bytes(16, "big"),
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
    a = replace(credentials("node-a"), instance=bytes(range(16)))
    b = replace(credentials("node-b"), instance=bytes(range(16, 32)))
    said = converse(*pair(a, b))
    assert [content.hex() for content in said] == [
        "960002a66e6f64652d61c410000102030405060708090a0b0c0d0e0fc42061616161616161616161616161616161"
        "6161616161616161616161616161616103",
        "960002a66e6f64652d62c410101112131415161718191a1b1c1d1e1fc42062626262626262626262626262626262"
        "6262626262626262626262626262626200",
        "9501c42070396ea2631c05155e9e8a46e64be7cc1d6f0dcf3245c0ffa389c7f70867e9dcc440ca95f2199859ba01"
        "c5b9d2506828815d809ae47b31efda7f46f42917855e1b5c67d26768c2e16393774b0719384073c168b1eb0ae611"
        "ed1ebfc3114dd045450801a474657374",
        "9501c420a8b41895eb1db53f7c7ad07da67aacb8d9fda5ffa32fccff023b8b899ccbe3ddc440f6546f7796886475"
        "057e772c134f65596fd48e012f479265066b059b065adff99eebc436931466005cb58db37083fb3c847dd33857c6"
        "97f1b80633e55a3b140501a474657374",
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


def test_our_own_instance_is_told_apart() -> None:
    a = credentials("node-a")
    with pytest.raises(SelfConnection):
        converse(*pair(a, a))


@pytest.mark.parametrize(
    "content",
    [
        wire.encode(wire.Proof(b"", b"", 1)),
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
