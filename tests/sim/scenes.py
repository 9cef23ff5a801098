"""Two nodes and a hand that decides everything: scenes that a random plan would seldom find."""

from __future__ import annotations

from peatnode.ipc.messages import WriteDocument, WriteKind
from tests.sim.contents import check_equal
from tests.sim.documents import replica_store
from tests.sim.histories import check_quiet, settle
from tests.sim.ledger import Ledger
from tests.sim.node import Node
from tests.sim.replicas import ReplicaStore
from tests.sim.standin import Key
from tests.sim.world import Weather, World
from tests.support import seeds

KEY: Key = ("notes", "n0")
SLOW, QUICK = 1e6, 0.001


class Scene:
    """`first` is harmed, `second` knows what it had sent."""

    def __init__(self, name: str, store: type[ReplicaStore] = ReplicaStore) -> None:
        self.world = World(
            seeds.generator(name), 2, Weather(delay=0.002), {(0, 1)}, replica_store(store), Ledger()
        )
        self.first, self.second = self.world.nodes
        self.run(3.0)

    def run(self, seconds: float) -> None:
        self.world.run(seconds)

    def put(self, field: str, value: str, node: Node | None = None) -> None:
        body = f'{{"{field}":"{value}"}}'.encode()
        node = node or self.first
        store = node.store
        is_there = any(entry[0] == b"d"[0] for entry, _ in store.disk.scan(b"d", b"e"))
        kind = WriteKind.PATCH if is_there else WriteKind.PUT
        store.add(WriteDocument(*KEY, kind, body))
        self.run(0.1)

    def part(self) -> None:
        """The two no longer reach each other."""
        self.world.cut = {(0, 1)}
        for wire in list(self.first.wires.values()):
            self.world.break_wire(wire)
        self.run(3.0)

    def meet(self) -> None:
        self.world.cut.clear()
        self.run(6.0)

    def damaged(self) -> None:
        self.world.disk_damaged(self.first)

    def check(self) -> None:
        settle(self.world)
        check_equal({node.name: node.store.disk for node in self.world.nodes})
        self.world.check_nothing_lost()
        check_quiet(self.world)
