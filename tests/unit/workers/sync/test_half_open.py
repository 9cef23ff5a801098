"""Who makes room for whom among the handshakes in progress."""

from __future__ import annotations

import pytest

from workers.sync.quic.half_open import (
    MAX_OF_ONE_ADDRESS,
    MAX_UNAUTHENTICATED,
    SECONDS_TO_STAY,
    HalfOpen,
    NoRoom,
    crowded_out,
    network_of,
)


def filled(networks: int, each: int) -> HalfOpen:
    half_open = HalfOpen()
    for n in range(networks * each):
        half_open.add(n, f"net-{n % networks}", 10.0 + n / 1000)
    return half_open


def test_one_address_has_its_share_and_its_oldest_makes_room() -> None:
    half_open = filled(1, MAX_OF_ONE_ADDRESS)
    assert half_open.find_room("other", 10.1) is None
    with pytest.raises(NoRoom):
        half_open.find_room("net-0", 10.1)
    assert half_open.find_room("net-0", 10.0 + SECONDS_TO_STAY) == 0
    half_open.remove(0)
    assert half_open.find_room("net-0", 10.1) is None


def test_beyond_all_places_the_oldest_makes_room_wherever_it_is_from() -> None:
    half_open = filled(MAX_UNAUTHENTICATED // MAX_OF_ONE_ADDRESS, MAX_OF_ONE_ADDRESS)
    assert len(half_open) == MAX_UNAUTHENTICATED
    with pytest.raises(NoRoom):
        half_open.find_room("other", 10.2)
    half_open.remove(0)
    half_open.remove(0)  # closed after it was authenticated
    half_open.add(MAX_UNAUTHENTICATED, "another", 10.2)
    assert half_open.find_room("other", 11.0) == 1
    for peer in range(MAX_UNAUTHENTICATED + 1):
        half_open.remove(peer)
    assert (len(half_open), half_open._of) == (0, {})


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_an_ipv6_host_is_its_network(host: str, network: str) -> None:
    assert network_of(host) == network


def test_who_connects_under_many_names_takes_the_place_of_nobody_else() -> None:
    networks = {n: f"honest-{n}" for n in range(5)} | dict.fromkeys(range(5, 10), "crowd")
    assert crowded_out(networks, 10) is None
    assert crowded_out(networks | {10: "crowd"}, 10) == 10
    assert crowded_out(networks | {10: "late"}, 10) == 9
    assert crowded_out({n: f"honest-{n}" for n in range(4)}, 3) == 3
