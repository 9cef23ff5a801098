"""What the store keeps of the members and when it is asked, and what the peers are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from peatnode.model.clock import ClockReading
from peatnode.model.members import (
    Departure,
    KeepMembership,
    MembershipKept,
    MembershipReply,
    ReadMembership,
    RememberedPeer,
)
from peatnode.model.peer_limits import MAX_DEPARTURES
from peatnode.model.sync import StoreAnswer
from peatnode.protocol.members.membership import (
    KEEP_SECONDS,
    RETRY_SECONDS,
    TIMES_SECONDS,
    Membership,
    decode_departures,
    encode_departures,
)
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.messages import Departed

UNIX = 1_800_000_000.0
ONE, TWO = "1" * 32, "2" * 32
WEEK = 7 * 86400.0


class Desk:
    """A membership, its clock and its host."""

    def __init__(self, retention: float = WEEK) -> None:
        self.now = 0.0
        self.asked: list[ReadMembership | KeepMembership] = []
        self.told: list[tuple[Departed, str]] = []
        self.absent: dict[str, tuple[str, ...]] = {}
        self.forgotten: list[str] = []
        self.blocked: set[str] = set()
        self.is_denied = False
        self._then: list[Callable[[StoreAnswer | None], None]] = []
        self._wake_at: float | None = None
        self.members = Membership(self, "own", retention)
        self.read()

    def read(self) -> None:
        self.members.read(self.now, ClockReading(UNIX + self.now, UNIX))

    def later(self, seconds: float) -> None:
        """Time passes, and the timer is due where it is set to."""
        end = self.now + seconds
        while self._wake_at is not None and self._wake_at <= end:
            self.now, self._wake_at = self._wake_at, None
            self.read()
            self.members.review()
        self.now = end
        self.read()

    def answer(self, answer: StoreAnswer | None) -> None:
        self._then.pop(0)(answer)

    @property
    def has_asked(self) -> bool:
        return bool(self._then)

    def opened(self, *peers: RememberedPeer) -> None:
        self.answer(MembershipReply(peers, (), ()))

    def up(self, name: str = "b", instance: str = ONE) -> Departed | None:
        return self.members.connected(name, instance, "", ("10.0.0.1:1",))

    def kept(self) -> KeepMembership:
        keep = self.asked[-1]
        assert isinstance(keep, KeepMembership)
        return keep

    # --- the host

    def ask_members(
        self,
        question: ReadMembership | KeepMembership,
        then: Callable[[StoreAnswer | None], None],
    ) -> None:
        self.asked.append(question)
        self._then.append(then)

    def set_members_timer(self, seconds: float) -> None:
        self._wake_at = self.now + seconds

    def tell_departures(self, message: Departed, but: str) -> None:
        self.told.append((message, but))

    def member_remembered(self, node_id: str, addresses: tuple[str, ...]) -> None:
        self.absent[node_id] = addresses

    def member_forgotten(self, node_id: str, reason: str) -> None:
        self.forgotten.append(node_id)

    def member_blocked(self, node_id: str) -> None:
        self.blocked.add(node_id)

    def member_unblocked(self, node_id: str) -> None:
        self.blocked.discard(node_id)

    def is_clock_denied(self) -> bool:
        return self.is_denied


def test_the_members_are_read_at_the_start_and_their_addresses_told() -> None:
    desk = Desk()
    assert desk.asked == [ReadMembership()]
    desk.opened(RememberedPeer("b", ONE, ("10.0.0.9:1",), "", 1.0, 2.0, 0.0, b"", -1))
    assert desk.absent == {"b": ("10.0.0.9:1",)}


def test_a_store_that_does_not_answer_is_asked_until_it_does() -> None:
    desk = Desk()
    desk.up()
    for _ in range(10):
        desk.answer(None)
        desk.later(RETRY_SECONDS[1])
    assert set(desk.asked) == {ReadMembership()}
    assert len(desk.asked) == 11
    desk.opened()
    desk.later(KEEP_SECONDS)
    assert [peer.node_id for peer in desk.kept().peers] == ["b"]


def test_a_connection_is_kept_soon_and_a_quiet_mesh_once_a_minute() -> None:
    desk = Desk()
    desk.opened()
    desk.up()
    desk.later(KEEP_SECONDS)
    assert len(desk.asked) == 2
    desk.answer(MembershipKept())
    desk.later(TIMES_SECONDS - KEEP_SECONDS - 0.1)
    assert len(desk.asked) == 2
    for minute in range(1, 4):
        desk.later(TIMES_SECONDS + 1)
        assert len(desk.asked) == 2 + minute
        assert desk.kept().peers[0].last_seen > UNIX + minute * TIMES_SECONDS - 2
        desk.answer(MembershipKept())


def test_a_node_alone_writes_nothing() -> None:
    desk = Desk()
    desk.opened()
    desk.later(WEEK)
    assert len(desk.asked) == 1


def test_absent_members_cost_a_write_an_hour() -> None:
    desk = Desk()
    desk.opened(RememberedPeer("b", ONE, (), "", 1.0, 2.0, 0.0, b"", -1))
    for _ in range(24 * 60):
        desk.later(60.0)
        if len(desk._then):
            desk.answer(MembershipKept())
    assert len(desk.asked) - 1 == pytest.approx(24, abs=1)
    assert desk.kept().peers[0].absent_seconds == pytest.approx(86400, abs=4000)


def test_a_store_that_refuses_is_asked_again_with_what_is_new() -> None:
    desk = Desk()
    desk.opened()
    desk.up("b")
    desk.later(KEEP_SECONDS)
    desk.answer(None)
    desk.up("c", TWO)
    desk.later(RETRY_SECONDS[0] / 2)
    assert len(desk.asked) == 2
    desk.later(RETRY_SECONDS[0])
    assert [peer.node_id for peer in desk.kept().peers] == ["b", "c"]


def test_one_question_is_with_the_store_at_a_time() -> None:
    desk = Desk()
    desk.opened()
    desk.up("b")
    desk.later(KEEP_SECONDS)
    desk.up("c", TWO)
    desk.later(30.0)
    assert len(desk.asked) == 2
    desk.answer(MembershipKept())
    desk.later(KEEP_SECONDS)
    assert [peer.node_id for peer in desk.kept().peers] == ["c"]


def test_a_stop_keeps_the_times_and_what_follows_is_no_news() -> None:
    desk = Desk()
    desk.opened()
    desk.up()
    desk.later(10.0)
    desk.members.stop()
    assert desk.kept().peers[0].last_seen == UNIX + 10
    desk.members.disconnected("b", ONE, "stopping", False)
    assert [event.kind.value for event in desk.members.book.log.events] == ["connected"]


def test_a_departure_goes_to_all_peers_and_to_each_new_one() -> None:
    desk = Desk()
    desk.opened()
    assert desk.up() is None
    desk.members.disconnected("b", ONE, "left", True)
    departed = Departed((("b", bytes.fromhex(ONE), int(UNIX * 1000)),))
    assert desk.told == [(departed, "")]
    assert desk.forgotten == ["b"]
    assert desk.up("c", TWO) == departed
    desk.later(KEEP_SECONDS)
    assert desk.kept().departures == (Departure("b", ONE, UNIX),)


def test_what_a_peer_tells_is_passed_on_once_and_not_back() -> None:
    desk = Desk()
    desk.opened()
    desk.up("c", TWO)
    departed = Departed((("b", bytes.fromhex(ONE), int(UNIX * 1000)),))
    desk.members.receive("c", TWO, departed)
    desk.members.receive("c", TWO, departed)
    assert desk.told == [(departed, TWO)]


def test_an_order_forgets_only_who_is_absent() -> None:
    desk = Desk()
    desk.opened()
    desk.up()
    desk.members.forget("b")
    desk.members.forget("unknown")
    assert desk.forgotten == []
    desk.members.disconnected("b", ONE, "broken", False)
    desk.members.forget("b")
    assert (desk.forgotten, len(desk.told)) == (["b"], 1)


def test_the_retention_is_carried_out_and_told_to_nobody() -> None:
    desk = Desk(retention=600.0)
    desk.opened()
    desk.up()
    desk.members.disconnected("b", ONE, "broken", False)
    desk.later(580.0)
    assert desk.forgotten == []
    desk.later(60.0)
    assert (desk.forgotten, desk.told) == (["b"], [])


def test_departures_expire_only_by_a_clock_that_is_not_denied() -> None:
    desk = Desk(retention=600.0)
    desk.opened()
    desk.members.receive("c", TWO, Departed((("b", b"", int(UNIX * 1000)),)))
    desk.is_denied = True
    desk.later(1000.0)
    assert len(desk.members.book.departures) == 1
    desk.is_denied = False
    desk.later(100.0)
    assert len(desk.members.book.departures) == 0


def test_departures_pass_the_wire_unchanged() -> None:
    departures = [Departure("b", ONE, UNIX + n / 1000) for n in range(1000)]
    wire = [encode_departures([departure]) for departure in departures]
    assert [decode_departures(one) for one in wire] == [[d] for d in departures]


@pytest.mark.parametrize(
    "departed",
    [
        (("", b"1" * 16, 1),),
        (("b", b"1" * 15, 1),),
        (("b" * 254, b"1" * 16, 1),),
        (("b", b"1" * 16, -1),),
        (("b", b"1" * 16, 1),) * (MAX_DEPARTURES + 1),
    ],
)
def test_a_malformed_departure_is_a_fault(departed: tuple[tuple[str, bytes, int], ...]) -> None:
    with pytest.raises(PeerFault):
        Desk().members.receive("c", TWO, Departed(departed))


def test_without_a_clock_nothing_happens() -> None:
    desk = Desk()
    silent = Membership(desk, "own", WEEK)
    assert silent.connected("b", ONE, "", ()) is None
    silent.told("b", ONE, b"", -1)
    silent.compared("b", ONE, True)
    silent.disconnected("b", ONE, "", False)
    silent.review()
    silent.stop()
    assert desk.asked == [ReadMembership()]
