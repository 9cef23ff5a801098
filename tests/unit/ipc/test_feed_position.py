"""Where a follower of the feed resumes."""

from __future__ import annotations

import pytest

from peatnode.ipc.feed_position import MAX_PAUSE_SECONDS, FeedPosition, FollowerState
from peatnode.ipc.messages import ChangesSeen, FeedGap
from peatnode.model.feed import FeedRestarted


def test_a_follower_without_a_position_begins_with_the_newest_change() -> None:
    state = FollowerState(FeedPosition())
    assert state.open(7, 1) == ChangesSeen((), 7)
    assert state.position == FeedPosition(7, 1)
    assert state.open(9, 1) is None
    assert state.position == FeedPosition(7, 1)


def test_the_feed_goes_on_where_it_was() -> None:
    state = FollowerState(FeedPosition(3, 1))
    state.receive(ChangesSeen((), 5))
    assert state.open(12, 1) is None
    state.receive(FeedGap(5, 8))
    assert state.position == FeedPosition(8, 1)


@pytest.mark.parametrize("sequence", [0, 4, 5, 6])
def test_another_store_has_another_feed_however_far_it_has_come(sequence: int) -> None:
    state = FollowerState(FeedPosition(5, 1))
    assert state.open(sequence, 2) == FeedRestarted(5, sequence)
    assert state.position == FeedPosition(sequence, 2)
    assert state.open(sequence, 2) is None


def test_a_sequence_that_a_client_names_belongs_to_this_store_unless_it_is_ahead() -> None:
    state = FollowerState(FeedPosition(5))
    assert state.open(5, 2) is None
    assert state.position == FeedPosition(5, 2)
    assert FollowerState(FeedPosition(5)).open(4, 2) == FeedRestarted(5, 4)


def test_fewer_changes_than_were_received_are_another_feed() -> None:
    assert FollowerState(FeedPosition(5, 1)).open(4, 1) == FeedRestarted(5, 4)


def test_positions_compare_within_one_feed_only() -> None:
    assert FeedPosition(5, 1).has_reached(FeedPosition(5, 1))
    assert not FeedPosition(4, 1).has_reached(FeedPosition(5, 1))
    assert not FeedPosition(6, 1).has_reached(FeedPosition(5, 2))
    assert not FeedPosition(6, None).has_reached(FeedPosition(5, None))
    assert not FeedPosition(6, 1).has_reached(FeedPosition(-1, 1))


def test_pauses_grow_until_an_event_comes() -> None:
    state = FollowerState(FeedPosition(0, 1))
    pauses = [state.pause_after_loss() for _ in range(12)]
    assert pauses[0] == 0.0
    assert pauses[1:] == sorted(pauses[1:])
    assert 0.0 < pauses[1] < pauses[-1] == MAX_PAUSE_SECONDS
    state.receive(ChangesSeen((), 1))
    assert state.pause_after_loss() == 0.0
