"""Every value of the vectors, so that a formation's device ids stay what they were."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from peatnode.identity import (
    challenge_response,
    content_key,
    derive_identity,
    endpoint_private_key,
    endpoint_public_key,
    formation_key,
)

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "identity.json").read_text(encoding="utf-8")
)["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["hostname"])
def test_every_value_of_the_vectors(vector: dict[str, Any]) -> None:
    secret = base64.b64decode(vector["formation_secret"])
    identity = derive_identity(secret, vector["hostname"])
    challenge = bytes.fromhex(vector["challenge"])
    assert {
        "formation_secret": vector["formation_secret"],
        "hostname": identity.node_id,
        "device_public_key": identity.device_public_key.hex(),
        "device_id": identity.device_id,
        "endpoint_public_key": identity.endpoint_public_key.hex(),
        "formation_key": identity.formation_key.hex(),
        "challenge": vector["challenge"],
        "challenge_response": challenge_response(identity.formation_key, challenge).hex(),
    } == vector
    assert identity.endpoint_id == vector["endpoint_public_key"]


def test_there_are_vectors() -> None:
    assert len(VECTORS) >= 6


def test_the_private_key_is_that_of_the_public_one() -> None:
    secret, node_id = bytes(range(32)), "peat-mesh-0.east"
    signature = endpoint_private_key(secret, node_id).sign(b"x")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    Ed25519PublicKey.from_public_bytes(endpoint_public_key(secret, node_id)).verify(signature, b"x")


def test_a_cluster_makes_another_node() -> None:
    secret = bytes(range(32))
    ids = {derive_identity(secret, name).device_id for name in ("a", "a.east", "a.west")}
    assert len(ids) == 3


def test_secrets_do_not_show() -> None:
    identity = derive_identity(bytes(range(32)), "a")
    assert identity.formation_key.hex() not in repr(identity)
    assert repr(identity.formation_key) not in repr(identity)
    assert identity.formation_key == formation_key(bytes(range(32)))


def test_the_key_of_content_sums_stays_what_it_is() -> None:
    """It is no derivation of the vectors. Another key would change every fingerprint."""
    assert content_key(bytes(range(32))).hex() == (
        "4e3c50f68e621431cde252def8559afcaf2e998fe1d0fc7103f9866d89920d6f"
    )
    assert content_key(bytes(16)).hex() == (
        "0f3288bf1f80010be8b326d64a737d11ab03faf60aea81e0b854c8ddb2dc9677"
    )
