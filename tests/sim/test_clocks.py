"""Wall clocks that are wrong: what has an expiry ends by the first clock that has passed it, and nothing else ends."""

from __future__ import annotations

from peatnode.ipc.messages import WriteDocument, WriteKind
from tests.sim.contents import check_equal, record_of
from tests.sim.documents import maintain, replica_store
from tests.sim.histories import settle
from tests.sim.ledger import Ledger
from tests.sim.node import Node
from tests.sim.world import Weather, World
from tests.support import seeds

HOUR, YEAR = 3600.0, 365 * 86400.0


def world_of(*wall_offsets: float) -> World:
    links = {(a, b) for a in range(len(wall_offsets)) for b in range(a)}
    links = {(b, a) for a, b in links}
    world = World(
        seeds.generator("clocks"),
        len(wall_offsets),
        Weather(delay=0.002),
        links,
        replica_store(),
        Ledger(),
    )
    for node, offset in zip(world.nodes, wall_offsets, strict=True):
        node.wall_offset = offset
        maintain(node)
    return world


def put(node: Node, name: str, ttl: float) -> None:
    expires_at = node.wall_clock() + ttl if ttl else 0.0
    body = b'{"a":1}'
    node.store.add(WriteDocument("notes", name, WriteKind.PUT, body, expires_at=expires_at))
    node.world.run(0.1)


def live(node: Node) -> set[str]:
    names = ("kept", "short", "long")
    found = {name: record_of(node.store.disk.get, f"notes\0{name}".encode()) for name in names}
    return {name for name, record in found.items() if record and not record.is_deleted}


def check(world: World, expected: set[str]) -> None:
    settle(world)
    check_equal({node.name: node.store.disk for node in world.nodes})
    assert [live(node) for node in world.nodes] == [expected] * len(world.nodes)


def test_a_clock_that_is_ahead_ends_what_has_an_expiry_and_nothing_else() -> None:
    world = world_of(0.0, 2 * HOUR, -YEAR)
    for name, ttl in (("kept", 0.0), ("short", HOUR), ("long", YEAR)):
        put(world.nodes[0], name, ttl)
    world.run(5.0)
    check(world, {"kept", "long"})


def test_a_clock_that_is_behind_takes_the_ends_that_others_found() -> None:
    world = world_of(0.0, -YEAR)
    put(world.nodes[1], "kept", 0.0)
    put(world.nodes[0], "short", 3.0)
    world.run(2.0)
    check(world, {"kept", "short"})
    world.run(5.0)
    check(world, {"kept"})


def test_clocks_that_jump_both_ways_end_each_document_once_and_for_all() -> None:
    world = world_of(0.0, 0.0)
    for name, ttl in (("kept", 0.0), ("short", HOUR), ("long", YEAR)):
        put(world.nodes[0], name, ttl)
    for jump in (HOUR + 1, -2 * HOUR, -2 * YEAR):
        world.nodes[1].wall_offset += jump
        world.run(3.0)
        check(world, {"kept", "long"})


def test_an_expiry_that_is_taken_back_in_time_ends_nothing() -> None:
    world = world_of(0.0, 0.0)
    put(world.nodes[0], "short", HOUR)
    world.run(3.0)
    put(world.nodes[1], "short", 0.0)
    world.run(3.0)
    world.nodes[0].wall_offset += YEAR
    world.run(3.0)
    check(world, {"short"})
