"""Kinds of records on which RocksDB reads for ever are corrected before it opens the files."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from peatnode.documents.replica.replica import Replica
from tests.support import seeds
from tests.support.source import ROOT
from tests.support.store_files import copy_of_killed, fill
from workers.store.disk.log.files_note import NOTE
from workers.store.disk.log.records import BROKEN, KIND_AT, parts
from workers.store.disk.log.recycled import correct_kinds, has_recycled
from workers.store.disk.open import open_store

KINDS = (5, 6, 7, 8, 11)
DOCUMENTS = 120
OPEN = """
import sys
from pathlib import Path
from peatnode.documents.replica.keyspace import RECORD, after
from workers.store.disk.open import open_store
opened = open_store(Path(sys.argv[1]))
print(opened.damage)
print(len(list(opened.database.scan(RECORD, after(RECORD)))))
opened.close()
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that was killed, with records in its log and in its MANIFEST."""
    directory = tmp_path_factory.mktemp("killed")
    rng = seeds.generator("recycled")
    opened = open_store(directory)
    replica = Replica(opened.database, 7)
    fill(replica, opened.database, [f"d{number:03}" for number in range(DOCUMENTS // 2)], rng)
    opened.database.flush()
    fill(replica, opened.database, [f"e{number:03}" for number in range(DOCUMENTS // 2)], rng)
    copy_of_killed(opened.database.path, directory / "image")
    opened.close()
    return directory / "image"


@pytest.fixture
def store(tmp_path: Path, killed: Path) -> Path:
    shutil.copytree(killed, tmp_path / "store")
    return tmp_path / "store"


def headers(content: bytes) -> list[int]:
    return [pos for pos, kind, _ in parts(content) if kind != BROKEN]


def newest(store: Path, pattern: str) -> Path:
    return max(store.glob(pattern))


def flip_kind(file: Path, rng: random.Random, kind: int) -> int:
    content = bytearray(file.read_bytes())
    place = rng.choice(headers(content))
    content[place + KIND_AT] = kind
    file.write_bytes(content)
    return place


def opened_apart(directory: Path) -> list[str]:
    """What a process that opens the store prints: the damage, and the number of documents."""
    command = [sys.executable, "-c", OPEN, str(directory)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.mark.parametrize("pattern", ["*.log", "MANIFEST-*"])
def test_a_kind_that_is_not_used_is_corrected(
    store: Path, rng: random.Random, pattern: str
) -> None:
    file = newest(store, pattern)
    sound = file.read_bytes()
    for kind in KINDS:
        place = flip_kind(file, rng, kind)
        assert has_recycled(store)
        assert f"{file.name} had a kind that is not used (at byte {place})" in correct_kinds(store)
        assert file.read_bytes() == sound
    assert not has_recycled(store)
    assert correct_kinds(store) == ""


def test_a_record_with_more_damage_becomes_one_with_a_wrong_checksum(
    store: Path, rng: random.Random
) -> None:
    file = newest(store, "*.log")
    sound = file.read_bytes()
    place = flip_kind(file, rng, 5)
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    assert correct_kinds(store)
    assert file.read_bytes()[place + KIND_AT] == 1
    assert file.read_bytes() != sound


def test_what_follows_a_damaged_record_in_its_block_is_not_read(
    store: Path, rng: random.Random
) -> None:
    file = newest(store, "*.log")
    content = bytearray(file.read_bytes())
    first, second, *_ = headers(content)
    content[first] ^= 1
    content[second + KIND_AT] = 5
    file.write_bytes(content)
    assert not has_recycled(store)


@pytest.mark.parametrize("pattern", ["*.log", "MANIFEST-*"])
def test_a_store_with_such_a_record_opens_and_reports_it(
    store: Path, rng: random.Random, pattern: str
) -> None:
    (store / NOTE).write_bytes(b"damaged, so that it proves nothing")
    flip_kind(newest(store, pattern), rng, rng.choice(KINDS))
    damage, count = opened_apart(store.parent)
    assert "damaged" in damage
    assert count == str(DOCUMENTS)


def test_only_a_kind_that_was_corrected_is_reported_and_nothing_is_lost(
    store: Path, rng: random.Random
) -> None:
    flip_kind(newest(store, "*.log"), rng, 6)
    damage, count = opened_apart(store.parent)
    assert "had a kind that is not used" in damage
    assert count == str(DOCUMENTS)
