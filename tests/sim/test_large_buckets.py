"""Somebody has named more documents of one bucket than an answer has room for: nothing there stays different."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from peatnode.model.sync import ReadBuckets, StoreAnswer, StoreQuestion
from tests.sim.documents import replica_store
from tests.sim.histories import check_quiet, settle
from tests.sim.ledger import Ledger
from tests.sim.light import LightStore
from tests.sim.replicas import ReplicaStore
from tests.sim.world import Weather, World
from tests.support import seeds
from tests.support.placed_names import IN_ONE_BUCKET


class SmallAnswers(ReplicaStore):
    """The real one, of which a read lists a single entry: an answer to a peer has ten."""

    def _read(self, question: StoreQuestion) -> StoreAnswer:
        if isinstance(question, ReadBuckets):
            question = replace(question, limit=1)
        return super()._read(question)


@pytest.mark.parametrize(
    ("kind", "make", "ledger"),
    [("light", LightStore, None), ("real", replica_store(SmallAnswers), Ledger())],
)
def test_all_of_a_large_bucket_becomes_equal(kind: str, make: Any, ledger: Any) -> None:
    world = World(
        seeds.generator(f"{kind} bucket"), 2, Weather(delay=0.005), {(0, 1)}, make, ledger
    )
    for node in world.nodes:
        if kind == "light":
            node.store.most_listed = 1
    for number, name in enumerate(IN_ONE_BUCKET):
        world.nodes[number % 2].write(("notes", name))
    world.run(15.0)
    world.cut = {(0, 1)}
    for wire in list(world.nodes[0].wires.values()):
        world.break_wire(wire)
    for number, name in enumerate(IN_ONE_BUCKET):
        world.nodes[(number // 2) % 2].write(("notes", name))
    world.run(5.0)
    world.cut = set()
    settle(world)
    check_quiet(world)
