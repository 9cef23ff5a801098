"""When a feed is taken for stuck."""

from __future__ import annotations

from workers.sync.feed_watchdog import STUCK_SECONDS, FeedWatchdog


def test_behind_without_moving_for_longer_than_allowed() -> None:
    watch = FeedWatchdog()
    assert not watch.is_stuck(5, 9, 0.0)
    assert not watch.is_stuck(5, 12, STUCK_SECONDS)
    assert watch.is_stuck(5, 12, STUCK_SECONDS + 0.1)
    assert not watch.is_stuck(5, 12, STUCK_SECONDS + 0.2)
    assert watch.is_stuck(5, 12, 2 * STUCK_SECONDS + 0.4)


def test_one_that_moves_or_has_been_level_meanwhile_is_not() -> None:
    watch = FeedWatchdog()
    for upto in range(5):
        assert not watch.is_stuck(upto, 100, upto * STUCK_SECONDS)
    assert not watch.is_stuck(4, 4, 4.5 * STUCK_SECONDS)
    assert not watch.is_stuck(4, 5, 6 * STUCK_SECONDS)


def test_one_that_has_not_begun_is_not() -> None:
    watch = FeedWatchdog()
    assert not watch.is_stuck(-1, 9, 0.0)
    assert not watch.is_stuck(-1, 9, 2 * STUCK_SECONDS)
