"""Names that are resolved again and again."""

import math

from peatnode.config import StaticPeer
from peatnode.ipc.messages import Address
from workers.discovery.static.names import RESOLVE_SECONDS, StaticPeers


def half() -> float:
    return 0.5


def test_addresses_are_shown_at_once_and_names_when_resolved() -> None:
    entries = [
        StaticPeer("a", "10.0.0.1", 1),
        StaticPeer("", "fd00::1", 2),
        StaticPeer("", "peer.example", 3),
    ]
    peers = StaticPeers(entries, half)
    shown = peers.start().found
    assert [(s.key, s.node_id) for s in shown] == [("a@10.0.0.1:1", "a"), ("[fd00::1]:2", "")]
    assert peers.due(0) == ["peer.example"]
    assert peers.due(0) == []
    (found,) = peers.resolved("peer.example", ["10.0.0.9", "10.0.0.8", "fd00::8"], 1).found
    assert found.key == "peer.example:3"
    assert found.addresses == (
        Address("10.0.0.8", 3),
        Address("10.0.0.9", 3),
        Address("fd00::8", 3),
    )
    assert peers.resolved("peer.example", ["10.0.0.9", "fd00::8", "10.0.0.8"], 2).found == ()


def test_a_name_is_resolved_again_and_keeps_its_last_good_answer() -> None:
    peers = StaticPeers([StaticPeer("a", "h", 1), StaticPeer("b", "h", 2)], half)
    peers.start()
    assert peers.due(0) == ["h"]
    assert len(peers.resolved("h", ["10.0.0.1"], 0).found) == 2
    assert peers.complete_at == 0
    assert peers.deadline == RESOLVE_SECONDS
    assert peers.due(RESOLVE_SECONDS - 0.1) == []
    assert peers.due(RESOLVE_SECONDS) == ["h"]
    peers.failed("h", "no such host", 20)
    assert peers.failing == {"h": "no such host"}
    peers.failed("h", "no such host", 22)
    assert peers.failing_at == 20, "the first of the failures"
    changed = peers.resolved("h", ["10.0.0.2"], 25)
    assert [s.addresses for s in changed.found] == [
        (Address("10.0.0.2", 1),),
        (Address("10.0.0.2", 2),),
    ]
    assert peers.failing_at is None
    assert not peers.failing


def test_failures_are_tried_again_ever_later() -> None:
    peers = StaticPeers([StaticPeer("", "h", 1)], half)
    now, pauses = 0.0, []
    for _ in range(8):
        assert peers.due(now) == ["h"]
        peers.failed("h", "x", now)
        pauses.append(peers.deadline - now)
        now = peers.deadline
    assert pauses == [1, 2, 4, 8, 16, 20, 20, 20]
    assert not peers.is_complete


def test_without_names_there_is_nothing_to_do() -> None:
    peers = StaticPeers([StaticPeer("", "10.0.0.1", 1)] * 3, half)
    assert len(peers.start().found) == 1
    assert peers.deadline == math.inf
    assert peers.is_complete
