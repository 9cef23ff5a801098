"""Who is a member, who is absent since when, and what departures change."""

from __future__ import annotations

import pytest

from peatnode.model.members import (
    MAX_PEER_EVENTS,
    MAX_REMEMBERED_PEERS,
    Departure,
    MembershipReply,
    PeerEvent,
    PeerEventKind,
    RememberedPeer,
)
from peatnode.model.peer_limits import MAX_DEPARTURES
from peatnode.protocol.members.book import HEARD_SECONDS, OTHER_INSTANCE, MemberBook
from peatnode.protocol.members.departures import SHARES, TOLD_SECONDS
from peatnode.protocol.members.link import DIFFERENT_SECONDS
from peatnode.protocol.members.peer_log import (
    MAX_PEERS_SAID,
    MAX_REASONS,
    REASON_SECONDS,
    PeerLog,
)

UNIX = 1_800_000_000.0
ONE, TWO = "1" * 32, "2" * 32
WEEK = 7 * 86400.0


class Shelf:
    """A book and its clocks."""

    def __init__(self, *, is_read: bool = True) -> None:
        self.book = MemberBook("own", WEEK)
        self.book.begin(100.0, UNIX)
        if is_read:
            self.book.load(MembershipReply((), (), ()))

    def later(self, seconds: float) -> None:
        self.book.now += seconds
        self.book.unix += seconds

    def up(self, name: str = "b", instance: str = ONE, *addresses: str) -> None:
        self.book.connected(name, instance, "peatnode/1", addresses or ("10.0.0.1:4001",))

    def down(self, name: str = "b", instance: str = ONE, *, left: bool = False) -> Departure | None:
        return self.book.disconnected(name, instance, "broken", left)

    def absent(self) -> list[str]:
        return sorted(peer.node_id for peer in self.book.absent())

    def kinds(self) -> list[str]:
        return [event.kind.value for event in self.book.log.events]


def kept(name: str = "b", instance: str = ONE, seen: float = UNIX - 1000) -> RememberedPeer:
    return RememberedPeer(name, instance, ("10.9.9.9:1",), "old", seen - 9, seen, seen, b"r", 5)


def test_a_peer_that_went_is_absent_since_then_with_what_it_last_told() -> None:
    shelf = Shelf()
    shelf.up()
    shelf.later(10)
    shelf.book.told("b", ONE, b"root", 7)
    shelf.book.compared("b", ONE, True)
    shelf.later(20)
    assert shelf.absent() == []
    assert shelf.book.remembered()[0].last_seen == UNIX + 30
    shelf.down()
    shelf.later(1000)
    (peer,) = shelf.book.absent()
    assert (peer.first_seen, peer.last_seen, peer.last_equal) == (UNIX, UNIX + 30, UNIX + 10)
    assert (peer.root, peer.documents, peer.version) == (b"root", 7, "peatnode/1")
    assert peer.absent_seconds == 1000
    assert shelf.kinds() == ["connected", "equal", "disconnected"]


def test_a_new_instance_of_a_node_is_the_same_member() -> None:
    shelf = Shelf()
    shelf.up("b", ONE, "10.0.0.1:1")
    shelf.book.told("b", ONE, b"old", 1)
    shelf.up("b", TWO, "10.0.0.2:1")
    shelf.down("b", ONE)
    assert shelf.absent() == []
    (peer,) = shelf.book.remembered()
    assert (peer.instance, peer.addresses) == (TWO, ("10.0.0.2:1", "10.0.0.1:1"))
    assert peer.root == b"old"  # until the new one tells its own
    shelf.down("b", TWO)
    assert shelf.absent() == ["b"]


def test_a_second_connection_of_an_instance_is_no_event() -> None:
    shelf = Shelf()
    shelf.up()
    shelf.up()
    assert shelf.kinds() == ["connected"]


def test_a_twin_of_this_node_is_no_member() -> None:
    shelf = Shelf()
    shelf.up("own")
    shelf.down("own")
    assert len(shelf.book) == 0


def test_at_most_eight_addresses_are_kept_the_newest_first() -> None:
    shelf = Shelf()
    for number in range(20):
        shelf.up("b", f"{number:032x}", f"10.0.0.{number}:1")
    (peer,) = shelf.book.remembered()
    assert peer.addresses == tuple(f"10.0.0.{number}:1" for number in range(19, 11, -1))


def test_an_absent_member_is_known_by_its_last_address() -> None:
    shelf = Shelf()
    shelf.up("b", ONE, "10.0.0.1:1", "10.0.0.2:1")
    assert shelf.book.name_at("10.0.0.1:1") == ""
    shelf.down()
    assert shelf.book.name_at("10.0.0.1:1") == "b"
    assert shelf.book.name_at("10.0.0.2:1") == ""


def test_the_longest_absent_makes_room() -> None:
    shelf = Shelf()
    for number in range(MAX_REMEMBERED_PEERS):
        shelf.up(f"n{number}")
        if number:
            shelf.down(f"n{number}")
        shelf.later(1)
    shelf.up("new")
    assert len(shelf.book) == MAX_REMEMBERED_PEERS
    assert shelf.book.get("n0") is not None  # it is connected
    assert shelf.book.get("n1") is None
    assert shelf.book.take_changes(with_connected=False, with_absent=False).forgotten == ("n1",)


# --- the clock


def test_times_that_were_measured_follow_the_clock_when_it_is_set() -> None:
    shelf = Shelf(is_read=False)
    shelf.book.load(MembershipReply((kept("old"),), (), ()))
    shelf.up()
    shelf.later(10)
    shelf.down()
    shelf.book.unix += 7200.0
    shelf.book.clock_set(7200.0)
    old, new = shelf.book.get("old"), shelf.book.get("b")
    assert old is not None
    assert new is not None
    assert old.last_seen == UNIX - 1000
    assert (new.first_seen, new.last_seen) == (UNIX + 7200, UNIX + 7210)
    assert [event.at for event in shelf.book.log.events] == [UNIX + 7200, UNIX + 7210]


def test_a_time_that_was_kept_stays_however_often_the_clock_is_set() -> None:
    """This process began with a slow clock; an earlier one had a right one."""
    shelf = Shelf(is_read=False)
    shelf.book.load(MembershipReply((kept("old", seen=UNIX + 3600),), (), ()))
    for seconds in (7200.0, 10.0):
        shelf.later(5)
        shelf.book.unix += seconds
        shelf.book.clock_set(seconds)
    old = shelf.book.get("old")
    assert old is not None
    assert old.last_seen == UNIX + 3600


def test_no_clock_and_no_sleep_of_this_node_forgets_a_member() -> None:
    shelf = Shelf(is_read=False)
    shelf.book.load(MembershipReply((kept(seen=UNIX - 10 * WEEK),), (), ()))
    shelf.book.unix += 100 * WEEK
    assert shelf.book.expire() == []
    shelf.later(WEEK - 1)
    assert shelf.book.expire() == []
    shelf.later(1)
    assert shelf.book.expire() == ["b"]
    assert shelf.absent() == []
    assert shelf.book.take_changes(with_connected=False, with_absent=False).forgotten == ("b",)


def test_absence_goes_on_over_restarts() -> None:
    shelf = Shelf()
    shelf.up()
    shelf.down()
    shelf.later(WEEK - 100)
    keep = shelf.book.take_changes(with_connected=False, with_absent=True)
    other = Shelf(is_read=False)
    other.book.load(MembershipReply(keep.peers, keep.departures, keep.events))
    other.later(99)
    assert other.book.expire() == []
    other.later(1)
    assert other.book.expire() == ["b"]


def test_a_connected_member_does_not_expire_and_begins_anew() -> None:
    shelf = Shelf()
    shelf.up()
    shelf.down()
    shelf.later(WEEK - 1)
    shelf.up()
    shelf.later(WEEK)
    assert shelf.book.expire() == []
    shelf.down()
    shelf.later(WEEK - 1)
    assert shelf.book.expire() == []


# --- departures


def test_a_goodbye_for_good_forgets_and_makes_a_departure() -> None:
    shelf = Shelf()
    shelf.up()
    shelf.later(5.0004)
    departure = shelf.down(left=True)
    assert departure == Departure("b", ONE, UNIX + 5)
    assert shelf.absent() == []
    assert list(shelf.book.departures) == [departure]
    assert shelf.kinds()[-1] == "left"


def test_an_instance_that_leaves_after_its_successor_came_ends_only_itself() -> None:
    shelf = Shelf()
    shelf.up("b", ONE)
    shelf.up("b", TWO)
    assert shelf.down("b", ONE, left=True) is None
    assert shelf.book.get("b") is not None


def test_a_goodbye_counts_when_the_dead_connection_of_an_earlier_instance_has_ended() -> None:
    """The node was killed, is back, and leaves for good before the old connection has ended."""
    shelf = Shelf()
    shelf.up("b", ONE)
    shelf.up("b", TWO)
    assert shelf.down("b", TWO, left=True) is None
    assert shelf.book.log.events[-1].detail == f"broken: {OTHER_INSTANCE}"
    shelf.later(8)
    departure = shelf.down("b", ONE)
    assert departure == Departure("b", TWO, UNIX)
    assert shelf.book.get("b") is None


def test_a_twin_that_is_heard_after_the_goodbye_of_the_other_one_stays_a_member() -> None:
    shelf = Shelf()
    shelf.up("b", ONE)
    shelf.up("b", TWO)
    shelf.down("b", TWO, left=True)
    shelf.later(HEARD_SECONDS)
    shelf.book.told("b", ONE, b"root", -1)
    assert shelf.down("b", ONE) is None
    assert shelf.absent() == ["b"]


def test_the_end_of_an_earlier_instance_does_not_end_the_doubt_about_its_successor() -> None:
    shelf = Shelf()
    shelf.up("b", ONE)
    shelf.up("b", TWO)
    departure = Departure("b", TWO, UNIX)
    shelf.book.departed(departure, "c")
    assert shelf.down("b", ONE) is None
    assert shelf.down("b", TWO) == departure


def test_a_forgotten_node_that_proves_itself_is_a_member_again() -> None:
    shelf = Shelf()
    shelf.up()
    shelf.down()
    departure = shelf.book.forget("b")
    assert shelf.absent() == []
    shelf.up("b", TWO)
    shelf.down("b", TWO)
    assert shelf.absent() == ["b"]
    assert list(shelf.book.departures) == []
    assert not shelf.book.departed(departure, "c")
    assert shelf.absent() == ["b"]


def test_the_same_instance_that_was_forgotten_is_a_member_again_also_for_those_who_hear_late() -> (
    None
):
    """An operator forgets a node that was only cut off. A peer that missed its return tells of it again."""
    shelf = Shelf()
    shelf.up()
    shelf.down()
    departure = shelf.book.forget("b")
    shelf.up("b", ONE)
    shelf.down("b", ONE)
    assert not shelf.book.departed(departure, "c")
    assert shelf.absent() == ["b"]


def test_a_departure_is_passed_on_once() -> None:
    shelf = Shelf()
    departure = Departure("b", ONE, UNIX)
    assert shelf.book.departed(departure, "c")
    assert not shelf.book.departed(departure, "d")


@pytest.mark.parametrize(
    ("instance", "at", "is_forgotten"),
    [
        (ONE, UNIX - 5000, True),  # that instance does not come back, whatever the clocks say
        (TWO, UNIX - 500, True),  # this node has missed an instance
        (TWO, UNIX - 1500, False),  # it was seen later
        (TWO, UNIX + 5000, False),  # a time that means nothing
    ],
)
def test_a_departure_is_about_that_instance_or_an_earlier_one(
    instance: str, at: float, is_forgotten: bool
) -> None:
    shelf = Shelf(is_read=False)
    shelf.book.load(MembershipReply((kept(),), (), ()))
    assert shelf.book.departed(Departure("b", instance, at), "c") is is_forgotten
    assert shelf.absent() == ([] if is_forgotten else ["b"])


def test_a_departure_of_a_connected_instance_waits_for_its_goodbye() -> None:
    """The goodbye to this node was lost: the connection dies in silence."""
    shelf = Shelf()
    shelf.up()
    departure = Departure("b", ONE, UNIX)
    assert not shelf.book.departed(departure, "c")
    assert shelf.absent() == []
    shelf.later(10)
    assert shelf.down() == departure
    assert shelf.absent() == []
    assert shelf.kinds() == ["connected", "disconnected", "left"]


def test_a_peer_that_is_heard_after_its_departure_is_there() -> None:
    """An operator elsewhere has forgotten a node that this node can reach."""
    shelf = Shelf()
    shelf.up()
    shelf.book.departed(Departure("b", ONE, UNIX), "c")
    shelf.later(HEARD_SECONDS)
    shelf.book.told("b", ONE, b"root", -1)
    assert shelf.down() is None
    assert shelf.absent() == ["b"]


def test_a_message_on_its_way_is_no_proof_of_being_there() -> None:
    shelf = Shelf()
    shelf.up()
    shelf.book.departed(Departure("b", ONE, UNIX), "c")
    shelf.later(HEARD_SECONDS / 2)
    shelf.book.told("b", ONE, b"root", -1)
    assert shelf.down() is not None


def test_departures_are_bounded_and_expire() -> None:
    shelf = Shelf()
    for number in range(MAX_DEPARTURES + 10):
        shelf.book.departed(Departure(f"n{number}", ONE, UNIX), "c")
    assert len(shelf.book.departures) == MAX_DEPARTURES
    shelf.later(WEEK + 1)
    shelf.book.expire_departures()
    assert len(shelf.book.departures) == 0


def test_a_peer_forgets_no_more_members_than_it_may_tell_of() -> None:
    """It may name any of them; what it has named is reported with its name."""
    count = MAX_DEPARTURES + 50
    members = tuple(kept(f"n{number}") for number in range(count))
    shelf = Shelf(is_read=False)
    shelf.book.load(MembershipReply(members, (), ()))
    told = [shelf.book.departed(Departure(one.node_id, ONE, UNIX), "liar") for one in members]
    assert sum(told) == MAX_DEPARTURES
    assert shelf.book.left_out == 50 == len(shelf.absent())
    assert {event.detail for event in shelf.book.log.events} == {"liar has said so"}
    shelf.later(10 * TOLD_SECONDS)
    again = [shelf.book.departed(Departure(one, ONE, UNIX), "liar") for one in shelf.absent()]
    assert sum(again) == 10
    assert shelf.book.departed(Departure(shelf.absent()[0], ONE, UNIX), "another")


def test_many_names_of_one_liar_forget_no_more_than_all_peers_may() -> None:
    shelf = Shelf()
    for number in range(2 * SHARES * MAX_DEPARTURES):
        shelf.book.departed(Departure(f"n{number}", ONE, UNIX), f"liar{number}")
    assert shelf.book.left_out == SHARES * MAX_DEPARTURES


def test_who_is_forgotten_by_hearsay_and_is_back_is_a_member_again() -> None:
    shelf = Shelf(is_read=False)
    shelf.book.load(MembershipReply((kept(),), (), ()))
    departure = Departure("b", ONE, UNIX)
    assert shelf.book.departed(departure, "liar")
    shelf.up("b", TWO)
    shelf.down("b", TWO)
    assert shelf.absent() == ["b"]
    assert not shelf.book.departed(departure, "liar"), "it was refuted"


def test_departures_of_nodes_that_nobody_knows_take_no_room_of_others() -> None:
    shelf = Shelf(is_read=False)
    shelf.book.load(MembershipReply((kept(),), (), ()))
    shelf.book.forget("b")
    for number in range(MAX_DEPARTURES + 10):
        shelf.book.departed(Departure(f"n{number}", ONE, UNIX), f"liar{number}")
    assert len(shelf.book.departures) == MAX_DEPARTURES
    assert shelf.book.departures.get("b") is not None


def test_the_end_of_a_connection_that_a_peer_foretold_names_that_peer() -> None:
    shelf = Shelf()
    shelf.up()
    shelf.book.departed(Departure("b", ONE, UNIX), "liar")
    shelf.down()
    assert shelf.book.log.events[-1].detail == "liar had said that it leaves"


def test_what_was_kept_under_a_name_that_no_node_can_have_is_dropped() -> None:
    shelf = Shelf(is_read=False)
    bad = "b\nforged"
    departures = (Departure("c\x1b[2J", ONE, UNIX),)
    shelf.book.load(MembershipReply((kept(bad), kept("d")), departures, ()))
    assert shelf.absent() == ["d"]
    assert len(shelf.book.departures) == 0
    assert bad in shelf.book.take_changes(with_connected=False, with_absent=False).forgotten


def test_nobody_departs_this_node() -> None:
    shelf = Shelf()
    assert not shelf.book.departed(Departure("own", ONE, UNIX), "c")
    assert len(shelf.book.departures) == 0


# --- what the store keeps


def test_what_was_kept_joins_what_has_happened_since_the_start() -> None:
    shelf = Shelf(is_read=False)
    shelf.up("b", TWO, "10.0.0.2:1")
    shelf.book.load(MembershipReply((kept("b"), kept("c"), kept("own")), (), ()))
    both = shelf.book.get("b")
    assert both is not None
    assert (both.instance, both.first_seen, both.documents) == (TWO, UNIX - 1009, 5)
    assert both.addresses == ("10.0.0.2:1", "10.9.9.9:1")
    assert shelf.absent() == ["c"]
    keep = shelf.book.take_changes(with_connected=False, with_absent=False)
    assert ([peer.node_id for peer in keep.peers], keep.forgotten) == (["b"], ("own",))


def test_a_departure_that_was_kept_is_dropped_if_the_node_is_there() -> None:
    shelf = Shelf(is_read=False)
    shelf.up("b", TWO)
    shelf.book.load(MembershipReply((), (Departure("b", ONE, UNIX), Departure("c", ONE, UNIX)), ()))
    assert [departure.node_id for departure in shelf.book.departures] == ["c"]


def test_a_departure_that_came_before_the_reading_forgets() -> None:
    shelf = Shelf(is_read=False)
    shelf.book.departed(Departure("b", ONE, UNIX), "c")
    shelf.book.load(MembershipReply((kept("b"),), (), ()))
    assert shelf.absent() == []
    assert shelf.book.take_changes(with_connected=False, with_absent=False).forgotten == ("b",)


def test_what_the_store_refused_is_kept_later() -> None:
    shelf = Shelf()
    for name in ("b", "c", "d"):
        shelf.up(name)
        shelf.down(name)
    shelf.book.forget("c")
    keep = shelf.book.take_changes(with_connected=False, with_absent=False)
    assert not shelf.book.is_changed
    shelf.book.forget("d")
    shelf.up("c", TWO)
    shelf.book.put_back(keep)
    again = shelf.book.take_changes(with_connected=False, with_absent=False)
    assert [peer.node_id for peer in again.peers] == ["b", "c"]
    assert again.forgotten == ("d",)


# --- the log


def test_a_difference_is_an_event_when_it_lasts_and_equality_only_after_it() -> None:
    shelf = Shelf()
    shelf.up()
    for is_equal in (True, False, True, False):
        shelf.book.compared("b", ONE, is_equal)
        shelf.later(1)
    assert shelf.kinds() == ["connected", "equal"]
    shelf.later(DIFFERENT_SECONDS)
    shelf.book.compared("b", ONE, False)
    shelf.book.compared("b", ONE, False)
    shelf.book.compared("b", ONE, True)
    assert shelf.kinds() == ["connected", "equal", "different", "equal"]


def test_a_failed_dial_is_said_once_for_each_reason_until_the_peer_connects() -> None:
    shelf = Shelf()
    for reason in ("no answer", "no answer", "refused", "no answer", "refused"):
        shelf.book.dial_failed("b", reason, is_refused=reason == "refused")
    assert shelf.kinds() == ["failed", "refused"]
    shelf.up()
    shelf.down()
    shelf.book.dial_failed("b", "no answer", is_refused=False)
    assert shelf.kinds() == ["failed", "refused", "connected", "disconnected", "failed"]


def test_the_log_is_bounded() -> None:
    log = PeerLog()
    for number in range(100):
        log.add_failure(UNIX, f"n{number}", PeerEventKind.FAILED, f"{number}" * 200)
    assert len(log.events) == MAX_PEER_EVENTS
    assert max(len(event.detail) for event in log.events) <= 200


def test_failures_of_many_names_are_said_however_many_there_were() -> None:
    log = PeerLog()
    for number in range(3 * MAX_PEERS_SAID):
        assert log.add_failure(UNIX, f"n{number}", PeerEventKind.FAILED, "no answer")
    last = f"n{3 * MAX_PEERS_SAID - 1}"
    assert not log.add_failure(UNIX, last, PeerEventKind.FAILED, "no answer")
    assert log.add_failure(UNIX, last, PeerEventKind.FAILED, "other version")


def test_who_answers_in_ever_new_words_is_said_a_few_times_an_hour() -> None:
    log = PeerLog()
    log.add(UNIX, "a", PeerEventKind.CONNECTED)
    for number in range(1000):
        log.add_failure(UNIX + number, "b", PeerEventKind.FAILED, f"{number}")
    assert len(log.events) == 1 + MAX_REASONS
    assert log.add_failure(UNIX + REASON_SECONDS, "b", PeerEventKind.FAILED, "1000")
    assert not log.add_failure(UNIX + REASON_SECONDS, "b", PeerEventKind.FAILED, "1001")


def test_no_text_of_the_log_forges_a_line() -> None:
    log = PeerLog()
    log.add(UNIX, "a", PeerEventKind.DISCONNECTED, "a\nb\x1b[2J\u202e")
    log.precede([PeerEvent(UNIX, "c\nd", PeerEventKind.FAILED, "e\nf")])
    for event in log.events:
        assert (event.peer + event.detail).isprintable()


def test_a_failure_is_news_for_the_store_once() -> None:
    shelf = Shelf()
    shelf.book.dial_failed("b", "no answer", is_refused=False)
    assert shelf.book.is_changed
    shelf.book.take_changes(with_connected=False, with_absent=False)
    shelf.book.dial_failed("b", "no answer", is_refused=False)
    assert not shelf.book.is_changed
