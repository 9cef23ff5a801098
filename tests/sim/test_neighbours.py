"""Neighbours as differences: what they cost, and that an old view of them loses no change for long."""

from __future__ import annotations

from peatnode.protocol.sync.machine import SyncMachine
from peatnode.protocol.sync.neighbours.told import NEXT_SECONDS
from peatnode.protocol.sync.session import ROOT_SECONDS
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.messages import Message
from tests.sim.node import Node
from tests.sim.world import Weather, World
from tests.support import seeds

ROUND_SECONDS = 1.2 * ROOT_SECONDS / 0.97
"""The longest time between two comparisons of roots with one peer."""


class Counting(World):
    """It counts the bytes of Neighbours."""

    told_bytes = 0

    def deliver(self, sender: Node, peer: int, message: Message) -> None:
        if isinstance(message, wire.Neighbours):
            self.told_bytes += len(wire.encode(message)) + 4
        super().deliver(sender, peer, message)

    def join(self, *pairs: tuple[int, int]) -> None:
        for a, b in pairs:
            self.at(self.random.uniform(0.0, 1.0), lambda a=a, b=b: self._join(a, b))

    def _join(self, a: int, b: int) -> None:
        self._connect(self.nodes[a], self.nodes[b])

    def part(self, a: int, b: int) -> None:
        """Both sides notice at once that their connection is gone."""
        for wire_ in list(self.nodes[a].wires.values()):
            if wire_.other(self.nodes[a])[0] is self.nodes[b]:
                wire_.is_open = False
                for node, peer in wire_.ends.values():
                    node.disconnected(peer)


def world_of(name: str, count: int, *pairs: tuple[int, int]) -> Counting:
    world = Counting(seeds.generator(name), count, Weather(delay=0.002), set())
    world.join(*pairs)
    return world


def views(machine: SyncMachine) -> dict[str, set[str]]:
    return {s.member.node_id: set(s.neighbours) for s in machine.sync_statuses()}


def test_a_node_that_leaves_and_returns_costs_little_for_each_pair() -> None:
    """Whole lists would cost 27 n³ bytes each time: here n is 16, and 150 n² bytes pay for both."""
    count = 16
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    world = world_of("cost", count, *pairs)
    world.run(15.0)
    before = world.told_bytes
    world.nodes[0].kill()
    world.run(10.0)
    world.nodes[0].start(is_new_instance=True)
    world.join(*[(0, other) for other in range(1, count)])
    world.run(15.0)
    assert world.told_bytes - before < 150 * count**2
    everybody = {node.name for node in world.nodes}
    for node in world.nodes:
        assert views(node.machine) == {name: everybody - {name} for name in everybody - {node.name}}


def test_differences_lead_to_what_is_there() -> None:
    """Connections come and go at random; 6 s later each node has been told what is true."""
    count, chance = 6, seeds.generator("differences")
    world = world_of("differences", count)
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    joined: set[tuple[int, int]] = set()
    for _ in range(120):
        pair = chance.choice(pairs)
        if pair in joined:
            world.part(*pair)
            joined.discard(pair)
        else:
            world._join(*pair)
            joined.add(pair)
        world.run(chance.choice([0.02, 0.05, 0.3, 2.0]))
    world.run(NEXT_SECONDS / 0.97 + 0.5)
    linked = {
        node.name: {f"node-{a + b - node.index}" for a, b in joined if node.index in (a, b)}
        for node in world.nodes
    }
    for node in world.nodes:
        assert views(node.machine) == {name: linked[name] for name in linked[node.name]}


def test_an_old_view_loses_no_change_for_longer_than_a_comparison_of_roots() -> None:
    """0 and 2 lose their connection. 1 has not heard of it, and leaves it to 0 to tell 2."""
    world = world_of("old view", 3, (0, 2))
    world.run(1.2)
    world.join((0, 1), (1, 2))
    world.run(1.3)
    first, middle, last = world.nodes
    world.part(0, 2)
    first.write(("notes", "a"))
    world.run(0.2)
    assert last.name in views(middle.machine)[first.name], "the view must be old"
    assert first.store.root == middle.store.root != last.store.root
    world.run(ROUND_SECONDS + 0.5)
    assert world.have_converged()
    assert last.name not in views(middle.machine)[first.name]
    first.write(("notes", "b"))
    world.run(0.2)
    assert world.have_converged(), "with the right view it goes through the middle at once"


def test_a_chain_with_old_views_converges_link_by_link() -> None:
    """Of a whole mesh of six, a chain is left at one moment, and everybody writes in that moment."""
    count = 6
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    world = world_of("chain", count, *pairs)
    world.run(NEXT_SECONDS + 2.0)
    world.part(0, 2)  # the next change waits for NEXT_SECONDS
    world.run(0.5)
    for a, b in pairs:
        if b - a > 1:
            world.part(a, b)
    for node in world.nodes:
        node.write(("notes", node.name))
    world.run(0.2)
    assert not world.have_converged(), "the views must be old"
    world.run((count - 1) * (ROUND_SECONDS + 0.5))
    assert world.have_converged()
    world.check_nothing_lost()
    for node in world.nodes:
        node.write(("notes", f"later {node.name}"))
    world.run(1.0)
    assert world.have_converged(), "with right views each link passes on at once"
