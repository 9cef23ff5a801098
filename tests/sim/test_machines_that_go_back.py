"""A machine whose memory and disk go back together: its witness tells nothing, and its peer does.

What the machine has written since is withdrawn and written again, so nothing of either past is lost.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import orjson
import pytest

from peatnode.documents.names import document_key
from peatnode.ipc.messages import WriteDocument, WriteKind
from tests.sim.contents import check_equal
from tests.sim.documents import maintain
from tests.sim.histories import settle
from tests.sim.node import Node
from tests.sim.replicas import ReplicaStore
from tests.sim.scenes import Scene
from tests.support import seeds

DOCUMENTS = [f"n{number}" for number in range(5)]
TOLD = "n0"
"""It is always written more often before the machine goes back than after, so that its clocks tell."""


@dataclass
class Writer:
    """Writes something of its own each time, and knows what must be in the documents."""

    scene: Scene
    rng: random.Random
    written: dict[str, set[str]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    count: int = 0

    def write(self, node: Node, name: str) -> None:
        store = node.store
        value = value_of(store, name)
        self.count += 1
        mark = f"w{self.count}"
        body: dict[str, object] = {mark: 1}
        if value is not None and self.rng.random() < 0.3:
            items = value.get("list", [])
            assert isinstance(items, list)
            at = self.rng.randint(0, len(items))
            body = {"list": [*items[:at], mark, *items[at:]]}
        if self.rng.random() < 0.3:
            body["shared"] = mark
        kind = WriteKind.PUT if value is None else WriteKind.PATCH
        store.add(WriteDocument("notes", name, kind, orjson.dumps(body)))
        self.scene.run(0.05)
        self.written.setdefault(name, set()).add(mark)

    def delete(self, node: Node, name: str) -> None:
        if value_of(node.store, name) is not None:
            node.store.add(WriteDocument("notes", name, WriteKind.DELETE, b""))
            self.scene.run(0.05)
            self.written.pop(name, None)
            self.ended.add(name)

    def write_some(self, node: Node, count: int) -> None:
        for _ in range(count):
            self.write(node, self.rng.choice(DOCUMENTS[1:]))

    def missing(self, store: ReplicaStore) -> dict[str, set[str]]:
        found = {}
        for name, marks in self.written.items():
            value = value_of(store, name) or {}
            items = value.get("list", [])
            assert isinstance(items, list)
            missing = marks - value.keys() - set(items)
            if missing:
                found[name] = missing
        return found


def value_of(store: ReplicaStore, name: str) -> dict[str, object] | None:
    key = document_key("notes", name)
    record = store.replica.record_on_disk(key)
    if record is None or record.is_deleted:
        return None
    value: dict[str, object] = orjson.loads(store.replica.value(key, record))
    return value


def go_back(scene: Scene, writer: Writer, told: tuple[int, int] = (4, 1)) -> None:
    """Both pasts are written, and then the nodes meet again.

    `told`: how often one document is written before and after.
    """
    first = scene.first
    for node in scene.world.nodes:
        maintain(node)
    writer.write(first, TOLD)
    writer.write_some(first, 6)
    writer.delete(first, writer.rng.choice(DOCUMENTS[1:]))
    writer.write_some(first, 6)
    scene.run(6.0)
    image, witnessed = first.store.image(), first.store.witness.found
    for _ in range(told[0]):
        writer.write(first, TOLD)
    writer.write_some(first, writer.rng.randrange(12))
    scene.run(6.0)
    scene.part()

    def put_back() -> None:
        first.store.disk.restore(image)
        first.store.witness.found = witnessed
        first.store.has_been_cloned = True

    first.kill_store(0.1, put_back)
    scene.run(1.0)
    for _ in range(told[1]):
        writer.write(first, TOLD)
    writer.write_some(first, writer.rng.randrange(12))
    writer.write_some(scene.second, writer.rng.randrange(4))
    scene.meet()
    settle(scene.world)


def check(scene: Scene, writer: Writer) -> None:
    check_equal({node.name: node.store.disk for node in scene.world.nodes})
    for node in scene.world.nodes:
        assert writer.missing(node.store) == {}
        assert not node.store.replica.own_writes.pending


@pytest.mark.parametrize("number", range(10))
def test_nothing_of_either_past_is_lost(number: int) -> None:
    scene = Scene(f"a machine that goes back {number}")
    writer = Writer(scene, seeds.generator(f"writes of a machine that goes back {number}"))
    go_back(scene, writer)
    check(scene, writer)


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("told", [(2, 2), (1, 3), (0, 0)])
def test_clocks_need_not_tell(number: int, told: tuple[int, int]) -> None:
    """The contents of the documents tell that both pasts have used the same clocks."""
    name = f"clocks that tell nothing {told} {number}"
    scene = Scene(f"a machine that goes back, {name}")
    writer = Writer(scene, seeds.generator(f"writes of {name}"))
    go_back(scene, writer, told)
    check(scene, writer)


class Remembers(ReplicaStore):
    """Begins a new generation, and leaves what it has written as it is."""

    def maintain(self) -> None:
        self.replica.own_writes.pending.clear()
        super().maintain()


def test_control_without_withdrawal_something_is_lost_and_reported() -> None:
    for number in range(200):
        scene = Scene(f"a machine that goes back {number}", Remembers)
        writer = Writer(scene, seeds.generator(f"writes of a machine that goes back {number}"))
        go_back(scene, writer)
        if any(writer.missing(node.store) for node in scene.world.nodes):
            assert any(node.store.reports.found_names for node in scene.world.nodes)
            return
    raise AssertionError("200 machines that went back have lost nothing")
