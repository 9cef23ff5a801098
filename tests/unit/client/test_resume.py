import pytest

from peatnode.client.events import (
    Current,
    Dropped,
    Event,
    Gap,
    OtherEvent,
    PeerConnected,
    PeerDisconnected,
    SyncEvent,
    TopologyChanged,
    event_of,
)
from peatnode.client.resume import EventFilter, FeedCursor
from peatnode.client.retry import RetryPolicy
from tests.support import seeds


def cursor(since: int | None = None) -> FeedCursor:
    return FeedCursor(EventFilter(), since, RetryPolicy(), seeds.generator("pauses of a feed"))


def change(sequence: int) -> SyncEvent:
    return SyncEvent("c", "i", "updated", sequence, "", "00")


def test_it_resumes_after_what_was_seen() -> None:
    feed = cursor()
    assert feed.params() == ()
    assert list(feed.take(change(7))) == [change(7)]
    assert feed.params() == (("since", "7"),)


def test_what_was_seen_is_not_told_twice() -> None:
    feed = cursor(7)
    told = [event for sequence in (6, 7, 8, 8, 9) for event in feed.take(change(sequence))]
    assert told == [change(8), change(9)]


def test_where_the_node_begins_is_kept_when_nothing_came_before_the_loss() -> None:
    feed = cursor()
    feed.opened_at(40)
    assert feed.params() == (("since", "40"),)
    feed.opened_at(50)
    assert feed.since == 40


def test_a_gap_moves_on_also_backwards() -> None:
    feed = cursor(100)
    assert list(feed.take(Gap(100, 3))) == [Gap(100, 3)]
    assert list(feed.take(change(4))) == [change(4)]


def test_being_dropped_is_no_news_but_says_where_to_resume() -> None:
    feed = cursor()
    assert list(feed.take(Dropped("too slow", 12))) == []
    assert feed.since == 12


def test_after_all_current_documents_it_resumes_there() -> None:
    feed = cursor()
    assert list(feed.take(Current(5))) == [Current(5)]
    assert feed.since == 5


def test_pauses_begin_anew_after_an_event() -> None:
    feed = cursor()
    first = [feed.pause_after_loss() for _ in range(5)]
    assert first[4] > first[0]
    feed.take(change(1))
    assert feed.pause_after_loss() <= 0.1


@pytest.mark.parametrize(
    ("content", "event"),
    [
        (
            {
                "type": "SyncEvent",
                "collection": "c",
                "doc_id": "d",
                "action": "created",
                "sequence": 3,
                "origin": "x",
                "incarnation": 1,
                "fingerprint": "00ff",
                "value": {"a": 1},
            },
            SyncEvent("c", "d", "created", 3, "x", "00ff", {"a": 1}),
        ),
        ({"type": "PeerConnected", "peer_id": "p", "instance": "i"}, PeerConnected("p", "i")),
        (
            {"type": "PeerDisconnected", "peer_id": "p", "reason": "gone"},
            PeerDisconnected("p", "gone"),
        ),
        ({"type": "TopologyChanged", "peer_count": 2}, TopologyChanged(2)),
        ({"type": "Gap", "since": 1, "upto": 9, "reread": "/x"}, Gap(1, 9)),
        ({"type": "Dropped", "reason": "slow", "resume": 4}, Dropped("slow", 4)),
        ({"type": "New", "x": 1}, OtherEvent("New", {"type": "New", "x": 1})),
    ],
)
def test_each_event_of_the_feed(content: dict[str, object], event: Event) -> None:
    assert event_of(content) == event


def test_a_filter_has_the_parameters_of_the_api() -> None:
    filter = EventFilter("c", "i", "p", True, ("SyncEvent", "PeerConnected"))
    assert filter.params() == (
        ("collection", "c"),
        ("doc_id", "i"),
        ("prefix", "p"),
        ("value", "true"),
        ("types", "SyncEvent,PeerConnected"),
    )
