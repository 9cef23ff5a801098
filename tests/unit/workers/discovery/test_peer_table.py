"""Several sources, one list."""

import random

import pytest

from peatnode.config import SOURCE_NAMES
from peatnode.ipc.messages import Address, DiscoveredPeer, PeerFound, PeerLost
from workers.discovery.peer_table import PeerTable
from workers.discovery.sighting import Condition, Sighting, SightingsChanged

OWN = "0" * 32
A, B = "a" * 32, "b" * 32


def at(*places: str) -> tuple[Address, ...]:
    return tuple(Address(p.rpartition(":")[0], int(p.rpartition(":")[2])) for p in places)


def sighting(
    key: str,
    node_id: str = "n",
    instance: str = "",
    addresses: tuple[Address, ...] = (),
    **more: object,
) -> Sighting:
    return Sighting(key, node_id, instance, addresses or at("10.0.0.1:1"), **more)  # type: ignore[arg-type]


def found(*sightings: Sighting) -> SightingsChanged:
    return SightingsChanged(sightings, ())


def lost(*keys: str) -> SightingsChanged:
    return SightingsChanged((), keys)


def table() -> PeerTable:
    return PeerTable(OWN, at("10.0.0.9:1", "127.0.0.1:1"), SOURCE_NAMES)


def only(events: list[PeerFound | PeerLost]) -> DiscoveredPeer:
    (event,) = events
    assert isinstance(event, PeerFound)
    return event.peer


def test_a_peer_is_lost_only_when_no_source_has_it() -> None:
    peers = table()
    assert only(peers.update("mdns", found(sighting("m", instance=A)))).sources == ("mdns",)
    both = only(peers.update("static", found(sighting("s", addresses=at("10.0.0.2:1")))))
    assert both.sources == ("mdns", "static")
    assert both.addresses == at("10.0.0.1:1", "10.0.0.2:1")
    rest = only(peers.update("mdns", lost("m")))
    assert (rest.sources, rest.addresses, rest.instance) == (("static",), at("10.0.0.2:1"), "")
    assert peers.update("static", lost("s")) == [PeerLost("n")]
    assert peers.peers == ()


def test_what_did_not_change_is_not_said_again() -> None:
    peers = table()
    peers.update("mdns", found(sighting("m", instance=A)))
    assert peers.update("mdns", found(sighting("m", instance=A))) == []
    assert peers.update("mdns", lost("unknown")) == []


def test_addresses_of_the_more_trusted_source_come_first_and_of_what_terminates_last() -> None:
    peers = table()
    peers.update("static", found(sighting("s", addresses=at("10.0.0.3:1"))))
    peers.update("mdns", found(sighting("m", addresses=at("10.0.0.2:1"), instance=A)))
    ready = Condition(is_ready=True, is_terminating=False)
    peer = only(peers.update("kubernetes", found(sighting("k", condition=ready))))
    assert peer.addresses == at("10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1")
    assert (peer.is_ready, peer.is_terminating) == (True, False)
    going = Condition(is_ready=False, is_terminating=True)
    peer = only(peers.update("kubernetes", found(sighting("k", condition=going))))
    assert peer.addresses == at("10.0.0.2:1", "10.0.0.3:1", "10.0.0.1:1")
    assert (peer.is_ready, peer.is_terminating) == (False, True)


def test_we_are_left_out_by_instance_and_by_address_and_a_twin_is_kept() -> None:
    peers = table()
    assert peers.update("mdns", found(sighting("me", "n", OWN))) == []
    assert peers.update("static", found(sighting("n@host:1", "n", "", at("10.0.0.9:1")))) == []
    assert peers.update("static", found(sighting("h:1", "", "", at("127.0.0.1:1")))) == []
    twin = only(peers.update("mdns", found(sighting("twin", "n", A, at("10.0.0.5:1")))))
    assert (twin.node_id, twin.instance) == ("n", A)
    assert peers.count("static") == 0


def test_a_node_that_ran_here_before_us_is_no_peer() -> None:
    assert table().update("mdns", found(sighting("old", "n", A, at("10.0.0.9:1")))) == []


def test_our_own_addresses_are_not_given_to_others() -> None:
    peer = only(
        table().update("mdns", found(sighting("m", addresses=at("10.0.0.9:1", "10.0.0.2:1"))))
    )
    assert peer.addresses == at("10.0.0.2:1")


def test_when_our_network_changes_so_does_who_we_are() -> None:
    peers = table()
    peers.update("static", found(sighting("h:1", "", "", at("10.0.0.7:1"))))
    assert peers.replace_own_addresses(at("10.0.0.7:1")) == [PeerLost("h:1")]
    assert only(peers.replace_own_addresses(at("10.0.0.9:1"))).key == "h:1"
    assert peers.replace_own_addresses(at("10.0.0.9:1")) == []


def test_two_others_of_one_name_are_two_peers_whose_keys_stay() -> None:
    peers = table()
    assert only(peers.update("mdns", found(sighting("one", "n", A, at("10.0.0.1:1"))))).key == "n"
    second = only(peers.update("mdns", found(sighting("two", "n", B, at("10.0.0.2:1")))))
    assert (second.key, second.node_id) == ("n~bbbbbbbb", "n")
    assert peers.update("mdns", lost("one")) == [PeerLost("n")]
    assert [peer.key for peer in peers.peers] == ["n~bbbbbbbb"]


def test_a_restarted_node_is_one_peer_with_the_new_instance() -> None:
    peers = table()
    peers.update("mdns", found(sighting("old", "n", A)))
    anew = only(peers.update("mdns", found(sighting("new", "n", B))))
    assert (anew.key, anew.instance) == ("n", B)
    assert peers.update("mdns", lost("old")) == []
    assert peers.update("mdns", lost("new")) == [PeerLost("n")]


def test_a_sighting_that_changes_its_name_moves() -> None:
    peers = table()
    peers.update("mdns", found(sighting("m", "n", A)))
    events = peers.update("mdns", found(sighting("m", "other", A)))
    assert PeerLost("n") in events
    assert [peer.key for peer in peers.peers] == ["other"]


@pytest.mark.parametrize("number", range(20))
def test_who_follows_the_events_knows_what_the_table_knows(number: int, rng: random.Random) -> None:
    peers, followed = table(), dict[str, DiscoveredPeer]()
    truth: dict[tuple[str, str], Sighting] = {}
    for _ in range(300):
        source = rng.choice(SOURCE_NAMES)
        key = f"k{rng.randrange(8)}"
        if rng.random() < 0.4:
            truth.pop((source, key), None)
            events = peers.update(source, lost(key))
        elif rng.random() < 0.05:
            events = peers.replace_own_addresses(at(f"10.0.0.{rng.randrange(6)}:1"))
        else:
            new = sighting(
                key,
                rng.choice(["n", "m", ""]),
                rng.choice(["", OWN, A, B, "c" * 32]),
                at(*(f"10.0.0.{rng.randrange(6)}:1" for _ in range(rng.randrange(1, 4)))),
            )
            truth[source, key] = new
            events = peers.update(source, found(new))
        for event in events:
            if isinstance(event, PeerFound):
                assert followed.get(event.peer.key) != event.peer
                followed[event.peer.key] = event.peer
            else:
                del followed[event.key]
        assert followed == {peer.key: peer for peer in peers.peers}
        shown = {a for peer in peers.peers for a in peer.addresses}
        assert shown <= {a for s in truth.values() for a in s.addresses}
