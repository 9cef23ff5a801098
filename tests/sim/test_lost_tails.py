"""Disks that go back: whatever the machine remembers, no clock means two things, and the contents become equal."""

from __future__ import annotations

from peatnode.documents.replica.withdraw import OwnWrites
from tests.sim.histories import settle
from tests.sim.replicas import ReplicaStore
from tests.sim.scenes import QUICK, SLOW, Scene


class KeepsGeneration(ReplicaStore):
    """Takes every disk for whole, and compares nothing with what peers have under its clocks."""

    keeps_generation = True

    def _build(self) -> None:
        self.replica.own_writes = OwnWrites()
        super()._build()


def lose_tail(scene: Scene) -> None:
    """The node writes while it is alone, after its disk has lost a change that the other one has."""
    scene.put("a", "one")
    scene.run(1.0)
    disk = scene.first.store.disk
    before = disk.sequence
    scene.put("a", "two")
    scene.run(1.0)
    scene.part()
    scene.first.kill_store(0.1, lambda: (disk.lose(disk.batches_since(before)), scene.damaged()))
    scene.run(1.0)
    scene.put("b", "other")
    scene.meet()


def test_a_lost_tail_begins_a_generation() -> None:
    scene = Scene("a lost tail")
    before = scene.first.store.generation
    lose_tail(scene)
    assert scene.first.store.generation != before
    scene.check()


def test_control_a_generation_that_is_kept_after_a_lost_tail_gives_one_clock_two_meanings() -> None:
    scene = Scene("a lost tail", KeepsGeneration)
    lose_tail(scene)
    settle(scene.world)
    assert any(node.store.reports.found_names for node in scene.world.nodes)


def test_what_survived_a_crash_unsynced_counts_as_seen_once_the_store_is_open() -> None:
    """It is shown and sent after the opening, so a later loss of it is a lost tail."""
    scene = Scene("a change that survived")
    scene.put("a", "one")
    disk = scene.first.store.disk
    before = disk.sequence
    scene.world.sync_seconds = SLOW
    scene.put("a", "two")
    scene.first.kill_store(0.1, lost=0)
    scene.world.sync_seconds = QUICK
    scene.run(6.0)
    assert scene.second.store.root == scene.first.store.root
    scene.part()
    scene.first.kill_store(0.1, lambda: (disk.lose(disk.batches_since(before)), scene.damaged()))
    scene.run(1.0)
    scene.put("b", "other")
    scene.meet()
    scene.check()


def test_an_image_with_a_change_that_was_never_synced_is_another_past() -> None:
    """It has as many changes as the store had acknowledged, and others."""
    scene = Scene("an image of an unsynced change")
    scene.put("a", "one")
    scene.world.sync_seconds = SLOW
    scene.put("a", "two")
    image = scene.first.store.image()
    unsynced = scene.first.store.disk.unsynced
    scene.first.kill_store(0.1, lost=unsynced)
    scene.world.sync_seconds = QUICK
    scene.run(1.0)
    scene.put("b", "other")
    scene.run(1.0)
    scene.part()
    disk = scene.first.store.disk
    scene.first.kill_store(0.1, lambda: (disk.restore(image), scene.damaged()))
    scene.run(1.0)
    scene.meet()
    scene.check()
