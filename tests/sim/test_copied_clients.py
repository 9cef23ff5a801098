"""A Yjs client that was copied writes on several nodes under the same ids and clocks. The nodes become equal."""

from __future__ import annotations

import random

from peatnode.documents.names import document_key
from peatnode.documents.yjs.update import encode_update
from peatnode.model.documents import DocumentUpdate
from peatnode.model.sync import ApplyUpdates
from tests.sim.documents import maintain, replica_store
from tests.sim.histories import check_quiet, settle, some_links
from tests.sim.ledger import Ledger
from tests.sim.node import Node
from tests.sim.replicas import Habits, ReplicaStore
from tests.sim.world import Weather, World
from tests.support import seeds
from tests.support.copied_clients import WORDS, CopiedWriter, first_writer, open_doc

NAME = ("notes", "copied")
KEY = document_key(*NAME)
RUNS = 24


class CopiedScene:
    """Some nodes, on each of which a copy of one client writes, and writers with ids of their own beside them."""

    def __init__(self, name: str, kind: type[ReplicaStore] = ReplicaStore) -> None:
        self.rng = rng = seeds.generator(name)
        count = rng.choice([2, 2, 3, 4])
        self.world = World(
            seeds.generator(f"world of {name}"),
            count,
            Weather(delay=0.01),
            some_links(rng, count),
            replica_store(kind, Habits()),
            Ledger(),
        )
        for node in self.world.nodes:
            maintain(node)
        self.world.run(3.0)
        client = rng.randrange(1, 2**32)
        first = first_writer(client)
        self.send(self.world.nodes[0], first.doc.get_update())
        nested = rng.random() < 0.3
        for _ in range(rng.randrange(1, 5)):
            self.send(self.world.nodes[0], first.edit(rng, nested))
        settle(self.world)
        base = first.doc.get_update()
        writers = [
            CopiedWriter(node, open_doc(client, base), False, WORDS) for node in range(count)
        ]
        writers += [
            CopiedWriter(node, open_doc(rng.randrange(1, 2**32), base), True, WORDS)
            for node in range(count)
            if rng.random() < 0.6
        ]
        if rng.random() < 0.6:
            self._part()
        for _ in range(rng.randrange(4, 16)):
            self._write(rng.choice(writers), nested, rng)
        self.world.cut.clear()

    def _part(self) -> None:
        """No two nodes reach each other."""
        self.world.cut = set(self.world.links)
        for node in self.world.nodes:
            for wire in list(node.wires.values()):
                self.world.break_wire(wire)
        self.world.run(3.0)

    def send(self, node: Node, update: bytes) -> None:
        change = DocumentUpdate(*NAME, 1, False, 0.0, update)
        node.store.ask(ApplyUpdates((change,), "client:1"), lambda answer: None)
        self.world.run(0.05)

    def _write(self, writer: CopiedWriter, nested: bool, rng: random.Random) -> None:
        node = self.world.nodes[writer.node]
        if writer.syncs:
            replica = node.store.replica
            record = replica.record_on_disk(KEY)
            assert record is not None
            try:
                writer.doc.apply_update(encode_update(replica.merged(KEY, record)))
            except RuntimeError:
                return  # an engine cannot read what contradicts itself before it is joined
        self.send(node, writer.edit(rng, nested))
        self.world.run(rng.choice([0.0, 0.1, 1.0]))

    def check(self) -> None:
        """All nodes have the same content, and say of the same document that something was lost."""
        settle(self.world)
        for node in self.world.nodes:
            assert set(node.store.reports.found_names) <= {"notes/copied"}
        assert len(self.values()) == 1
        check_quiet(self.world)

    @property
    def has_conflict(self) -> bool:
        return any(node.store.reports.found_names for node in self.world.nodes)

    def values(self) -> set[bytes]:
        found = set()
        for node in self.world.nodes:
            record = node.store.replica.record_on_disk(KEY)
            assert record is not None
            found.add(node.store.replica.value(KEY, record))
        return found


def test_nodes_on_which_copies_of_one_client_write_become_equal() -> None:
    conflicts = 0
    for number in range(RUNS):
        scene = CopiedScene(f"copies of a client {number}")
        scene.check()
        conflicts += scene.has_conflict
    assert conflicts > RUNS / 3
