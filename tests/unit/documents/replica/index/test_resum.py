"""Content sums that are computed anew: of every record, once, and after an interruption from where it was."""

from __future__ import annotations

import pytest

from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.names import document_key
from peatnode.documents.replica.index import resum as module
from peatnode.documents.replica.index.resum import Resum
from peatnode.documents.replica.keyspace import CHECKPOINT, RECORD, SNAPSHOT, SUMMED
from peatnode.documents.replica.record import decode_record, encode_record
from peatnode.documents.replica.replica import Replica
from peatnode.errors import EntriesDiffer
from tests.support.many_clients import to_document, written_by
from tests.support.memory_kv import MemoryKeyValue, commit, put

OURS, THEIRS = UnitSums(b"ours"), UnitSums(b"theirs")
NAMES = [document_key("c", f"document {number}") for number in range(2500)]
LARGE = document_key("large", "one")


def fill(sums: UnitSums) -> MemoryKeyValue:
    replica = Replica(MemoryKeyValue(), 1, sums=sums)
    for number, key in enumerate(NAMES):
        put(replica, key, {"n": number, "l": [number]})
    for key in NAMES[::3]:
        put(replica, key, {"n": -1, "l": [1, 2]})
    put(replica, LARGE, {f"key {number}": "x" * 50 for number in range(200)})
    for update in written_by(400):
        replica.join(to_document(update), "peer")
    commit(replica)
    for key in NAMES[1::50]:
        replica.delete(key)
    commit(replica)
    assert isinstance(replica.kv, MemoryKeyValue)
    return replica.kv


@pytest.fixture(scope="module")
def expected() -> dict[bytes, bytes]:
    """All entries of a store that was written under the key."""
    return fill(OURS).entries


@pytest.fixture(scope="module")
def theirs() -> dict[bytes, bytes]:
    """The same documents under another key."""
    return fill(THEIRS).entries


def store(entries: dict[bytes, bytes], *, without_sums: bool = False) -> MemoryKeyValue:
    kv = MemoryKeyValue()
    kv.entries = dict(entries)
    kv.entries[CHECKPOINT] = b"of another index"
    if without_sums:
        for entry, data in entries.items():
            if entry.startswith(RECORD):
                kv.entries[entry] = as_of_the_first_release(data)
    return kv


def as_of_the_first_release(data: bytes) -> bytes:
    record = decode_record(data)
    object.__setattr__(record, "content_sum", 0)
    return encode_record(record, record.flags, record.snapshot, record.value)


def carry_out(kv: MemoryKeyValue, batches: int | None = None) -> int:
    done = 0
    for number, batch in enumerate(Resum(kv, OURS).batches()):
        if number == batches:
            break
        for key, value in batch.writes:
            if value is None:
                kv.entries.pop(key, None)
            else:
                kv.entries[key] = value
        done += batch.records
    return done


def check(kv: MemoryKeyValue, expected: dict[bytes, bytes]) -> None:
    found = dict(kv.entries)
    assert found.pop(SUMMED)
    assert found == expected
    assert not Resum(kv, OURS).is_due


@pytest.mark.parametrize("without_sums", [False, True], ids=["another key", "the first release"])
def test_all_entries_become_those_of_this_version_and_key(
    expected: dict[bytes, bytes], theirs: dict[bytes, bytes], without_sums: bool
) -> None:
    kv = store(theirs, without_sums=without_sums)
    assert Resum(kv, OURS).is_due
    assert carry_out(kv) == len(NAMES) + 2
    check(kv, expected)


def test_an_interruption_goes_on_where_it_was(
    expected: dict[bytes, bytes], theirs: dict[bytes, bytes]
) -> None:
    kv = store(theirs)
    assert carry_out(kv, batches=1) == module.BATCH_RECORDS
    assert CHECKPOINT not in kv.entries, "it would be of the index before"
    assert carry_out(kv) == len(NAMES) + 2 - module.BATCH_RECORDS
    check(kv, expected)


def test_another_key_in_the_middle_begins_again(
    expected: dict[bytes, bytes], theirs: dict[bytes, bytes]
) -> None:
    kv = store(theirs)
    for batch in Resum(kv, UnitSums(b"a third")).batches():
        kv.entries.update((key, value) for key, value in batch.writes if value is not None)
        break
    assert carry_out(kv) == len(NAMES) + 2
    check(kv, expected)


def test_a_new_store_gets_its_note_alone() -> None:
    kv = MemoryKeyValue()
    assert Resum(kv, OURS).is_new
    assert carry_out(kv) == 0
    assert list(kv.entries) == [SUMMED]
    assert not Resum(kv, OURS).is_due
    assert Resum(kv, THEIRS).is_due


def test_a_record_without_its_snapshot_is_damage(theirs: dict[bytes, bytes]) -> None:
    kv = store(theirs)
    del kv.entries[SNAPSHOT + LARGE]
    with pytest.raises(EntriesDiffer, match="large/one"):
        carry_out(kv)
    kv = store({**theirs, RECORD + NAMES[0]: b"no record"})
    with pytest.raises(EntriesDiffer, match="document 0"):
        carry_out(kv)
