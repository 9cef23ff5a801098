"""Which changes from a peer have to pass the gate: those that end what lives here, and no others."""

from __future__ import annotations

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
        self.asked = 0

    def refusal(self, key: bytes, record: Record) -> str:
        assert not record.is_deleted
        self.asked += 1
        return "paused"

    def began(self, key: bytes, incarnation: int) -> None:
        self.begun.append((key, incarnation))


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
    assert gate.begun == [(KEY, 2)]


def test_what_begins_is_told_and_what_changes_is_not() -> None:
    source, gate = replica_with(b"1", client=2), Closed()
    replica = Replica(MemoryKeyValue(), 1)
    assert replica.join(arrival(source), "p", gate=gate).outcome is Outcome.APPLIED
    put(source, KEY, {"a": "2"})
    commit(source)
    assert replica.join(arrival(source), "p", gate=gate).outcome is Outcome.APPLIED
    assert gate.begun == [(KEY, 1)]
    assert gate.asked == 0
