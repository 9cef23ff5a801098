"""What the sync machine does when an operator blocks a node, and when that node comes again."""

from __future__ import annotations

from peatnode.model.clock import ClockReading
from peatnode.model.members import BlockedPeer, MembershipReply, ReadMembership
from peatnode.model.sync import ReadTree, TreeReply
from peatnode.protocol.sync.events import (
    Action,
    AskStore,
    BlockOrdered,
    Close,
    ConnectionUp,
    DeletionsResumed,
    Event,
    MemberBlocked,
    MemberUnblocked,
    PeerAppeared,
    PeerVanished,
    Send,
    StoreAnswered,
    UnblockOrdered,
)
from peatnode.protocol.sync.session import FRESH_ROOT_SECONDS
from peatnode.protocol.wire.errors import CloseCode
from peatnode.protocol.wire.messages import Root
from tests.unit.protocol.sync.test_machine import LARGER, SMALLER, Bench, member

UNIX = 1_800_000_000.0


class TimedBench(Bench):
    """A bench whose machine knows the wall clock, so that it remembers members."""

    def tell(self, event: Event) -> list[Action]:
        clock = ClockReading(UNIX + self.now, UNIX)
        self.done = self.machine.handle(event, self.now, clock)
        return self.done


def closed(bench: Bench) -> list[tuple[int, int, str]]:
    return [(a.peer, a.code, a.reason) for a in bench.done if isinstance(a, Close)]


def test_all_instances_of_a_blocked_node_are_closed_at_once() -> None:
    bench = TimedBench()
    for peer, instance in ((1, SMALLER), (2, LARGER)):
        bench.tell(ConnectionUp(peer, member(instance, node_id="b")))
    bench.tell(ConnectionUp(3, member(b"7" * 16, node_id="c")))
    bench.tell(BlockOrdered("b", "it deletes"))
    told = (CloseCode.BLOCKED, "blocked by own")  # and not why
    assert closed(bench) == [(1, *told), (2, *told)]
    assert [a.node_id for a in bench.done if isinstance(a, PeerVanished)] == ["b", "b"]
    assert MemberBlocked("b") in bench.done
    assert [s.member.node_id for s in bench.machine.sync_statuses()] == ["c"]


def test_a_blocked_node_is_refused_after_it_has_proved_itself_until_it_is_unblocked() -> None:
    bench = TimedBench()
    bench.tell(BlockOrdered("b", ""))
    bench.tell(ConnectionUp(1, member(LARGER, node_id="b")))
    assert closed(bench) == [(1, CloseCode.BLOCKED, "blocked by own")]
    assert not [a for a in bench.done if isinstance(a, PeerAppeared)]
    assert MemberUnblocked("b") in bench.tell(UnblockOrdered("b"))
    assert bench.tell(UnblockOrdered("b")) == []
    bench.tell(ConnectionUp(2, member(LARGER, node_id="b")))
    assert closed(bench) == []


def test_what_the_store_kept_ends_a_connection_that_was_faster() -> None:
    bench = TimedBench()
    (asked,) = [
        action.number
        for action in bench.done
        if isinstance(action, AskStore) and isinstance(action.question, ReadMembership)
    ]
    bench.tell(ConnectionUp(1, member(LARGER, node_id="b")))
    bench.tell(StoreAnswered(asked, MembershipReply((), (), (), (BlockedPeer("b", "", 5.0),))))
    assert closed(bench) == [(1, CloseCode.BLOCKED, "blocked by own")]


def test_when_deletions_are_allowed_again_all_peers_are_compared_with() -> None:
    """What was refused of one may have to come from another, which has taken it."""
    bench = TimedBench()
    bench.tell(ConnectionUp(1, member(SMALLER, node_id="b")))
    (asked,) = bench.asked(ReadTree)
    bench.tell(ConnectionUp(2, member(LARGER, node_id="c")))
    bench.tell(StoreAnswered(asked.number, TreeReply((b"r" * 16,), 5)))
    bench.now += FRESH_ROOT_SECONDS
    bench.tell(DeletionsResumed("b"))
    bench.answer_root(b"r" * 16, 5)
    assert [a.peer for a in bench.done if isinstance(a, Send) and type(a.message) is Root] == [1, 2]
