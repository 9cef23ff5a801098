"""Documents with many client ids: their clocks have an entry of their own, which an update does not rewrite."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from peatnode.documents.limits import CLIENT_LIMITS
from peatnode.documents.names import document_key
from peatnode.documents.replica.keyspace import CLOCKS, RECORD
from peatnode.documents.replica.reads import missing_update, wanted_of
from peatnode.documents.replica.record import Record, decode_record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.clocks.folding import MAX_LAYER
from peatnode.documents.yjs.update import decode_update
from peatnode.errors import EntriesDiffer
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.many_clients import client_of, edits, first_edit, to_document, written_by
from tests.support.memory_kv import MemoryKeyValue, commit

KEY = document_key("c", "many")
CLIENT = client_of(0)


class CountingKeyValue(MemoryKeyValue):
    """Counts the reads of the entries that grow with the number of clients."""

    def __init__(self) -> None:
        super().__init__()
        self.clocks_reads = 0

    def get(self, key: bytes) -> bytes | None:
        self.clocks_reads += key.startswith(CLOCKS)
        return super().get(key)


def written(clients: int) -> tuple[CountingKeyValue, Replica]:
    kv = CountingKeyValue()
    replica = Replica(kv, 7)
    for update in written_by(clients):
        assert replica.join(to_document(update), "peer").outcome is Outcome.APPLIED
    replica.compact(KEY)
    commit(replica)
    kv.clocks_reads = 0
    return kv, replica


def record_of(replica: Replica) -> Record:
    record = replica.record_on_disk(KEY)
    assert record is not None
    return record


def bytes_by_edits(replica: Replica, count: int) -> tuple[int, int]:
    """Bytes of the records that so many updates write, each in a batch, and how often they write the clocks."""
    size = clocks = 0
    for update in edits(CLIENT, 1, count):
        result = replica.join(to_document(update), "client x")
        assert result.outcome is Outcome.APPLIED, result
        batch = replica.take_batch()
        for key, value in batch.writes():
            size += len(value or b"") if key.startswith(RECORD) else 0
            clocks += key.startswith(CLOCKS)
        assert isinstance(replica.kv, MemoryKeyValue)
        replica.kv.write(batch)
        replica.committed(batch)
    return size, clocks


def test_an_update_writes_and_reads_as_much_with_many_ids_as_with_some() -> None:
    """Without layers, each of these updates wrote 100 KB."""
    updates = 20
    (_, few), (kv, many) = written(100), written(10_000)
    least, _ = bytes_by_edits(few, updates)
    most, clocks = bytes_by_edits(many, updates)
    assert most - least < updates * 50  # the length of the snapshot takes some bytes more
    assert clocks == 0
    assert kv.clocks_reads == 1


def test_the_clocks_are_written_again_when_much_has_changed() -> None:
    _, replica = written(100)
    vector = dict(record_of(replica).state_vector)
    for number in range(MAX_LAYER + 1):
        join_from(replica, client_of(1000 + number))
        vector[client_of(1000 + number)] = 1
    commit(replica)
    record = record_of(replica)
    assert isinstance(replica.kv, MemoryKeyValue)
    stored = decode_record(replica.kv.entries[RECORD + KEY])
    assert len(replica.kv.entries[RECORD + KEY]) < 12_000
    assert stored.clocks.base is not None
    assert record.state_vector == vector


def join_from(replica: Replica, client: int) -> None:
    result = replica.join(to_document(first_edit(client, "k1")), "client x")
    assert result.outcome is Outcome.APPLIED


def test_a_start_finds_the_clocks_as_they_were() -> None:
    kv, replica = written(300)
    bytes_by_edits(replica, 3)
    before, after = record_of(replica), record_of(Replica(kv, 7))
    assert before.clocks.base is not None
    assert after == before
    assert after.state_vector == replica.merged(KEY, before).state_vector()
    assert after.delete_set == replica.merged(KEY, before).delete_set
    assert after.fingerprint == before.fingerprint


def test_a_peer_that_knows_more_clients_than_an_update_may_have_receives_the_difference() -> None:
    """The limit of clients in one update was also that of a state vector, so such documents were never equal again."""
    _, here = written(CLIENT_LIMITS.max_clients + 5)
    _, there = written(CLIENT_LIMITS.max_clients + 5)
    bytes_by_edits(here, 2)
    missing = missing_update(here, KEY, *wanted_of(there, KEY))
    assert missing is not None
    assert list(decode_update(missing.update).structs) == [CLIENT]


LOSSES: dict[str, Callable[[MemoryKeyValue], object]] = {
    "missing": lambda kv: kv.entries.pop(CLOCKS + KEY),
    "cut": lambda kv: kv.entries.update({CLOCKS + KEY: kv.entries[CLOCKS + KEY][:-1]}),
    "those of another record": lambda kv: kv.entries.update(
        {CLOCKS + KEY: written(299)[0].entries[CLOCKS + KEY]}
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_clocks_that_are_not_those_of_the_record_are_damage(loss: str) -> None:
    kv, _ = written(300)
    LOSSES[loss](kv)
    record = Replica(kv, 7).record_on_disk(KEY)
    assert record is not None
    for read in (lambda: record.state_vector.get(CLIENT), lambda: list(record.delete_set)):
        with pytest.raises(EntriesDiffer, match="c/many") as caught:
            read()
        assert caught.value.is_corruption


def test_a_deletion_keeps_the_clocks_in_the_tombstone_and_the_next_incarnation_in_their_entry() -> (
    None
):
    kv, replica = written(300)
    replica.delete(KEY)
    commit(replica)
    assert CLOCKS + KEY not in kv.entries
    assert len(record_of(replica).ended_vector) == 300
    for update in written_by(1):
        assert replica.join(to_document(update, incarnation=2), "peer").record is not None
    commit(replica)
    record = record_of(replica)
    assert len(record.ended_vector) == 300
    assert dict(record.ended_vector)[client_of(299)] == 1
    assert len(kv.entries[RECORD + KEY]) < 500
    assert bytes_by_edits_of_second(replica) < 500
    ended = DocumentUpdate("c", "many", 2, True, 0.0, b"")
    assert replica.join(ended, "peer").outcome is Outcome.APPLIED
    commit(replica)
    assert CLOCKS + KEY not in kv.entries
    assert len(record_of(replica).ended_vector) == 300


def bytes_by_edits_of_second(replica: Replica) -> int:
    (update,) = edits(CLIENT, 1, 1)
    assert replica.join(to_document(update, incarnation=2), "peer").record is not None
    commit(replica)
    assert isinstance(replica.kv, MemoryKeyValue)
    return len(replica.kv.entries[RECORD + KEY])


def test_a_dropped_batch_leaves_the_clocks_on_disk() -> None:
    kv, replica = written(300)
    before = record_of(replica)
    for number in range(MAX_LAYER + 1):
        join_from(replica, client_of(1000 + number))
    replica.take_batch()
    replica.forget()
    assert record_of(replica) == before
    bytes_by_edits(replica, 2)
    assert record_of(Replica(kv, 7)).state_vector == {**before.state_vector, CLIENT: 3}
