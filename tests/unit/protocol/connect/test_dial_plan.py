"""Whom to dial and when."""

from __future__ import annotations

from random import Random

from peatnode.model.peers import Address, DiscoveredPeer
from peatnode.protocol.connect.dial_plan import Dial, DialPlan

OWN = "5" * 32
SMALLER, LARGER = "1" * 32, "9" * 32


def found(
    key: str = "p", node_id: str = "", instance: str = "", addresses: int = 1
) -> DiscoveredPeer:
    many = tuple([Address(f"10.0.0.{i + 1}", 1) for i in range(addresses)])
    return DiscoveredPeer(key, node_id, instance, many, ("static",), True, False, ())


def take(dialling: DialPlan, now: float) -> Dial:
    (dial,) = dialling.take_due(now)
    return dial


def test_a_found_peer_is_dialled_at_once_and_the_smaller_instance_is_let_first(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found("a"), 10.0)
    dialling.found(found("b", "node-b", SMALLER), 10.0)
    dialling.found(found("c", "node-c", LARGER), 10.0)
    assert [dial.key for dial in dialling.take_due(10.0)] == ["a", "c"]
    assert dialling.next_due == 10.5


def test_addresses_in_turn_then_longer_pauses_then_careful_ones(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found(addresses=2), 0.0)
    now, pauses, dials = 0.0, [], []
    for _ in range(30):
        dials.append(take(dialling, now))
        dialling.failed("p", "no answer", now)
        assert dialling.next_due is not None
        pauses.append(dialling.next_due - now)
        now = dialling.next_due
    assert [dial.address.host for dial in dials[:3]] == ["10.0.0.1", "10.0.0.2", "10.0.0.1"]
    assert [dial.use_min_datagram for dial in dials[:4]] == [False, False, True, True]
    assert pauses[0] <= 0.1
    assert 15.0 <= pauses[-1] <= 30.0


def test_nobody_who_is_connected_is_dialled_and_who_is_lost_is_dialled_again(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.connected("", "node-b", LARGER, 0.0)
    dialling.found(found("b", "node-b", LARGER), 1.0)
    assert dialling.next_due is None
    dialling.disconnected(LARGER, "idle", 20.0)
    assert dialling.next_due is not None
    assert dialling.next_due < 20.2


def test_a_peer_without_id_is_known_by_whom_the_dial_led_to(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found("10.0.0.1:1"), 0.0)
    dial = take(dialling, 0.0)
    dialling.connected(dial.key, "node-b", LARGER, 0.1)
    assert dialling.next_due is None
    assert dialling.targets[dial.key].state == "connected"


def test_ourselves_are_never_dialled_again(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found(), 0.0)
    dial = take(dialling, 0.0)
    dialling.reached_self(dial.key, dial.address, 0.1)
    assert dialling.next_due is None
    dialling.found(found("own", "node-a", OWN), 1.0)
    assert dialling.next_due is None


def test_a_changed_address_is_dialled_at_once(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found(), 0.0)
    for _ in range(20):
        now = dialling.next_due or 0.0
        take(dialling, now)
        dialling.failed("p", "no answer", now)
    dialling.found(found(addresses=2), now)
    assert dialling.next_due == now


def test_a_lost_peer_is_not_dialled(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found(), 0.0)
    dialling.lost("p")
    assert dialling.next_due is None


def test_one_who_refuses_is_asked_seldom(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found(), 0.0)
    take(dialling, 0.0)
    dialling.failed("p", "wrong secret", 0.0, is_refused=True)
    assert dialling.targets["p"].state == "refused"
    assert dialling.next_due is not None
    assert dialling.next_due >= 0.4


def test_another_name_at_its_address_is_not_the_peer(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found("c", "node-c", addresses=2), 0.0)
    take(dialling, 0.0)
    dialling.connected("c", "node-b", LARGER, 0.1)
    target = dialling.targets["c"]
    assert not dialling.is_covered(target)
    assert target.reason == "another node, node-b, answers at its address"
    assert dialling.next_due is not None  # at its other address
    assert take(dialling, dialling.next_due).address == Address("10.0.0.2", 1)
    dialling.connected("c", "node-d", SMALLER, 1.0)
    assert (target.state, dialling.next_due) == ("refused", None)
    dialling.disconnected(LARGER, "idle", 9.0)  # its first address may be free for it now
    assert dialling.next_due is not None
    assert take(dialling, dialling.next_due).address == Address("10.0.0.1", 1)
    dialling.connected("c", "node-c", "3" * 32, 10.0)
    assert (target.state, target.reason) == ("connected", "")


def test_a_peer_at_a_new_address_is_dialled_although_another_answered_at_the_old(
    rng: Random,
) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found("c", "node-c"), 0.0)
    dialling.connected(take(dialling, 0.0).key, "node-b", LARGER, 0.1)
    assert dialling.next_due is None
    dialling.found(found("c", "node-c", addresses=2), 5.0)
    assert dialling.next_due == 5.0
