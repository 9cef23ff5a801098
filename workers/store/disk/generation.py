"""When a store goes on as the one that it was, and when a new generation of it begins.

A generation is a random number; with the node id it makes the Yjs client id of this node's own writes. A store that was
restored from a copy, repaired, or lost the tail of its log gets a new one: under the old, others may know clocks that
this store does not.
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

AWAY_SECONDS = 900.0
"""Files that were left longer ago begin a new generation: it costs a few bytes in each document that is written after,
and the old one under a volume restored from a snapshot would cost what is written."""

_GENERATION_KEY = META + b"generation"
_STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What tells files that go on from where they were from a copy, or an image, of what they once were."""

    current: tuple[int, int]
    """Inode and change time (ns) of the file that RocksDB replaces at each opening: whoever copies it back, by whatever
    tool, gives it others."""
    is_recent: bool
    """A volume that was put back from an image has the inodes and times of then: what was left long ago may be that."""


def client_id(node_id: str, generation: int) -> int:
    """32 bits, not 0: y-py compares client ids by their lower 32 bits, so longer ones order items as Yjs does not."""
    digest = sha256(f"peatnode client 1\0{node_id}\0{generation}".encode()).digest()
    return int.from_bytes(digest[:4], "big") or 1


def kept_generation(database: Database) -> int | None:
    """None: it has none yet. Raises StorageFailed."""
    kept = database.get(_GENERATION_KEY)
    return None if kept is None else int(msgpack.unpackb(kept)[0])


def continue_or_begin(database: Database, before: FileIdentity | None) -> int:
    """`before` is None where its files were mended. To be synced. Raises StorageFailed."""
    kept = database.get(_GENERATION_KEY)
    if kept is not None and before is not None and before.is_recent:
        generation, *named = msgpack.unpackb(kept)
        if tuple(named) == before.current:
            note_files(database, int(generation))
            return int(generation)
    return new_generation(database)


def new_generation(database: Database) -> int:
    """Written, and to be synced before it is used."""
    generation = int.from_bytes(os.urandom(6), "big")
    note_files(database, generation)
    return generation


def note_files(database: Database, generation: int) -> None:
    """By what the next opening knows them again. To be synced. Raises StorageFailed."""
    noted = msgpack.packb((generation, *_current(database.path)))
    if database.get(_GENERATION_KEY) != noted:
        database.write([(_GENERATION_KEY, noted)])


def note_stop(path: Path) -> None:
    """That these files were in use until now, however long ago the last write was."""
    with contextlib.suppress(OSError):
        (path / _STOPPED).touch(mode=0o600)


def file_identity(path: Path) -> FileIdentity:
    """To be asked before RocksDB opens them."""
    left_at = 0.0
    for file in path.iterdir():
        if file.suffix in (".log", ".sst") or file.name in ("CURRENT", _STOPPED):
            left_at = max(left_at, file.stat().st_mtime)
    return FileIdentity(_current(path), abs(time.time() - left_at) < AWAY_SECONDS)


def _current(path: Path) -> tuple[int, int]:
    try:
        found = (path / "CURRENT").stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_ctime_ns
