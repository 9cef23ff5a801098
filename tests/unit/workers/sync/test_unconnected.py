"""Each name without a connection is shown once, whatever is known of it."""

from __future__ import annotations

from peatnode.model.members import RememberedPeer
from peatnode.model.peers import Address, DiscoveredPeer
from peatnode.model.states import PeerStatus
from peatnode.protocol.connect.target import Target
from workers.sync.unconnected import Unconnected, list_unconnected, unconnected_state

ONE, TWO = "1" * 32, "2" * 32
AT = "10.0.0.1:1"
RECORD = RememberedPeer("b", ONE, (AT, "10.0.0.2:1"), "0.2", 100.0, 900.0, 800.0, b"r" * 16, 7)
WALL = 1000.0


def target(
    key: str = "b", node_id: str = "b", instance: str = "", at: str = AT, **fields: object
) -> Target:
    address = Address.parse(at)
    assert address is not None
    peer = DiscoveredPeer(key, node_id, instance, (address,), ("mdns",), True, False, (("k", "v"),))
    made = Target(peer, state=PeerStatus.WAITING)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def member_target(**fields: object) -> Target:
    return target("member b", is_discovered=False, **fields)


def listed(
    targets: tuple[Target, ...] = (),
    absent: tuple[RememberedPeer, ...] = (),
    expected: tuple[str, ...] = (),
    connected: frozenset[str] = frozenset(),
) -> dict[str, Unconnected]:
    peers = list(list_unconnected(targets, absent, expected, connected))
    assert len({peer.name for peer in peers}) == len(peers)
    return {peer.name: peer for peer in peers}


def test_a_name_is_shown_once_however_many_sources_know_it() -> None:
    old, new = target(instance=ONE), target("b~2222", instance=TWO)
    found = listed((member_target(), old, new), (RECORD,), ("b", "c"))
    assert found.keys() == {"b", "c"}
    assert found["b"].targets[:2] == [old, new]
    assert found["b"].record is RECORD
    assert found["b"].is_expected
    assert found["c"] == Unconnected("c", is_expected=True)


def test_an_old_instance_of_a_connected_peer_is_not_shown() -> None:
    assert not listed((target(instance=ONE),), (), ("b",), frozenset(("b",)))


def test_an_address_without_a_name_is_the_member_that_was_there() -> None:
    anonymous = target(AT, "")
    assert listed((anonymous,), (RECORD,))["b"].targets == [anonymous]
    assert listed((anonymous,)).keys() == {AT}
    elsewhere = target("10.0.0.9:1", "", at="10.0.0.9:1")
    assert listed((elsewhere,), (RECORD,)).keys() == {"b", "10.0.0.9:1"}
    assert listed((anonymous,), (RECORD,), (), frozenset(("b",))) == {}


def test_an_absent_member_shows_what_is_remembered_and_why_it_cannot_be_reached() -> None:
    first = target(instance=TWO, at="10.0.0.9:1", failing_since=30.0, reason="refused")
    second = member_target(failing_since=20.0, reason="no answer")
    peer = listed((first, second), (RECORD,))["b"]
    state = unconnected_state(peer, WALL, 0.0, 3, 4)
    assert state.state is PeerStatus.ABSENT
    assert (state.is_connected, state.is_in_sync, state.is_remembered) == (False, False, True)
    assert (state.absent_since, state.last_seen, state.last_equal) == (900.0, 900.0, 800.0)
    assert state.out_of_sync_since == 800.0
    assert (state.root, state.documents, state.version) == (b"r" * 16, 7, "0.2")
    assert (state.reason, state.failing_since) == ("refused", 1020.0)
    assert state.addresses == ("10.0.0.9:1", AT, "10.0.0.2:1")
    assert (state.sources, state.metadata, state.instance) == (("mdns",), (("k", "v"),), TWO)
    assert (state.bytes_sent, state.bytes_received) == (3, 4)


def test_a_member_that_was_never_equal_is_out_of_sync_since_it_went() -> None:
    record = RememberedPeer("b", ONE, (), "0.2", 100.0, 900.0, 0.0, b"", -1)
    state = unconnected_state(listed((), (record,))["b"], WALL, 950.0, 0, 0)
    assert (state.out_of_sync_since, state.absent_since, state.last_seen) == (900.0, 900.0, 950.0)
    assert (state.reason, state.failing_since, state.instance) == ("", 0.0, ONE)


def test_a_discovered_peer_shows_its_dials_and_an_expected_one_is_absent() -> None:
    found = listed((target(reason="no answer", failing_since=5.0),), (), ("c",))
    state = unconnected_state(found["b"], WALL, 0.0, 0, 0)
    assert (state.state, state.reason, state.failing_since) == ("waiting", "no answer", 1005.0)
    assert (state.absent_since, state.is_remembered, state.is_expected) == (0.0, False, False)
    state = unconnected_state(found["c"], WALL, 0.0, 0, 0)
    assert (state.state, state.absent_since, state.is_expected) == ("absent", 0.0, True)
