"""An interrupted write at the end of a log is told from damage before records that were synced later."""

import random
import shutil
from pathlib import Path

import pytest

from tests.support.store_files import copy_of_killed
from workers.store.disk.database import Database, Recovery, StorageFailed
from workers.store.disk.log.records import BLOCK_BYTES, is_torn_end, oldest_log

SMALL = 60
"""Batches that share the first block of the log."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose log has small batches in one block, and a last one of several blocks."""
    path = tmp_path_factory.mktemp("log")
    database = Database(path / "open")
    for number in range(SMALL):
        database.write([(b"%d" % number, bytes(200)), (b"last", b"%d" % number)])
    database.write([(b"large", b"x" * 3 * BLOCK_BYTES)])
    copy_of_killed(path / "open", path / "killed")
    database.close()
    return path / "killed"


def torn(store: Path, content: bytes, place: Path) -> bool:
    """Whether the store with this log has a torn end, as its opening finds out."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(store, place)
    log_of(place).write_bytes(content)
    with pytest.raises(StorageFailed):
        Database(place, Recovery.NOTHING).close()
    database = Database(place, Recovery.TORN_END, is_read_only=True)
    sequence = database.newest_write
    database.close()
    return is_torn_end(place, sequence)


def log_of(store: Path) -> Path:
    (log,) = store.glob("*.log")
    return log


@pytest.fixture
def content(store: Path) -> bytes:
    return log_of(store).read_bytes()


def test_a_log_that_ends_within_its_last_record_has_a_torn_end(
    store: Path, content: bytes, tmp_path: Path, rng: random.Random
) -> None:
    assert len(content) > 3 * BLOCK_BYTES
    for _ in range(5):
        assert torn(store, content[: rng.randint(BLOCK_BYTES, len(content) - 1)], tmp_path / "s")


def test_holes_in_the_last_record_are_a_torn_end(
    store: Path, content: bytes, tmp_path: Path, rng: random.Random
) -> None:
    for _ in range(5):
        at = rng.randint(BLOCK_BYTES, len(content) - 600)
        assert torn(store, content[:at] + bytes(512) + content[at + 512 :], tmp_path / "s")


def test_damage_before_a_whole_record_is_no_torn_end_in_the_same_block(
    store: Path, content: bytes, tmp_path: Path, rng: random.Random
) -> None:
    """RocksDB does not read the rest of a block in which a record is damaged."""
    small = content[: content.index(b"x" * 100) - 40]
    assert len(small) < BLOCK_BYTES
    for _ in range(10):
        flipped = bytearray(small)
        flipped[rng.randrange(len(small) * 9 // 10)] ^= 1 << rng.randrange(8)
        assert not torn(store, bytes(flipped), tmp_path / "s")


def test_records_in_a_later_log_make_it_damage(store: Path, content: bytes, tmp_path: Path) -> None:
    assert torn(store, content[:-1], tmp_path / "s")
    database = Database(tmp_path / "s", Recovery.TORN_END, is_read_only=True)
    sequence = database.newest_write
    database.close()
    later = log_of(tmp_path / "s").with_name("9999999.log")
    later.write_bytes(b"")
    assert is_torn_end(tmp_path / "s", sequence)
    later.write_bytes(content[:2000])
    assert is_torn_end(tmp_path / "s", sequence), "its records are older"
    later.write_bytes(content)
    assert not is_torn_end(tmp_path / "s", sequence)


def test_the_log_that_follows_a_dropped_end_leaves_it_a_torn_end(
    store: Path, content: bytes, tmp_path: Path
) -> None:
    """RocksDB begins that log with an empty record, and a power cut may leave both logs."""
    assert torn(store, content[:-1], tmp_path / "torn")
    database = Database(tmp_path / "torn", Recovery.TORN_END, is_read_only=True)
    sequence = database.newest_write
    database.close()
    shutil.copytree(tmp_path / "torn", tmp_path / "opened")
    opened = Database(tmp_path / "opened", Recovery.TORN_END)
    log = max((tmp_path / "opened").glob("*.log"))
    assert log.stat().st_size
    shutil.copy(log, tmp_path / "torn")
    assert is_torn_end(tmp_path / "torn", sequence)
    opened.write([(b"key", b"value")])
    shutil.copy(log, tmp_path / "torn")
    assert not is_torn_end(tmp_path / "torn", sequence)
    opened.close()


def test_the_list_of_tables_says_which_log_is_the_oldest(tmp_path: Path) -> None:
    database = Database(tmp_path / "store")
    for number in range(100):
        database.write([(b"%d" % number, bytes(100))])
        if number % 10 == 0:
            database.flush()
            (manifest,) = (tmp_path / "store").glob("MANIFEST-*")
            logs = sorted(int(log.stem) for log in (tmp_path / "store").glob("*.log"))
            assert oldest_log(manifest.read_bytes()) == logs[-1]
    database.close()
