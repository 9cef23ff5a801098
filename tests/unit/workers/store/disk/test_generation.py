"""When a store goes on under the generation that it had, and when it begins a new one."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from workers.store.disk import generation as generations
from workers.store.disk.generation import MAX_CLOSED_SECONDS, note_stop
from workers.store.disk.open import open_store


def generation(data_dir: Path) -> int:
    opened = open_store(data_dir)
    opened.database.close()
    return opened.generation


def pass_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> float:
    now = time.time() + seconds
    monkeypatch.setattr(generations.time, "time", lambda: now)
    return now


def test_files_that_are_where_they_were_go_on(tmp_path: Path) -> None:
    assert len({generation(tmp_path) for _ in range(3)}) == 1


def test_a_copy_begins_anew(tmp_path: Path) -> None:
    first = generation(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert generation(tmp_path / "b") != first


def test_the_same_files_written_in_place_begin_anew(tmp_path: Path) -> None:
    first = generation(tmp_path)
    current = tmp_path / "store" / "CURRENT"
    current.write_bytes(current.read_bytes())
    assert generation(tmp_path) != first


@pytest.mark.parametrize("seconds", [2 * MAX_CLOSED_SECONDS, -2 * MAX_CLOSED_SECONDS])
def test_files_left_long_ago_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """An image of a volume has the inodes and the times of then."""
    first = generation(tmp_path)
    pass_time(monkeypatch, seconds)
    assert generation(tmp_path) != first


def test_a_store_that_stopped_just_now_goes_on_however_long_ago_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = generation(tmp_path)
    now = pass_time(monkeypatch, 2 * MAX_CLOSED_SECONDS)
    note_stop(tmp_path / "store")
    os.utime(tmp_path / "store" / "stopped", (now, now))
    assert generation(tmp_path) == first
