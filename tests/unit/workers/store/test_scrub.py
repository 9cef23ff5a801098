"""The scrub: it finds each entry that does not match the others, and none while changes are committed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import pytest

from peatnode.documents.names import document_key
from peatnode.documents.replica.index.hash_tree import tree_key_of
from peatnode.documents.replica.keyspace import (
    CLOCKS,
    EXPIRY,
    RECORD,
    SNAPSHOT,
    TOMBSTONE,
    TREE,
    VALUE,
    after,
)
from peatnode.documents.replica.record import decode_record, encode_record, tombstone
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.state_packing import PACKED, unpack_snapshot
from peatnode.documents.replica.write_batch import MAX_INLINE_BYTES
from peatnode.errors import EntriesDiffer, StorageFailed
from tests.support.many_clients import to_document, written_by
from tests.support.memory_kv import MemoryKeyValue, commit
from tests.support.store_files import change_key, put
from tests.support.waiting import until
from workers.store.scrub import Scrub, ScrubPass

LARGE, EXPIRING, SMALL, GONE, MANY = (
    document_key("c", name) for name in ("large", "ends", "s", "gone", "many")
)


def one_entry_each() -> Callable[[], float]:
    """A clock by which each entry takes longer than a slice."""
    times = iter(range(10**9))
    return lambda: float(next(times))


def run(scrub: ScrubPass) -> None:
    clock = one_entry_each()
    while not scrub.is_done:
        scrub.advance(0.5, clock)
    for snapshot in scrub.large:
        unpack_snapshot(*snapshot)


@pytest.fixture
def replica() -> Replica:
    replica = Replica(MemoryKeyValue(), 7)
    put(replica, "large", {"x": "y" * 3 * MAX_INLINE_BYTES})
    put(replica, "ends", {"x": 1}, expires_at=4e9)
    for name in ("s", "gone"):
        put(replica, name, {"x": 1})
    replica.delete(GONE)
    for update in written_by(70):
        replica.join(to_document(update), "peer")
    commit(replica)
    return replica


def entries_of(replica: Replica) -> dict[bytes, bytes]:
    assert isinstance(replica.kv, MemoryKeyValue)
    return replica.kv.entries


def index_of(key: bytes) -> bytes:
    return TREE + tree_key_of(key) + key


def swap(entries: dict[bytes, bytes], key: bytes, others: bytes) -> None:
    entries[key] = entries[others]


def forget_deletion(entries: dict[bytes, bytes]) -> None:
    record = decode_record(entries[RECORD + SMALL])
    entries[TOMBSTONE + SMALL] = encode_record(tombstone(record.incarnation, 1), 1, b"", None)


def lengthen(entries: dict[bytes, bytes]) -> None:
    record = decode_record(entries[RECORD + LARGE])
    record = replace(record, snapshot_bytes=record.snapshot_bytes + 1)
    entries[RECORD + LARGE] = encode_record(record, record.flags, None, None)


MISMATCHES: dict[str, Callable[[dict[bytes, bytes]], object]] = {
    "no index entry": lambda entries: entries.pop(index_of(SMALL)),
    "no record": lambda entries: entries.pop(RECORD + SMALL),
    "no tombstone": lambda entries: entries.pop(TOMBSTONE + GONE),
    "another fingerprint in the index": lambda entries: swap(
        entries, index_of(SMALL), index_of(GONE)
    ),
    "another record": lambda entries: swap(entries, RECORD + SMALL, RECORD + EXPIRING),
    "an index entry more": lambda entries: swap(entries, index_of(b"c\0x"), index_of(SMALL)),
    "a record more": lambda entries: swap(entries, RECORD + b"c\0x", RECORD + SMALL),
    "a record and a tombstone": forget_deletion,
    "no snapshot": lambda entries: entries.pop(SNAPSHOT + LARGE),
    "a broken snapshot": lambda entries: entries.update({SNAPSHOT + LARGE: PACKED + b"\xff"}),
    "a snapshot of another length": lengthen,
    "no clocks": lambda entries: entries.pop(CLOCKS + MANY),
    "clocks of another record": lambda entries: entries.update({CLOCKS + MANY: b"\x90"}),
    "no value": lambda entries: entries.pop(VALUE + LARGE),
    "no expiry": lambda entries: [
        entries.pop(key) for key in list(entries) if key.startswith(EXPIRY)
    ],
    "no record at all": lambda entries: entries.update({RECORD + SMALL: b"?"}),
}


def test_what_was_committed_matches(replica: Replica) -> None:
    scrub = ScrubPass(replica)
    run(scrub)
    assert scrub.entries == 10
    run(ScrubPass(Replica(MemoryKeyValue(), 7)))


@pytest.mark.parametrize("mismatch", MISMATCHES)
def test_each_mismatch_is_found(replica: Replica, mismatch: str) -> None:
    MISMATCHES[mismatch](entries_of(replica))
    with pytest.raises(EntriesDiffer):
        run(ScrubPass(replica))


@pytest.mark.parametrize("rng", range(10), indirect=True)
def test_changes_between_slices_are_no_mismatch(replica: Replica, rng: random.Random) -> None:
    scrub, clock = ScrubPass(replica), one_entry_each()
    for number in range(400):
        if rng.random() < 0.5 and number < 300:
            change_something(replica, rng)
            scrub.committed(commit(replica))
        if scrub.is_done:
            break
        scrub.advance(0.5, clock)
    run(scrub)
    for snapshot in scrub.large[-1:]:
        assert snapshot[0] in {key[1:] for key in entries_of(replica)}
    run(ScrubPass(replica))


def change_something(replica: Replica, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 3)):
        name = f"d{rng.randrange(30):02}"
        key = document_key("c", name)
        if replica.live(key) is None:
            size = 3 * MAX_INLINE_BYTES if rng.random() < 0.3 else 5
            put(replica, name, {"x": "y" * size}, expires_at=rng.choice([None, 4e9]))
        elif rng.random() < 0.3:
            replica.delete(key)
        elif rng.random() < 0.3:
            replica.compact(key)
        else:
            change_key(replica, name, rng.randrange(10**6))


class Unreadable(MemoryKeyValue):
    def scan(
        self, start: bytes, end: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        if end == after(RECORD):
            raise StorageFailed("Corruption: block checksum mismatch")
        return super().scan(start, end, reverse)


async def has(value: object) -> bool:
    return bool(value)


async def test_a_slice_waits_for_the_batch_in_flight_and_is_read_before_the_next(
    replica: Replica,
) -> None:
    """Under load a batch is in flight nearly always."""
    damages: list[StorageFailed] = []
    put(replica, "more", {"x": 1})
    batch = replica.take_batch()
    scrub = Scrub(replica, lambda: False, damages.append, start_seconds=0.0)
    running = asyncio.create_task(scrub.run())
    await until(lambda: has(scrub.is_running))
    assert scrub.entries == 0
    numbers = count(1)
    while scrub.passes == 0:
        assert isinstance(replica.kv, MemoryKeyValue)
        replica.kv.write(batch)
        replica.committed(batch)
        scrub.committed(batch)
        change_key(replica, "more", next(numbers))
        batch = replica.take_batch()
        await asyncio.sleep(0)
    assert not damages
    assert scrub.entries == 12
    assert not scrub.is_running
    running.cancel()


async def test_damage_ends_the_pass_and_is_handed_on() -> None:
    damages: list[StorageFailed] = []
    replica = Replica(MemoryKeyValue(), 7)
    replica.kv = Unreadable()
    scrub = Scrub(replica, lambda: False, damages.append, start_seconds=0.0)
    running = asyncio.create_task(scrub.run())
    await until(lambda: has(damages))
    assert (scrub.passes, scrub.is_running) == (0, False)
    running.cancel()
