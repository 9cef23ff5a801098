"""A store keeps its generation only with the proof that nothing is missing, and begins a new one otherwise."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from peatnode.documents.replica.keyspace import SEQUENCE, number
from workers.store.disk.open import OpenedStore, open_store


@pytest.fixture
def run_dir() -> Iterator[Path]:
    with TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def commit(opened: OpenedStore, sequence: int) -> None:
    opened.database.write([(SEQUENCE, number(sequence))])
    opened.database.sync()
    opened.witness.note(sequence)


def opened_once(data_dir: Path, run_dir: Path, sequence: int = 0) -> OpenedStore:
    """An opened store that has committed `sequence`, and was closed."""
    opened = open_store(data_dir, run_dir)
    if sequence:
        commit(opened, sequence)
    opened.close()
    return opened


def killed_after_flush(data_dir: Path, run_dir: Path, *later: int) -> OpenedStore:
    """A store whose process ended without closing it. Its newest log holds the commits after the first."""
    opened = open_store(data_dir, run_dir)
    commit(opened, 10)
    opened.database.flush()
    for sequence in later:
        commit(opened, sequence)
    shutil.copytree(data_dir / "store", data_dir / "killed")
    opened.close()
    put_back(data_dir / "killed", data_dir / "store")
    return opened


def put_back(image: Path, store: Path) -> None:
    """Writes the files of an image into the inodes that exist, with the times of the image."""
    for file in store.iterdir():
        if not (image / file.name).exists():
            file.unlink()
    for kept in image.iterdir():
        (store / kept.name).write_bytes(kept.read_bytes())
        shutil.copystat(kept, store / kept.name)


def test_a_store_goes_on(tmp_path: Path, run_dir: Path) -> None:
    stores = [opened_once(tmp_path, run_dir, sequence) for sequence in (10, 20, 0, 30)]
    assert len({opened.choice.generation for opened in stores}) == 1
    assert {opened.choice.why_new for opened in stores} == {""}


def test_a_new_store_begins_without_a_reason(tmp_path: Path, run_dir: Path) -> None:
    assert opened_once(tmp_path, run_dir).choice.why_new == ""
    assert opened_once(tmp_path, run_dir).choice.why_new == ""


def test_a_commit_that_nobody_saw_is_no_loss(tmp_path: Path, run_dir: Path) -> None:
    """The process ended between the sync and the note."""
    first = open_store(tmp_path, run_dir)
    commit(first, 10)
    first.database.write([(SEQUENCE, number(11))])
    first.database.sync()
    first.close()
    assert opened_once(tmp_path, run_dir).choice == first.choice


def test_a_written_change_that_is_missing_begins_a_generation_without_a_loss(
    tmp_path: Path, run_dir: Path
) -> None:
    """Nobody saw it, but a copy of the files may hold it: its clocks must not get another meaning."""
    first = open_store(tmp_path, run_dir)
    commit(first, 10)
    first.witness.note_write(11)
    first.close()
    second = opened_once(tmp_path, run_dir)
    assert second.choice.generation != first.choice.generation
    assert (second.choice.missing, bool(second.choice.why_new)) == (0, True)


def test_a_change_that_survived_a_crash_is_missed_from_then_on(
    tmp_path: Path, run_dir: Path
) -> None:
    """The opened store shows it and sends it, although nobody noted its sync."""
    first = opened_once(tmp_path, run_dir, 10)
    shutil.copytree(tmp_path / "store", tmp_path / "image")
    second = open_store(tmp_path, run_dir)
    second.witness.note_write(11)
    second.database.write([(SEQUENCE, number(11))])
    second.close()
    assert opened_once(tmp_path, run_dir).choice == first.choice
    put_back(tmp_path / "image", tmp_path / "store")
    assert opened_once(tmp_path, run_dir).choice.generation != first.choice.generation


def test_an_image_put_back_at_once_begins_anew_and_tells_what_is_missing(
    tmp_path: Path, run_dir: Path
) -> None:
    first = opened_once(tmp_path, run_dir, 10)
    shutil.copytree(tmp_path / "store", tmp_path / "image")
    opened_once(tmp_path, run_dir, 17)
    put_back(tmp_path / "image", tmp_path / "store")
    after = opened_once(tmp_path, run_dir, 11)
    assert after.choice.generation != first.choice.generation
    assert after.choice.missing == 7
    put_back(tmp_path / "image", tmp_path / "store")
    again = opened_once(tmp_path, run_dir)
    assert again.choice.generation not in (first.choice.generation, after.choice.generation)
    assert (again.choice.missing, bool(again.choice.why_new)) == (0, True)


def test_a_copy_begins_anew(tmp_path: Path, run_dir: Path) -> None:
    first = opened_once(tmp_path / "a", run_dir)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert opened_once(tmp_path / "b", run_dir).choice.generation != first.choice.generation


def _of_another_boot(witness: Path) -> None:
    content = bytearray(witness.read_bytes())
    content[8] ^= 1
    witness.write_bytes(content)


@pytest.mark.parametrize("loses", [Path.unlink, _of_another_boot])
def test_without_a_witness_of_this_boot_a_store_begins_anew(
    tmp_path: Path, run_dir: Path, loses: Callable[[Path], None]
) -> None:
    first = opened_once(tmp_path, run_dir, 10)
    (witness,) = (run_dir / f"peatnode-{os.getuid()}").iterdir()
    loses(witness)
    second = opened_once(tmp_path, run_dir)
    assert second.choice.generation != first.choice.generation
    assert (second.choice.missing, bool(second.choice.why_new)) == (0, True)
    assert opened_once(tmp_path, run_dir).choice.generation == second.choice.generation


@pytest.mark.parametrize("name", ["newest-files", "log"])
def test_a_store_that_lost_its_newest_log_is_repaired_and_begins_anew(
    tmp_path: Path, run_dir: Path, name: str
) -> None:
    opened = killed_after_flush(tmp_path, run_dir, 20)
    store = tmp_path / "store"
    max(store.glob("*.log")).unlink() if name == "log" else (store / name).write_text("000?.log")
    after = opened_once(tmp_path, run_dir)
    assert "newest" in after.damage
    assert after.choice.generation != opened.choice.generation
    again = opened_once(tmp_path, run_dir)
    assert (again.damage, again.choice.generation) == ("", after.choice.generation)


def test_a_store_of_an_older_program_without_any_log_is_damaged(
    tmp_path: Path, run_dir: Path
) -> None:
    killed_after_flush(tmp_path, run_dir)
    store = tmp_path / "store"
    (store / "newest-files").unlink()
    (store / "format").unlink()
    for log in store.glob("*.log"):
        log.unlink()
    assert "logs are missing" in opened_once(tmp_path, run_dir).damage


def test_a_log_that_was_emptied_is_told_by_the_witness(tmp_path: Path, run_dir: Path) -> None:
    opened = killed_after_flush(tmp_path, run_dir, 12)
    os.truncate(max((tmp_path / "store").glob("*.log")), 0)
    after = opened_once(tmp_path, run_dir)
    assert after.choice.generation != opened.choice.generation
    assert (after.damage, after.choice.missing) == ("", 2)


@pytest.mark.parametrize("is_same_boot", [True, False])
def test_a_store_whose_only_log_was_emptied_has_lost_everything(
    tmp_path: Path, run_dir: Path, is_same_boot: bool
) -> None:
    opened = open_store(tmp_path, run_dir)
    commit(opened, 12)
    shutil.copytree(tmp_path / "store", tmp_path / "killed")
    opened.close()
    put_back(tmp_path / "killed", tmp_path / "store")
    for log in (tmp_path / "store").glob("*.log"):
        os.truncate(log, 0)
    if not is_same_boot:
        shutil.rmtree(run_dir)
    after = opened_once(tmp_path, run_dir)
    assert after.choice.generation != opened.choice.generation
    assert "lost everything" in after.damage
    assert opened_once(tmp_path, run_dir).damage == ""


def test_a_directory_that_was_moved_away_is_no_loss(tmp_path: Path, run_dir: Path) -> None:
    opened_once(tmp_path, run_dir, 12)
    (tmp_path / "store").rename(tmp_path / "old")
    after = opened_once(tmp_path, run_dir)
    assert (after.damage, after.choice.why_new, after.choice.missing) == ("", "", 0)
