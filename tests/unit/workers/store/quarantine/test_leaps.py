"""What is kept of changes that leap, for how long, and what accepting and dropping does."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import msgpack
import pytest

from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.value import Shape
from peatnode.documents.limits import MAX_LEAP, PEER_LIMITS
from peatnode.documents.names import document_key
from peatnode.documents.replica.keyspace import LEAP, LEAP_UPDATE, after
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import Update, encode_update
from peatnode.ipc.messages import QuarantineReason
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.leap_notes import LeapNotes
from tests.support.memory_kv import MemoryKeyValue, commit, put
from workers.store.engine.quarantine import DOCUMENT, Quarantine
from workers.store.engine.refusal import RequestRefused
from workers.store.quarantine import leaps as limits
from workers.store.quarantine.entries import QuarantineEntries
from workers.store.quarantine.leaps import Leaps

FAR = MAX_LEAP + 5
KEY = document_key("c", "one")


class Node:
    """A replica with its leaps, over a disk that stays."""

    def __init__(self, kv: MemoryKeyValue | None = None) -> None:
        self.replica = Replica(kv or MemoryKeyValue(), 1)
        self.notes = LeapNotes()
        ticks = count(1)
        self.leaps = Leaps(self.replica, lambda: float(next(ticks)), self.notes)
        self.entries = QuarantineEntries(self.leaps, Quarantine(self.replica))

    def receive(self, change: DocumentUpdate, is_committed: bool = True) -> str:
        """As the store does. Returns why it is refused."""
        joined = self.replica.join(change, "peer")
        if joined.is_leap:
            joined = self.leaps.keep(change, "peer", None) or joined
        elif joined.record is not None:
            self.leaps.joined(document_key(change.collection, change.id), joined.record.incarnation)
        if is_committed:
            self.commit()
        return joined.reason

    def commit(self) -> None:
        commit(self.replica)
        self.leaps.committed()

    def again(self) -> Node:
        assert isinstance(self.replica.kv, MemoryKeyValue)
        return Node(self.replica.kv)

    @property
    def waiting(self) -> list[tuple[int, bool]]:
        return [(leap.incarnation, leap.is_deleted) for leap in self.leaps.all()]


def end(incarnation: int, name: str = "one") -> DocumentUpdate:
    return DocumentUpdate("c", name, incarnation, True, 0.0, b"")


def updates(*targets: dict) -> list[DocumentUpdate]:
    """Changes of a document, one after the other, in an incarnation that leaps."""
    writer = Replica(MemoryKeyValue(), 9)
    writer.join(end(FAR - 1), "p", is_accepted=True)
    commit(writer)
    found = []
    for target in targets:
        put(writer, KEY, target)
        (change,) = commit(writer).changes
        found.append(DocumentUpdate("c", "one", FAR, False, 0.0, change.update))
    return found


def test_a_leap_is_kept_over_a_restart_and_accepted() -> None:
    node = Node()
    reason = node.receive(end(FAR))
    assert reason == f"quarantined: it leaps from incarnation 0 to {FAR:,}"
    assert node.replica.record(KEY) is None
    assert (node.notes.kept_names, len(node.notes.found_leaps)) == (["c/one"], 1)
    again = node.again()
    assert again.notes.kept_names == ["c/one"]
    (entry,) = again.entries.reply().entries
    assert (entry.reason, entry.here, entry.incarnation) == (QuarantineReason.LEAP, 0, FAR)
    assert (entry.is_deletion, entry.peer, entry.collection) == (True, "peer", "c")
    leap = again.entries.find(entry.id)
    assert isinstance(leap, limits.KeptLeap)
    change = again.leaps.change_of(leap)
    assert change == end(FAR)
    joined = again.replica.join(change, leap.peer, is_accepted=True)
    assert joined.outcome is Outcome.APPLIED
    again.leaps.joined(KEY, leap.incarnation)
    again.commit()
    assert (len(again.leaps), again.notes.kept_names) == (0, [])
    assert len(again.again().leaps) == 0
    put(again.replica, KEY, {"a": 1})
    assert again.replica.live(KEY).incarnation == FAR + 1


def test_what_is_dropped_stays_away_and_what_leaps_further_is_found() -> None:
    node = Node()
    node.receive(end(FAR))
    (entry,) = node.entries.reply().entries
    assert node.entries.drop(entry.id)
    assert not node.entries.drop(entry.id)
    node.commit()
    assert node.notes.kept_names == []
    node = node.again()
    assert "quarantined" in node.receive(end(FAR))
    assert (node.waiting, node.notes.found_leaps) == ([], [])
    node.receive(end(FAR - 1))
    assert node.waiting == [(FAR - 1, True)]  # it may be the right one, which the other one hid
    node.receive(end(FAR))
    assert node.waiting == [(FAR - 1, True)]
    node.receive(end(FAR + 1))
    assert node.waiting == [(FAR + 1, True)]
    assert node.again().waiting == [(FAR + 1, True)]
    with pytest.raises(RequestRefused, match="no such entry"):
        node.entries.find(entry.id)


def test_one_change_of_a_document_waits_and_it_is_the_highest() -> None:
    node = Node()
    (update,) = updates({"a": 1})
    for change, waiting in (
        (update, (FAR, False)),
        (end(FAR), (FAR, True)),
        (update, (FAR, True)),
        (end(FAR - 1), (FAR, True)),
        (replace(update, incarnation=FAR + 1), (FAR + 1, False)),
    ):
        node.receive(change)
        assert node.waiting == [waiting]
    assert len(node.notes.found_leaps) == 1


def test_later_changes_of_the_incarnation_are_added() -> None:
    node = Node()
    first, second, third = updates({"a": 1}, {"a": 1, "b": 2}, {"c": 3})
    for change in (first, third, second, second, third):  # the third is early once
        node.receive(change, is_committed=False)
    node.commit()
    (leap,) = node.leaps.all()
    joined = node.replica.join(node.leaps.change_of(leap), "peer", is_accepted=True)
    assert joined.outcome is Outcome.APPLIED
    assert node.replica.value(KEY, node.replica.live(KEY)) == b'{"c":3}'


def test_a_change_that_has_grown_takes_no_later_ones() -> None:
    """Each would have the store read all of it."""
    node, large = Node(), "x" * limits.MAX_MERGED_BYTES
    small, grown, later = updates({"a": 1}, {"a": large}, {"a": large, "b": 2})
    for change, size in (
        (small, len(small.update)),
        (grown, len(small.update)),
        (later, len(small.update)),
    ):
        node.receive(change)
        assert [leap.size for leap in node.leaps.all()] == [size]
    node = Node()
    whole = encode_update(merge_updates((small.update, grown.update), PEER_LIMITS))
    for change in (replace(small, update=whole), later):
        node.receive(change)
        assert [leap.size for leap in node.leaps.all()] == [len(whole)]


def test_a_malformed_leap_is_not_kept() -> None:
    node = Node()
    assert "quarantined" not in node.receive(DocumentUpdate("c", "one", FAR, False, 0.0, b"\xff"))
    assert "quarantined" not in node.receive(replace(end(FAR), update=b"\xff"))
    assert node.waiting == []
    assert node.replica.open_batch.is_empty


def test_a_document_that_comes_near_needs_no_operator_any_more() -> None:
    node = Node()
    node.receive(end(FAR))
    node.receive(end(5))
    assert node.waiting == [(FAR, True)]
    assert node.receive(end(FAR)) == ""
    assert node.waiting == []


def test_a_batch_that_is_dropped_leaves_nothing() -> None:
    node = Node()
    node.receive(end(FAR, "kept"))
    node.receive(end(FAR), is_committed=False)
    node.replica.forget()
    node.leaps.forget()
    node.commit()
    assert [leap.key for leap in node.leaps.all()] == [document_key("c", "kept")]


def test_the_oldest_make_room() -> None:
    node = Node()
    for number in range(limits.MAX_KEPT + 3):
        node.receive(end(FAR, f"d{number}"), is_committed=False)
    node.commit()
    assert (len(node.leaps), node.entries.reply().lost) == (limits.MAX_KEPT, 3)
    assert node.leaps.all()[-1].key == document_key("c", "d3")
    assert len(node.again().leaps) == limits.MAX_KEPT
    large = encode_update(updates_of(limits.MAX_KEPT_BYTES // 4))
    for number in range(5):
        change = DocumentUpdate("c", f"large{number}", FAR, False, 0.0, large)
        node.receive(change, is_committed=False)
    assert len(node.leaps) == 3
    assert {leap.size for leap in node.leaps.all()} == {len(large)}


def updates_of(size: int) -> Update:
    return root_maps.change(root_maps.NO_ROOT_MAPS, plan(Shape(), {"a": "x" * size}), 9, 0)


def test_the_marks_of_dropped_ones_are_bounded() -> None:
    node = Node()
    for number in range(limits.MAX_DROPPED + 1):
        node.receive(end(FAR, f"d{number}"), is_committed=False)
        node.entries.drop(node.leaps.all()[0].id)
    node.commit()
    for name, is_new in (("d1", False), ("d0", True)):
        node.receive(end(FAR, name))
        assert bool(node.waiting) is is_new


def test_each_decision_is_counted() -> None:
    node = Node()
    for number in (1, 2):
        node.receive(end(FAR, f"d{number}"))
    node.entries.drop(node.leaps.all()[0].id)
    (leap,) = node.leaps.all()
    node.leaps.accepted(leap)
    assert (node.leaps.decisions, node.waiting) == (2, [])


DAMAGE = (b"", b"\xc1", b"\xc0", b"\x01", b"\x90", b"\x97" + b"\xc0" * 7, msgpack.packb([1.0] * 7))


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_entries_end_no_start_and_are_removed(damage: bytes) -> None:
    node, other, third = Node(), document_key("c", "other"), document_key("c", "third")
    for name in ("one", "other", "third"):
        node.receive(end(FAR, name))
    (dropped,) = (leap for leap in node.leaps.all() if leap.key == third)
    node.leaps.drop(dropped)
    node.commit()
    kv = node.replica.kv
    mark = next(key for key, _ in kv.scan(limits.DROPPED, after(limits.DROPPED)))
    kv.entries |= {LEAP + KEY: damage, mark: damage, LEAP + b"\xff\0\xff": kv.entries[LEAP + other]}
    node = node.again()
    assert [leap.key for leap in node.leaps.all()] == [other]
    assert node.notes.damaged_entries == 5
    node.receive(end(FAR))
    node.receive(end(FAR, "third"))
    assert node.again().notes.damaged_entries == 0
    assert {leap.key for leap in node.again().leaps.all()} == {KEY, other, third}
    assert len(list(kv.scan(LEAP_UPDATE, after(LEAP_UPDATE)))) == 3


@pytest.mark.parametrize("damage", [*DAMAGE, msgpack.packb((0.0, b"\xff", b""))])
def test_a_damaged_change_is_not_accepted_and_is_dropped(damage: bytes) -> None:
    node = Node()
    first, second, _ = updates({"a": 1}, {"a": 1, "b": 2}, {"c": 3})
    node.receive(first)
    node.replica.kv.entries[LEAP_UPDATE + KEY] = damage
    node = node.again()
    assert "quarantined" in node.receive(second)
    (leap,) = node.leaps.all()
    try:
        change = node.leaps.change_of(leap)
    except RequestRefused:
        pass
    else:
        assert node.replica.join(change, "p", is_accepted=True).outcome is Outcome.REFUSED
    node.leaps.drop(leap)
    node.commit()
    assert node.again().waiting == []


def test_what_broke_the_engine_is_in_the_same_list_and_is_not_dropped() -> None:
    node = Node()
    broken = Quarantine(node.replica)
    broken.add(KEY, 3)
    broken.add(KEY, 3, b"put\0{}")
    node.commit()
    node = node.again()
    node.receive(end(FAR))
    reply = node.entries.reply()
    assert [entry.reason for entry in reply.entries] == [
        QuarantineReason.LEAP,
        QuarantineReason.ENGINE_DOCUMENT,
        QuarantineReason.ENGINE_CHANGE,
    ]
    for entry in reply.entries[1:]:
        assert node.entries.find(entry.id).key == KEY
        with pytest.raises(RequestRefused, match="cannot be dropped"):
            node.entries.drop(entry.id)
    again = Quarantine(node.replica)
    again.remove(KEY, DOCUMENT)
    node.commit()
    assert len(Quarantine(node.replica)) == 1
