"""The rate at which documents arrive, and what the part that was compared tells of the rest."""

from __future__ import annotations

import pytest

from peatnode.model.tree import BUCKETS
from peatnode.protocol.sync.pulls.progress import RATE_SECONDS, FetchRate, PullProgress


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = FetchRate()
    rate.begin(100.0)
    assert rate.per_second(100.0) == 0
    for tick in range(100):
        rate.add(10, 100.0 + tick / 10)
    assert rate.per_second(110.0) == pytest.approx(100, rel=0.05)
    for tick in range(100):
        rate.add(1, 110.0 + tick / 10)
    assert rate.per_second(120.0) == pytest.approx(10, rel=0.05)
    assert rate.per_second(120.0 + RATE_SECONDS) == 0


def test_the_rate_is_right_before_the_first_seconds_are_over() -> None:
    rate = FetchRate()
    rate.begin(7.0)
    rate.add(50, 7.1)
    rate.add(50, 8.0)
    assert rate.per_second(8.0) == pytest.approx(100)


def test_a_pull_that_follows_at_once_goes_on_with_the_rate() -> None:
    rate = FetchRate()
    rate.begin(7.0)
    rate.add(100, 8.0)
    rate.begin(9.0)
    assert rate.per_second(9.0) == pytest.approx(50)
    rate.begin(100.0)
    assert rate.per_second(100.0) == 0


def test_what_arrives_together_takes_no_room() -> None:
    rate = FetchRate()
    rate.begin(0.0)
    for tick in range(100_000):
        rate.add(1, tick / 10_000)
    assert len(rate._samples) <= RATE_SECONDS / 0.1 + 2
    assert rate.per_second(10.0) == pytest.approx(10_000, rel=0.05)


def test_the_rest_of_the_tree_is_expected_to_hold_as_many_as_what_was_compared() -> None:
    progress = PullProgress()
    progress.unexplored = BUCKETS
    assert progress.expected() == 0
    progress.found, progress.settled, progress.unexplored = 100, 60, BUCKETS * 3 // 4
    assert (progress.pending, progress.expected()) == (40, 340)
    progress.unexplored = 0
    assert progress.expected() == 40
