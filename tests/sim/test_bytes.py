"""What sync costs in bytes: a quiet mesh, some differences among many documents, and a mesh that never gets equal."""

from __future__ import annotations

from collections.abc import Callable

import msgpack
import pytest

from peatnode.model.documents import DocumentUpdate
from peatnode.model.sync import ApplyUpdates, ReadRange
from peatnode.model.tree import BUCKETS, LEVELS
from peatnode.protocol.sync.session import ROOT_SECONDS
from tests.sim.documents import replica_store
from tests.sim.histories import check_quiet
from tests.sim.ledger import Ledger
from tests.sim.light import LightStore
from tests.sim.standin import Document, Key
from tests.sim.world import Weather, World
from tests.support import seeds

ROOT_BYTES = 31
"""A root, the time, and whether the documents are counted, in their message. Their number takes 1 to 9 bytes more."""
BASE_BYTES = 3000
"""Roots, neighbours and one path through the tree, however small the difference."""
LEVEL_BYTES = 450
"""For each document that differs and each level of the tree: a question and 16 hashes of 16 bytes, in both directions.

The tree has 4 levels of 16, the logarithm of 65,536 documents. Beyond, each bucket that is listed has more entries.
"""


def light_world(documents: int, count: int = 2) -> World:
    """Nodes that hold the same documents, and are not connected."""
    world = World(seeds.generator("bytes"), count, Weather(delay=0.002), set())
    for node in world.nodes:
        for number in range(documents):
            node.store.apply(written(f"n{number}"), "")
    return world


def written(name: str, client: int = 1) -> DocumentUpdate:
    return DocumentUpdate("notes", name, 1, False, 0.0, msgpack.packb([[client, 0, 1]]))


def bytes_until_equal(world: World) -> int:
    """From the connection of the first two nodes on."""
    for node in world.nodes:
        node._open_feed()
    world.run(1.0)
    world._connect(world.nodes[0], world.nodes[1])
    world.run(0.1)
    before_end = world.now + 60.0
    while not (world.have_converged() and world.is_in_sync()):
        assert world.now < before_end
        world.run(0.1)
    return world.sent_bytes


def bound(differences: int) -> float:
    return BASE_BYTES + LEVEL_BYTES * LEVELS * differences


@pytest.mark.parametrize("documents", [100, 10_000])
@pytest.mark.parametrize("differences", [1, 10, 100])
@pytest.mark.parametrize("name", ["new-{}", "n{}"])
def test_differences_cost_a_path_through_the_tree_each(
    documents: int, differences: int, name: str
) -> None:
    """Documents that only one node has, and documents that both have in two versions."""
    world = light_world(documents)
    for number in range(differences):
        world.nodes[0].store.apply(written(name.format(number), 2), "")
    assert bytes_until_equal(world) <= bound(differences)


def test_differences_of_real_documents_cost_as_little() -> None:
    documents, differences = 300, 5
    ledger = Ledger()
    world = World(
        seeds.generator("real bytes"), 2, Weather(delay=0.002), set(), replica_store(), ledger
    )
    first, second = world.nodes
    for number in range(documents):
        first.write(("notes", f"n{number}"))
    world.run(1.0)
    tree_key = b""
    while True:
        page = first.store.answer(ReadRange(0, BUCKETS - 1, tree_key, 10**6))
        second.store.add(ApplyUpdates(page.updates, "copy"))
        world.run(0.1)
        tree_key = page.next_tree_key
        if not tree_key:
            break
    assert first.store.root == second.store.root
    for number in range(differences):
        first.write(("notes", f"n{number}"))
    world.run(1.0)
    assert bytes_until_equal(world) <= bound(differences)


@pytest.mark.parametrize("documents", [0, 5000])
def test_a_quiet_mesh_costs_the_same_whatever_it_holds(documents: int) -> None:
    world = light_world(documents, 3)
    pairs = [(0, 1), (0, 2), (1, 2)]
    for a, b in pairs:
        world._connect(world.nodes[a], world.nodes[b])
    world.run(10.0)
    assert world.have_converged()
    messages, said = world.sent, world.sent_bytes
    seconds = 200.0
    world.run(seconds)
    messages, said = world.sent - messages, world.sent_bytes - said
    assert said == messages * (ROOT_BYTES + len(msgpack.packb(documents)))
    fewest = seconds / (1.2 * ROOT_SECONDS * 1.03) - 1
    most = seconds / (0.8 * ROOT_SECONDS * 0.97) + 1
    assert 2 * len(pairs) * fewest <= messages <= 2 * len(pairs) * most


class Miscounts(LightStore):
    """Its tree holds something that no document of it does."""

    def spoil(self, key: Key) -> None:
        self._put(key, Document(1, False, {99: 1}))
        self.documents[key] = Document(1, False, {1: 1})


def test_control_an_exchange_without_an_end_is_seen() -> None:
    make: Callable[..., LightStore] = Miscounts
    world = World(seeds.generator("endless"), 2, Weather(delay=0.002), {(0, 1)}, make)
    for node in world.nodes:
        for number in range(50):
            node.store.apply(written(f"n{number}"), "")
    world.run(10.0)
    check_quiet(world)
    world.nodes[1].store.spoil(("notes", "n0"))
    with pytest.raises(AssertionError, match="a quiet mesh of 1"):
        check_quiet(world)
