"""Whether a member may show an instance that is not its own: the real handshake decides."""

from __future__ import annotations

from functools import cache

from peatnode.identity import (
    endpoint_private_key,
    endpoint_public_key,
    formation_key,
    instance_private_key,
)
from peatnode.protocol.connect.handshake import Authentication, Credentials
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.errors import NotAuthenticated

SECRET = bytes(range(32))
NONCE = bytes(32)


@cache
def credentials(node_id: str) -> Credentials:
    return Credentials(
        node_id,
        instance_private_key(node_id.encode().ljust(32, b".")),
        2**62,
        "",
        formation_key(SECRET),
        endpoint_private_key(SECRET, node_id).sign,
        lambda other: endpoint_public_key(SECRET, other),
    )


def is_admitted(node_id: str, instance: bytes) -> bool:
    """Whether a node that accepts a connection takes its other end for this instance.

    The other end holds the secret of the formation, and only its own key of an instance.
    """
    accepting_key = endpoint_public_key(SECRET, "honest")
    dialling, accepting = (
        Authentication(
            who,
            is_dialling=is_dialling,
            alpn=wire.ALPN,
            certificate=b"certificate",
            certificate_key=accepting_key,
            nonce=NONCE,
            attempt=1,
        )
        for who, is_dialling in ((credentials(node_id), True), (credentials("honest"), False))
    )
    shown = wire.encode(wire.PeerHello(wire.VERSION, node_id, instance, NONCE, 1))
    dialling._hello = shown
    try:
        (answer,) = accepting.receive(shown)
        (proof,) = dialling.receive(answer)
        accepting.receive(proof)
    except NotAuthenticated:
        return False
    return accepting.member is not None and accepting.member.instance == instance
