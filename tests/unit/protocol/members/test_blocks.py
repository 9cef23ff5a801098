"""Nodes that an operator has blocked: kept on disk, whatever happens to what is remembered of them."""

from __future__ import annotations

from peatnode.model.members import (
    MAX_BLOCK_REASON,
    MAX_BLOCKED_PEERS,
    BlockedPeer,
    MembershipKept,
    MembershipReply,
    PeerEventKind,
)
from peatnode.protocol.members.blocks import Blocks
from peatnode.protocol.members.membership import KEEP_SECONDS
from tests.unit.protocol.members.test_membership import UNIX, WEEK, Desk


def test_a_block_is_kept_and_told_in_the_log() -> None:
    desk = Desk()
    desk.opened()
    desk.members.block("b", "it deletes")
    assert desk.blocked == {"b"}
    assert desk.members.is_blocked("b")
    desk.later(KEEP_SECONDS)
    assert desk.kept().blocked == (BlockedPeer("b", "it deletes", UNIX),)
    event = desk.members.book.log.events[-1]
    assert (event.peer, event.kind, event.detail) == ("b", PeerEventKind.BLOCKED, "it deletes")
    desk.answer(MembershipKept())
    desk.members.unblock("b")
    assert not desk.blocked
    desk.later(KEEP_SECONDS)
    assert desk.kept().blocked == ()
    assert desk.members.book.log.events[-1].kind is PeerEventKind.UNBLOCKED


def test_a_block_of_an_earlier_process_holds_from_the_start() -> None:
    desk = Desk()
    desk.answer(MembershipReply((), (), (), (BlockedPeer("b", "", 5.0),)))
    assert desk.blocked == {"b"}
    assert [block.at for block in desk.members.book.blocks] == [5.0]


def test_a_block_outlives_what_is_remembered_of_the_node() -> None:
    desk = Desk(WEEK)
    desk.opened()
    desk.up("b")
    desk.members.block("b", "")
    desk.members.disconnected("b", "1" * 32, "blocked", has_left=False)
    desk.later(KEEP_SECONDS)
    desk.answer(MembershipKept())
    for _ in range(400):
        desk.later(WEEK / 200)
        while desk.has_asked:
            desk.answer(MembershipKept())
    assert desk.members.book.get("b") is None
    assert desk.members.is_blocked("b")
    assert [block.node_id for block in desk.kept().blocked] == ["b"]


def test_another_reason_keeps_the_time_and_none_is_dropped_to_make_room() -> None:
    blocks = Blocks()
    for number in range(MAX_BLOCKED_PEERS):
        assert not blocks.is_full
        blocks.add(f"n{number}", "x" * 1000, 1.0)
    assert blocks.is_full
    blocks.add("n0", "other", 2.0)
    assert blocks.get("n0") == BlockedPeer("n0", "other", 1.0)
    one = blocks.get("n1")
    assert one is not None
    assert len(one.reason) == MAX_BLOCK_REASON
    assert (blocks.remove("n0"), blocks.remove("n0")) == (True, False)
