"""A member that lies about its root, and answers without end, keeps nobody from syncing with the others."""

from __future__ import annotations

import pytest

from peatnode.protocol.sync.pulls.turns import PULLING_SECONDS
from tests.sim.liars import LIES, LyingWorld
from tests.sim.test_bytes import written
from tests.support import seeds

DOCUMENTS = 60


def world_with_liars(lies: list[str], held: int) -> LyingWorld:
    """The liars reach the first honest node, then the second one does, which has more documents."""
    world = LyingWorld(seeds.generator(f"liars {lies} {held}"), 2, lies)
    victim, source = world.honest
    for number in range(DOCUMENTS):
        source.store.apply(written(f"n{number}"), "")
        if number < held:
            victim.store.apply(written(f"n{number}"), "")
    for node in world.nodes:
        node._open_feed()
    world.run(1.0)
    for liar in world.nodes[: world.liars]:
        world._connect(liar, victim)
    world.run(0.5)
    world._connect(source, victim)
    return world


def seconds_until_equal(world: LyingWorld, most: float) -> float:
    victim, source = world.honest
    start = world.now
    while victim.store.root != source.store.root:
        assert world.now - start < most, f"{len(victim.store.documents)} documents"
        world.run(0.1)
    return world.now - start


@pytest.mark.parametrize("held", [0, DOCUMENTS // 2])
@pytest.mark.parametrize("lie", LIES)
def test_one_liar_keeps_nobody_from_syncing(lie: str, held: int) -> None:
    seconds_until_equal(world_with_liars([lie], held), 6.0)


@pytest.mark.parametrize("held", [0, DOCUMENTS // 2])
def test_many_liars_keep_nobody_from_syncing(held: int) -> None:
    lies = [*LIES, *LIES]
    seconds_until_equal(world_with_liars(lies, held), (len(lies) + 1) * (PULLING_SECONDS + 0.6))
