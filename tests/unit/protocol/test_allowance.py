"""A sender within its allowance is within that of the receiver, whatever the network does in between."""

import random

from peatnode.model.peer_limits import (
    MAX_AWARENESS_BYTES,
    PEER_AWARENESS_RATE,
    RECEIVED_AWARENESS_RATE,
    Rate,
)
from peatnode.protocol.allowance import Allowance

IDLE_SECONDS = 10.0


def test_a_burst_then_the_mean_rate() -> None:
    allowance = Allowance(Rate(1000, 10, 2.0))
    assert [allowance.take(1, 5.0) for _ in range(21)] == [True] * 20 + [False]
    assert not allowance.take(1, 5.05)
    assert allowance.take(1, 5.11)


def test_a_clock_may_begin_anywhere() -> None:
    assert Allowance(Rate(1000, 10, 2.0)).take(1, -1e6)


def test_bytes_count_as_well() -> None:
    allowance = Allowance(Rate(1000, 10, 2.0))
    assert allowance.take(1500, 0.0)
    assert not allowance.take(600, 0.0)
    assert allowance.take(500, 0.0)
    assert allowance.seconds_until(500, 0.0) == 0.5
    assert allowance.take(500, 0.5 + 1e-9)


def test_a_peer_takes_whatever_may_be_sent(rng: random.Random) -> None:
    for _ in range(20):
        sent, received = Allowance(PEER_AWARENESS_RATE), Allowance(RECEIVED_AWARENESS_RATE)
        now, arrived = 0.0, 0.0
        is_large = rng.random() < 0.5
        for _ in range(2000):
            now += rng.choice((0.0, 0.0, 0.001, 0.1))
            size = rng.randrange(MAX_AWARENESS_BYTES + 1) if is_large else rng.randrange(300)
            if sent.take(size, now):
                arrived = max(arrived, now + IDLE_SECONDS * rng.random() ** 4)
                assert received.take(size, arrived)
