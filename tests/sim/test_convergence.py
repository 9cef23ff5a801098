"""Seeded histories of writes and faults: in the end all nodes are equal, nothing is lost, nothing deleted is back."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from tests.sim.standin import StandinStore
from tests.sim.world import Node, Store, Weather, World
from tests.support import seeds

RUNS = int(os.environ.get("PEAT_SIM_RUNS", "1000"))
FIRST = int(os.environ.get("PEAT_SIM_FIRST", "0"))
PER_TEST = 50


def run_history(name: str, make_store: Callable[[], Store] = StandinStore) -> World:
    """`name` and the seed of the run determine the whole history."""
    plan = seeds.generator(f"plan of {name}")
    count = plan.choice([3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 8, 12, 20])
    world = World(seeds.generator(name), count, _weather(plan), _links(plan, count), make_store)
    keys = [("notes", f"n{i}") for i in range(plan.choice([1, 3, 10, 40]))]
    for _ in range(plan.randint(15, 40)):
        _act(world, plan, keys)
        world.run(plan.expovariate(4.0))
    world.heal()
    for _ in range(60):
        world.run(2.0)
        if world.have_converged():
            break
    assert world.have_converged(), "the nodes differ"
    world.check_nothing_lost()
    for _ in range(20):
        if all(s.is_in_sync for node in world.nodes for s in node.machine.sync_statuses()):
            return world
        world.run(2.0)
    raise AssertionError("a node still reports a peer as out of sync")


def _weather(plan: random.Random) -> Weather:
    delay = plan.choice([0.001, 0.02, 0.2])
    if plan.random() < 0.6:
        return Weather(delay=delay)
    return Weather(
        delay,
        loss=plan.choice([0.0, 0.05, 0.3]),
        doubling=plan.choice([0.0, 0.1]),
        is_ordered=plan.random() < 0.5,
    )


def _links(plan: random.Random, count: int) -> set[tuple[int, int]]:
    chain = {(i, i + 1) for i in range(count - 1)}
    shape = plan.choice(["mesh", "mesh", "chain", "ring", "gateway"])
    if shape == "mesh":
        return {(a, b) for a in range(count) for b in range(a + 1, count)}
    if shape == "ring":
        return chain | {(0, count - 1)}
    if shape == "gateway":
        half = count // 2
        pairs = {(a, b) for a in range(count) for b in range(a + 1, count)}
        return {(a, b) for a, b in pairs if (a < half) == (b < half)} | {(0, half)}
    return chain


def _act(world: World, plan: random.Random, keys: list[tuple[str, str]]) -> None:
    node = plan.choice(world.nodes)
    match plan.choices(range(8), [50, 8, 6, 4, 4, 3, 2, 6])[0]:
        case 0:
            for _ in range(plan.choice([1, 1, 1, 5, 30])):
                world.write(node, plan.choice(keys))
        case 1:
            world.delete(node, plan.choice(keys))
        case 2:
            _break_something(world, plan)
        case 3:
            world.cut = {link for link in world.links if plan.random() < 0.5}
            for wire in {w for n in world.nodes for w in n.wires.values()}:
                if tuple(sorted(wire.ends)) in world.cut:
                    world.break_wire(wire)
        case 4:
            world.cut.clear()
        case 5:
            _restart(world, node, plan)
        case 6:
            if node.is_store_up:
                node.kill_store(plan.uniform(0.05, 1.0))
        case 7:
            if node.is_up:
                world.write(node, plan.choice(keys))
                node.wait_replicas(node.store.sequence, plan.randint(1, 3))


def _break_something(world: World, plan: random.Random) -> None:
    wires = [w for n in world.nodes for w in n.wires.values() if w.is_open]
    if wires:
        world.break_wire(plan.choice(wires))


def _restart(world: World, node: Node, plan: random.Random) -> None:
    if node.is_up:
        node.kill()
        is_new_instance = plan.random() < 0.5

        def start() -> None:
            if not node.is_up:
                node.start(is_new_instance=is_new_instance)

        world.at(plan.uniform(0.05, 2.0), start)


@pytest.mark.parametrize("first", range(FIRST, FIRST + RUNS, PER_TEST))
def test_histories_converge(first: int) -> None:
    for number in range(first, min(first + PER_TEST, FIRST + RUNS)):
        try:
            run_history(f"history {number}")
        except Exception as error:
            error.add_note(f"this history alone: {alone(number)} PEAT_SIM_RUNS=1")
            raise


def alone(number: int) -> str:
    return f"{seeds.VARIABLE}={seeds.run_seed()} PEAT_SIM_FIRST={number}"
