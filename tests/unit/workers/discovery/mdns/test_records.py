"""What is said and believed over mDNS."""

import pytest

from peatnode.ipc.messages import Address
from workers.discovery.mdns.records import formation_tag, read_sighting, service_label, write_text
from workers.discovery.sighting import Sighting

INSTANCE = "ab" * 16
TAG = formation_tag(b"k" * 32)


def read(
    tag: str = TAG, hosts: tuple[str, ...] = ("10.0.0.1",), port: int = 5, **text: str
) -> Sighting | None:
    said = {**write_text("n.alpha", "alpha", INSTANCE, "1.0", TAG), **text}
    return read_sighting("n", {k.encode(): v.encode() for k, v in said.items()}, hosts, port, tag)


def test_what_one_says_the_other_reads() -> None:
    assert read() == Sighting(
        "n",
        "n.alpha",
        INSTANCE,
        (Address("10.0.0.1", 5),),
        metadata=(("cluster", "alpha"), ("version", "1.0")),
    )


def test_another_formation_is_not_looked_at() -> None:
    assert len(TAG) == 8
    assert read(tag=formation_tag(b"o" * 32)) is None


@pytest.mark.parametrize(
    "text",
    [
        {"id": ""},
        {"id": "a b"},
        {"instance": "xyz"},
        {"instance": ""},
        {"tag": ""},
        {"id": "n" * 251},
        {"id": "a\x1b[2Jb"},
        {"id": "a\u202eb"},
        {"id": "a/b"},
    ],
)
def test_nonsense_is_nobody(text: dict[str, str]) -> None:
    assert read(**text) is None


def test_a_text_of_a_record_forges_no_line() -> None:
    peer = read(cluster="east\nforged", version="1" * 250)
    assert peer is not None
    assert dict(peer.metadata) == {"cluster": "east\ufffdforged", "version": "1" * 200}


def test_addresses_that_lead_nowhere_are_left_out() -> None:
    assert read(hosts=("fe80::1", "0.0.0.0", "224.0.0.1", "x")) is None
    assert read(port=0) is None
    peer = read(hosts=("127.0.0.1", "fd00::1", "192.168.0.2", "192.168.0.1"))
    assert peer is not None
    told = [address.host for address in peer.addresses]
    assert told == ["192.168.0.1", "192.168.0.2", "fd00::1", "127.0.0.1"]


def test_a_label_is_short_plain_and_the_instance_s_own() -> None:
    label = service_label("ä." + "long" * 40, INSTANCE)
    assert label.isascii()
    assert len(label) <= 63
    assert label.endswith("-abababab")
    assert service_label("peat-mesh-0", INSTANCE) == "peat-mesh-0-abababab"
