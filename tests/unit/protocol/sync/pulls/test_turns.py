"""Peers take turns; who brings nothing comes last, and who brings a little keeps nobody waiting for ever."""

from __future__ import annotations

import pytest

from peatnode.protocol.sync.pulls.turns import (
    CALLED_SECONDS,
    OVERDUE_SECONDS,
    PULLING_SECONDS,
    STALLED_SECONDS,
    TURN_SECONDS,
    PullTurns,
)
from tests.support import seeds


class Peer:
    """One peer, whose roots differ as long as it wants to be pulled from."""

    def __init__(self, table: Table, *, brings_each: float = 0.0, lasts: float = 1e9) -> None:
        self.table = table
        self.brings_each = brings_each
        """Seconds between two applied documents; 0: none ever."""
        self.lasts = lasts
        """The pull is done after this time."""
        self.is_deaf = False
        self.began: list[float] = []
        self.ended: list[float] = []
        self.brought = 0
        self._next_at = 0.0
        self.asks_at: float | None = table.now
        table.turns.join(self)
        table.peers.append(self)

    @property
    def is_pulling(self) -> bool:
        return len(self.began) > len(self.ended)

    def compare_again(self) -> None:
        if not self.is_deaf:
            self.asks_at = self.table.now

    def end_pull(self) -> None:
        self.ended.append(self.table.now)
        self.asks_at = self.table.now + 0.3
        self.table.turns.pull_ended(self, self.table.now, brought=self.brought > 0)
        self.brought = 0

    def step(self) -> None:
        now, turns = self.table.now, self.table.turns
        if self.is_pulling:
            if self.brings_each and now >= self._next_at:
                self._next_at = now + self.brings_each
                self.brought += 1
                turns.applied(self, now)
            if now >= self.began[-1] + self.lasts:
                self.end_pull()
        elif self.asks_at is not None and now >= self.asks_at:
            if turns.may_begin(self, now):
                self.began.append(now)
                self._next_at = now + self.brings_each
                self.asks_at = None
                turns.began(self, now, has_turn=True)
            else:
                self.asks_at = now + 0.6


class Table:
    """The turns of a node, and a clock that goes in small steps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: float | None = None
        self.peers: list[Peer] = []
        self.turns = PullTurns(self._set)

    def _set(self, at: float | None) -> None:
        self.due = at

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.05
            for peer in self.peers:
                peer.step()
            if self.due is not None and self.now >= self.due:
                self.turns.review(self.now)


def test_a_pull_that_applies_documents_defers_the_others_for_one_turn() -> None:
    table = Table()
    first, second = Peer(table, brings_each=0.5), Peer(table, brings_each=0.5)
    table.run(TURN_SECONDS - 1.0)
    assert (len(first.began), len(second.began)) == (1, 0)
    assert table.turns.waits(second)
    table.run(2.0)
    assert first.ended[0] == pytest.approx(first.began[0] + TURN_SECONDS, abs=0.2)
    assert second.is_pulling
    assert table.turns.ended == {"turn over": 1}
    table.run(TURN_SECONDS)
    assert first.is_pulling
    assert len(second.ended) == 1


def test_a_pull_has_as_long_as_it_needs_while_nobody_waits() -> None:
    table = Table()
    alone = Peer(table, brings_each=1.0)
    table.run(5 * TURN_SECONDS)
    assert len(alone.began) == 1


def test_a_turn_that_is_over_ends_when_somebody_comes() -> None:
    table = Table()
    first = Peer(table, brings_each=1.0)
    table.run(2 * TURN_SECONDS)
    second = Peer(table, brings_each=1.0)
    table.run(1.0)
    assert len(first.ended) == 1
    assert second.is_pulling


def test_a_pull_that_applies_nothing_defers_nobody_after_two_seconds_and_ends_after_twenty() -> (
    None
):
    table = Table()
    empty = Peer(table)
    second = Peer(table, brings_each=0.1, lasts=5.0)
    table.run(1.0)
    assert not second.began
    table.run(PULLING_SECONDS)
    assert second.is_pulling
    table.run(STALLED_SECONDS)
    assert empty.ended[0] == pytest.approx(empty.began[0] + STALLED_SECONDS, abs=0.2)
    assert table.turns.ended["stalled"] == 1
    assert table.turns.fruitless(empty) >= 1


def test_who_brought_nothing_comes_last() -> None:
    table = Table()
    running = Peer(table, brings_each=0.5, lasts=10.0)
    liars = [Peer(table) for _ in range(3)]
    for liar in liars:
        for _ in range(3):
            table.turns.pull_ended(liar, table.now, brought=False)
    table.run(1.0)
    newcomer = Peer(table, brings_each=0.5, lasts=3.0)
    table.run(10.5)
    assert running.ended
    assert newcomer.began
    assert not any(liar.began for liar in liars)


def test_peers_that_bring_a_little_do_not_keep_one_that_brought_nothing_waiting_for_ever() -> None:
    table = Table()
    for _ in range(3):
        Peer(table, brings_each=1.5)
    honest = Peer(table, brings_each=0.1, lasts=3.0)
    table.turns.pull_ended(honest, table.now, brought=False)
    table.run(OVERDUE_SECONDS + TURN_SECONDS + 2.0)
    assert honest.began


def test_who_is_called_and_does_not_come_lets_the_next_one_go_first() -> None:
    table = Table()
    running = Peer(table, brings_each=0.5, lasts=5.0)
    table.run(0.5)
    deaf, second = Peer(table), Peer(table, brings_each=0.1)
    table.run(1.0)
    deaf.is_deaf, deaf.asks_at = True, None
    table.run(5.0 + CALLED_SECONDS)
    assert running.ended
    assert second.is_pulling


def test_who_has_become_equal_or_is_gone_is_not_waited_for() -> None:
    for leave in (True, False):
        table = Table()
        Peer(table, brings_each=0.5, lasts=5.0)
        table.run(0.5)
        first, second = Peer(table), Peer(table, brings_each=0.1)
        table.run(3.0)
        first.asks_at = None
        if leave:
            table.peers.remove(first)
            table.turns.leave(first, table.now)
        else:
            table.turns.became_equal(first, table.now)
        table.run(2.5)
        assert second.is_pulling


def test_a_repair_defers_nobody_until_it_brings_something() -> None:
    table = Table()
    repairing = Peer(table)
    repairing.asks_at = None
    table.turns.began(repairing, table.now, has_turn=False)
    second = Peer(table, brings_each=0.5)
    table.run(0.2)
    assert second.is_pulling


def test_everybody_has_a_turn_whatever_the_others_do() -> None:
    """Honest peers among many that bring nothing, a little, or do not come."""
    rng = seeds.generator("turns")
    for _ in range(20):
        table = Table()
        kinds = [(0.0, 1e9), (1.9, 1e9), (0.0, 0.4), (0.5, 1.0)]
        others = [rng.choice(kinds) for _ in range(rng.randint(1, 6))]
        for brings_each, lasts in others:
            peer = Peer(table, brings_each=brings_each, lasts=lasts)
            peer.asks_at = table.now + rng.uniform(0.0, 3.0)
        honest = Peer(table, brings_each=0.1, lasts=2.0)
        for _ in range(rng.randint(0, 3)):
            table.turns.pull_ended(honest, table.now, brought=False)
        table.run(OVERDUE_SECONDS + TURN_SECONDS * (len(others) + 1))
        assert honest.ended, others
