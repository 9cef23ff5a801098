"""Seeded histories: a plan of writes and faults, the end of all faults, and what must hold after it."""

from __future__ import annotations

import random

from peatnode.protocol.sync.pulls.turns import STALLED_SECONDS
from tests.sim.node import Node
from tests.sim.standin import Key
from tests.sim.world import Weather, World
from tests.support import seeds

SETTLE_SECONDS = 120.0
"""In this time a healed mesh is equal."""

QUIET_SECONDS = 20.0
QUIET_BYTES = 440
"""What a pair of a quiet mesh says in QUIET_SECONDS at most: four to six roots from either side, of 36 bytes each."""


class RootsDiffer(AssertionError):
    """Nodes do not become equal, and their roots say so."""


def run_history(name: str) -> World:
    """A history over the light stand-in. `name` and the seed of the run determine all of it."""
    plan = seeds.generator(f"plan of {name}")
    count = plan.choice([3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 8, 12, 20])
    world = World(seeds.generator(name), count, some_weather(plan), some_links(plan, count))
    keys = [("notes", f"n{i}") for i in range(plan.choice([1, 3, 10, 40]))]
    for _ in range(plan.randint(15, 40)):
        _act(world, plan, keys)
        world.run(plan.expovariate(4.0))
    settle(world)
    world.check_nothing_lost()
    return world


def settle(world: World) -> None:
    """Ends all faults, and checks that the nodes become equal and say so."""
    world.heal()
    end = world.now + SETTLE_SECONDS
    while not (world.have_converged() and world.is_in_sync()):
        if world.now >= end:
            if not world.have_converged():
                raise RootsDiffer("the nodes differ")
            raise AssertionError("a node still reports a peer as out of sync")
        world.run(2.0)


def check_quiet(world: World) -> None:
    """A mesh that is equal says two roots a pair every five seconds, and nothing else."""
    world.links = set()
    # A pull whose last answer was lost before the faults ended is given up by then.
    world.run(STALLED_SECONDS + 2.0)
    pairs = sum(len(node.wires) for node in world.nodes) / 2
    while True:
        before, sequences = world.sent_bytes, [node.store.sequence for node in world.nodes]
        world.run(QUIET_SECONDS)
        said = world.sent_bytes - before
        if sequences == [node.store.sequence for node in world.nodes]:  # nothing has expired
            break
    assert said <= pairs * QUIET_BYTES, f"a quiet mesh of {pairs} pairs says {said} bytes"


def some_weather(plan: random.Random) -> Weather:
    delay = plan.choice([0.001, 0.02, 0.2])
    if plan.random() < 0.6:
        return Weather(delay=delay)
    return Weather(
        delay,
        loss=plan.choice([0.0, 0.05, 0.3]),
        doubling=plan.choice([0.0, 0.1]),
        is_ordered=plan.random() < 0.5,
    )


def some_links(plan: random.Random, count: int) -> set[tuple[int, int]]:
    chain = {(i, i + 1) for i in range(count - 1)}
    shape = plan.choice(["mesh", "mesh", "chain", "ring", "gateway"])
    if shape == "mesh":
        return {(a, b) for a in range(count) for b in range(a + 1, count)}
    if shape == "ring" and count > 2:
        return chain | {(0, count - 1)}
    if shape == "gateway":
        half = count // 2
        pairs = {(a, b) for a in range(count) for b in range(a + 1, count)}
        return {(a, b) for a, b in pairs if (a < half) == (b < half)} | {(0, half)}
    return chain


def _act(world: World, plan: random.Random, keys: list[Key]) -> None:
    node = plan.choice(world.nodes)
    match plan.choices(range(8), [50, 8, 6, 4, 4, 3, 2, 6])[0]:
        case 0:
            for _ in range(plan.choice([1, 1, 1, 5, 30])):
                node.write(plan.choice(keys))
        case 6:
            if node.store.is_open:
                node.kill_store(plan.uniform(0.05, 1.0))
        case number:
            act_on(number, world, node, plan, keys)


def act_on(number: int, world: World, node: Node, plan: random.Random, keys: list[Key]) -> None:
    """What can happen to a node whatever its store is: a deletion, a fault of the network, a restart, a wait."""
    match number:
        case 1:
            node.delete(plan.choice(keys))
        case 2:
            break_something(world, plan)
        case 3:
            cut(world, plan)
        case 4:
            world.cut.clear()
        case 5:
            restart(world, node, plan)
        case 7:
            if node.is_up:
                node.write_and_wait(plan.choice(keys), plan.randint(1, 3))


def break_something(world: World, plan: random.Random) -> None:
    wires = [w for n in world.nodes for w in n.wires.values() if w.is_open]
    if wires:
        world.break_wire(plan.choice(wires))


def cut(world: World, plan: random.Random) -> None:
    world.cut = {link for link in sorted(world.links) if plan.random() < 0.5}
    for node in world.nodes:
        for wire in list(node.wires.values()):
            if tuple(sorted(wire.ends)) in world.cut:
                world.break_wire(wire)


def restart(world: World, node: Node, plan: random.Random, is_new: bool = False) -> None:
    if node.is_up:
        node.kill()
        is_new_instance = is_new or plan.random() < 0.5

        def start() -> None:
            if not node.is_up:
                node.start(is_new_instance=is_new_instance)

        world.at(plan.uniform(0.05, 2.0), start)
