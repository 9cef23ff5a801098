"""Histories of real documents on disks that forget: crashes, lost tails, images that return, wrong clocks, expiry."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from peatnode.documents.names import names_of
from peatnode.documents.replica.ended.entries import state_key
from peatnode.documents.replica.keyspace import ENDED_STATE, after
from peatnode.documents.replica.replica import Replica
from peatnode.ipc.messages import WriteDocument, WriteKind
from tests.sim.contents import check_equal, keys_of, record_of
from tests.sim.disk import Image
from tests.sim.histories import act_on, check_quiet, restart, settle, some_links, some_weather
from tests.sim.ledger import Ledger
from tests.sim.node import Node
from tests.sim.replicas import NO_EXPIRY, Habits, ReplicaStore
from tests.sim.standin import Key
from tests.sim.world import World
from tests.support import seeds

TURN_SECONDS = 0.5
"""Between two turns of the maintenance of a store."""

GO_BACK = float(os.environ.get("PEAT_SIM_GO_BACK", "0.1"))
"""Part of the histories in which a machine goes back at the end."""

TOLD: Key = ("notes", "told")

CHECKPOINTS = 0.1
"""Part of the occasions at which a checkpoint is written: one takes longer than a short history."""


def replica_store(
    kind: type[ReplicaStore] = ReplicaStore, habits: Habits = NO_EXPIRY
) -> Callable[[int, Node, Ledger], ReplicaStore]:
    """Makes the stores of a world."""

    def make(index: int, host: Node, ledger: Ledger) -> ReplicaStore:
        store = kind(f"node-{index}", host, ledger)
        store.habits = habits
        return store

    return make


def maintain(node: Node) -> None:
    """From now on the store of a node looks after what is due, and in particular after expired documents."""
    if node.store.is_open:
        node.store.maintain()
    node.world.at(TURN_SECONDS, lambda: maintain(node))


@dataclass
class DocumentHistory:
    """One history: `name` and the seed of the run determine all of it."""

    name: str
    store: type[ReplicaStore] = ReplicaStore
    images: dict[int, list[Image]] = field(default_factory=dict)

    def run(self) -> World:
        self.plan = plan = seeds.generator(f"plan of {self.name}")
        count = plan.choice([2, 3, 3, 3, 4, 5])
        ledger = Ledger()
        habits = Habits(
            arrays=plan.choice([0.0, 0.0, 0.0, 0.05]),
            expiries=plan.choice([0.0, 0.0, 0.15]),
        )

        self.world = world = World(
            seeds.generator(self.name),
            count,
            some_weather(plan),
            some_links(plan, count),
            replica_store(self.store, habits),
            ledger,
        )
        world.sync_seconds = plan.choice([0.0005, 0.01, 0.1])
        if plan.random() < 0.5:
            for node in world.nodes:
                node.wall_offset = plan.choice([0.0, -3600.0, 40.0, 1e8, -2e9])
        for node in world.nodes:
            maintain(node)
        keys = [("notes", f"n{i}") for i in range(plan.choice([1, 2, 4, 8]))]
        for _ in range(plan.randint(10, 32)):
            self._act(plan.choice(world.nodes), keys)
            world.run(plan.expovariate(4.0))
        if plan.random() < GO_BACK:
            self._go_back(plan.choice(world.nodes), keys)
        settle(world)
        self.check()
        return world

    # --- what happens

    def _act(self, node: Node, keys: list[Key]) -> None:
        plan, world = self.plan, self.world
        match plan.choices(range(12), [50, 8, 4, 3, 3, 3, 14, 6, 5, 5, 4, 6])[0]:
            case 0:
                for _ in range(plan.choice([1, 1, 1, 3, 10])):
                    node.write(plan.choice(keys))
            case 6:
                for _ in range(plan.choice([0, 1, 3])):
                    node.write(plan.choice(keys))
                    world.run(plan.choice([0.0, 0.003, 0.05]))
                self._harm(node)
            case 8:
                if node.store.is_open:
                    self.images.setdefault(node.index, []).append(node.store.image())
            case 9:
                if node.store.is_open:
                    node.store.compact(*plan.choice(keys))
                    if plan.random() < CHECKPOINTS:
                        node.store.checkpoint()
            case 10:
                node.wall_offset += plan.choice([-1e9, -5.0, 5.0, 4000.0, 1e9])
            case 11:
                for key in plan.sample(keys, plan.randint(1, len(keys))):
                    for other in plan.sample(world.nodes, plan.choice([1, 1, 2])):
                        other.undelete(key)
            case number:
                act_on(number, world, node, plan, keys)

    def _harm(self, node: Node) -> None:
        if not node.store.is_open:
            return
        plan, store, seconds = self.plan, node.store, self.plan.choice([0.01, 0.1, 1.0])
        images = self.images.get(node.index, [])
        match plan.choices(range(5), [4, 2, 3, 3, 1])[0]:
            case 0:
                if store.is_idle and plan.random() < CHECKPOINTS:
                    store.stop()
                    store.open()
                node.kill_store(seconds)
            case 1:
                node.kill_store(seconds, store.power_off)
                restart(self.world, node, plan, is_new=True)
            case 2:
                count = plan.choice([1, 1, 2, 5])
                node.kill_store(seconds, lambda: self._damage(node, lambda: store.disk.lose(count)))
            case 3:
                if images:
                    image = plan.choice(images)
                    node.kill_store(
                        seconds, lambda: self._damage(node, lambda: store.disk.restore(image))
                    )
            case 4:
                if images:
                    image = plan.choice(images)
                    node.kill_store(
                        seconds, lambda: self._damage(node, lambda: store.disk.restore(image))
                    )
                    store.power_off()
                    restart(self.world, node, plan, is_new=True)

    def _damage(self, node: Node, harm: Callable[[], None]) -> None:
        harm()
        self.world.disk_damaged(node)

    def _go_back(self, node: Node, keys: list[Key]) -> None:
        """Memory and disk of a machine go back together, and it writes before it meets the others.

        Its witness tells nothing then. In half of the histories, clocks tell: it had written a document more often
        before than after. In the others, only contents may tell.
        """
        plan, world, store = self.plan, self.world, node.store
        clocks_tell = plan.random() < 0.5
        settle(world)
        _tell(node)
        settle(world)
        image, witnessed = store.image(), store.witness.found
        for _ in range(6):
            if clocks_tell:
                _tell(node)
            plan.choice(world.nodes).write(plan.choice(keys))
            world.run(plan.expovariate(4.0))
        settle(world)
        told = len(world.ledger.writes)
        world.cut = {link for link in world.links if node.index in link}
        for wire in list(node.wires.values()):
            world.break_wire(wire)
        world.run(3.0)

        def put_back() -> None:
            store.disk.restore(image)
            store.witness.found = witnessed
            store.has_been_cloned = True

        node.kill_store(0.1, lambda: self._damage(node, put_back))
        world.run(1.0)
        if clocks_tell:
            _tell(node)
        for _ in range(plan.randrange(6)):
            plan.choice([node, *world.nodes]).write(plan.choice(keys))
            world.run(0.2)
        world.run(2.0)
        # They are withdrawn and written again under a new id: of their clocks nothing remains.
        own = [write for write in world.ledger.writes[told:] if write.node == node.name]
        world.ledger.excused.update(own)

    # --- what must hold

    def check(self) -> None:
        world, ledger = self.world, self.world.ledger
        reported = set().union(*(node.store.kept for node in world.nodes))
        check_equal({node.name: node.store.disk for node in world.nodes}, reported)
        if not reported:
            world.check_nothing_lost()
        _check_indexes(self.plan.choice(world.nodes))
        for node in world.nodes:
            _check_ends(node, ledger)
            _check_ended_content(node)
        check_quiet(world)


def _tell(node: Node) -> None:
    """Writes the document by which others find out that this machine went back."""
    kind = WriteKind.PATCH if node.store.has(TOLD) else WriteKind.PUT
    node.store.add(WriteDocument(*TOLD, kind, b'{"at":%d}' % (node.world.now * 1000)))


def _check_indexes(node: Node) -> None:
    """The tree and the counts in memory are those of what is on disk."""
    replica = node.store.replica
    fresh = Replica(node.store.disk, replica.client)
    assert (fresh.tree.root, fresh.sequence) == (replica.tree.root, replica.sequence)
    assert fresh.counts == replica.counts


def _check_ended_content(node: Node) -> None:
    """The totals in memory are those of what is on disk, and each head has its state."""
    ended, kv = node.store.ended, node.store.disk
    heads = [head for name in ended.collections() for head in ended.listed(name)]
    assert (ended.count, ended.bytes) == (len(heads), sum(head.size for head in heads))
    assert all(ended.parts(head) is not None for head in heads)
    states = {entry for entry, _ in kv.scan(ENDED_STATE, after(ENDED_STATE))}
    assert states == {state_key(head.key, head.sequence) for head in heads}


def _check_ends(node: Node, ledger: Ledger) -> None:
    """Whatever has ended was deleted by a client, or had an expiry."""
    for key in keys_of(node.store.disk):
        record = record_of(node.store.disk.get, key)
        assert record is not None
        ends = range(1, record.incarnation + record.is_deleted)
        for incarnation in ends:
            assert (key, incarnation) in ledger.ended, f"{names_of(key)} {incarnation} has ended"
