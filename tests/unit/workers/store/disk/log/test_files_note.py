"""The note of the newest files: what RocksDB would take for nothing, and delete tables for, is damage."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from peatnode.documents.names import document_key
from peatnode.documents.replica.replica import Replica
from tests.support import seeds
from tests.support.store_files import copy_of_killed, fill, kill_with_two_logs
from workers.store.disk.log.files_note import NOTE, FilesNote, decode_note, files_damage
from workers.store.disk.open import open_store

NAMES = [f"d{number:03}" for number in range(150)]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Data directories of killed stores, whose documents are in a table and a log, and in a table and two logs."""
    directory = tmp_path_factory.mktemp("note")
    opened = open_store(directory / "open")
    database, replica = opened.database, Replica(opened.database, 7)
    rng = seeds.generator("documents of the noted stores")
    fill(replica, database, NAMES[:50], rng)
    database.flush()
    copy_of_killed(database.path, directory / "table" / "store")
    fill(replica, database, NAMES[50:100], rng)
    copy_of_killed(database.path, directory / "one log" / "store")
    kill_with_two_logs(
        database,
        lambda: fill(replica, database, NAMES[100:], rng),
        directory / "two logs" / "store",
    )
    opened.close()
    return {path.name: path for path in directory.iterdir() if path.name != "open"}


def count(data: Path) -> tuple[str, int]:
    """The damage that the opening found, and the number of documents after it."""
    opened = open_store(data)
    replica = Replica(opened.database, 7)
    found = sum(replica.live(document_key("c", name)) is not None for name in NAMES)
    opened.close()
    return opened.damage, found


def records(content: bytes) -> list[int]:
    """The places where the records of a log of one block begin."""
    found = [0]
    while found[-1] < len(content):
        size = int.from_bytes(content[found[-1] + 4 : found[-1] + 6], "little")
        found.append(found[-1] + 7 + size)
    return found[:-1]


def the(store: Path, pattern: str) -> Path:
    return min(store.glob(pattern))


@pytest.mark.parametrize("name", ["table", "one log", "two logs"])
def test_a_killed_store_is_not_damaged(tmp_path: Path, killed: dict[str, Path], name: str) -> None:
    shutil.copytree(killed[name], tmp_path / "data")
    expected = {"table": 50, "one log": 100, "two logs": 150}[name]
    for _ in range(2):
        assert count(tmp_path / "data") == ("", expected)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("name", ["table", "two logs"])
def test_with_a_part_of_the_list_of_tables_no_table_is_lost(
    tmp_path: Path, killed: dict[str, Path], name: str, share: float
) -> None:
    shutil.copytree(killed[name], tmp_path / "data")
    manifest = the(tmp_path / "data" / "store", "MANIFEST-*")
    os.truncate(manifest, int(manifest.stat().st_size * share))
    damage, found = count(tmp_path / "data")
    assert "MANIFEST" in damage
    assert found == {"table": 50, "two logs": 150}[name]
    assert count(tmp_path / "data") == ("", found)


def test_a_flipped_length_in_the_list_of_tables_is_damage(
    tmp_path: Path, killed: dict[str, Path]
) -> None:
    """RocksDB takes a length beyond the end for an end that was never written."""
    shutil.copytree(killed["table"], tmp_path / "data")
    manifest = the(tmp_path / "data" / "store", "MANIFEST-*")
    content = bytearray(manifest.read_bytes())
    content[records(content)[-1] + 5] ^= 0x40
    manifest.write_bytes(content)
    damage, found = count(tmp_path / "data")
    assert "MANIFEST" in damage
    assert found == 50


def test_an_older_log_that_ends_between_two_batches_is_damage(
    tmp_path: Path, killed: dict[str, Path]
) -> None:
    shutil.copytree(killed["two logs"], tmp_path / "data")
    log = the(tmp_path / "data" / "store", "*.log")
    os.truncate(log, records(log.read_bytes()[: 32 * 1024])[-1])
    damage, found = count(tmp_path / "data")
    assert log.name in damage
    assert 100 <= found < 150


@pytest.mark.parametrize("which", [0, 1])
def test_a_missing_log_is_damage_before_its_content_is_in_tables(
    tmp_path: Path, killed: dict[str, Path], which: int
) -> None:
    shutil.copytree(killed["two logs"], tmp_path / "data")
    log = sorted((tmp_path / "data" / "store").glob("*.log"))[which]
    log.unlink()
    assert log.name in files_damage(tmp_path / "data" / "store", True)
    damage, found = count(tmp_path / "data")
    assert log.name in damage
    assert found == 100


def test_a_log_may_be_missing_when_the_list_of_tables_is_newer_than_the_note(
    tmp_path: Path, killed: dict[str, Path]
) -> None:
    """The process was killed after RocksDB had flushed the log, and before the note was written."""
    shutil.copytree(killed["two logs"], tmp_path / "data")
    store = tmp_path / "data" / "store"
    with the(store, "MANIFEST-*").open("ab") as manifest:
        manifest.write(b"\0")
    the(store, "*.log").unlink()
    assert files_damage(store, True) == ""


@pytest.mark.parametrize("is_missing", [False, True])
def test_a_store_without_its_note_is_damaged_and_loses_nothing(
    tmp_path: Path, killed: dict[str, Path], is_missing: bool
) -> None:
    shutil.copytree(killed["one log"], tmp_path / "data")
    note = tmp_path / "data" / "store" / NOTE
    note.unlink() if is_missing else note.write_bytes(note.read_bytes()[:-1])
    damage, found = count(tmp_path / "data")
    assert "note" in damage
    assert found == 100
    assert count(tmp_path / "data") == ("", 100)


def test_a_note_of_which_any_byte_differs_is_damaged() -> None:
    note = FilesNote("000008.log", {"000006.log": 17}, "MANIFEST-000005", 300, 1234567)
    content = note.encode()
    assert decode_note(content) == note
    for at in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[at] ^= 1 << bit
            assert decode_note(bytes(flipped)) is None
        assert decode_note(content[:at]) is None


def test_an_orderly_stop_leaves_the_note_of_its_last_files(tmp_path: Path) -> None:
    opened = open_store(tmp_path)
    opened.database.write([(b"dx", b"y")])
    opened.database.sync()
    opened.close()
    store = tmp_path / "store"
    note = decode_note((store / NOTE).read_bytes())
    assert note is not None
    assert note.manifest_bytes == (store / note.manifest).stat().st_size
    assert note.newest_log == max(log.name for log in store.glob("*.log"))
    os.truncate(store / note.manifest, note.manifest_bytes - 1)
    assert "MANIFEST" in files_damage(store, True)
