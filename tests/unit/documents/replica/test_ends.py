"""Which changes from a peer have to pass the gate: those that end what lives here, and no others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import NO_EDITS
from peatnode.documents.names import document_key
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.memory_kv import MemoryKeyValue, commit, put
from tests.unit.documents.replica.test_leaps import arrival

KEY = document_key("c", "one")


class Closed:
    """A gate that nothing passes."""

    def __init__(self) -> None:
        self.begun: list[tuple[bytes, int]] = []
        self.ends: list[float] = []
        self.asked = 0

    def refusal(self, key: bytes, record: Record, ends_at: float) -> str:
        assert not record.is_deleted
        self.asked += 1
        self.ends.append(ends_at)
        return "paused"

    def began(self, key: bytes, incarnation: int) -> None:
        self.begun.append((key, incarnation))


def record_of(replica: Replica) -> Record:
    record = replica.record(KEY)
    assert record is not None
    return record


def end(incarnation: int) -> DocumentUpdate:
    return DocumentUpdate("c", "one", incarnation, True, 0.0, b"")


def replica_with(value: bytes, client: int = 1, incarnation: int = 1) -> Replica:
    replica = Replica(MemoryKeyValue(), client)
    if incarnation > 1:
        replica.join(end(incarnation - 1), "p")
        commit(replica)
    put(replica, KEY, {"a": value.decode()})
    commit(replica)
    return replica


def test_a_tombstone_passes_the_gate_only_if_it_ends_what_lives() -> None:
    replica, gate = replica_with(b"1"), Closed()
    joined = replica.join(end(1), "p", gate=gate)
    assert (joined.outcome, joined.reason) == (Outcome.REFUSED, "paused")
    assert replica.join(end(1), "p").outcome is Outcome.APPLIED
    assert replica.join(end(1), "p", gate=gate).outcome is Outcome.KNOWN
    assert replica.join(end(7), "p", gate=gate).outcome is Outcome.APPLIED
    other = DocumentUpdate("c", "two", 1, True, 0.0, b"")
    assert replica.join(other, "p", gate=gate).outcome is Outcome.APPLIED
    assert gate.asked == 1


def test_a_later_incarnation_ends_what_lives_unless_it_holds_all_of_it() -> None:
    replica, gate = replica_with(b"1"), Closed()
    other = arrival(replica_with(b"2", client=2, incarnation=2))
    joined = replica.join(other, "p", gate=gate)
    assert (joined.outcome, joined.reason, gate.begun) == (Outcome.REFUSED, "paused", [])
    undeleted = arrival(replica)
    undeleted = DocumentUpdate("c", "one", 2, False, 0.0, undeleted.update)
    assert replica.join(undeleted, "p", gate=gate).outcome is Outcome.APPLIED
    assert gate.asked == 1
    assert gate.begun == []  # the content is not of this peer, so that it may not end it


def test_what_follows_on_a_deletion_is_begun() -> None:
    replica, gate = replica_with(b"1"), Closed()
    replica.delete(KEY)
    commit(replica)
    other = arrival(replica_with(b"2", client=2, incarnation=2))
    assert replica.join(other, "p", gate=gate).outcome is Outcome.APPLIED
    assert (gate.asked, gate.begun) == (0, [(KEY, 2)])


def test_what_begins_is_told_and_what_changes_is_not() -> None:
    source, gate = replica_with(b"1", client=2), Closed()
    replica = Replica(MemoryKeyValue(), 1)
    assert replica.join(arrival(source), "p", gate=gate).outcome is Outcome.APPLIED
    put(source, KEY, {"a": "2"})
    commit(source)
    assert replica.join(arrival(source), "p", gate=gate).outcome is Outcome.APPLIED
    assert gate.begun == [(KEY, 1)]
    assert gate.asked == 0


# --- expiries

T = 1_900_000_000.0


def set_expiry(replica: Replica, expires_at: float) -> DocumentUpdate:
    """Sets the expiry of a document as its node does. Returns the whole document."""
    record = replica.live(KEY)
    assert record is not None
    maps = replica.maps(KEY, record)
    assert maps is not None
    client = replica.client_of(record.incarnation)
    clock = record.state_vector.get(client, 0)
    update = root_maps.change(maps, NO_EDITS, client, clock, expires_at)
    replica.write(KEY, update, replica.value(KEY, record))
    commit(replica)
    return arrival(replica)


def copies(count: int, **about: int) -> list[Replica]:
    """Replicas with the same document."""
    source = replica_with(b"1", **about)
    others = [Replica(MemoryKeyValue(), 10 + number) for number in range(count - 1)]
    for other in others:
        other.join(arrival(source), "p")
        commit(other)
    return [source, *others]


def test_an_expiry_passes_the_gate() -> None:
    (here, there), gate = copies(2), Closed()
    change = set_expiry(there, T)
    before, sequence = here.record(KEY), here.staged_sequence
    for _ in range(2):
        joined = here.join(change, "p", gate=gate)
        assert (joined.outcome, joined.reason) == (Outcome.REFUSED, "paused")
    assert gate.ends == [T, T]
    assert (here.record(KEY), here.staged_sequence) == (before, sequence)
    assert here.open_batch.is_empty
    put(here, KEY, {"a": "here"})
    commit(here)
    assert here.join(change, "p").outcome is Outcome.APPLIED
    commit(here)
    assert record_of(here).expires_at == T
    assert here.value(KEY, record_of(here)) == b'{"a":"here"}'
    assert here.join(set_expiry(there, T + 5), "p", gate=gate).outcome is Outcome.REFUSED
    assert gate.ends[2:] == [T + 5]
    put(there, KEY, {"a": "there"})
    here.join(arrival(there), "p")
    commit(there), commit(here)
    asked = gate.asked
    put(there, KEY, {"a": "again"})
    commit(there)
    assert here.join(arrival(there), "p", gate=gate).outcome is Outcome.APPLIED  # the same expiry
    assert here.join(set_expiry(there, 0.0), "p", gate=gate).outcome is Outcome.APPLIED
    assert gate.asked == asked


def test_the_expiry_of_a_new_document_need_not_pass() -> None:
    source, gate = replica_with(b"1"), Closed()
    change = set_expiry(source, T)
    here = Replica(MemoryKeyValue(), 2)
    assert here.join(change, "p", gate=gate).outcome is Outcome.APPLIED
    assert (gate.asked, gate.begun) == (0, [(KEY, 1)])


def test_a_later_incarnation_with_all_of_the_content_and_an_expiry_passes_the_gate() -> None:
    (here, there), gate = copies(2), Closed()
    change = replace(set_expiry(there, T), incarnation=2)
    assert here.join(change, "p", gate=gate).outcome is Outcome.REFUSED
    assert (gate.ends, gate.begun) == ([T], [])
    assert here.open_batch.is_empty
    other = arrival(replica_with(b"2", client=2, incarnation=2))
    assert here.join(other, "p", gate=gate).outcome is Outcome.REFUSED
    assert gate.ends == [T, 0.0]  # it ends at once, whatever expiry follows


@pytest.mark.parametrize("contradicts", [False, True])
def test_an_expiry_in_a_whole_document_passes_the_gate(contradicts: bool) -> None:
    """Whole documents are compared, and joined on ways of their own."""
    (here, there), gate = copies(2), Closed()
    if contradicts:
        for replica, text in ((here, "x"), (there, "y")):
            replica.client = 77
            put(replica, KEY, {"a": text})
            commit(replica)
            replica.client = 78 if replica is here else 79
            replica.own_writes.withdraw_all()
            replica.own_writes.pending.clear()
    change = replace(set_expiry(there, T), is_whole=True)
    before = here.record(KEY)
    joined = here.join(change, "p", gate=gate)
    assert (joined.outcome, joined.conflict, gate.ends) == (Outcome.REFUSED, None, [T])
    assert here.record(KEY) == before
    assert here.open_batch.is_empty
    assert here.join(change, "p").outcome is Outcome.APPLIED
    assert record_of(here).expires_at == T
