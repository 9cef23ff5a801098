"""The records of a log are found by their headers, at whatever place the log ends."""

import random
import shutil
from pathlib import Path

import pytest

from workers.store.disk.database import Database, Recovery, StorageFailed
from workers.store.disk.log.records import BLOCK_BYTES, is_torn_inside, whole_bytes


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose log has batches of many sizes, some of which are split over blocks."""
    path = tmp_path_factory.mktemp("log") / "store"
    database = Database(path / "open")
    for number in range(300):
        database.write([(b"%d" % number, bytes(number * number % 2900))])
    database.write([(b"large", bytes(3 * BLOCK_BYTES))])
    shutil.copytree(path / "open", path / "killed", ignore=shutil.ignore_patterns("LOCK"))
    database.close()
    return path / "killed"


def log_of(store: Path) -> Path:
    (log,) = store.glob("*.log")
    return log


def test_a_log_is_whole_where_rocksdb_finds_no_torn_end(
    store: Path, tmp_path: Path, rng: random.Random
) -> None:
    content = log_of(store).read_bytes()
    assert whole_bytes(content) == len(content) > 8 * BLOCK_BYTES
    sizes = {whole_bytes(content[: rng.randrange(len(content))]) for _ in range(6)}
    sizes |= {size + rng.randint(1, 6) for size in sizes} | {size - 1 for size in sizes if size}
    for size in sizes:
        shutil.rmtree(tmp_path / "cut", ignore_errors=True)
        shutil.copytree(store, tmp_path / "cut")
        log_of(tmp_path / "cut").write_bytes(content[:size])
        try:
            Database(tmp_path / "cut", Recovery.NOTHING).close()
        except StorageFailed:
            assert whole_bytes(content[:size]) < size
        else:
            assert whole_bytes(content[:size]) == size


def test_only_a_torn_log_before_one_with_records_is_torn_inside(tmp_path: Path) -> None:
    batch = bytes((0, 0, 0, 0, 3, 0, 1)) + b"abc"
    (tmp_path / "000009.log").write_bytes(batch)
    (tmp_path / "999999.log").write_bytes(batch + b"\1")
    assert not is_torn_inside(tmp_path)
    (tmp_path / "1000000.log").write_bytes(b"")
    assert not is_torn_inside(tmp_path)
    (tmp_path / "1000000.log").write_bytes(batch)
    assert is_torn_inside(tmp_path)


@pytest.mark.parametrize("kind", [0, 3, 4, 5, 130])
def test_a_record_cannot_begin_with_another_kind_of_part(kind: int) -> None:
    assert whole_bytes(bytes((0, 0, 0, 0, 3, 0, kind)) + b"abc") == 0
