"""Whom to dial and when."""

from __future__ import annotations

from random import Random

from peatnode.model.peers import Address, DiscoveredPeer
from peatnode.model.states import PeerStatus
from peatnode.protocol.connect.dial_plan import BLOCKED_SECONDS, Dial, DialPlan
from peatnode.protocol.connect.target import VERDICT_SECONDS

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


def test_ourselves_are_dialled_again_when_the_verdict_is_over(rng: Random) -> None:
    dialling = DialPlan(OWN, rng, "node-a")
    dialling.found(found(), 0.0)
    dial = take(dialling, 0.0)
    dialling.reached_self(dial.key, dial.address, 1.0)
    target = dialling.targets[dial.key]
    assert (target.state, target.reason) == ("ourselves", "10.0.0.1:1 leads to this node itself")
    assert not dialling.has_others
    assert dialling.next_due == 1.0 + VERDICT_SECONDS
    assert dialling.take_due(600.9) == []
    assert take(dialling, 601.0).address == dial.address
    dialling.connected(dial.key, "node-b", LARGER, 601.0)
    assert (target.state, target.reason, target.verdicts) == ("connected", "", {})


def test_what_is_found_of_this_node_itself_is_not_dialled_and_not_shown(rng: Random) -> None:
    dialling = DialPlan(OWN, rng, "node-a")
    dialling.found(found("own", "node-a", OWN), 1.0)
    assert (dialling.next_due, dialling.targets["own"].state) == (None, None)
    dialling.found(found("again", "node-a"), 1.0)
    dial = take(dialling, 1.0)
    dialling.reached_self(dial.key, dial.address, 1.0)
    assert (dialling.next_due, dialling.targets["again"].state) == (1.0 + VERDICT_SECONDS, None)


def test_another_address_is_dialled_while_one_leads_to_ourselves(rng: Random) -> None:
    dialling = DialPlan(OWN, rng, "node-a")
    dialling.found(found(addresses=2), 0.0)
    dialling.reached_self("p", take(dialling, 0.0).address, 0.0)
    dials, now = set(), 0.0
    while now < VERDICT_SECONDS - 40.0:
        now = dialling.next_due or 0.0
        dials.add(take(dialling, now).address.host)
        dialling.failed("p", "no answer", now)
    assert dials == {"10.0.0.2"}


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
    assert (target.state, dialling.next_due) == ("refused", 0.1 + VERDICT_SECONDS)
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
    assert dialling.next_due == 0.1 + VERDICT_SECONDS
    dialling.found(found("c", "node-c", addresses=2), 5.0)
    assert dialling.next_due == 5.0


def test_since_when_and_why_a_peer_fails_is_known_from_the_first_failure(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found("b", "node-b", LARGER), 1.0)
    target = dialling.targets["b"]
    assert (target.failing_since, target.reason) == (None, "")
    take(dialling, 1.0)
    dialling.failed("b", "no answer", 4.0)
    assert (target.failing_since, target.reason) == (4.0, "no answer")
    now = dialling.next_due
    assert now is not None
    take(dialling, now)
    dialling.failed("b", "refused", now)
    dialling.found(found("b", "node-b", LARGER, addresses=2), now)
    assert (target.failing_since, target.reason) == (4.0, "refused")
    dialling.connected("", "node-b", LARGER, 60.0)
    assert (target.failing_since, target.reason) == (None, "")
    dialling.disconnected(LARGER, "idle", 90.0)
    assert (target.failing_since, target.reason) == (None, "idle")


def test_an_absent_member_is_dialled_where_it_was(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.remember("node-b", ("10.0.0.1:1", "peer.example:1", "[fe80::1%eth0]:2"), 0.0)
    due = dialling.next_due
    assert due is not None
    assert 1.0 <= due <= 2.0  # discovery knows better, and comes first
    assert not dialling.has_others
    assert dialling.discovered_keys == set()
    dials = []
    for _ in range(40):
        now = dialling.next_due or 0.0
        dial = take(dialling, now)
        dialling.failed(dial.key, "no answer", now)
        dials.append(str(dial.address))
    assert dials[:3] == [
        "10.0.0.1:1",
        "[fe80::1%eth0]:2",
        "10.0.0.1:1",
    ]  # a name would have to be resolved
    assert dialling.next_due is not None
    assert dialling.next_due - now <= 30.0
    (target,) = dialling.targets.values()
    assert (target.name, target.reason, target.failing_since) == ("node-b", "no answer", due)
    dialling.connected("", "node-b", LARGER, now)
    assert dialling.next_due is None
    assert dialling.discovered_peer_of("node-b", LARGER) is None
    dialling.remember("node-b", ("10.0.0.9:1",), now + 60)  # said before the connection is over
    assert dialling.next_due is None
    dialling.disconnected(LARGER, "idle", now + 60)
    assert take(dialling, dialling.next_due or 0.0).address == Address("10.0.0.9", 1)
    dialling.forget("node-b")
    assert not dialling.targets


def test_an_absent_member_is_not_dialled_where_discovery_has_found_a_peer(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found("10.0.0.1:1"), 0.0)
    dialling.remember("node-b", ("10.0.0.1:1",), 0.0)
    now = 0.0
    for _ in range(30):
        now = dialling.next_due or 0.0
        for dial in dialling.take_due(now):
            assert dial.key == "10.0.0.1:1"
            dialling.failed(dial.key, "no answer", now)
    dialling.lost("10.0.0.1:1")
    assert dialling.next_due is not None
    assert dialling.next_due <= now + 32.0
    assert take(dialling, dialling.next_due).address == Address("10.0.0.1", 1)


def test_a_peer_that_discovery_loses_while_it_is_a_member_keeps_its_reason(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found("node-b", "node-b", LARGER), 0.0)
    dialling.remember("node-b", ("10.0.0.1:1",), 0.0)
    dial = take(dialling, 0.0)
    dialling.failed(dial.key, "no answer", 3.0)
    dialling.lost("node-b")
    (target,) = dialling.targets.values()
    assert (target.name, target.reason, target.failing_since) == ("node-b", "no answer", 3.0)
    assert take(dialling, dialling.next_due or 0.0).address == Address("10.0.0.1", 1)


def test_many_absent_members_are_dialled_at_a_bounded_rate_and_each_in_its_turn(
    rng: Random,
) -> None:
    dialling = DialPlan(OWN, rng)
    for n in range(1000):
        dialling.remember(f"node-{n}", (f"10.1.{n // 250}.{n % 250}:1",), 0.0)
    dialled: list[tuple[float, str]] = []
    wakes, now = 0, 0.0
    while now < 1200.0:
        now = dialling.next_due or 0.0
        wakes += 1
        for dial in dialling.take_due(now):
            dialled.append((now, dial.key))
            dialling.failed(dial.key, "no answer", now)
    for start in range(0, 1200, 60):
        during = [key for at, key in dialled if start <= at < start + 60]
        assert len(during) <= 60 * 2 + 8
    assert wakes <= len(dialled) + 1  # it does not wake to find nothing to do
    first_half = [key for at, key in dialled if at < 600.0]
    assert len(set(first_half)) == 1000
    dialling.found(found("late", "late", LARGER), now)  # and none of them delays a discovered peer
    assert next(dial.key for dial in dialling.take_due(now)) == "late"


def test_another_node_at_the_old_address_of_a_member_is_not_dialled_again(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.remember("node-b", ("10.0.0.1:1",), 0.0)
    dial = take(dialling, dialling.next_due or 0.0)
    dialling.connected(dial.key, "node-c", LARGER, 2.0)
    (target,) = dialling.targets.values()
    assert (target.state, dialling.next_due) == ("refused", 2.0 + VERDICT_SECONDS)
    assert target.reason == "another node, node-c, answers at its address"
    dialling.disconnected(LARGER, "idle", 9.0)
    assert take(dialling, dialling.next_due or 0.0).address == Address("10.0.0.1", 1)


def test_twins_of_a_connected_peer_end_one_by_one(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.remember("node-b", ("10.0.0.1:1",), 0.0)
    dialling.connected("", "node-b", LARGER, 1.0)
    dialling.connected("", "node-b", LARGER, 1.5)  # of two connections one is kept
    dialling.connected("", "node-b", SMALLER, 2.0)
    dialling.disconnected(SMALLER, "idle", 9.0)
    assert dialling.next_due is None
    dialling.disconnected(LARGER, "idle", 10.0)
    assert dialling.next_due is not None


def test_a_blocked_node_is_not_dialled_wherever_it_is(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found("b", "node-b"), 0.0)
    dialling.block("node-b", 0.0)
    dialling.remember("node-b", ("10.0.0.9:1",), 0.0)
    assert {target.state for target in dialling.targets.values()} == {PeerStatus.BLOCKED}
    assert dialling.next_due is None
    assert not dialling.has_others
    dialling.unblock("node-b", 50.0)
    assert take(dialling, 50.0).key == "b"


def test_who_is_blocked_while_connected_is_not_dialled_when_that_ends(rng: Random) -> None:
    dialling = DialPlan(OWN, rng)
    dialling.found(found("b", "node-b"), 0.0)
    take(dialling, 0.0)
    dialling.connected("b", "node-b", LARGER, 0.0)
    dialling.block("node-b", 1.0)
    dialling.disconnected(LARGER, "an operator has blocked it", 1.0)
    assert dialling.targets["b"].state is PeerStatus.BLOCKED
    assert dialling.next_due is None


def test_an_address_at_which_a_blocked_node_answered_is_tried_again_later(rng: Random) -> None:
    """Another node may have the address then."""
    dialling = DialPlan(OWN, rng)
    dialling.block("node-b", 0.0)
    dialling.found(found(), 0.0)
    take(dialling, 0.0)
    dialling.connected("p", "node-b", LARGER, 1.0)
    dialling.disconnected(LARGER, "an operator has blocked it", 1.0)
    assert dialling.targets["p"].state is PeerStatus.BLOCKED
    assert dialling.next_due == 1.0 + BLOCKED_SECONDS
    assert take(dialling, 1.0 + BLOCKED_SECONDS).key == "p"
    dialling.connected("p", "node-c", SMALLER, 700.0)
    assert dialling.targets["p"].state is PeerStatus.CONNECTED
