"""Snapshots and values with entries of their own: an entry that does not belong to its record is never served."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from peatnode.documents.json.diff import plan
from peatnode.documents.json.root_maps import NO_ROOT_MAPS, change
from peatnode.documents.json.value import Shape, dump
from peatnode.documents.names import document_key
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.keyspace import SNAPSHOT, VALUE
from peatnode.documents.replica.reads import document_update, state_difference
from peatnode.documents.replica.record import Record, encode_record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.state_packing import PACKED, PLAIN, pack_state
from peatnode.documents.replica.write_batch import MAX_INLINE_BYTES
from peatnode.documents.yjs.any_value import Json
from peatnode.errors import EntriesDiffer
from tests.support.many_clients import client_of, edits, to_document, written_by
from tests.support.memory_kv import MemoryKeyValue, commit

KEY = document_key("c", "large")


@pytest.fixture
def kv() -> MemoryKeyValue:
    kv = MemoryKeyValue()
    replica = Replica(kv, 7)
    value: dict[str, Json] = {"text": "x" * 3 * MAX_INLINE_BYTES}
    replica.write(KEY, change(NO_ROOT_MAPS, plan(Shape(), value), 7, 0), dump(value))
    commit(replica)
    assert {SNAPSHOT + KEY, VALUE + KEY} <= kv.entries.keys()
    return kv


def opened(kv: MemoryKeyValue) -> tuple[Replica, Record]:
    replica = Replica(kv, 7)
    record = replica.record_on_disk(KEY)
    assert record is not None
    return replica, record


def cut(kv: MemoryKeyValue) -> None:
    kv.entries[SNAPSHOT + KEY] = kv.entries[SNAPSHOT + KEY][:-1]


LOSSES: dict[str, Callable[[MemoryKeyValue], object]] = {
    "missing": lambda kv: kv.entries.pop(SNAPSHOT + KEY),
    "empty": lambda kv: kv.entries.update({SNAPSHOT + KEY: b""}),
    "cut": cut,
    "another state": lambda kv: kv.entries.update({SNAPSHOT + KEY: PLAIN + b"\0\0"}),
    "no state": lambda kv: kv.entries.update({SNAPSHOT + KEY: PACKED + b"\xff" * 9}),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_snapshot_that_is_not_that_of_its_record_is_damage(kv: MemoryKeyValue, loss: str) -> None:
    replica, record = opened(kv)
    assert len(replica.state(KEY, record)[0]) == record.snapshot_bytes
    LOSSES[loss](kv)
    for read in (replica.state, replica.merged):
        with pytest.raises(EntriesDiffer, match="c/large") as caught:
            read(KEY, record)
        assert caught.value.is_corruption
    for send in (document_update, state_difference):
        with pytest.raises(EntriesDiffer):
            send(replica, KEY, record, b"")


def test_a_missing_value_is_damage(kv: MemoryKeyValue) -> None:
    replica, record = opened(kv)
    del kv.entries[VALUE + KEY]
    with pytest.raises(EntriesDiffer, match="c/large"):
        replica.value(KEY, record)


def test_a_missing_value_that_is_outdated_anyway_is_an_empty_object(kv: MemoryKeyValue) -> None:
    _, record = opened(kv)
    flags = record.flags | DocumentFlag.VALUE_OUTDATED
    kv.entries[b"d" + KEY] = encode_record(replace(record, flags=flags), flags, None, None)
    del kv.entries[VALUE + KEY]
    replica, record = opened(kv)
    assert replica.value(KEY, record) == b"{}"


def test_a_snapshot_that_an_earlier_batch_has_written_is_not_written_again() -> None:
    kv = MemoryKeyValue()
    replica = Replica(kv, 7)
    for update in written_by(1000):
        replica.join(to_document(update), "peer")
    first = replica.take_batch()
    kv.write(first)
    for update in edits(client_of(0), 1, 2):
        replica.join(to_document(update), "peer")
    second = replica.take_batch()
    many = document_key("c", "many")
    assert [key for key, _ in first.large_snapshots(100)] == [many]
    assert second.large_snapshots(100) == []
    assert SNAPSHOT + many not in dict(second.writes())
    kv.write(second)
    record = Replica(kv, 7).record_on_disk(many)
    assert record is not None
    assert len(Replica(kv, 7).merged(many, record).structs) == 1000


def test_a_snapshot_that_was_packed_before_is_stored_as_it_is(kv: MemoryKeyValue) -> None:
    replica, record = opened(kv)
    (snapshot, *_) = replica.state(KEY, record)
    replica.set_snapshot(KEY, replace(record, delta_log=()), bytes(bytearray(snapshot)))
    batch = replica.take_batch()
    ((key, state),) = batch.large_snapshots(100)
    batch.packed[key] = state, b"packed before"
    assert dict(batch.writes())[SNAPSHOT + KEY] == b"packed before"
    batch.packed[key] = snapshot, b"of another snapshot"
    assert dict(batch.writes())[SNAPSHOT + KEY] == pack_state(state)


def test_what_is_deleted_while_its_creation_is_synced_leaves_nothing(kv: MemoryKeyValue) -> None:
    replica = Replica(kv, 7)
    value: dict[str, Json] = {"text": "y" * 3 * MAX_INLINE_BYTES}
    other = document_key("c", "other")
    replica.write(other, change(NO_ROOT_MAPS, plan(Shape(), value), 7, 0), dump(value))
    created = replica.take_batch()
    kv.write(created)
    assert {SNAPSHOT + other, VALUE + other} <= kv.entries.keys()
    replica.delete(other)
    kv.write(replica.take_batch())
    assert not {SNAPSHOT + other, VALUE + other} & kv.entries.keys()
