"""A whole document that contradicts the one here: what a replica makes of it, and what it keeps."""

from __future__ import annotations

import json
from typing import Any

import pycrdt
import pytest

from peatnode.documents.json.value import ROOT
from peatnode.documents.names import document_key
from peatnode.documents.replica.conflicts import DocumentConflict, LostState
from peatnode.documents.replica.reads import missing_update
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.update import decode_update
from peatnode.model.documents import DocumentUpdate, Outcome
from peatnode.model.feed import CONFLICT
from tests.support.conflict_notes import ConflictNotes
from tests.support.memory_kv import MemoryKeyValue, commit
from workers.store.engine.refusal import RequestRefused
from workers.store.write.conflicts import HEAD, MAX_KEPT, MAX_KEPT_BYTES, STATE, Conflicts

NAME = ("notes", "payment")
KEY = document_key(*NAME)


def written(value: str, client: int = 5, base: bytes = b"\0\0") -> bytes:
    doc: Any = pycrdt.Doc(client_id=client)
    doc[ROOT] = pycrdt.Map()
    doc.apply_update(base)
    doc[ROOT]["/pay"] = value
    return bytes(doc.get_update())


def replica_with(*updates: bytes) -> Replica:
    replica = Replica(MemoryKeyValue(), 1)
    for update in updates:
        replica.join(change(update), "client:1")
    commit(replica)
    return replica


def change(update: bytes, is_whole: bool = False) -> DocumentUpdate:
    return DocumentUpdate(*NAME, 1, False, 0.0, update, is_whole=is_whole)


def whole_of(replica: Replica) -> bytes:
    update = missing_update(replica, KEY, 1, b"")
    assert update is not None
    return update.update


def value_of(replica: Replica) -> object:
    record = replica.record_on_disk(KEY)
    assert record is not None
    return json.loads(replica.value(KEY, record))


def fingerprint_of(replica: Replica) -> bytes:
    record = replica.record_on_disk(KEY)
    assert record is not None
    return record.fingerprint


def test_both_nodes_find_the_same_and_keep_the_same() -> None:
    here, there = replica_with(written("Alice")), replica_with(written("Bob"))
    before = {fingerprint_of(here), fingerprint_of(there)}
    assert len(before) == 2
    states = {replica: whole_of(replica) for replica in (here, there)}
    results = [
        here.join(change(states[there], True), "peer"),
        there.join(change(states[here], True), "peer"),
    ]
    assert {result.outcome for result in results} == {Outcome.APPLIED, Outcome.KNOWN}
    commit(here), commit(there)
    assert fingerprint_of(here) == fingerprint_of(there)
    assert here.tree.root == there.tree.root
    lost = []
    for result in results:
        assert result.conflict is not None
        assert result.conflict.clients == (5,)
        lost += result.conflict.lost
    assert lost[0].id == lost[1].id
    assert lost[0].is_mine is not lost[1].is_mine
    assert {json.loads(state.value)["pay"] for state in lost} == {"Alice", "Bob"} - {
        value_of(here)["pay"]  # type: ignore[index]
    }


def test_the_change_in_the_feed_carries_what_was_before_and_says_that_it_is_a_conflict() -> None:
    here, there = replica_with(written("Alice")), replica_with(written("Bob"))
    states = whole_of(here), whole_of(there)
    for replica, mine, theirs in ((here, *states), (there, *states[::-1])):
        if replica.join(change(theirs, True), "peer").outcome is Outcome.APPLIED:
            (staged,) = replica.open_batch.changes
            assert staged.entry.origin == CONFLICT
            assert decode_update(staged.update) == decode_update(mine)


def test_an_update_that_is_not_whole_is_not_compared() -> None:
    here = replica_with(written("Alice"))
    result = here.join(change(written("Bob")), "peer")
    assert (result.outcome, result.conflict) == (Outcome.KNOWN, None)


def test_a_copied_client_that_meets_the_other_copy_at_one_node_is_a_conflict() -> None:
    here, there = replica_with(written("Alice")), replica_with(written("Bob"))
    results = [
        here.join(change(written("Bob")), "client:2"),
        there.join(change(written("Alice")), "client:2"),
    ]
    commit(here), commit(there)
    assert value_of(here) == value_of(there)
    assert fingerprint_of(here) == fingerprint_of(there)
    lost = [state for result in results if result.conflict for state in result.conflict.lost]
    assert len(lost) == 2
    assert {json.loads(state.value)["pay"] for state in lost} == {"Alice", "Bob"} - {
        value_of(here)["pay"]  # type: ignore[index]
    }


def test_what_a_copied_client_writes_on_top_comes_with_what_it_wrote_before() -> None:
    def typed(word: str) -> bytes:
        doc: Any = pycrdt.Doc(client_id=5)
        doc[ROOT] = pycrdt.Map()
        for name in ("/first", "/second", "/third")[: len(word)]:
            doc[ROOT][name] = word
        return bytes(doc.get_update())

    here, there = replica_with(typed("no")), replica_with(typed("yes"))
    for replica, other in ((here, "yes"), (there, "no")):
        result = replica.join(change(typed(other)), "client:2")
        assert result.conflict is not None
        commit(replica)
    assert fingerprint_of(here) == fingerprint_of(there)
    assert value_of(here) == value_of(there)
    assert value_of(here) in (
        {"first": "yes", "second": "yes", "third": "yes"},
        {"first": "no", "second": "no", "third": "yes"},
    )


def test_a_client_that_sends_an_update_twice_is_no_conflict() -> None:
    here = replica_with(written("Alice"), written("Carol", 6, written("Alice")))
    again = here.join(change(written("Alice")), "client:2")
    assert (again.outcome, again.conflict) == (Outcome.KNOWN, None)
    more = here.join(change(written("Dan", 7, written("Alice"))), "client:2")
    assert (more.outcome, more.conflict) == (Outcome.APPLIED, None)


def test_a_document_that_only_has_more_is_an_ordinary_update() -> None:
    base = written("Alice")
    here = replica_with(base)
    more = written("Carol", 6, base)
    result = here.join(change(more, True), "peer")
    assert (result.outcome, result.conflict) == (Outcome.APPLIED, None)
    commit(here)
    assert here.join(change(more, True), "peer").outcome is Outcome.KNOWN


def test_a_conflict_under_an_id_of_this_node_begins_a_new_one() -> None:
    here = replica_with(written("Alice", 1))
    result = here.join(change(written("Bob", 1), True), "peer")
    assert result.conflict is not None
    assert here.is_client_id_taken


# --- what a store keeps


def kept_by(replica: Replica, notes: ConflictNotes) -> Conflicts:
    return Conflicts(replica, lambda: 7.0, notes)


def met(number: int = 0) -> tuple[Replica, Conflicts, ConflictNotes]:
    replica, notes = replica_with(written("Alice")), ConflictNotes()
    conflicts = kept_by(replica, notes)
    result = replica.join(change(written("Bob"), True), "peer")
    assert result.conflict is not None
    assert conflicts.add(result.conflict, "peer")
    assert not conflicts.add(result.conflict, "peer")
    return replica, conflicts, notes


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x01", b"\x90", b"\x97" + b"\x01" * 7])
def test_damaged_entries_end_no_start(damage: bytes) -> None:
    replica, conflicts, notes = met()
    commit(replica)
    (entry,) = conflicts.list().conflicts
    entries = replica.kv.entries
    state = entries[STATE + entry.id]
    entries[STATE + entry.id] = damage
    with pytest.raises(RequestRefused, match="damaged"):
        kept_by(replica, notes).read(entry.id)
    entries |= {STATE + entry.id: state, HEAD + entry.id: damage}
    assert kept_by(replica, notes).list().conflicts == ()


def test_what_lost_is_kept_across_starts_until_it_is_dismissed() -> None:
    replica, conflicts, notes = met()
    commit(replica)
    conflicts.committed()
    assert notes.found_names == notes.kept_names == ["notes/payment"]
    again = kept_by(replica, notes)
    (entry,) = again.list().conflicts
    assert (entry.collection, entry.document, entry.peer, entry.at) == (*NAME, "peer", 7.0)
    reply = again.read(entry.id)
    assert json.loads(reply.value)["pay"] in ("Alice", "Bob")
    assert decode_update(reply.update).structs
    assert again.dismiss(entry.id)
    assert not again.dismiss(entry.id)
    commit(replica)
    again.committed()
    assert notes.kept_names == []
    assert not len(kept_by(replica, notes))
    with pytest.raises(RequestRefused):
        again.read(entry.id)


def test_what_is_not_on_disk_is_forgotten() -> None:
    replica, conflicts, notes = met()
    replica.forget()
    conflicts.forget()
    assert not len(conflicts)
    conflicts.committed()
    assert notes.kept_names == []


def conflict(number: int, size: int = 1) -> DocumentConflict:
    lost = LostState(True, number.to_bytes(16, "big"), b"u" * size, b"")
    return DocumentConflict(KEY, 1, (5,), (lost,), b"")


def test_so_many_are_kept_and_the_oldest_are_dropped_and_counted() -> None:
    conflicts = kept_by(replica_with(), ConflictNotes())
    for number in range(MAX_KEPT + 2):
        conflicts.add(conflict(number), "peer")
    reply = conflicts.list()
    assert (len(reply.conflicts), reply.dropped) == (MAX_KEPT, 2)
    assert reply.conflicts[-1].id == (2).to_bytes(16, "big")
    conflicts.add(conflict(5000, MAX_KEPT_BYTES - 1), "peer")
    assert [entry.size for entry in conflicts.list().conflicts] == [MAX_KEPT_BYTES - 1, 1]
