"""Batches stay packed until there is room, nobody waits for ever, and what a peer may fill is bounded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from peatnode.model.documents import DocumentUpdate
from peatnode.model.peer_limits import (
    MAX_PACKED_BYTES,
    MAX_PEER_PACKED_BYTES,
    MAX_PEER_UNPACKED_BYTES,
    SURE_PACKED_BYTES,
)
from peatnode.model.sync import AppliedReply, ApplyUpdates, StoreAnswer, StoreQuestion
from peatnode.protocol.sync.applying import Applying, Batch, DocumentUpdates
from peatnode.protocol.wire.batches import memory_of, pack_updates
from peatnode.protocol.wire.errors import PeerFault
from tests.support import seeds

MIB = 2**20


class Room:
    """The room, a store that answers when it is told, and peers."""

    def __init__(self, limit: int = 64 * MIB) -> None:
        self.applying = Applying(self._ask, self._run, limit)
        self.asked: list[tuple[ApplyUpdates, Callable[[StoreAnswer | None], None]]] = []
        self.gone: set[int] = set()
        self.faulty: list[int] = []
        self.done: list[str] = []

    def _ask(self, question: StoreQuestion, then: Callable[[StoreAnswer | None], None]) -> None:
        assert isinstance(question, ApplyUpdates)
        self.asked.append((question, then))

    def _run(self, peer: int, step: Callable[[], None]) -> None:
        if peer in self.gone:
            return
        try:
            step()
        except PeerFault:
            self.faulty.append(peer)
            self.gone.add(peer)
            self.applying.leave(peer)

    def send(self, peer: int, packed: bytes, name: str = "", group: object = None) -> bool:
        def then(updates: DocumentUpdates, answer: StoreAnswer | None) -> None:
            self.done.append(name)

        batch = Batch(peer, group or peer, "", "", packed, lambda updates: updates, then)
        return self.applying.apply(batch)

    def answer(self, position: int = 0) -> None:
        _, then = self.asked.pop(position)
        then(AppliedReply((), (), 1))

    def names(self) -> list[str]:
        return [question.updates[0].id for question, _ in self.asked]

    def check_empty(self) -> None:
        assert (self.applying.packed, self.applying.unpacked, self.asked) == (0, 0, [])
        assert not self.applying._packed_of
        assert not self.applying._unpacked_of


def batch_of(size: int, name: str = "n") -> bytes:
    return pack_updates((DocumentUpdate("notes", name, 1, False, 0.0, bytes(size)),))


def plain_batch(size: int) -> bytes:
    """Of this length, packed and unpacked."""
    return b"\0" + bytes(size - 1)


def test_batches_that_unpack_to_more_than_the_limit_wait_their_turn() -> None:
    room = Room(8 * MIB)
    for number in range(32):
        assert room.send(number % 5, batch_of(4 * MIB, f"n{number}"))
    assert room.names() == ["n0"]
    assert room.applying.packed < 64 * 1024
    for number in range(32):
        assert room.names() == [f"n{number}"]
        assert room.applying.unpacked <= 8 * MIB
        room.answer()
    assert len(room.done) == 32
    room.check_empty()


def test_usual_batches_of_one_peer_are_with_the_store_together() -> None:
    room = Room()
    for number in range(2):
        room.send(1, batch_of(128 * 1024, f"n{number}"))
    assert room.names() == ["n0", "n1"]


def test_a_peer_that_waits_for_its_own_batches_keeps_nobody_else_waiting() -> None:
    room = Room()
    large = MAX_PEER_UNPACKED_BYTES // 2
    for number in range(4):
        room.send(1, batch_of(large, f"a{number}"))
    room.send(2, batch_of(100, "b"))
    assert room.names() == ["a0", "b"]
    room.answer()
    assert room.names() == ["b", "a1"]


def test_small_batches_do_not_keep_a_large_one_waiting_for_ever() -> None:
    room = Room(16 * MIB)
    for peer in range(1, 6):
        room.send(peer, batch_of(MIB, f"small-{peer}"))
    room.send(20, batch_of(6 * MIB, "large"))
    for peer in range(21, 24):
        room.send(peer, batch_of(MIB, f"late-{peer}"))
    assert "large" not in room.names()
    assert not any(name.startswith("late") for name in room.names())
    while "large" not in room.names():
        room.answer()
    while room.asked:
        room.answer()
    assert len(room.done) == 9
    room.check_empty()


def test_the_batches_of_a_group_keep_their_order() -> None:
    room = Room()
    sizes = [5 * MIB, 100, 5 * MIB, 100]
    for number, size in enumerate(sizes):
        room.send(1, batch_of(size, f"n{number}"))
    order = []
    while room.asked:
        order.append(room.names()[0])
        room.answer()
    assert order == ["n0", "n1", "n2", "n3"]


def test_who_fills_the_packed_room_leaves_some_to_others() -> None:
    room = Room(8 * MIB)
    for _ in range(2):
        room.send(9, batch_of(5 * MIB))
    assert room.send(1, plain_batch(40 * MIB))
    assert not room.send(1, plain_batch(40 * MIB))
    assert not room.send(1, plain_batch(MAX_PEER_PACKED_BYTES - 40 * MIB + 1))
    assert room.send(2, plain_batch(20 * MIB))
    assert not room.send(3, plain_batch(MAX_PACKED_BYTES - 59 * MIB))
    assert room.applying.dropped == 3
    assert room.send(4, plain_batch(SURE_PACKED_BYTES)), "a usual push always finds room"
    assert not room.send(4, plain_batch(4 * MIB))


@pytest.mark.parametrize("answered_first", [True, False])
def test_a_peer_that_has_gone_leaves_nothing(answered_first: bool) -> None:
    room = Room(8 * MIB)
    for number in range(3):
        room.send(1, batch_of(5 * MIB, f"gone-{number}"))
    room.send(2, batch_of(5 * MIB, "other"))
    room.gone.add(1)
    room.applying.leave(1)
    room.answer()
    assert room.names() == ["other"]
    room.answer()
    assert room.done == [""]
    room.check_empty()


def test_what_a_pull_waits_for_is_dropped_with_it() -> None:
    room = Room(8 * MIB)
    pull = object()
    room.send(1, batch_of(5 * MIB, "push"))
    room.send(1, batch_of(5 * MIB, "pulled"), group=pull)
    room.applying.drop(pull)
    room.answer()
    room.check_empty()


def test_a_batch_that_is_found_malformed_later_is_the_fault_of_its_sender_alone() -> None:
    room = Room(8 * MIB)
    room.send(1, batch_of(5 * MIB, "first"))
    room.send(2, plain_batch(5 * MIB))
    room.send(2, batch_of(100, "never"))
    room.send(3, batch_of(5 * MIB, "third"))
    room.answer()
    assert room.faulty == [2]
    assert room.names() == ["third"]
    room.answer()
    room.check_empty()


def test_a_store_that_fails_frees_the_room() -> None:
    room = Room(8 * MIB)
    for _ in range(3):
        room.send(1, batch_of(5 * MIB))
    while room.asked:
        room.asked.pop()[1](None)
    room.check_empty()


def test_whatever_is_sent_the_room_is_kept_and_everything_is_done_in_the_end() -> None:
    rng = seeds.generator("room")
    sizes = [10, 1000, 100_000, MIB, 3 * MIB]
    batches = {size: batch_of(size) for size in sizes}
    for _ in range(10):
        room = Room(5 * MIB)
        most = max(5 * MIB, max(memory_of(batch) for batch in batches.values()))
        taken = 0
        for _ in range(120):
            if room.asked and rng.random() < 0.45:
                room.answer(rng.randrange(len(room.asked)))
            else:
                taken += room.send(rng.randrange(4), batches[rng.choice(sizes)])
            assert room.applying.unpacked <= most
        while room.asked:
            room.answer(rng.randrange(len(room.asked)))
        assert len(room.done) == taken
        room.check_empty()
