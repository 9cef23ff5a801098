"""Repair: the entries found around damage, and the outcome for documents with lost parts."""

import random
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest

from peatnode.documents.json.diff import plan
from peatnode.documents.json.root_maps import NO_ROOT_MAPS, change
from peatnode.documents.json.value import Shape, dump
from peatnode.documents.names import document_key
from peatnode.documents.replica.keyspace import SNAPSHOT
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import MAX_INLINE_BYTES
from peatnode.documents.yjs.any_value import Json
from tests.support.memory_kv import MemoryKeyValue
from workers.store.disk.database import Database, StorageFailed
from workers.store.disk.repair import readable, reconcile


class Damaged(MemoryKeyValue):
    """A scan fails at a bad key from either side, as at a damaged block of RocksDB."""

    def __init__(self, keys: list[bytes], bad: set[bytes], reason: str = "Corruption: x") -> None:
        super().__init__()
        self.entries.update((key, key) for key in keys)
        self.bad, self.reason = bad, reason

    def scan(
        self, start: bytes, end: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        for key, value in super().scan(start, end, reverse):
            if key in self.bad:
                raise StorageFailed(self.reason)
            yield key, value


def some_keys(rng: random.Random, count: int) -> list[bytes]:
    names = [f"d{rng.choice(['notes', 'n', 'zeta'])}\0{rng.randrange(10**5)}" for _ in range(count)]
    return sorted({name.encode() for name in names} | {b"d\xff\xff", b"d\0"})


@pytest.mark.parametrize("rng", range(40), indirect=True)
def test_all_but_the_damage_is_found(rng: random.Random) -> None:
    keys = some_keys(rng, 300)
    first = rng.randrange(len(keys))
    bad = set(keys[first : first + rng.randrange(1, 60)])
    found = [key for key, _ in readable(Damaged(keys, bad), b"d", b"e")]
    assert sorted(found) == [key for key in keys if key not in bad]


def test_of_several_damages_most_of_what_lies_between_is_found(rng: random.Random) -> None:
    """On average: the search for a readable key may skip what lies between two damages."""
    share = []
    for _ in range(40):
        keys = some_keys(rng, 1000)
        bad: set[bytes] = set()
        for _ in range(3):
            first = rng.randrange(len(keys))
            bad.update(keys[first : first + 20])
        found = {key for key, _ in readable(Damaged(keys, bad), b"d", b"e")}
        assert not found & bad
        share.append(len(found) / len(keys))
    assert fmean(share) > 0.8


def test_a_disk_that_cannot_be_read_now_has_lost_nothing() -> None:
    database = Damaged([b"d1", b"d2"], {b"d2"}, "IO error: Input/output error")
    with pytest.raises(StorageFailed):
        list(readable(database, b"d", b"e"))


def test_a_document_whose_snapshot_is_lost_is_left_out(tmp_path: Path) -> None:
    database = Database(tmp_path / "store")
    replica = Replica(database, 7)
    for name, size in (("lost", 3 * MAX_INLINE_BYTES), ("small", 10)):
        value: dict[str, Json] = {"text": "x" * size}
        update = change(NO_ROOT_MAPS, plan(Shape(), value), 7, 0)
        replica.write(document_key("notes", name), update, dump(value))
    batch = replica.take_batch()
    database.write(batch.writes())
    lost = document_key("notes", "lost")
    assert database.get(SNAPSHOT + lost) is not None
    database.write([(SNAPSHOT + lost, None)])

    reconcile(database)

    repaired = Replica(database, 7)
    assert repaired.live(lost) is None
    assert repaired.live(document_key("notes", "small")) is not None
    database.close()
