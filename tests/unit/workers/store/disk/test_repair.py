"""Repair: the entries found around damage, and the outcome for documents with lost parts."""

import contextlib
import random
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

import pytest

from peatnode.documents.json.diff import plan
from peatnode.documents.json.root_maps import NO_ROOT_MAPS, change
from peatnode.documents.json.value import Shape, dump
from peatnode.documents.names import document_key
from peatnode.documents.replica.keyspace import CLOCKS, SNAPSHOT
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import MAX_INLINE_BYTES
from peatnode.documents.yjs.any_value import Json
from tests.support.many_clients import client_of, edits, to_document, written_by
from tests.support.memory_kv import MemoryKeyValue
from workers.store.disk import repair
from workers.store.disk.database import Database, StorageFailed
from workers.store.disk.repair import readable, reconcile


class Damaged(MemoryKeyValue):
    """A scan fails at a bad key from either side, as at a damaged block of RocksDB, with the error of its block."""

    def __init__(self, keys: list[bytes], bad: dict[bytes, str]) -> None:
        super().__init__()
        self.keys = keys
        self.bad = bad

    def scan(
        self, start: bytes, end: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        first, last = bisect_left(self.keys, start), bisect_left(self.keys, end)
        found = self.keys[first:last]
        for key in reversed(found) if reverse else found:
            if key in self.bad:
                raise StorageFailed(self.bad[key])
            yield key, key


def some_keys(rng: random.Random, count: int) -> list[bytes]:
    names = [f"d{rng.choice(['notes', 'n', 'zeta'])}\0{rng.randrange(10**5)}" for _ in range(count)]
    return sorted({name.encode() for name in names} | {b"d\xff\xff", b"d\0"})


def damage(rng: random.Random, keys: list[bytes], blocks: int, largest: int) -> dict[bytes, str]:
    """Each bad key with the error of its block. Blocks may lie side by side."""
    bad: dict[bytes, str] = {}
    for block in range(blocks):
        first = rng.randrange(len(keys))
        for key in keys[first : first + rng.randint(1, largest)]:
            if key in bad:
                break
            bad[key] = f"Corruption: block {block}"
    return bad


@pytest.mark.parametrize("rng", range(40), indirect=True)
def test_all_but_the_damage_is_found(rng: random.Random) -> None:
    keys = some_keys(rng, 300)
    bad = damage(rng, keys, 1, 60)
    found = [key for key, _ in readable(Damaged(keys, bad), b"d", b"e")]
    assert sorted(found) == [key for key in keys if key not in bad]


@pytest.mark.parametrize("rng", range(60), indirect=True)
def test_all_between_several_damages_is_found(rng: random.Random) -> None:
    keys = some_keys(rng, 1000)
    bad = damage(rng, keys, rng.randint(2, 12), 40)
    found = [key for key, _ in readable(Damaged(keys, bad), b"d", b"e")]
    assert sorted(found) == [key for key in keys if key not in bad]


@pytest.mark.parametrize("rng", range(3), indirect=True)
def test_all_between_damaged_blocks_of_a_real_file_is_found(
    tmp_path: Path, rng: random.Random
) -> None:
    keys = some_keys(rng, 3000)
    written = Database(tmp_path / "store")
    written.write((key, rng.randbytes(300)) for key in keys)
    written.flush()
    written.close()
    (table,) = (tmp_path / "store").glob("*.sst")
    content = bytearray(table.read_bytes())
    for _ in range(8):
        content[rng.randrange(len(content) * 9 // 10)] ^= 1 << rng.randrange(8)
    table.write_bytes(content)

    database = Database(tmp_path / "store")
    sound = []
    for key in keys:
        with contextlib.suppress(StorageFailed):
            sound.append(key)
            database.get(key)
            continue
        sound.pop()
    assert 0.5 * len(keys) < len(sound) < len(keys)
    found = [key for key, _ in readable(database, b"d", b"e")]
    assert sorted(found) == sound
    database.close()


def test_a_search_among_damages_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "MAX_PROBES", 100)
    keys = [b"d%06d" % number for number in range(10_000)]
    bad = {key: f"Corruption: block {number}" for number, key in enumerate(keys) if number % 2}
    found = [key for key, _ in readable(Damaged(keys, bad), b"d", b"e")]
    assert 0 < len(found) < 200


def test_a_disk_that_cannot_be_read_now_has_lost_nothing() -> None:
    database = Damaged([b"d1", b"d2"], {b"d2": "IO error: Input/output error"})
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


@pytest.mark.parametrize("has_snapshot", [True, False])
def test_clocks_that_are_lost_are_read_from_the_state_again(
    tmp_path: Path, has_snapshot: bool
) -> None:
    """Without a snapshot of its own, the state is inline. What is left of a copied record is no orphan either."""
    database = Database(tmp_path / "store")
    replica = Replica(database, 7)
    for update in written_by(1000 if has_snapshot else 70):
        replica.join(to_document(update), "peer")
    for update in edits(client_of(0), 1, 3):
        replica.join(to_document(update), "peer")
    batch = replica.take_batch()
    database.write(batch.writes())
    key = document_key("c", "many")
    before = replica.record_on_disk(key)
    assert before is not None
    assert (database.get(SNAPSHOT + key) is not None) == has_snapshot
    expected = dict(before.state_vector), before.fingerprint
    database.write([(CLOCKS + key, None)])

    reconcile(database)

    repaired = Replica(database, 7).record_on_disk(key)
    assert repaired is not None
    assert (dict(repaired.state_vector), repaired.fingerprint) == expected
    assert database.get(CLOCKS + key) is not None
    database.close()
