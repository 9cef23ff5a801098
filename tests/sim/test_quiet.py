"""What a mesh says when there is nothing to say, and what it says of a document that somebody does not take."""

from __future__ import annotations

from tests.sim.world import Weather, World
from tests.support import seeds


def mesh(count: int) -> World:
    links = {(a, b) for a in range(count) for b in range(a + 1, count)}
    return World(seeds.generator("quiet mesh"), count, Weather(delay=0.002), links)


def test_a_quiet_mesh_says_two_small_messages_a_pair_each_five_seconds() -> None:
    world = mesh(5)
    for i in range(200):
        world.nodes[0].write(("notes", f"n{i}"))
    world.run(30.0)
    assert world.have_converged()
    world.links.clear()
    before = world.sent
    world.run(100.0)
    pairs = 10
    assert world.sent - before <= pairs * 2 * 100 / 4 + 100


def test_a_refused_document_is_reported_and_not_asked_for_for_ever() -> None:
    world = mesh(3)
    refusing = world.nodes[2]
    refusing.store.refused.add(("notes", "bad"))
    for i in range(50):
        world.nodes[0].write(("notes", f"n{i}"))
    world.nodes[0].write(("notes", "bad"))
    world.run(20.0)
    sync_statuses = refusing.machine.sync_statuses()
    assert {one.is_in_sync for one in sync_statuses} == {False}
    assert any("refused by the local store" in one.reason for one in sync_statuses)
    assert refusing.machine.differing() == ("notes/bad",)
    world.links.clear()
    world.run(20.0)
    before, applied = world.sent, refusing.store.sequence
    world.run(60.0)
    assert world.sent - before < 200, "what differs only by it is not compared again and again"
    assert refusing.store.sequence == applied


def test_a_refused_document_that_changes_is_taken() -> None:
    world = mesh(3)
    refusing = world.nodes[2]
    refusing.store.refused.add(("notes", "bad"))
    world.nodes[0].write(("notes", "bad"))
    world.run(20.0)
    refusing.store.refused.clear()
    world.nodes[0].write(("notes", "bad"))
    world.run(20.0)
    assert world.have_converged()
    assert refusing.machine.differing() == ()


def test_a_refused_document_that_an_operator_has_taken_in_part_is_fetched() -> None:
    world = mesh(3)
    refusing = world.nodes[2]
    refusing.store.refused.add(("notes", "bad"))
    world.nodes[0].write(("notes", "bad"))
    first, _ = world.nodes[0].store.feed[-1]
    world.nodes[0].write(("notes", "bad"))
    world.run(20.0)
    refusing.store.refused.clear()
    refusing.store.apply(first, "")
    refusing.committed()
    world.run(20.0)
    assert world.have_converged()


def test_a_ring_of_meshes_converges() -> None:
    count, group = 60, 6
    links = {(a, b) for a in range(count) for b in range(a + 1, count) if a // group == b // group}
    links |= {(g * group, ((g + 1) * group) % count) for g in range(count // group)}
    links = {(min(link), max(link)) for link in links}
    world = World(seeds.generator("quiet world"), count, Weather(delay=0.01), links)
    world.run(5.0)
    for i in range(30):
        world.nodes[(i * 7) % count].write(("notes", f"n{i}"))
        world.run(0.1)
    for _ in range(30):
        world.run(2.0)
        if world.have_converged():
            break
    assert world.have_converged()
    world.check_nothing_lost()
