"""A replica that loads a checkpoint and replays the feed is the one that reads all entries."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from peatnode.documents.names import document_key
from peatnode.documents.replica.index.checkpoint import (
    MAX_COLLECTIONS,
    decode_checkpoint,
    encode_checkpoint,
)
from peatnode.documents.replica.index.hash_tree import bucket_of, tree_key_of
from peatnode.documents.replica.index.load import load_index
from peatnode.documents.replica.keyspace import (
    CHECKPOINT,
    FEED,
    FLUSHED,
    RECORD,
    SEQUENCE,
    TOMBSTONE,
    TREE,
    number,
)
from peatnode.documents.replica.reads import document_update
from peatnode.documents.replica.record import decode_feed_entry
from peatnode.documents.replica.replica import Replica
from peatnode.errors import EntriesDiffer
from peatnode.model.documents import DocumentUpdate
from peatnode.model.tree import BUCKETS
from tests.support.memory_kv import MemoryKeyValue, commit, put

KEYS = [document_key(f"c{n % 3}", f"d{n}") for n in range(90)]


def filled(kv: MemoryKeyValue | None = None) -> Replica:
    replica = Replica(kv or MemoryKeyValue(), 1)
    for key in KEYS[:60]:
        put(replica, key, {"a": 1})
    commit(replica)
    return replica


def keep_checkpoint(replica: Replica, is_flushed: bool = False) -> None:
    checkpoint = replica.checkpoint()
    assert checkpoint is not None
    entries(replica)[CHECKPOINT] = encode_checkpoint(checkpoint)
    replica.checkpointed(checkpoint.sequence)
    if is_flushed:
        entries(replica)[FLUSHED] = number(checkpoint.sequence)


def entries(replica: Replica) -> dict[bytes, bytes]:
    assert isinstance(replica.kv, MemoryKeyValue)
    return replica.kv.entries


def check_loaded(replica: Replica) -> None:
    """With its checkpoint, without one, and in memory, the index is the same."""
    sample = range(0, BUCKETS, BUCKETS // 4)
    loaded = load_index(replica.kv, sample, compared_entries=0)
    compared = load_index(replica.kv)
    for found in (loaded, compared):
        assert found.fault == ""
        assert found.checkpoint_sequence == replica.checkpoint_sequence
    scanned = load_index(without_checkpoint(replica))
    for found in (loaded, compared, scanned):
        assert found.sequence == replica.sequence
        assert found.oldest_sequence == replica.oldest_sequence
        assert found.counts == replica.counts
        assert found.tree.root == replica.tree.root
        assert found.tree.leaves() == replica.tree.leaves()


def without_checkpoint(replica: Replica) -> MemoryKeyValue:
    kv = MemoryKeyValue()
    kv.entries = {key: data for key, data in entries(replica).items() if key != CHECKPOINT}
    return kv


def trim(replica: Replica, oldest: int) -> None:
    for sequence in range(replica.oldest_sequence, oldest):
        del entries(replica)[FEED + number(sequence)]
    replica.trimmed(oldest)


# --- random histories


def step(rng: random.Random, here: Replica, there: Replica) -> None:
    """One change here, or one there, or one that travels."""
    key = rng.choice(KEYS)
    replica = rng.choice((here, here, there))
    match rng.randrange(5):
        case 0 | 1:
            put(replica, key, {rng.choice("abc"): rng.randrange(9)})
        case 2:
            if replica.live(key) is not None:
                replica.delete(key)
        case 3:
            commit(there)
            record = there.record_on_disk(key)
            if record is not None:
                here.join(document_update(there, key, record), "peer")
        case 4:
            collection, _, name = key.decode().partition("\0")
            ended = here.next_incarnation(key) + rng.randrange(2)
            here.join(DocumentUpdate(collection, name, ended, True, 0.0, b""), "peer")


@pytest.mark.parametrize("rng", range(10), indirect=True)
def test_a_replayed_index_is_the_scanned_one_after_each_commit(rng):
    here, there = filled(), Replica(MemoryKeyValue(), 2)
    for _ in range(25):
        for _ in range(rng.choice((1, 1, 2, 6))):
            step(rng, here, there)
        if rng.random() < 0.1:
            here.compact(rng.choice(KEYS))
        commit(here)
        check_loaded(here)
        if rng.random() < 0.25:
            keep_checkpoint(here, is_flushed=rng.random() < 0.5)
            check_loaded(here)
        if rng.random() < 0.1 and here.checkpoint_sequence:
            trim(here, rng.randint(here.oldest_sequence, here.checkpoint_sequence + 1))
            check_loaded(here)


@pytest.mark.parametrize("changed", [1, 10, 50])
def test_few_changes_are_replayed_by_bucket_and_many_by_a_scan(changed):
    replica = filled()
    keep_checkpoint(replica)
    for key in KEYS[40 : 40 + changed]:
        put(replica, key, {"b": 2})
    replica.delete(KEYS[0])
    commit(replica)
    check_loaded(replica)


def test_documents_that_share_a_bucket_are_hashed_together():
    keys = (document_key("c", f"n{n}") for n in range(10**6))
    seen: dict[int, bytes] = {}
    for key in keys:
        bucket = bucket_of(tree_key_of(key))
        if bucket in seen:
            break
        seen[bucket] = key
    replica = filled()
    put(replica, key, {"a": 1})
    put(replica, seen[bucket], {"a": 1})
    commit(replica)
    keep_checkpoint(replica)
    put(replica, key, {"a": 2})
    commit(replica)
    check_loaded(replica)


# --- what was before


def test_the_feed_says_what_was_before_only_where_it_is_not_plain():
    here, there = Replica(MemoryKeyValue(), 1), Replica(MemoryKeyValue(), 2)
    key = KEYS[0]
    for replica in (here, there):
        put(replica, key, {"a": 1})
        put(replica, key, {"a": 2})
        replica.delete(key)
        put(replica, key, {"a": 3})
        commit(replica)
    there.delete(key)
    put(there, key, {"a": 4})
    commit(there)
    here.join(DocumentUpdate("c0", "d0", 2, True, 0.0, b""), "peer")
    here.join(document_update(there, key, there.live(key)), "peer")
    here.join(DocumentUpdate("c0", "d0", 7, True, 0.0, b""), "peer")
    here.join(DocumentUpdate("c0", "d0", 9, True, 0.0, b""), "peer")
    here.join(DocumentUpdate("c0", "d1", 1, True, 0.0, b""), "peer")
    commit(here)
    feed = [data for _, data in here.kv.scan(FEED, TREE)]
    changes = [decode_feed_entry(data) for data in feed]
    assert [(change.action.value, change.before.name) for change in changes] == [
        ("created", "ABSENT"),
        ("updated", "LIVE"),
        ("deleted", "LIVE"),
        ("created", "TOMBSTONE"),
        ("deleted", "LIVE"),
        ("created", "TOMBSTONE"),
        ("deleted", "LIVE"),
        ("deleted", "TOMBSTONE"),
        ("deleted", "ABSENT"),
    ]
    assert [data[0] & 0xF for data in feed] == [5, 5, 5, 6, 5, 6, 5, 6, 6]  # fields of the array
    live_again = replace(changes[0], incarnation=3)
    assert decode_feed_entry(b"\x95" + feed[0][1:]) == replace(live_again, incarnation=1)


# --- what is lost


@pytest.mark.parametrize("is_flushed", [False, True])
@pytest.mark.parametrize(("first", "last"), [(62, 62), (63, 66), (67, 70), (61, 70)])
def test_a_hole_after_the_checkpoint_is_damage(is_flushed, first, last):
    replica = filled()
    keep_checkpoint(replica, is_flushed)
    for key in KEYS[:10]:
        put(replica, key, {"b": 1})
    commit(replica)
    check_loaded(replica)
    for sequence in range(first, last + 1):
        del entries(replica)[FEED + number(sequence)]
    with pytest.raises(EntriesDiffer, match=f"the changes {first} to {last} are missing"):
        load_index(replica.kv)


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_a_hole_before_the_checkpoint_is_damage_unless_all_was_flushed_after_it(has_checkpoint):
    replica = filled()
    if has_checkpoint:
        keep_checkpoint(replica)
    del entries(replica)[FEED + number(30)]
    with pytest.raises(EntriesDiffer, match="the changes 30 to 30 are missing"):
        load_index(replica.kv)
    keep_checkpoint(replica, is_flushed=True)
    load_index(replica.kv)
    entries(replica)[FLUSHED] = number(29)
    with pytest.raises(EntriesDiffer, match="the changes 30 to 30 are missing"):
        load_index(replica.kv)


def test_a_feed_that_was_trimmed_beyond_the_checkpoint_is_damage():
    replica = filled()
    keep_checkpoint(replica)
    put(replica, KEYS[0], {"b": 1})
    put(replica, KEYS[1], {"b": 1})
    commit(replica)
    trim(replica, 62)
    with pytest.raises(EntriesDiffer, match="the changes 61 to 61 are missing"):
        load_index(replica.kv)


def test_a_malformed_change_is_damage():
    replica = filled()
    keep_checkpoint(replica)
    put(replica, KEYS[0], {"b": 1})
    commit(replica)
    for bad in (b"", b"\xc1", b"\x91\x01", entries(replica)[FEED + number(61)][:-1]):
        entries(replica)[FEED + number(61)] = bad
        with pytest.raises(EntriesDiffer, match="the change 61 is malformed"):
            load_index(replica.kv)


@pytest.mark.parametrize("noted", [CHECKPOINT, FLUSHED])
def test_changes_lost_before_a_note_that_was_kept_are_damage(noted):
    replica = filled()
    before = dict(entries(replica))
    put(replica, KEYS[0], {"b": 1})
    commit(replica)
    keep_checkpoint(replica, is_flushed=True)
    kv = MemoryKeyValue()
    kv.entries = before | {noted: entries(replica)[noted]}
    with pytest.raises(EntriesDiffer, match="the changes 61 to 61 are missing"):
        load_index(kv)


def test_a_sequence_that_is_older_than_the_feed_is_damage():
    replica = filled()
    entries(replica)[SEQUENCE] = number(50)
    with pytest.raises(EntriesDiffer, match="the newest change is 60, and the store says 50"):
        load_index(replica.kv)


@pytest.mark.parametrize("prefix", [TREE, RECORD, TOMBSTONE])
def test_without_a_checkpoint_index_and_records_are_compared_in_number(prefix):
    replica = filled()
    replica.delete(KEYS[0])
    commit(replica)
    lost = next(key for key, _ in replica.kv.scan(prefix, prefix + b"\xff"))
    del entries(replica)[lost]
    with pytest.raises(EntriesDiffer, match=r"the index has .*, and the records are "):
        load_index(replica.kv)


# --- a checkpoint that is wrong


def fault_of(replica: Replica, sample: range = range(0), compared_entries: int = 0) -> str:
    """The fault that a start reports. What it loads is right all the same."""
    loaded = load_index(replica.kv, sample, compared_entries)
    assert loaded.counts == replica.counts
    assert loaded.tree.leaves() == replica.tree.leaves()
    assert bool(loaded.checkpoint_sequence) is not bool(loaded.fault)
    return loaded.fault


def test_a_checkpoint_with_a_flipped_bit_is_not_used(rng):
    replica = filled()
    keep_checkpoint(replica)
    bad = bytearray(entries(replica)[CHECKPOINT])
    bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
    entries(replica)[CHECKPOINT] = bytes(bad)
    assert fault_of(replica) == "its digest is wrong"


def test_a_wrong_hash_is_found_in_a_bucket_of_the_sample_and_corrected_in_one_with_a_change():
    replica = filled()
    keep_checkpoint(replica, is_flushed=True)
    bucket = bucket_of(tree_key_of(KEYS[0]))
    checkpoint = decode_checkpoint(entries(replica)[CHECKPOINT])
    checkpoint.leaves.set(bucket, checkpoint.leaves.number(bucket) ^ 1)
    entries(replica)[CHECKPOINT] = encode_checkpoint(checkpoint)
    others = range(bucket + 1, bucket + 3)
    assert load_index(replica.kv, others, compared_entries=0).tree.root != replica.tree.root
    wrong = "its hashes are not those of the entries"
    assert fault_of(replica, range(bucket, bucket + 1)) == wrong
    assert fault_of(replica, compared_entries=60) == wrong
    put(replica, KEYS[0], {"b": 1})
    commit(replica)
    assert fault_of(replica, others) == ""


@pytest.mark.parametrize(("changed", "compared_entries"), [(0, 1000), (1, 1000), (40, 0)])
def test_wrong_counts_are_found_where_everything_is_read(changed, compared_entries):
    replica = filled()
    keep_checkpoint(replica)
    checkpoint = decode_checkpoint(entries(replica)[CHECKPOINT])
    checkpoint.counts.add("c0", 1, 0)
    entries(replica)[CHECKPOINT] = encode_checkpoint(checkpoint)
    for key in KEYS[:changed]:
        put(replica, key, {"b": 1})
    commit(replica)
    fault = fault_of(replica, compared_entries=compared_entries)
    assert fault == "its counts are not those of the entries"


@pytest.mark.parametrize("prefix", [TREE, RECORD])
def test_a_small_store_compares_index_and_records_in_spite_of_its_checkpoint(prefix):
    replica = filled()
    keep_checkpoint(replica, is_flushed=True)
    del entries(replica)[next(key for key, _ in replica.kv.scan(prefix, prefix + b"\xff"))]
    with pytest.raises(EntriesDiffer, match=r"the index has .*, and the records are "):
        load_index(replica.kv)


def test_a_checkpoint_is_a_copy_that_later_changes_leave_alone():
    replica = filled()
    checkpoint = replica.checkpoint()
    assert checkpoint is not None
    before = encode_checkpoint(checkpoint)
    replica.delete(KEYS[0])
    commit(replica)
    assert encode_checkpoint(checkpoint) == before


def test_a_replica_of_too_many_collections_has_no_checkpoint():
    replica = filled()
    for n in range(MAX_COLLECTIONS):
        replica.counts.add(f"more{n}", 1, 0)
    assert replica.checkpoint() is None
    for n in range(MAX_COLLECTIONS):
        replica.counts.add(f"more{n}", -1, 1)
    assert replica.checkpoint() is not None, "collections without documents do not count"
