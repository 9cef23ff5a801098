"""Files of a store in tests: how they are written without a node, damaged, and checked."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from peatnode.documents.json.diff import plan
from peatnode.documents.json.root_maps import NO_ROOT_MAPS, change, read
from peatnode.documents.json.value import Shape, build, dump
from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import document_key
from peatnode.documents.replica.index.hash_tree import tree_key_of
from peatnode.documents.replica.keyspace import RECORD, TOMBSTONE, TREE, after
from peatnode.documents.replica.record import decode_record, encode_tree_entry
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.any_value import Json
from peatnode.documents.yjs.merge import merge_updates
from tests.support.waiting import until
from workers.store.disk.database import Database
from workers.store.disk.log.write_ahead_log import WriteAheadLog

GROUP = 10
"""Documents in one batch."""


def commit(replica: Replica, database: Database) -> None:
    """Writes the open batch, as the committer does."""
    batch = replica.take_batch()
    database.write(batch.writes())
    database.sync()
    replica.committed(batch)


def put(
    replica: Replica, name: str, value: dict[str, Json], expires_at: float | None = None
) -> None:
    """Stages a document of this value; there must be none of the name."""
    key = document_key("c", name)
    client = replica.client_of(replica.next_incarnation(key))
    update = change(NO_ROOT_MAPS, plan(Shape(), value), client, 0, expires_at)
    replica.write(key, update, dump(value))


def fill(replica: Replica, database: Database, names: Iterable[str], rng: random.Random) -> None:
    """Writes documents in batches of GROUP, with values that do not compress."""
    for number, name in enumerate(names, 1):
        put(replica, name, {"x": rng.randbytes(150).hex()})
        if number % GROUP == 0:
            commit(replica, database)
    commit(replica, database)


def copy_of_killed(store: Path, to: Path) -> None:
    """Copies the files of an open database, which are those that a killed process leaves. To close it would flush.

    The copy is repeated if RocksDB has added or removed a file meanwhile.
    """
    before: set[str] = set()
    while before != (before := set(os.listdir(store))):
        shutil.rmtree(to, ignore_errors=True)
        with contextlib.suppress(shutil.Error, FileNotFoundError):
            shutil.copytree(store, to, ignore=shutil.ignore_patterns("LOCK"))


def kill_with_two_logs(database: Database, write: Callable[[], object], to: Path) -> None:
    """Copies the files of a process that was killed while it flushed the first of two logs.

    `write` fills the second.
    """
    copy_of_killed(database.path, to)
    database.flush()
    write()
    newest = max(database.path.glob("*.log"))
    assert not (to / newest.name).exists()
    shutil.copy(newest, to)
    log = WriteAheadLog(to)
    log.note_files()
    log.close()


def change_key(replica: Replica, name: str, change_to: Json) -> None:
    """Stages another value of the key "n" of a document that exists."""
    key = document_key("c", name)
    record = replica.live(key)
    assert record is not None
    whole = merge_updates(replica.state(key, record), STATE_LIMITS)
    maps = read(whole)
    assert maps is not None
    value = build(maps.shape())
    assert isinstance(value, dict)
    target = {**value, "n": change_to}
    client = replica.client_of(record.incarnation)
    edits = plan(maps.shape(), target)
    update = change(maps, edits, client, record.state_vector.get(client, 0))
    replica.write(key, update, dump(target))


def differences(database: Database) -> list[bytes]:
    """Document keys whose entry in the tree index is not that of exactly one record."""
    expected: dict[bytes, bytes] = {}
    differing = []
    for prefix in (RECORD, TOMBSTONE):
        for entry, data in database.scan(prefix, after(prefix)):
            record, key = decode_record(data), entry[1:]
            if tree_key_of(key) + key in expected:
                differing.append(key)
            expected[tree_key_of(key) + key] = encode_tree_entry(
                record.incarnation, record.is_deleted, record.fingerprint
            )
    found = {entry[1:]: data for entry, data in database.scan(TREE, after(TREE))}
    return differing + [key[8:] for key in expected | found if expected.get(key) != found.get(key)]


async def until_merged(store: Path) -> set[Path]:
    """The tables of an open store, once RocksDB merges none of them any more."""
    tables: set[Path] = set()

    def are_merged() -> bool:
        nonlocal tables
        before, tables = tables, set(store.glob("*.sst"))
        return before == tables

    await until(are_merged, pause=0.3)
    return tables
