"""How many live documents a peer may end: what counts, what never does, and what a pause refuses."""

from __future__ import annotations

from random import Random

import pytest

from peatnode.model.members import MAX_REMEMBERED_PEERS, PausedDeletions
from workers.store.peers.deletion_guard import (
    ALLOWED_SECONDS,
    EXPIRY_SECONDS,
    LATELY_SECONDS,
    MAX_LATELY,
    MAX_REFUSED,
    WINDOW_SECONDS,
    DeletionGuard,
)

UNIX = 1_800_000_000.0


class Desk:
    """A guard and its clocks."""

    def __init__(self, limit: int = 10, paused: tuple[PausedDeletions, ...] = ()) -> None:
        self.now = 5000.0
        self.guard = DeletionGuard(limit, paused)
        self._number = 0

    def end(
        self,
        peer: str = "x",
        key: bytes | None = None,
        expires_at: float = 0.0,
        incarnation: int = 1,
        ends_at: float = 0.0,
    ) -> bool:
        """Whether the peer may end a live document."""
        if key is None:
            self._number += 1
            key = b"c/%d" % self._number
        return not self.guard.refusal(
            peer, (key, incarnation), expires_at, ends_at, self.now, UNIX + self.now
        )

    def ended(self, count: int, peer: str = "x") -> int:
        """How many of so many documents the peer may end."""
        return sum(self.end(peer) for _ in range(count))

    def began(self, key: bytes, peer: str = "x") -> None:
        self.guard.began(peer, (key, 1), self.now)


def test_beyond_the_limit_nothing_more_ends_until_an_operator_allows_it() -> None:
    desk = Desk()
    assert desk.ended(20_000) == 10
    (paused,) = desk.guard.paused
    assert (paused.node_id, paused.at, paused.refused) == ("x", UNIX + desk.now, 19_990)
    desk.now += 10 * WINDOW_SECONDS
    assert desk.ended(5) == 0
    assert "deletions of x are paused" in desk.guard.refusal(
        "x", (b"c/z", 1), 0.0, 0.0, desk.now, UNIX
    )
    assert desk.guard.allow("x", desk.now)
    assert not desk.guard.allow("x", desk.now)
    assert desk.ended(5000) == 5000  # what was refused comes now
    desk.now += ALLOWED_SECONDS
    assert desk.ended(5000) == 10


def test_honest_deletions_at_the_limit_are_never_paused(rng: Random) -> None:
    desk = Desk(limit=50)
    last: list[float] = []
    for _ in range(3000):
        desk.now += rng.random() * 4
        last = [at for at in last if at > desk.now - WINDOW_SECONDS - 1.0]
        if len(last) < 50:
            last.append(desk.now)
            assert desk.end()
    assert desk.guard.paused == ()


def test_each_peer_is_counted_by_itself() -> None:
    desk = Desk()
    assert [desk.ended(10, peer) for peer in ("x", "y", "z")] == [10, 10, 10]
    assert desk.ended(1, "y") == 0
    assert [one.node_id for one in desk.guard.paused] == ["y"]
    assert desk.ended(1, "w") == 1


def test_what_a_peer_has_just_begun_it_may_end_in_any_number() -> None:
    desk = Desk()
    keys = [b"c/own %d" % number for number in range(1000)]
    for key in keys:
        desk.began(key)
    desk.now += LATELY_SECONDS - 1
    assert all(desk.end("x", key) for key in keys)
    assert sum(desk.end("x", key, incarnation=2) for key in keys) == 10  # another has begun that
    desk.guard.allow("x", desk.now)
    assert sum(desk.end("y", key) for key in keys) == 10
    desk.guard.allow("y", desk.now)
    desk.now += 2 * LATELY_SECONDS
    assert sum(desk.end("x", key) for key in keys) == 10


def test_what_has_expired_or_soon_will_is_no_deletion() -> None:
    desk = Desk()
    now = UNIX + desk.now
    assert all(desk.end(expires_at=now - age) for age in range(1, 1001))
    assert all(desk.end(expires_at=now + EXPIRY_SECONDS) for _ in range(1000))
    assert sum(desk.end(expires_at=now + EXPIRY_SECONDS + 1) for _ in range(1000)) == 10
    assert desk.end(expires_at=now)  # also while it is paused


@pytest.mark.parametrize("seconds", [-1e6, 0.0, 61.0, 3600.0, 1e9])
def test_an_expiry_where_there_was_none_is_a_deletion_whenever_it_passes(seconds: float) -> None:
    desk = Desk()
    now = UNIX + desk.now
    assert sum(desk.end(ends_at=now + seconds) for _ in range(1000)) == 10
    assert not desk.end()  # it is one limit for both
    assert [one.node_id for one in desk.guard.paused] == ["x"]


def test_an_expiry_that_moves_forward_is_a_deletion_and_one_that_is_put_off_is_none() -> None:
    desk = Desk()
    now = UNIX + desk.now
    for was, becomes in (
        (600.0, 3600.0),
        (600.0, 600.0 - EXPIRY_SECONDS),
        (30.0, 1.0),
        (-5.0, 1.0),
    ):
        assert all(desk.end(expires_at=now + was, ends_at=now + becomes) for _ in range(1000))
    sooner = now + 600.0 - EXPIRY_SECONDS - 1
    assert sum(desk.end(expires_at=now + 600.0, ends_at=sooner) for _ in range(1000)) == 10


def test_what_a_peer_has_just_begun_may_expire_soon() -> None:
    desk = Desk()
    for number in range(1000):
        desk.began(b"c/own %d" % number)
        assert desk.end(key=b"c/own %d" % number, ends_at=UNIX + desk.now + 5)


def test_what_is_refused_of_one_peer_does_not_come_by_another() -> None:
    desk = Desk()
    desk.ended(10)
    assert not desk.end("x", b"c/kept")
    assert not desk.end("y", b"c/kept")
    assert desk.end("y", b"c/other")
    desk.guard.allow("x", desk.now)
    assert desk.end("y", b"c/kept")


def test_a_pause_of_an_earlier_process_holds() -> None:
    desk = Desk(paused=(PausedDeletions("x", 5.0),))
    assert desk.ended(3) == 0
    assert desk.guard.paused == (PausedDeletions("x", 5.0, 3),)


def test_zero_is_no_limit() -> None:
    assert Desk(limit=0).ended(100_000) == 100_000


def test_memory_is_bounded_whatever_the_names_and_documents() -> None:
    desk = Desk(limit=1)
    for number in range(3 * MAX_REMEMBERED_PEERS):
        desk.ended(2, f"n{number}")
    assert len(desk.guard.paused) == MAX_REMEMBERED_PEERS
    assert desk.ended(2, "one more") == 1  # refused beyond the limit, though it is not remembered
    desk.ended(MAX_REFUSED + 10, "n0")
    for number in range(3 * MAX_LATELY):
        desk.began(b"%d" % number)
    assert desk.guard.sizes == (MAX_REMEMBERED_PEERS, MAX_REFUSED, 2 * MAX_LATELY)
