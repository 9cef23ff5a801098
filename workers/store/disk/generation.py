"""Whether a store keeps its generation when it is opened, or begins a new one.

A generation is a random number. With the node id it makes the Yjs client id of this node's own writes. A store that was
restored from a copy, repaired, or lost the end of its log begins a new generation, because peers may know clocks of the
old client id that this store has lost.
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
"""Files that were closed longer ago begin a new generation. That costs a few bytes in each document written afterwards;
the old generation on a volume restored from an image would cost the writes themselves."""

_GENERATION_KEY = META + b"generation"
_STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What distinguishes the files that this node closed last from a copy or an image of them."""

    current: tuple[int, int]
    """Inode and change time (ns) of the file that RocksDB replaces at each opening. A copy of it has others, whatever
    tool made it."""
    is_recent: bool
    """Whether the files were closed a short time ago. A volume restored from an image has the old inodes and times."""


def client_id(node_id: str, generation: int) -> int:
    """32 bits, not 0: y-py compares client ids by their lower 32 bits, so longer ones order items as Yjs does not."""
    digest = sha256(f"peatnode client 1\0{node_id}\0{generation}".encode()).digest()
    return int.from_bytes(digest[:4], "big") or 1


def kept_generation(database: Database) -> int | None:
    """The stored generation, or None. Raises StorageFailed."""
    kept = database.get(_GENERATION_KEY)
    return None if kept is None else int(msgpack.unpackb(kept)[0])


def continue_or_begin(database: Database, before: FileIdentity | None) -> int:
    """The generation to use. `before` is None if the files were repaired. The caller syncs. Raises StorageFailed."""
    kept = database.get(_GENERATION_KEY)
    if kept is not None and before is not None and before.is_recent:
        generation, *named = msgpack.unpackb(kept)
        if tuple(named) == before.current:
            note_files(database, int(generation))
            return int(generation)
    return new_generation(database)


def new_generation(database: Database) -> int:
    """Writes a new generation. The caller syncs it before it uses it."""
    generation = int.from_bytes(os.urandom(6), "big")
    note_files(database, generation)
    return generation


def note_files(database: Database, generation: int) -> None:
    """Stores what identifies the files at the next opening. The caller syncs. Raises StorageFailed."""
    noted = msgpack.packb((generation, *_current(database.path)))
    if database.get(_GENERATION_KEY) != noted:
        database.write([(_GENERATION_KEY, noted)])


def note_stop(path: Path) -> None:
    """Notes that the files were in use until now, even if the last write was long ago."""
    with contextlib.suppress(OSError):
        (path / _STOPPED).touch(mode=0o600)


def file_identity(path: Path) -> FileIdentity:
    """The identity of the files. Call it before RocksDB opens them."""
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
