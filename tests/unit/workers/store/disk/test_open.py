"""The opening of damaged files: a repair is complete, and on disk, before the store counts as repaired."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from peatnode.documents.names import document_key
from peatnode.documents.replica.keyspace import TREE, after
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import MAX_INLINE_BYTES
from peatnode.errors import EntriesDiffer, StorageFailed
from tests.support import seeds
from tests.support.store_files import (
    change_key,
    commit,
    copy_of_killed,
    differences,
    fill,
    kill_with_two_logs,
    put,
)
from workers.store.disk.database import Database, Recovery
from workers.store.disk.open import (
    OpenedStore,
    Repair,
    damage_of,
    mark_damaged,
    mark_for_repair,
    open_store,
)

NAMES = [f"d{number:03}" for number in range(400)]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a killed store: one sorted file, and as many documents again in the log."""
    directory = tmp_path_factory.mktemp("template")
    opened = open_store(directory / "open")
    replica = Replica(opened.database, 7)
    rng = seeds.generator("documents of the repaired stores")
    fill(replica, opened.database, NAMES[:200], rng)
    opened.database.flush()
    fill(replica, opened.database, NAMES[200:], rng)
    copy_of_killed(opened.database.path, directory / "killed" / "store")
    opened.close()
    return directory / "killed"


def flip(file: Path, share: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(len(content) * share)] ^= 0xFF
    file.write_bytes(content)


def newest_log(store: Path) -> Path:
    return max(store.glob("*.log"))


def cut(file: Path, share: float) -> None:
    os.truncate(file, int(file.stat().st_size * share))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no CURRENT": lambda store: (store / "CURRENT").unlink(),
    "no CURRENT, and a cut log": lambda store: [
        (store / "CURRENT").unlink(),
        cut(newest_log(store), 0.5),
    ],
    "a flipped MANIFEST": lambda store: [flip(file, 0.1) for file in store.glob("MANIFEST-*")],
    "a flipped log": lambda store: flip(newest_log(store), 0.5),
    "no newest log": lambda store: newest_log(store).unlink(),
    "a marked damage": lambda store: mark_damaged(store, "a table"),
    "a flipped table": lambda store: [
        flip(next(store.glob("*.sst")), 0.3),
        mark_damaged(store, "a table"),
    ],
}


def killed(opened: OpenedStore) -> Path:
    """Ends the process of an opened store; returns its data directory."""
    store = opened.database.path
    copy_of_killed(store, store.with_name("image"))
    opened.close()
    shutil.rmtree(store)
    return store.with_name("image").rename(store).parent


def held(opened: OpenedStore) -> set[str]:
    replica = Replica(opened.database, 7)
    found = {name for name in NAMES if replica.record_on_disk(document_key("c", name))}
    assert replica.counts.documents == len(found)
    return found


@pytest.mark.parametrize("share_kept", [0.5, None])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_repair_outlives_its_log(
    tmp_path: Path, template: Path, damage: str, share_kept: float | None
) -> None:
    """The log is cut, or lost, after the repair: the entries fit together, and all that was repaired is there."""
    shutil.copytree(template / "store", tmp_path / "store")
    DAMAGES[damage](tmp_path / "store")
    opened = open_store(tmp_path)
    assert opened.damage
    assert not damage_of(tmp_path / "store")
    assert differences(opened.database) == []
    repaired = held(opened)
    assert len(repaired) >= 100
    log = newest_log(killed(opened) / "store")
    log.unlink() if share_kept is None else cut(log, share_kept)
    for _ in range(2):
        again = open_store(tmp_path)
        assert held(again) == repaired
        assert differences(again.database) == []
        killed(again)


@pytest.fixture(scope="module")
def two_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a killed store with two logs: documents are created in the first, changed in the second."""
    directory = tmp_path_factory.mktemp("logs")
    opened = open_store(directory / "open")
    replica, database = Replica(opened.database, 7), opened.database
    for name in NAMES[:50]:
        put(replica, name, {"x": "y" * 2 * MAX_INLINE_BYTES})
        commit(replica, database)

    def write() -> None:
        for name in NAMES[:50]:
            change_key(replica, name, 1)
            commit(replica, database)

    kill_with_two_logs(database, write, directory / "killed" / "store")
    opened.close()
    return directory / "killed"


def test_a_log_that_is_torn_before_another_one_leaves_no_document_in_parts(
    tmp_path: Path, two_logs: Path
) -> None:
    """The second log changes documents whose snapshots are in the part of the first one that is lost."""
    shutil.copytree(two_logs / "store", tmp_path / "store")
    first, _ = sorted((tmp_path / "store").glob("*.log"))
    os.truncate(first, first.stat().st_size // 2 + 3)
    opened = open_store(tmp_path)
    assert "log" in opened.damage or "orruption" in opened.damage
    assert differences(opened.database) == []
    assert 20 <= len(held(opened)) < 50
    replica = Replica(opened.database, 7)
    for name in held(opened):
        record = replica.record_on_disk(document_key("c", name))
        assert record is not None
        assert replica.merged(document_key("c", name), record).state_vector() == record.state_vector
    opened.close()


def test_a_torn_end_of_the_newest_log_loses_only_that(tmp_path: Path, two_logs: Path) -> None:
    shutil.copytree(two_logs / "store", tmp_path / "store")
    log = newest_log(tmp_path / "store")
    os.truncate(log, log.stat().st_size // 2 + 3)
    opened = open_store(tmp_path)
    assert "the end of the log was incomplete" in opened.damage
    assert differences(opened.database) == []
    assert len(held(opened)) == 50
    opened.close()


def test_entries_that_differ_are_repaired_where_the_files_are(
    tmp_path: Path, template: Path
) -> None:
    shutil.copytree(template / "store", tmp_path / "store")
    opened = open_store(tmp_path)
    index = [key for key, _ in opened.database.scan(TREE, after(TREE))]
    opened.database.write([(key, None) for key in index[:3]])
    opened.close()
    error = EntriesDiffer("an index entry is missing")
    assert mark_for_repair(tmp_path / "store", error, Repair.NONE)
    inode = (tmp_path / "store").stat().st_ino
    opened = open_store(tmp_path)
    assert opened.repair is Repair.IN_PLACE
    assert "an index entry is missing" in opened.damage
    assert differences(opened.database) == []
    assert len(held(opened)) == len(NAMES)
    opened.close()
    opened = open_store(tmp_path)
    assert (opened.damage, opened.repair) == ("", Repair.NONE)
    opened.close()
    assert (tmp_path / "store").stat().st_ino == inode


def test_damage_after_a_repair_in_place_is_repaired_by_a_copy_and_after_a_copy_never(
    tmp_path: Path,
) -> None:
    error = EntriesDiffer("an index entry is missing")
    assert mark_for_repair(tmp_path, error, Repair.IN_PLACE)
    assert damage_of(tmp_path) == str(error)
    (tmp_path / "damaged").unlink()
    for more in (error, StorageFailed("Corruption: block checksum mismatch")):
        assert not mark_for_repair(tmp_path, more, Repair.COPY)
    assert not mark_for_repair(tmp_path, StorageFailed("IO error: x"), Repair.NONE)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_block_that_a_repair_in_place_meets_is_copied_around(
    tmp_path: Path, template: Path
) -> None:
    """The failed repair must let go of RocksDB's lock first."""
    shutil.copytree(template / "store", tmp_path / "store")
    flip(next((tmp_path / "store").glob("*.sst")), 0.3)
    newest_log(tmp_path / "store").unlink()
    opened = open_store(tmp_path)
    assert opened.repair is Repair.COPY
    assert differences(opened.database) == []
    assert 100 <= len(held(opened)) < len(NAMES)
    opened.close()


DAMAGED_OPTIONS = (
    (b"BlockBased", b"BlockBaseD"),  # a database opened for reads with it ends the process
    (b"num_levels=7", b"num_levels=1"),
    (b"comparator=leveldb.Bytewise", b"comparator=leveldb.BytewisE"),
)


@pytest.mark.parametrize(("sound", "damaged"), DAMAGED_OPTIONS)
def test_damaged_options_change_nothing(
    tmp_path: Path, template: Path, sound: bytes, damaged: bytes
) -> None:
    store = tmp_path / "store"
    shutil.copytree(template / "store", store)
    for file in store.glob("OPTIONS-*"):
        content = file.read_bytes()
        assert sound in content
        file.write_bytes(content.replace(sound, damaged))
    for recovery in (Recovery.TORN_END, Recovery.ANYTHING):
        Database(store, recovery, is_read_only=True).close()
    opened = open_store(tmp_path)
    assert not opened.damage
    assert len(held(opened)) == len(NAMES)
    opened.close()


@pytest.mark.parametrize("is_gone", [False, True])
def test_damaged_options_stop_no_repair(tmp_path: Path, template: Path, is_gone: bool) -> None:
    """RocksDB reads them if the list of tables is missing."""
    shutil.copytree(template / "store", tmp_path / "store")
    for file in (tmp_path / "store").glob("MANIFEST-*"):
        file.unlink()
    for file in (tmp_path / "store").glob("OPTIONS-*"):
        content = file.read_bytes()
        file.unlink() if is_gone else file.write_bytes(
            content.replace(b"BlockBased", b"BlockBaseD")
        )
    opened = open_store(tmp_path)
    assert opened.damage
    assert len(held(opened)) == len(NAMES)
    opened.close()
