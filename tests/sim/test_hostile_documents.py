"""What a member deletes, an operator brings back; what it lets leap, nobody takes: with real documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from peatnode.documents.names import document_key
from peatnode.model.documents import DocumentUpdate
from tests.sim.contents import check_equal, content_of
from tests.sim.documents import replica_store
from tests.sim.hostile import HostileWorld
from tests.sim.insiders import Trick
from tests.sim.ledger import Ledger
from tests.sim.light import LightStore
from tests.sim.node import Node
from tests.sim.operators import Operators
from tests.sim.replicas import ReplicaStore
from tests.sim.standin import Key
from tests.sim.tricks import LAST_INCARNATION, Leaper
from tests.sim.world import Weather
from tests.support import seeds

RUNS = 20
HONEST = 3
KEYS: list[Key] = [("notes", f"n{number}") for number in range(8)]
NOTHING = b"\0"
"""An encoded state vector, and as an update: of no client."""


class Refusing(ReplicaStore):
    may_refuse = True


class Limited(Refusing):
    max_peer_deletions = 2


class Idle(Trick):
    """It waits for the test."""


class Mesh:
    def __init__(self, name: str, kind: type[ReplicaStore] = Refusing) -> None:
        self.ledger = Ledger()
        make_replica = replica_store(kind)

        def make_store(index: int, host: Any, ledger: Any) -> Any:
            if index < HONEST:
                return make_replica(index, host, self.ledger)
            return LightStore(index, host, [])

        self.rng = seeds.generator(f"plan of {name}")
        self.world = HostileWorld(
            seeds.generator(name), HONEST, 1, Weather(delay=0.005), make_store, Node
        )
        (self.insider,) = self.world.insiders
        self.insider.play([Idle])
        self.world.run(3.0)

    def settle(self, decide: Callable[[], None] = lambda: None) -> None:
        """`decide`: what operators do meanwhile."""
        world = self.world
        end = world.now + 60.0
        while not all(n.store.is_idle for n in world.honest) or (
            len({n.store.root for n in world.honest}) > 1
        ):
            assert world.now < end, "the honest nodes differ"
            decide()
            world.run(1.0)
        check_equal({node.name: node.store.disk for node in world.honest})

    def values(self, node: Node | None = None) -> dict[Key, Any]:
        disk = (node or self.world.honest[0]).store.disk
        contents = {key: content_of(disk.get, document_key(*key)) for key in KEYS}
        return {key: None if c is None or c.is_deleted else c.value for key, c in contents.items()}

    def write(self, count: int) -> None:
        for _ in range(count):
            self.rng.choice(self.world.honest).write(self.rng.choice(KEYS))
            self.world.run(self.rng.expovariate(5.0))

    def undelete(self, values: dict[Key, Any]) -> None:
        """Brings back what is gone of these values, each from some node."""
        now = self.values()
        for key, value in values.items():
            if value is not None and now[key] is None:
                self.rng.choice(self.world.honest).store.undelete_of_client(key)
                self.world.run(0.3)

    def push(self, *updates: DocumentUpdate) -> None:
        trick = Leaper(self.insider)
        for peer in list(self.insider.wires):
            if self.rng.random() < 0.7 or peer == min(self.insider.wires):
                trick.push(peer, updates)


@pytest.mark.parametrize("number", range(RUNS))
def test_what_a_member_has_deleted_comes_back_on_all_nodes(number: int) -> None:
    mesh = Mesh(f"deletions of an insider {number}")
    mesh.write(20)
    mesh.settle()
    before = mesh.values()
    mesh.push(*(DocumentUpdate(*key, i, True, 0.0, NOTHING) for key in KEYS for i in (1, 2)))
    mesh.world.run(5.0)
    mesh.settle()
    assert set(mesh.values().values()) == {None}
    mesh.undelete(before)
    mesh.settle()
    assert mesh.values() == before


@pytest.mark.parametrize("number", range(RUNS // 2))
def test_a_member_that_deletes_too_many_is_stopped_blocked_and_undone(number: int) -> None:
    """As docs/security.md says: block it on each node, allow what it deleted up to the limit, undelete that."""
    mesh = Mesh(f"deletions beyond the limit {number}", Limited)
    mesh.write(40)
    mesh.settle()
    before = mesh.values()
    for key in mesh.rng.sample(KEYS, len(KEYS)):
        mesh.push(*(DocumentUpdate(*key, i, True, 0.0, NOTHING) for i in (1, 2)))
        mesh.world.run(0.1)
    mesh.world.run(5.0)
    honest = mesh.world.honest
    for node in honest:
        gone = sum(value is None for value in mesh.values(node).values())
        assert gone - list(before.values()).count(None) <= Limited.max_peer_deletions * len(honest)
    assert any(node.store.paused for node in honest)
    operators = Operators(honest, {mesh.insider.name})
    operators.block()
    mesh.settle(operators.decide)
    mesh.undelete(before)
    mesh.settle(operators.decide)
    assert mesh.values() == before


@pytest.mark.parametrize("number", range(RUNS))
def test_names_that_a_member_lets_leap_are_written_on(number: int) -> None:
    mesh = Mesh(f"leaps of an insider {number}")
    mesh.write(10)
    for incarnation in (2**21, LAST_INCARNATION - 1, LAST_INCARNATION):
        key = mesh.rng.choice(KEYS)
        is_deleted = mesh.rng.random() < 0.7
        content = NOTHING if is_deleted else b"\0\0"
        mesh.push(DocumentUpdate(*key, incarnation, is_deleted, 0.0, content))
        mesh.write(5)
    mesh.settle()
    for node in mesh.world.honest:
        assert not mesh.ledger.missing(node.store.disk.get)
        for key in KEYS:
            record = node.store.replica.record_on_disk(document_key(*key))
            assert record is None or record.incarnation < 100
