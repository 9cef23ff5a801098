"""Decides whether a store keeps its generation when it is opened, or begins a new one.

A generation is a random number. It and the node id determine the Yjs client id of this node's own writes. A store that
was restored from a copy, was repaired, or lost the end of its log begins a new generation, because peers may know
clocks of the old client id that this store has lost.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgpack

from peatnode.documents.replica.keyspace import META
from workers.store.disk.database import Database

MAX_CLOSED_SECONDS = 900.0
"""Files that were closed longer ago begin a new generation. That adds a few bytes to each document that is written
afterwards. The old generation on a volume that was restored from an image would lose writes."""

_GENERATION_KEY = META + b"generation"
_STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Properties by which the files that this node closed last differ from a copy or an image of them."""

    current: tuple[int, int]
    """Inode and change time (ns) of the file CURRENT, which RocksDB replaces at each opening. Each copy of it has
    other ones."""
    is_recent: bool
    """Whether the files were closed a short time ago. A volume restored from an image has the old inodes and times."""


def client_id(node_id: str, generation: int) -> int:
    """The Yjs client id of a node's own writes to first incarnations, 32 bits, not 0.

    y-py compares client ids by their lower 32 bits, so it would order items of longer ids otherwise than Yjs.
    """
    digest = sha256(f"peatnode client 1\0{node_id}\0{generation}".encode()).digest()
    return int.from_bytes(digest[:4], "big") or 1


def kept_generation(database: Database) -> int | None:
    """The stored generation, or None. Raises StorageFailed."""
    stored = database.get(_GENERATION_KEY)
    return None if stored is None else int(msgpack.unpackb(stored)[0])


def continue_or_begin(database: Database, before: FileIdentity | None) -> int:
    """The generation to use. `before` is None if the files were repaired. The caller syncs. Raises StorageFailed."""
    stored = database.get(_GENERATION_KEY)
    if stored is not None and before is not None and before.is_recent:
        generation, *current = msgpack.unpackb(stored)
        if tuple(current) == before.current:
            note_files(database, int(generation))
            return int(generation)
    return new_generation(database)


def new_generation(database: Database) -> int:
    """Writes a new random generation. The caller syncs the database before it uses the number."""
    generation = int.from_bytes(os.urandom(6), "big")
    note_files(database, generation)
    return generation


def note_files(database: Database, generation: int) -> None:
    """Stores the generation and the identity of the files, for the next opening. The caller syncs.

    Raises StorageFailed.
    """
    noted = msgpack.packb((generation, *_current(database.path)))
    if database.get(_GENERATION_KEY) != noted:
        database.write([(_GENERATION_KEY, noted)])


def note_stop(path: Path) -> None:
    """Records that the files were in use until now, even if the last write was long ago."""
    with contextlib.suppress(OSError):
        (path / _STOPPED).touch(mode=0o600)


def file_identity(path: Path) -> FileIdentity:
    """The identity of the files. Call it before RocksDB opens them."""
    closed_at = 0.0
    for file in path.iterdir():
        if file.suffix in (".log", ".sst") or file.name in ("CURRENT", _STOPPED):
            closed_at = max(closed_at, file.stat().st_mtime)
    return FileIdentity(_current(path), abs(time.time() - closed_at) < MAX_CLOSED_SECONDS)


def _current(path: Path) -> tuple[int, int]:
    try:
        found = (path / "CURRENT").stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_ctime_ns
