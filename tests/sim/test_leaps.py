"""A member whose document has leapt far ahead: the others refuse it, say so, and are otherwise equal."""

from __future__ import annotations

from dataclasses import replace

from peatnode.documents.limits import MAX_INCARNATION, MAX_LEAP
from peatnode.documents.names import document_key
from peatnode.ipc.messages import ApplyUpdates, DocumentUpdate
from tests.sim.documents import replica_store
from tests.sim.histories import check_quiet, settle
from tests.sim.ledger import Ledger
from tests.sim.node import Node
from tests.sim.replicas import ReplicaStore
from tests.sim.world import Weather, World
from tests.support import seeds
from workers.store.write.work import Accept, Drop

NAME = ("notes", "one")
KEY = document_key(*NAME)
LEAP = DocumentUpdate(*NAME, MAX_INCARNATION - 1, True, 0.0, b"")

QUIET_MESSAGES = 4.2 * 60 / 5
"""A pair that differs compares roots from both sides each 5 s, with jitter; in a minute."""


class CarefulStore(ReplicaStore):
    may_refuse = True


def mesh(name: str, count: int) -> World:
    links = {(a, b) for a in range(count) for b in range(a + 1, count)}
    world = World(
        seeds.generator(name),
        count,
        Weather(delay=0.005),
        links,
        replica_store(CarefulStore),
        Ledger(),
    )
    world.run(1.0)
    return world


def leap(node: Node, update: DocumentUpdate = LEAP) -> None:
    """The node carries out a leap that nobody else has."""
    node.store.add(ApplyUpdates((update,), "elsewhere"))
    node.world.run(0.5)
    accept(node)


def accept(node: Node) -> None:
    (waiting,) = node.store.leaps.all()
    node.store.add(Accept(KEY, waiting.id))
    node.world.run(0.5)


def reasons(node: Node) -> dict[str, str]:
    return {one.member.node_id: one.reason for one in node.machine.sync_statuses()}


def kept(node: Node) -> list[int]:
    return [waiting.incarnation for waiting in node.store.leaps.all()]


def test_nodes_that_refuse_a_leap_say_so_are_equal_otherwise_and_stay_quiet() -> None:
    world = mesh("a leap", 3)
    insider, *others = world.nodes
    for number in range(20):
        world.nodes[number % 3].write(("notes", f"n{number}"))
    others[0].write(NAME)
    world.run(10.0)
    leap(insider)
    insider.write(("notes", "after"))
    world.run(20.0)
    for node in others:
        assert node.store.has(NAME)
        assert node.store.has(("notes", "after"))
        assert kept(node) == [MAX_INCARNATION - 1]
        assert node.store.leap_notes.kept_names == ["notes/one"]
        assert node.machine.differing() == ("notes/one",)
        (reason, equal) = sorted(reasons(node).values(), reverse=True)
        assert reason == (
            "differs only by 1 of its documents refused by the local store: "
            f"quarantined: it leaps from incarnation 1 to {MAX_INCARNATION - 1:,}"
        )
        assert equal == ""
    assert set(reasons(insider).values()) == {
        "it lacks or refuses documents of this node, and has none that this node lacks"
    }
    links, world.links = world.links, set()  # no connection breaks meanwhile
    world.run(20.0)
    before = world.sent
    world.run(60.0)
    assert world.sent - before <= 3 * QUIET_MESSAGES
    world.links = links
    for node in others:
        accept(node)
    settle(world)
    for node in others:
        assert (kept(node), node.machine.differing()) == ([], ())
    check_quiet(world)


def test_a_node_that_hears_the_insider_first_has_what_the_others_have() -> None:
    world = mesh("an insider first", 4)
    insider, newcomer = world.nodes[0], world.nodes[3]
    world.cut = {(1, 3), (2, 3)}
    for node in world.nodes:
        for wire in list(node.wires.values()):
            if newcomer in wire.ends and insider not in wire.ends:
                world.break_wire(wire)
    world.nodes[1].write(NAME)
    world.run(5.0)
    leap(insider)
    world.run(10.0)
    assert kept(newcomer) == [MAX_INCARNATION - 1]
    world.cut = set()
    world.run(20.0)
    honest = world.nodes[1:]
    assert len({node.store.root for node in honest}) == 1
    assert all(node.store.has(NAME) for node in honest)
    assert all(kept(node) == [MAX_INCARNATION - 1] for node in honest)


def test_what_others_have_reached_in_steps_is_a_leap_for_who_was_away() -> None:
    """Nobody is an insider: the status of each node is true, and what differs is not compared again and again."""
    world = mesh("a leap in steps", 3)
    node, other, away = world.nodes
    away.write(NAME)
    world.run(10.0)
    links, world.cut = world.links, {(0, 2), (1, 2)}
    for wire in list(away.wires.values()):
        world.break_wire(wire)
    for step in (1, 2, 3):
        tombstone = DocumentUpdate(*NAME, step * MAX_LEAP, True, 0.0, b"")
        node.store.add(ApplyUpdates((tombstone,), "elsewhere"))
        world.run(2.0)
    node.write(NAME)
    away.write(("notes", "meanwhile"))
    world.run(10.0)
    assert kept(other) == [], "each step is small"
    world.cut = set()
    world.run(20.0)

    def check() -> None:
        assert kept(away) == [3 * MAX_LEAP + 1]
        assert set(reasons(away).values()) == {
            "differs only by 1 of its documents refused by the local store: "
            f"quarantined: it leaps from incarnation 1 to {3 * MAX_LEAP + 1:,}"
        }
        for each, twin in ((node, other), (other, node)):
            assert each.store.has(("notes", "meanwhile"))
            told = reasons(each)
            assert told[twin.store.node_id] == ""
            assert told[away.store.node_id] == (
                "it lacks or refuses documents of this node, and has none that this node lacks"
            )
        world.links = set()  # no connection breaks meanwhile
        world.run(20.0)
        before = world.sent
        world.run(60.0)
        assert world.sent - before <= 3 * QUIET_MESSAGES
        world.links = links

    check()
    away.write(NAME)  # of an incarnation that has ended elsewhere
    world.run(20.0)
    check()
    node.write(NAME)
    world.run(20.0)
    check()
    accept(away)
    settle(world)
    assert (kept(away), away.machine.differing()) == ([], ())
    check_quiet(world)


def test_what_was_dropped_does_not_come_back_to_the_list() -> None:
    world = mesh("a leap is dropped", 2)
    insider, honest = world.nodes
    leap(insider)
    world.run(10.0)
    (waiting,) = honest.store.leaps.all()
    honest.store.add(Drop(waiting.id))
    world.run(1.0)
    honest.kill()
    world.run(1.0)
    honest.start(is_new_instance=True)
    world.run(30.0)
    assert kept(honest) == []
    assert "quarantined" in reasons(honest)[insider.store.node_id]


def test_a_smaller_leap_is_offered_once_the_larger_one_was_dropped() -> None:
    """It may be the right one: of a document that was deleted and written very often, on a node that is empty."""
    world = mesh("two leaps", 3)
    insider, old, newcomer = world.nodes
    right = 3 * MAX_LEAP
    leap(old, replace(LEAP, incarnation=right))
    leap(insider)
    world.run(20.0)
    assert kept(newcomer) == [MAX_INCARNATION - 1]
    newcomer.store.add(Drop(newcomer.store.leaps.all()[0].id))
    world.run(20.0)
    assert kept(newcomer) == [right]
    accept(newcomer)
    world.run(20.0)
    assert kept(newcomer) == []
    assert newcomer.store.root == old.store.root
