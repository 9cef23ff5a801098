"""Single steps of the sync machine that the simulator only meets by chance."""

from __future__ import annotations

import pytest

from peatnode.model.documents import DocumentUpdate, Outcome, Wanted
from peatnode.model.feed import ChangesSeen, FeedGap, FeedRestarted
from peatnode.model.peer_limits import (
    MAX_AWARENESS_BYTES,
    PEER_AWARENESS_RATE,
    RECEIVED_AWARENESS_RATE,
)
from peatnode.model.sync import AppliedReply, ApplyUpdates, ReadTree, ReadVectors, TreeReply
from peatnode.model.tree import EMPTY_HASH
from peatnode.protocol.connect.handshake import Member
from peatnode.protocol.sync.events import (
    Action,
    AskStore,
    AwarenessPublished,
    AwarenessReceived,
    Close,
    ConnectionDown,
    ConnectionUp,
    Event,
    FeedOpened,
    InstanceRefused,
    MessageReceived,
    PeerAppeared,
    PeerVanished,
    ReplicasKnown,
    ReplicasWanted,
    Send,
    StoreAnswered,
    WakeUp,
)
from peatnode.protocol.sync.machine import SyncMachine
from peatnode.protocol.sync.pulls.turns import STALLED_SECONDS
from peatnode.protocol.sync.pushes.push_window import ACK_SECONDS
from peatnode.protocol.sync.session import ROOT_SECONDS
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.batches import pack_updates, unpack_updates
from peatnode.protocol.wire.errors import CloseCode
from tests.sim.bounds import held_bytes
from tests.support import seeds
from tests.support.feed_changes import change_of

OWN = b"5" * 16
SMALLER, LARGER = b"1" * 16, b"9" * 16
WAITS_FOR_ANOTHER = "documents are fetched from another peer first"


class Bench:
    """A machine, its clock, and what it has said."""

    def __init__(self) -> None:
        self.now = 100.0
        self.machine = SyncMachine("own", OWN, seeds.generator("machine"), self.now)
        self.done: list[Action] = []
        self.tell(ChangesSeen((), 0))

    def tell(self, event: Event) -> list[Action]:
        self.done = self.machine.handle(event, self.now)
        return self.done

    def sent(self, kind: type) -> list[wire.Message]:
        return [a.message for a in self.done if isinstance(a, Send) and isinstance(a.message, kind)]

    def asked(self, kind: type) -> list[AskStore]:
        return [a for a in self.done if isinstance(a, AskStore) and isinstance(a.question, kind)]

    def answer_root(self, root: bytes, sequence: int, documents: int = -1) -> list[Action]:
        (asked,) = self.asked(ReadTree)
        return self.tell(StoreAnswered(asked.number, TreeReply((root,), sequence, documents)))

    def up(self, peer: int, instance: bytes = LARGER, **about: object) -> list[Action]:
        return self.tell(ConnectionUp(peer, member(instance, **about)))

    def wake(self, seconds: float) -> list[Action]:
        self.now += seconds
        return self.tell(WakeUp())


def member(
    instance: bytes,
    *,
    started: int = 1,
    dialled_by: bytes = OWN,
    attempt: int = 1,
    node_id: str = "",
) -> Member:
    return Member(
        node_id or f"node-{instance[:1].decode()}", instance, started, attempt, "", b"", dialled_by
    )


def update(name: str = "one", incarnation: int = 1) -> DocumentUpdate:
    return DocumentUpdate("notes", name, incarnation, False, 0.0, b"update of " + name.encode())


def changes(*numbers: int, origin: str = "") -> ChangesSeen:
    return ChangesSeen(
        tuple([change_of(number, origin, update(f"n{number}")) for number in numbers]), numbers[-1]
    )


def test_of_two_connections_the_one_dialled_by_the_smaller_is_kept_whichever_comes_first() -> None:
    for order in ((1, 2), (2, 1)):
        bench = Bench()
        dialled_by = {1: OWN, 2: LARGER}
        closed = []
        for peer in order:
            bench.up(peer, dialled_by=dialled_by[peer])
            closed += [a.peer for a in bench.done if isinstance(a, Close)]
        assert closed == [2]
        assert [s.peer for s in bench.machine.sync_statuses()] == [1]


def test_a_process_that_started_later_replaces_its_predecessor() -> None:
    bench = Bench()
    bench.up(1, dialled_by=OWN, started=1)
    bench.up(2, dialled_by=LARGER, started=2)
    assert [a.peer for a in bench.done if isinstance(a, Close)] == [1]
    assert not [a for a in bench.done if isinstance(a, PeerAppeared | PeerVanished)]


def test_batches_form_while_two_are_unacknowledged() -> None:
    bench = Bench()
    bench.up(1)
    for number in range(1, 7):
        bench.tell(changes(number))
        assert len(bench.sent(wire.Push)) == (1 if number <= 2 else 0)
    bench.tell(MessageReceived(1, wire.Ack(1, True)))
    (push,) = bench.sent(wire.Push)
    assert isinstance(push, wire.Push)
    assert [one.id for one in unpack_updates(push.batch)] == ["n3", "n4", "n5", "n6"]


def test_changes_are_not_sent_back_nor_to_neighbours_of_whom_they_came_from() -> None:
    bench = Bench()
    bench.up(1, SMALLER)
    bench.up(2, LARGER)
    bench.up(3, b"7" * 16)
    bench.tell(MessageReceived(1, wire.Neighbours(True, (("node-9", LARGER), ("own", OWN)), ())))
    bench.tell(changes(1, origin=SMALLER.hex()))
    assert [a.peer for a in bench.done if isinstance(a, Send)] == [3]


def test_replicas_are_those_that_acknowledged_on_their_disk() -> None:
    bench = Bench()
    bench.up(1)
    bench.tell(changes(1))
    bench.tell(ReplicasWanted(7, 1, 1, 5.0))
    assert not [a for a in bench.done if isinstance(a, ReplicasKnown)]
    bench.tell(MessageReceived(1, wire.Ack(1, True)))
    assert [a for a in bench.done if isinstance(a, ReplicasKnown)] == [
        ReplicasKnown(7, ("node-9",))
    ]


def test_an_incomplete_acknowledgement_is_none() -> None:
    bench = Bench()
    bench.up(1)
    bench.tell(changes(1))
    bench.tell(ReplicasWanted(7, 1, 1, 5.0))
    bench.tell(MessageReceived(1, wire.Ack(1, False)))
    assert not [a for a in bench.done if isinstance(a, ReplicasKnown)]
    bench.wake(5.1)
    assert ReplicasKnown(7, ()) in bench.done


def test_large_questions_that_pile_up_are_not_answered_and_take_no_memory() -> None:
    bench = Bench()
    bench.up(1)
    wanted = tuple(Wanted("notes", f"n{n}", 1, bytes(10_000)) for n in range(1000))
    said = []
    for number in range(60):
        bench.tell(MessageReceived(1, wire.AskUpdates(number, wanted)))
        said += bench.sent(wire.Unanswered)
        assert not [a for a in bench.done if isinstance(a, Close)]
    assert len(said) == 59


def test_questions_of_a_connection_that_has_ended_are_forgotten() -> None:
    bench = Bench()
    for peer in range(1, 200):
        bench.up(peer, started=peer)
        for number in range(20):
            bench.tell(MessageReceived(peer, wire.AskTree(number, 0, (0,) * 200)))
        bench.tell(ConnectionDown(peer, "gone"))
    assert held_bytes(bench.machine) < 250_000


def test_roots_that_come_while_the_store_reads_are_answered_by_one() -> None:
    bench = Bench()
    bench.up(1)
    asked = bench.asked(ReadTree)
    for number in range(1000):
        bench.tell(MessageReceived(1, wire.Root(bytes([number % 256]) * 16, False)))
        asked += bench.asked(ReadTree)
    (question,) = asked
    bench.tell(StoreAnswered(question.number, TreeReply((b"r" * 16,), 0, 0)))
    assert sorted(root.is_answer for root in bench.sent(wire.Root))  # type: ignore[attr-defined] == [False, True]


def test_equal_roots_acknowledge_everything_before() -> None:
    bench = Bench()
    bench.tell(ChangesSeen((), 40))
    bench.up(1)
    bench.answer_root(b"r" * 16, 41)
    bench.tell(ReplicasWanted(7, 41, 1, 5.0))
    bench.tell(MessageReceived(1, wire.Root(b"r" * 16, True)))
    assert [a for a in bench.done if isinstance(a, ReplicasKnown)]
    (status,) = bench.machine.sync_statuses()
    assert (status.is_in_sync, status.behind, status.since) == (True, 0, None)


def test_equal_roots_end_the_refusals_of_that_peer_alone() -> None:
    bench = Bench()
    bench.tell(ChangesSeen((), 40))
    for peer, instance, name in ((1, LARGER, "one"), (2, SMALLER, "two")):
        bench.up(peer, instance)
        if peer == 1:
            bench.answer_root(b"r" * 16, 41)
        bench.tell(MessageReceived(peer, wire.Push(1, pack_updates((update(name),)))))
        (asked,) = bench.asked(ApplyUpdates)
        refused = AppliedReply((Outcome.REFUSED,), ("over a limit",), 41)
        bench.tell(StoreAnswered(asked.number, refused))
    assert bench.machine.differing() == ("notes/one", "notes/two")
    bench.tell(MessageReceived(1, wire.Root(b"r" * 16, True)))
    assert bench.machine.differing() == ("notes/two",)
    behind = {status.peer: status.behind for status in bench.machine.sync_statuses()}
    assert behind[1] == 0


def test_a_hole_in_the_feed_is_no_acknowledgement_of_what_was_in_it() -> None:
    bench = Bench()
    bench.up(1)
    bench.tell(FeedGap(0, 9))
    bench.tell(changes(10))
    bench.tell(MessageReceived(1, wire.Ack(1, True)))
    bench.tell(ReplicasWanted(7, 9, 1, 1.0))
    assert not [a for a in bench.done if isinstance(a, ReplicasKnown)]
    bench.tell(ReplicasWanted(8, 10, 1, 1.0))
    assert ReplicasKnown(8, ("node-9",)) in bench.done


def test_nothing_of_a_feed_that_restarted_acknowledges_the_new_one() -> None:
    bench = Bench()
    bench.tell(ChangesSeen((), 40))
    bench.up(1)
    bench.answer_root(b"r" * 16, 41)
    bench.tell(MessageReceived(1, wire.Root(b"r" * 16, True)))
    bench.tell(changes(42))
    bench.tell(ReplicasWanted(7, 43, 1, 5.0))
    bench.tell(FeedRestarted(42, 5))
    assert ReplicasKnown(7, (), is_other_feed=True) in bench.done, (
        "a sequence that no longer is cannot be waited for"
    )
    bench.tell(MessageReceived(1, wire.Ack(1, True)))
    bench.tell(ReplicasWanted(8, 5, 1, 1.0))
    assert not [a for a in bench.done if isinstance(a, ReplicasKnown)]
    bench.tell(changes(6))
    bench.tell(MessageReceived(1, wire.Ack(2, True)))
    bench.tell(ReplicasWanted(9, 6, 1, 1.0))
    assert ReplicasKnown(9, ("node-9",)) in bench.done


def test_a_sequence_of_another_feed_is_not_taken_for_one_that_peers_have() -> None:
    """The writer got its answer from a store whose feed this machine does not follow yet."""
    bench = Bench()
    bench.tell(FeedOpened(1))
    bench.tell(ChangesSeen((), 40))
    bench.up(1)
    bench.answer_root(b"r" * 16, 41)
    bench.tell(MessageReceived(1, wire.Root(b"r" * 16, True)))
    bench.tell(ReplicasWanted(7, 5, 1, 5.0, generation=1))
    assert ReplicasKnown(7, ("node-9",)) in bench.done
    bench.tell(ReplicasWanted(8, 5, 1, 5.0, generation=2))
    assert not [a for a in bench.done if isinstance(a, ReplicasKnown)], "a false success"
    assert not bench.machine.is_followed(2)
    bench.tell(FeedOpened(2))
    assert not [a for a in bench.done if isinstance(a, ReplicasKnown)]
    bench.tell(FeedRestarted(40, 4))
    assert not [a for a in bench.done if isinstance(a, ReplicasKnown)]
    bench.tell(changes(5))
    (push,) = bench.sent(wire.Push)
    assert isinstance(push, wire.Push)
    bench.tell(MessageReceived(1, wire.Ack(push.number, True)))
    assert ReplicasKnown(8, ("node-9",)) in bench.done


def test_who_waits_for_a_sequence_of_a_former_feed_is_told_at_once() -> None:
    bench = Bench()
    bench.tell(FeedOpened(1))
    bench.up(1)
    bench.tell(changes(1))
    bench.tell(changes(2))
    bench.tell(MessageReceived(1, wire.Ack(1, True)))
    bench.tell(ReplicasWanted(7, 1, 2, 5.0, generation=1))
    bench.tell(FeedOpened(2))
    assert ReplicasKnown(7, ("node-9",), is_other_feed=True) in bench.done, (
        "what was acknowledged counts"
    )
    bench.tell(FeedRestarted(2, 9))
    bench.tell(ReplicasWanted(8, 1, 1, 5.0, generation=1))
    assert ReplicasKnown(8, (), is_other_feed=True) in bench.done
    bench.tell(ReplicasWanted(9, 1, 1, 5.0, generation=3))
    bench.wake(6.0)
    assert ReplicasKnown(9, (), is_other_feed=True) in bench.done, "a feed that never opened"


def test_changes_of_a_feed_that_restarted_are_still_pushed() -> None:
    """They were acknowledged to their writers; here may be all that is left of them."""
    bench = Bench()
    bench.up(1)
    for number in (1, 2, 3):
        bench.tell(changes(number))
    bench.tell(FeedRestarted(3, 0))
    (push,) = bench.sent(wire.Push)
    assert isinstance(push, wire.Push)
    assert [one.id for one in unpack_updates(push.batch)] == ["n3"]
    bench.tell(MessageReceived(1, wire.Ack(push.number, True)))
    bench.tell(ReplicasWanted(7, 1, 1, 1.0))
    assert not [a for a in bench.done if isinstance(a, ReplicasKnown)]


def test_what_was_before_the_feed_began_is_not_acknowledged_by_what_comes_after() -> None:
    bench = Bench()
    bench.machine = SyncMachine("own", OWN, seeds.generator("machine"), bench.now)
    bench.up(1)
    bench.tell(ChangesSeen((), 8))
    bench.tell(changes(9))
    bench.tell(MessageReceived(1, wire.Ack(1, True)))
    bench.tell(ReplicasWanted(7, 8, 1, 1.0))
    assert not [a for a in bench.done if isinstance(a, ReplicasKnown)]
    bench.tell(ReplicasWanted(8, 9, 1, 1.0))
    assert ReplicasKnown(8, ("node-9",)) in bench.done


def test_a_push_without_acknowledgement_is_given_up_and_the_next_goes() -> None:
    bench = Bench()
    bench.up(1)
    for number in (1, 2, 3):
        bench.tell(changes(number))
    bench.wake(ACK_SECONDS + 1)
    (push,) = bench.sent(wire.Push)
    assert isinstance(push, wire.Push)
    assert [one.id for one in unpack_updates(push.batch)] == ["n3"]


def test_what_lacks_something_before_it_is_asked_for_by_state_vector() -> None:
    bench = Bench()
    bench.up(1)
    bench.tell(MessageReceived(1, wire.Push(5, pack_updates((update("a"), update("b"))))))
    (asked,) = bench.asked(ApplyUpdates)
    answer = AppliedReply((Outcome.APPLIED, Outcome.GAP), ("", "behind"), 3)
    bench.tell(StoreAnswered(asked.number, answer))
    assert bench.sent(wire.Ack) == [wire.Ack(5, False)]
    (vectors,) = bench.asked(ReadVectors)
    assert vectors.question == ReadVectors((("notes", "b"),))


def test_an_empty_node_asks_for_everything_at_once() -> None:
    bench = Bench()
    bench.up(1)
    bench.answer_root(EMPTY_HASH, 0)
    bench.tell(MessageReceived(1, wire.Root(b"r" * 16, False)))
    assert bench.sent(wire.Root) == [wire.Root(EMPTY_HASH, True)]
    assert bench.sent(wire.AskRange) == [wire.AskRange(1, 0, 65535, b"")]


def test_a_second_peer_waits_while_the_first_is_pulled_from() -> None:
    bench = Bench()
    bench.tell(ChangesSeen((), 0))
    bench.up(1, SMALLER)
    bench.answer_root(EMPTY_HASH, 0)
    bench.up(2, LARGER)
    bench.tell(MessageReceived(1, wire.Root(b"r" * 16, False)))
    assert len(bench.sent(wire.AskRange)) == 1
    bench.tell(MessageReceived(2, wire.Root(b"r" * 16, False)))
    assert bench.sent(wire.AskRange) == []
    reasons = [status.reason for status in bench.machine.sync_statuses()]
    assert reasons == ["fetching: at least 1 document differs, 0/s", WAITS_FOR_ANOTHER]
    bench.tell(ConnectionDown(1, "gone"))
    bench.wake(0.01)
    assert len(bench.sent(wire.Root)) == 1
    bench.tell(MessageReceived(2, wire.Root(b"r" * 16, True)))
    assert len(bench.sent(wire.AskRange)) == 1


def test_a_pull_that_gets_no_answer_is_ended() -> None:
    bench = Bench()
    bench.up(1)
    bench.answer_root(EMPTY_HASH, 0)
    bench.tell(MessageReceived(1, wire.Root(b"r" * 16, True)))
    for _ in range(30):
        bench.wake(STALLED_SECONDS / 20)
    bench.tell(MessageReceived(1, wire.Updates(1, 0, b"", pack_updates((update(),)))))
    assert bench.asked(ApplyUpdates) == []


def test_awareness_with_the_key_of_another_message_hides_nothing() -> None:
    bench = Bench()
    bench.up(1, SMALLER)
    bench.up(2, LARGER)
    for peer, payload in ((1, b"forged"), (2, b"true")):
        bench.tell(
            MessageReceived(peer, wire.Awareness(b"k" * 16, "notes", "one", payload, LARGER))
        )
        (received,) = [a for a in bench.done if isinstance(a, AwarenessReceived)]
        assert received.payload == payload


def test_awareness_goes_on_once() -> None:
    bench = Bench()
    bench.up(1, SMALLER)
    bench.up(2, LARGER)
    message = wire.Awareness(b"k" * 16, "notes", "one", b"cursor", SMALLER)
    bench.tell(MessageReceived(1, message))
    assert [a.peer for a in bench.done if isinstance(a, Send)] == [2]
    assert [a for a in bench.done if isinstance(a, AwarenessReceived)]
    bench.tell(MessageReceived(2, message))
    assert bench.done == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            ("k" * 16, "notes", "one", bytes(MAX_AWARENESS_BYTES + 1), SMALLER),
            "awareness too large",
        ),
        (("k" * 15, "notes", "one", b"", SMALLER), "malformed awareness"),
        (("k" * 16, "notes", "one", b"", b"short"), "malformed awareness"),
        (("k" * 16, "no/tes", "one", b"", SMALLER), "malformed awareness"),
        (("k" * 16, "notes", "o\nne", b"", SMALLER), "malformed awareness"),
        (("k" * 16, "notes", "x" * 257, b"", SMALLER), "malformed awareness"),
    ],
)
def test_awareness_that_nobody_may_get_is_dropped_and_counted_and_the_peer_stays(
    message: tuple[str, str, str, bytes, bytes], reason: str
) -> None:
    bench = Bench()
    bench.up(1, SMALLER)
    bench.up(2, LARGER)
    key, *others = message
    bench.tell(MessageReceived(1, wire.Awareness(key.encode(), *others)))  # type: ignore[arg-type]
    assert bench.done == []
    assert bench.machine.faults == {reason: 1}
    largest = wire.Awareness(b"k" * 16, "n" * 64, "x" * 256, bytes(MAX_AWARENESS_BYTES), SMALLER)
    bench.tell(MessageReceived(1, largest))
    assert [a.peer for a in bench.done if isinstance(a, Send)] == [2]


def test_awareness_that_peers_would_not_take_is_not_sent() -> None:
    bench = Bench()
    bench.up(1, SMALLER)
    bench.tell(AwarenessPublished("notes", "one", bytes(MAX_AWARENESS_BYTES + 1)))
    assert bench.done == []
    assert bench.machine.faults == {"awareness too large": 1}
    bench.tell(AwarenessPublished("notes", "one", bytes(MAX_AWARENESS_BYTES)))
    assert [a.peer for a in bench.done if isinstance(a, Send)] == [1]


def test_awareness_beyond_the_rate_is_dropped_at_both_ends_and_the_peer_stays() -> None:
    bench = Bench()
    bench.up(1, SMALLER)
    bench.up(2, LARGER)
    told = sent = 0
    at_once = RECEIVED_AWARENESS_RATE.messages * int(RECEIVED_AWARENESS_RATE.burst_seconds)
    for number in range(at_once + 10):
        key = number.to_bytes(16, "big")
        bench.tell(MessageReceived(1, wire.Awareness(key, "notes", "one", b"cursor", SMALLER)))
        told += sum(isinstance(action, AwarenessReceived) for action in bench.done)
        sent += sum(isinstance(action, Send) for action in bench.done)
        assert not any(isinstance(action, Close) for action in bench.done)
    assert told == at_once
    assert sent == PEER_AWARENESS_RATE.messages * PEER_AWARENESS_RATE.burst_seconds
    assert bench.machine.faults == {"awareness too fast": at_once - sent + 10}


def test_a_peer_at_fault_is_closed_and_counted() -> None:
    bench = Bench()
    bench.up(1)
    bench.tell(MessageReceived(1, wire.AskTree(1, 7, (0,))))
    assert [(a.peer, a.code) for a in bench.done if isinstance(a, Close)] == [
        (1, CloseCode.PROTOCOL)
    ]
    assert bench.machine.faults == {"malformed question": 1}
    assert bench.machine.sync_statuses() == []


def test_an_answer_after_the_peer_has_gone_is_dropped() -> None:
    bench = Bench()
    bench.up(1)
    (asked,) = bench.asked(ReadTree)
    bench.tell(ConnectionDown(1, "gone"))
    assert bench.tell(StoreAnswered(asked.number, TreeReply((b"r" * 16,), 1))) == []


def test_a_store_that_is_away_leaves_questions_unanswered() -> None:
    bench = Bench()
    bench.up(1)
    bench.tell(MessageReceived(1, wire.AskTree(4, 0, (0,))))
    (asked,) = [a for a in bench.done if isinstance(a, AskStore)]
    bench.tell(StoreAnswered(asked.number, None))
    assert bench.sent(wire.Unanswered) == [wire.Unanswered(4)]


def of_key(node_id: str, instance: bytes, key: bytes, started: int = 1) -> Member:
    return Member(node_id, instance, started, 1, "", key, instance)


@pytest.mark.parametrize("started", [0, 1, 2**62])
def test_a_second_node_id_with_an_instance_is_refused_whatever_its_start(started: int) -> None:
    bench = Bench()
    bench.tell(ConnectionUp(1, of_key("node-b", LARGER, b"key of b")))
    actions = bench.tell(ConnectionUp(2, of_key("liar", LARGER, b"another key", started)))
    assert actions == [
        InstanceRefused("liar", "node-b"),
        Close(2, CloseCode.NOT_AUTHENTICATED, "instance of another node"),
    ]
    assert [status.member.node_id for status in bench.machine.sync_statuses()] == ["node-b"]
    assert bench.machine.faults == {"instance of another node": 1}
    actions = bench.tell(
        ConnectionUp(3, of_key("node-b", LARGER, b"key of b", 2))
    )  # its own is a restart
    assert Close(1, CloseCode.OTHER_KEPT, "another connection is kept") in actions


def test_nobody_is_connected_with_the_instance_of_this_node() -> None:
    bench = Bench()
    actions = bench.tell(ConnectionUp(1, of_key("liar", OWN, b"key")))
    assert InstanceRefused("liar", "own") in actions
    assert bench.machine.sync_statuses() == []


def test_twins_are_told() -> None:
    bench = Bench()
    bench.tell(ConnectionUp(1, Member("own", LARGER, 1, 1, "", b"", OWN)))
    assert [status.is_twin for status in bench.machine.sync_statuses()] == [True]


def restarted(bench: Bench) -> None:
    """A node is connected, is restarted, and connects again."""
    bench.up(1, b"2" * 16, node_id="other")
    bench.answer_root(b"r" * 16, 0)
    bench.tell(MessageReceived(1, wire.Root(b"r" * 16, True)))
    bench.now += 1.0
    bench.up(2, b"3" * 16, node_id="other")


def test_an_instance_that_another_one_has_replaced_is_no_twin_and_not_in_sync() -> None:
    bench = Bench()
    restarted(bench)
    old, new = bench.machine.sync_statuses()
    assert (old.is_stale, old.is_twin, old.is_in_sync) == (True, False, False)
    assert old.reason == "replaced by another instance of the same node, and not heard of since"
    assert old.since == 100.0
    assert (new.is_stale, new.is_twin) == (False, False)


def test_an_older_instance_that_answers_the_question_for_its_root_is_a_twin() -> None:
    bench = Bench()
    restarted(bench)
    bench.answer_root(b"r" * 16, 0)
    assert [a.peer for a in bench.done if isinstance(a, Send)] == [2, 1]
    bench.now += 0.01
    bench.tell(MessageReceived(1, wire.Root(b"r" * 16, True)))
    assert [(s.is_stale, s.is_twin) for s in bench.machine.sync_statuses()] == [(False, True)] * 2


def test_any_datagram_shows_that_an_older_instance_is_alive() -> None:
    bench = Bench()
    restarted(bench)
    heard = bench.machine.sync_statuses({1: bench.now + 0.01})
    assert [(s.is_stale, s.is_twin) for s in heard] == [(False, True)] * 2
    silent = bench.machine.sync_statuses({1: bench.now - 0.5})
    assert [s.is_stale for s in silent] == [True, False]


def test_a_twin_that_connects_anew_does_not_make_the_other_one_stale() -> None:
    bench = Bench()
    restarted(bench)
    bench.now += 1.0
    bench.tell(MessageReceived(1, wire.Unanswered(0)))
    bench.now += 1.0
    bench.up(3, b"3" * 16, node_id="other", attempt=2)
    assert [(s.peer, s.is_twin) for s in bench.machine.sync_statuses()] == [(1, True), (3, True)]


def test_each_round_asks_the_store_for_its_root_however_quiet_the_feed() -> None:
    bench = Bench()
    bench.up(1)
    bench.answer_root(b"r" * 16, 0)
    assert bench.sent(wire.Root) == [wire.Root(b"r" * 16, False)]
    for root in (b"s" * 16, b"t" * 16):
        bench.wake(ROOT_SECONDS * 1.2)
        bench.answer_root(root, 5)
        assert bench.sent(wire.Root) == [wire.Root(root, False)]
        bench.tell(MessageReceived(1, wire.Root(b"x" * 16, False)))
        assert bench.sent(wire.Root) == [wire.Root(root, True)]


# --- numbers of documents


def test_peers_tell_each_other_how_many_documents_they_have() -> None:
    bench = Bench()
    bench.up(1)
    assert bench.machine.documents == -1
    bench.answer_root(b"r" * 16, 0, 7)
    assert bench.sent(wire.Root) == [wire.Root(b"r" * 16, False, 0, 7, True)]
    assert bench.machine.documents == 7
    for told, known in (
        (wire.Root(b"q" * 16, True, 0, 9, True), 9),
        (wire.Root(b"q" * 16, True), -1),
    ):
        bench.tell(MessageReceived(1, told))
        (status,) = bench.machine.sync_statuses()
        assert status.documents == known


def test_an_older_count_does_not_replace_a_newer_one() -> None:
    bench = Bench()
    bench.up(1)
    asked_root = bench.asked(ReadTree)[0].number
    bench.tell(MessageReceived(1, wire.Push(1, pack_updates((update(),)))))
    (asked,) = bench.asked(ApplyUpdates)
    bench.tell(StoreAnswered(asked.number, AppliedReply((Outcome.APPLIED,), ("",), 3, 8)))
    bench.tell(StoreAnswered(asked_root, TreeReply((b"r" * 16,), 2, 7)))
    assert bench.machine.documents == 8
    bench.tell(FeedRestarted(0, 1))
    bench.wake(ROOT_SECONDS * 2)
    bench.answer_root(b"r" * 16, 1, 5)
    assert bench.machine.documents == 5


def test_a_refused_update_of_a_name_that_no_document_can_have_is_the_fault_of_the_peer() -> None:
    """Else the name would stand in the status, and could be 40 MiB long."""
    bench = Bench()
    bench.up(1)
    push = wire.Push(1, pack_updates((update("a\n" + "x" * 1000),)))
    bench.tell(MessageReceived(1, push))
    (asked,) = bench.asked(ApplyUpdates)
    bench.tell(StoreAnswered(asked.number, AppliedReply((Outcome.REFUSED,), ("a bad name",), 1)))
    (closed,) = [action for action in bench.done if isinstance(action, Close)]
    assert closed.code == CloseCode.PROTOCOL
    assert len(bench.machine.refusals) == 0
    assert bench.machine.differing() == ()
