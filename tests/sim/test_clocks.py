"""Wall clocks that are wrong: no document ends before its time, and a node whose clock is wrong says so."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import pytest

from peatnode.documents.names import names_of
from peatnode.ipc.messages import Failed, Failure, WriteDocument, WriteKind, WrittenReply
from peatnode.model.clock import ClockState
from peatnode.protocol.clock.judge import START_SECONDS
from tests.sim.clocks import EPOCH
from tests.sim.contents import check_equal, keys_of, record_of
from tests.sim.documents import maintain, replica_store
from tests.sim.histories import cut, restart, settle, some_links
from tests.sim.ledger import Ledger
from tests.sim.node import Node
from tests.sim.replicas import ReplicaStore
from tests.sim.test_convergence import FIRST, alone
from tests.sim.world import Weather, World
from tests.support import seeds

HOUR, YEAR = 3600.0, 365 * 86400.0
RUNS = int(os.environ.get("PEAT_SIM_CLOCK_RUNS", "200"))


def world_of(
    *wall_offsets: float,
    links: set[tuple[int, int]] | None = None,
    store: type[ReplicaStore] = ReplicaStore,
    name: str = "clocks",
) -> World:
    """Nodes whose wall clocks are wrong by so much, which have compared them."""
    count = len(wall_offsets)
    if links is None:
        links = {(a, b) for b in range(count) for a in range(b)}
    make_store = replica_store(store)
    world = World(seeds.generator(name), count, Weather(delay=0.002), links, make_store, Ledger())
    for node, offset in zip(world.nodes, wall_offsets, strict=True):
        node.wall_offset = offset
        maintain(node)
    world.run(4.0)
    return world


def put(node: Node, name: str, ttl: float) -> Any:
    """The answer of the store."""
    expires_at = node.read_clock().unix + ttl if ttl else 0.0
    replies: list[Any] = []
    body = b'{"a":1}'
    node.store.add(
        WriteDocument("notes", name, WriteKind.PUT, body, expires_at=expires_at), replies.append
    )
    node.world.run(0.5)
    (reply,) = replies
    return reply


def live(node: Node) -> set[str]:
    records = {key: record_of(node.store.disk.get, key) for key in keys_of(node.store.disk)}
    return {names_of(key)[1] for key, record in records.items() if record and not record.is_deleted}


def states(world: World) -> list[ClockState]:
    return [node.machine.clock.verdict.state for node in world.nodes]


def check(world: World, expected: set[str]) -> None:
    settle(world)
    check_equal({node.name: node.store.disk for node in world.nodes})
    assert [live(node) for node in world.nodes] == [expected] * len(world.nodes)


def is_written(reply: object) -> bool:
    return isinstance(reply, WrittenReply)


def is_refused(reply: object) -> bool:
    return isinstance(reply, Failed) and reply.code is Failure.CLOCK and "NTP" in reply.message


def test_a_clock_that_is_ahead_ends_nothing_and_sets_no_expiry_while_the_others_go_on() -> None:
    world = world_of(0.0, 1.0, 2 * HOUR)
    right, _, ahead = world.nodes
    assert states(world) == [ClockState.RIGHT, ClockState.RIGHT, ClockState.WRONG]
    for name, ttl in (("kept", 0.0), ("short", 8.0), ("hour", HOUR)):
        assert is_written(put(right, name, ttl))
    world.run(2.0)
    check(world, {"kept", "short", "hour"})
    assert is_refused(put(ahead, "refused", HOUR))
    assert is_written(put(ahead, "free", 0.0))
    world.run(10.0)
    check(world, {"kept", "hour", "free"})
    ahead.wall_offset = 0.0
    world.run(6.0)
    assert states(world) == [ClockState.RIGHT] * 3
    assert is_written(put(ahead, "accepted", HOUR))
    check(world, {"kept", "hour", "free", "accepted"})


def test_a_clock_of_1970_sets_no_expiry_even_alone_and_disturbs_nobody() -> None:
    world = world_of(0.0, 100.0 - EPOCH, links=set())
    right, wrong = world.nodes
    assert is_refused(put(wrong, "alone", HOUR))
    assert "1970-01-01" in put(wrong, "alone", HOUR).message
    world.run(START_SECONDS)
    world.links = {(0, 1)}
    world._keep_linked((0, 1))
    world.run(5.0)
    assert states(world) == [ClockState.RIGHT, ClockState.WRONG]
    assert is_refused(put(wrong, "together", HOUR))
    assert is_written(put(right, "short", 2.0))
    assert is_written(put(right, "hour", HOUR))
    world.run(10.0)
    check(world, {"hour"})


def test_of_two_nodes_that_differ_neither_sets_nor_ends() -> None:
    world = world_of(0.0, 0.0)
    first, second = world.nodes
    assert is_written(put(first, "short", 10.0))
    second.wall_offset = -2 * HOUR
    world.run(12.0)
    assert states(world) == [ClockState.IN_DOUBT] * 2
    assert is_refused(put(first, "refused", HOUR))
    assert is_refused(put(second, "refused", HOUR))
    check(world, {"short"})
    second.wall_offset = 0.0
    world.run(10.0)
    check(world, set())


def test_a_clock_that_is_set_wrong_ends_nothing_in_the_moment_before_the_next_comparison() -> None:
    world = world_of(0.0, 0.0)
    first, second = world.nodes
    assert is_written(put(first, "hour", HOUR))
    for jump in (HOUR + 1, -2 * HOUR, YEAR, -2 * YEAR):
        second.wall_offset += jump
        reply = put(second, "refused", HOUR)
        assert isinstance(reply, Failed), "no expiry may be set by a clock that has jumped"
        world.run(7.0)
        check(world, {"hour"})


def test_a_verdict_stays_while_no_peer_is_connected() -> None:
    world = world_of(0.0, 2 * HOUR)
    first, second = world.nodes
    assert is_written(put(first, "free", 0.0))
    world.cut = {(0, 1)}
    for wire in list(first.wires.values()):
        world.break_wire(wire)
    world.run(2 * START_SECONDS)
    assert states(world) == [ClockState.IN_DOUBT] * 2
    second.wall_offset = 0.0
    world.run(10.0)
    assert states(world) == [ClockState.IN_DOUBT] * 2
    world.cut.clear()
    world.run(5.0)
    assert states(world) == [ClockState.RIGHT] * 2


def test_a_right_clock_that_is_set_while_nobody_is_there_waits_for_a_peer() -> None:
    world = world_of(0.0, 0.0)
    first, second = world.nodes
    assert is_written(put(first, "hour", HOUR))
    world.cut = {(0, 1)}
    for wire in list(first.wires.values()):
        world.break_wire(wire)
    world.run(3.0)
    second.wall_offset = 2 * HOUR
    world.run(2 * START_SECONDS)
    assert states(world) == [ClockState.RIGHT, ClockState.IN_DOUBT]
    assert live(second) == {"hour"}
    second.wall_offset = 1.0
    world.run(6.0)
    assert states(world) == [ClockState.RIGHT] * 2


def test_a_store_that_starts_anew_is_told_the_verdict() -> None:
    world = world_of(0.0, 0.0, 2 * HOUR)
    right, _, wrong = world.nodes
    assert is_written(put(right, "hour", HOUR))
    world.run(2.0)
    wrong.kill_store(0.5)
    world.run(1.0)
    assert is_refused(put(wrong, "refused", HOUR))
    right.kill_store(0.5)
    world.run(1.0)
    assert is_written(put(right, "short", 2.0))
    world.run(10.0)
    check(world, {"hour"})


def test_a_clock_that_is_behind_takes_the_ends_that_others_found() -> None:
    world = world_of(0.0, 0.0, -YEAR)
    assert is_written(put(world.nodes[2], "kept", 0.0))
    assert is_written(put(world.nodes[0], "short", 3.0))
    world.run(1.0)
    check(world, {"kept", "short"})
    world.run(5.0)
    check(world, {"kept"})


def test_an_expiry_that_is_taken_back_in_time_ends_nothing() -> None:
    world = world_of(0.0, 0.0)
    assert is_written(put(world.nodes[0], "short", 8.0))
    assert is_written(put(world.nodes[1], "short", 0.0))
    world.run(20.0)
    check(world, {"short"})


# --- histories


@dataclass
class ClockHistory:
    """One node at a time has a wrong clock. `name` and the seed of the run determine all of it."""

    name: str
    store: type[ReplicaStore] = ReplicaStore
    lasting: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    """Written before a crash, without an answer."""

    def run(self) -> None:
        self.plan = plan = seeds.generator(f"plan of {self.name}")
        count = plan.choice([2, 3, 3, 4, 5])
        offsets = [plan.uniform(-5.0, 5.0) for _ in range(count)]
        links = some_links(plan, count)
        self.world = world = world_of(*offsets, links=links, store=self.store, name=self.name)
        self.liar = plan.choice(world.nodes)
        self.cut_at = 0.0
        for number in range(plan.randint(10, 25)):
            self._act(plan.choice(world.nodes), number)
            world.run(plan.expovariate(1.0))
            if world.now - self.cut_at > START_SECONDS / 2:
                world.cut.clear()
        self.liar.wall_offset = 0.0
        settle(world)
        world.run(START_SECONDS + 10.0)
        check(world, self.lasting | (self.unknown & live(self.liar)))

    def _act(self, node: Node, number: int) -> None:
        plan, world = self.plan, self.world
        match plan.choices(range(5), [10, 4, 1, 2, 2])[0]:
            case 0:
                if node.store.is_open:
                    self._write(node, f"n{number}")
            case 1:
                offset = plan.choice(
                    [0.0, 40.0, -40.0, 2 * HOUR, -2 * HOUR, YEAR, -YEAR, 9 - EPOCH]
                )
                self.liar.wall_offset = offset
            case 2:
                restart(world, node, plan)
            case 3:
                node.kill_store(plan.choice([0.01, 0.1, 1.0]))
            case 4:
                cut(world, plan)
                self.cut_at = world.now

    def _write(self, node: Node, name: str) -> None:
        ttl = self.plan.choice([0.0, 2.0, HOUR, YEAR])
        expires_at = node.read_clock().unix + ttl if ttl else -1.0

        def answered(reply: object) -> None:
            if ttl != 2.0:
                self.lasting.update([name] if is_written(reply) else [])
                self.unknown.update([name] if reply is None else [])

        message = WriteDocument("notes", name, WriteKind.PUT, b"{}", expires_at=expires_at)
        node.store.add(message, answered)


@pytest.mark.parametrize("first", range(FIRST, FIRST + RUNS, 50))
def test_no_document_ends_before_its_time_by_the_right_clocks(first: int) -> None:
    for number in range(first, min(first + 50, FIRST + RUNS)):
        try:
            ClockHistory(f"history of clocks {number}").run()
        except Exception as error:
            error.add_note(f"this history alone: {alone(number)} PEAT_SIM_CLOCK_RUNS=1")
            raise


class TrustsItsClock(ReplicaStore):
    trusts_its_clock = True


def test_control_a_store_that_trusts_its_clock_is_found_by_the_same_histories() -> None:
    with pytest.raises(AssertionError):
        _run_all(TrustsItsClock, 50)


def _run_all(store: type[ReplicaStore], count: int) -> None:
    for number in range(count):
        ClockHistory(f"history of clocks {number}", store).run()
