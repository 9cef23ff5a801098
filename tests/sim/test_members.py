"""Members that are remembered: who is away is shown, who is gone is forgotten, whatever happens to the nodes."""

from __future__ import annotations

import os

import pytest

from peatnode.protocol.members.membership import RETENTION_SECONDS
from peatnode.protocol.sync.events import Event, MessageReceived
from peatnode.protocol.wire.messages import Departed
from tests.sim.members import (
    IDLE_SECONDS,
    SHORT_RETENTION,
    MemberNode,
    MemberWorld,
    run_members,
    world_of,
)
from tests.support import seeds

RUNS = int(os.environ.get("PEAT_SIM_MEMBER_RUNS", "1000"))
FIRST = int(os.environ.get("PEAT_SIM_FIRST", "0"))
PER_TEST = 100


@pytest.mark.parametrize("first", range(FIRST, FIRST + RUNS, PER_TEST))
def test_histories_of_members(first: int) -> None:
    for number in range(first, min(first + PER_TEST, FIRST + RUNS)):
        try:
            run_members(f"members {number}")
        except Exception as error:
            error.add_note(
                f"this history alone: {seeds.VARIABLE}={seeds.run_seed()} PEAT_SIM_FIRST={number} "
                "PEAT_SIM_MEMBER_RUNS=1"
            )
            raise


def remembered(node: MemberNode) -> set[str]:
    return {peer.node_id for peer in node.book.remembered()}


def cut_off(world: MemberWorld, *pairs: tuple[int, int]) -> None:
    """Only these pairs are cut from now on."""
    world.cut = set(pairs)
    for node in world.nodes:
        for wire in list(node.wires.values()):
            if tuple(sorted(wire.ends)) in world.cut:
                world.break_wire(wire)


def test_each_absence_counts_for_itself() -> None:
    world = world_of("absences", 3, SHORT_RETENTION)
    world.run_and_check(4.0)
    away, restarted, other = world.nodes
    others = (restarted, other)
    for _ in range(3):
        away.kill()
        world.run_and_check(0.5 * SHORT_RETENTION)
        restarted.kill()
        restarted.start(is_new_instance=True)
        world.run_and_check(0.3 * SHORT_RETENTION)
        assert all(away.name in remembered(node) for node in others)
        away.start(is_new_instance=True)
        world.run_and_check(5.0)
    away.kill()
    world.run_and_check(1.3 * SHORT_RETENTION)
    assert not any(away.name in remembered(node) for node in others)


def test_what_is_forgotten_is_passed_on_to_who_cannot_hear_it() -> None:
    world = world_of("chain", 4, RETENTION_SECONDS)
    world.run_and_check(4.0)
    first, _, last, gone = world.nodes
    cut_off(world, (0, 2))
    gone.kill()
    world.run_and_check(5.0)
    first.forget(gone.name)
    world.run(1.0)
    assert gone.name not in remembered(last)


def test_a_node_that_was_away_hears_of_a_departure_from_one_that_was_restarted() -> None:
    world = world_of("restarted", 3, RETENTION_SECONDS)
    world.run_and_check(4.0)
    first, away, gone = world.nodes
    gone.kill()
    away.kill()
    world.run_and_check(5.0)
    first.forget(gone.name)
    world.run_and_check(5.0)
    first.kill()
    world.run_and_check(2.0)
    first.start(is_new_instance=True)
    away.start(is_new_instance=True)
    world.run_and_check(5.0)
    assert remembered(away) == {first.name}


def test_a_departure_is_about_the_instance_that_left_and_no_later_one() -> None:
    world = world_of("instances", 3, RETENTION_SECONDS)
    world.run_and_check(4.0)
    first, second, gone = world.nodes
    cut_off(world, (0, 1), (1, 2))  # the second one hears nothing of what follows
    world.run_and_check(4.0)
    second.forget(gone.name)
    gone.kill()
    world.run_and_check(4.0)
    gone.start(is_new_instance=True)
    world.run_and_check(4.0)
    gone.kill()
    world.run_and_check(4.0)
    cut_off(world)
    world.run_and_check(IDLE_SECONDS)
    assert gone.name in remembered(first), "it came back after it was forgotten"


def test_a_departure_is_also_about_the_earlier_instance_that_this_node_knows() -> None:
    world = world_of("missed instance", 3, RETENTION_SECONDS)
    world.run_and_check(4.0)
    first, second, gone = world.nodes
    cut_off(world, (0, 1), (0, 2))  # the first one hears nothing of what follows
    gone.kill()
    world.run_and_check(4.0)
    gone.start(is_new_instance=True)
    world.run_and_check(4.0)
    gone.kill()
    world.run_and_check(4.0)
    second.forget(gone.name)
    cut_off(world)
    world.run_and_check(4.0)
    assert remembered(first) == {second.name}


@pytest.mark.parametrize("years", [-3, 3])
def test_a_wrong_clock_forgets_nobody_and_tells_the_absence_by_the_right_one(years: int) -> None:
    world = world_of(f"years {years}", 3, SHORT_RETENTION)
    wrong, first, away = world.nodes
    world.has_wrong_clock = True
    wrong.wall_offset = years * 365 * 86400.0
    world.run_and_check(4.0)
    away.kill()
    world.run_and_check(0.5 * SHORT_RETENTION)
    wrong.wall_offset = 0.0
    world.run_and_check(0.3 * SHORT_RETENTION)
    for node in (wrong, first):
        (absent,) = node.book.absent()
        assert absent.node_id == away.name
        age = node.read_clock().unix - absent.last_seen
        assert age == pytest.approx(0.8 * SHORT_RETENTION, abs=3.0)
    world.run_and_check(0.5 * SHORT_RETENTION)
    assert not any(away.name in remembered(node) for node in (wrong, first))


class DeafNode(MemberNode):
    """It does not hear of departures."""

    def handle(self, event: Event) -> None:
        if not (isinstance(event, MessageReceived) and isinstance(event.message, Departed)):
            super().handle(event)


def run_deaf(count: int) -> None:
    for number in range(count):
        run_members(f"members {number}", DeafNode)


def test_departures_that_do_not_spread_are_found() -> None:
    with pytest.raises(AssertionError, match="is back as absent"):
        run_deaf(300)
