"""A node that is killed and back is one peer; two nodes of one id are found within seconds."""

from __future__ import annotations

import pytest

from peatnode.protocol.sync.peer_status import PeerSyncStatus
from tests.sim.node import Node
from tests.sim.world import Weather, World
from tests.support import seeds

IDLE_SECONDS = 10.0
"""A connection ends when nothing was heard for this time."""

PAIRS = {(0, 1), (0, 2), (1, 2)}


def vanish(node: Node) -> None:
    """The machine of a node loses its power: nobody is told, and the others notice at the idle timeout."""
    node.is_up = False
    node.epoch += 1
    wires, node.wires = node.wires, {}
    for wire in wires.values():
        wire.is_open = False
        other, peer = wire.other(node)
        node.world.at(IDLE_SECONDS, lambda other=other, peer=peer: other.disconnected(peer))


def statuses(node: Node, of: Node) -> list[PeerSyncStatus]:
    return [s for s in node.machine.sync_statuses() if s.member.node_id == of.name]


@pytest.mark.parametrize("number", range(20))
def test_a_node_that_was_killed_and_is_back_is_never_a_twin(number: int) -> None:
    world = World(seeds.generator(f"killed {number}"), 3, Weather(), PAIRS)
    world.run(5.0)
    killed, *others = world.nodes
    vanish(killed)
    world.run(0.5)
    killed.start(is_new_instance=True)
    met = 0
    for _ in range(120):
        world.run(0.1)
        for node in others:
            known = statuses(node, killed)
            met += len(known) == 2
            assert not any(status.is_twin for status in known)
            for status in known:
                is_dead = status.member.instance != killed.instance
                assert not (is_dead and len(known) == 2 and status.is_in_sync)
    assert met, "no node was connected to both instances"
    for node in others:
        (status,) = statuses(node, killed)
        assert status.is_in_sync


@pytest.mark.parametrize("number", range(20))
def test_twins_are_found_at_once_and_stay_twins(number: int) -> None:
    world = World(seeds.generator(f"twins {number}"), 3, Weather(), set())
    observer, one, other = world.nodes
    one.kill()
    one.name = other.name
    one.start(is_new_instance=True)
    world.links |= PAIRS
    for link in sorted(PAIRS):
        world._keep_linked(link)
    while len(statuses(observer, one)) < 2 or not statuses(one, other):
        world.run(0.1)
        assert world.now < 10.0

    def are_twins() -> bool:
        seen = (
            [s.is_twin for s in statuses(observer, one)],
            [s.is_twin for s in statuses(one, other)],
        )
        return seen == ([True, True], [True])

    world.run(1.0)
    assert are_twins()
    for _ in range(20):
        world.run(0.5)
        if not are_twins():  # a connection was replaced: the other twin is heard after a round trip
            world.run(0.5)
        assert are_twins()
