"""Opens the database, mends what can be mended, and knows when a new generation of this store begins.

A generation is a random number; with the node id it makes the Yjs client id of this node's own writes. A store that was
restored from a copy, repaired, or lost the tail of its log gets a new one: under the old, others may know clocks that
this store does not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgpack

from peatnode.documents.keyspace import META
from peatnode.errors import BadConfiguration
from workers.store.database import Database, StorageFailed

FORMAT = 1
"""Of everything in the database; raised when an older program could not read it."""

_FORMAT_KEY = META + b"format"
_GENERATION_KEY = META + b"generation"
_MARKER = "generation"


@dataclass(slots=True)
class Opened:
    database: Database
    generation: int
    damage: str
    """What was wrong and has been mended; empty: nothing."""


def client_id(node_id: str, generation: int) -> int:
    """32 bits, not 0: y-py compares client ids by their lower 32 bits, so longer ones order items as Yjs does not."""
    digest = sha256(f"peatnode client 1\0{node_id}\0{generation}".encode()).digest()
    return int.from_bytes(digest[:4], "big") or 1


def open_store(data_dir: Path) -> Opened:
    """Raises BadConfiguration where the user has to do something, StorageFailed where trying again may help."""
    path = data_dir / "store"
    _check_directory(path)
    database, damage = _open_mended(path)
    try:
        _check_format(database, path)
        generation = _generation(database, path, bool(damage))
        database.sync()
    except BaseException:
        database.close()
        raise
    return Opened(database, generation, damage)


def _check_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / "probe"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise BadConfiguration(
            f"PEAT_DATA_DIR: {str(path)!r} cannot be written: {error.strerror}. Free some space there, "
            "or name a directory that this user may write."
        ) from None


def _open_mended(path: Path) -> tuple[Database, str]:
    """The database, and what was wrong with it."""
    try:
        return Database(path), ""
    except StorageFailed as error:
        _refuse_hopeless(path, error)
        if not error.is_corruption:
            raise
        reason = str(error)
    try:
        return Database(path, tolerates_torn_tail=True), f"the end of the log was damaged: {reason}"
    except StorageFailed as error:
        reason = str(error)
    try:
        Database.repair(path)
        return Database(path, tolerates_torn_tail=True), f"the database was damaged: {reason}"
    except StorageFailed as error:
        raise BadConfiguration(
            f"The database in {str(path)!r} is damaged beyond repair ({error}). Move it away and start again: "
            "the peers of this node will send its documents."
        ) from None


def _refuse_hopeless(path: Path, error: StorageFailed) -> None:
    text = str(error)
    if "lock" in text.lower() and "LOCK" in text:
        raise BadConfiguration(
            f"The database in {str(path)!r} is in use by another process: stop it, "
            "or give this node a PEAT_DATA_DIR of its own."
        ) from None
    if error.is_full or "Permission denied" in text or "Read-only" in text:
        raise BadConfiguration(
            f"PEAT_DATA_DIR: {str(path)!r} cannot be written ({text}). Free some space there, "
            "or name a directory that this user may write."
        ) from None


def _check_format(database: Database, path: Path) -> None:
    kept = database.get(_FORMAT_KEY)
    if kept is None:
        database.write([(_FORMAT_KEY, msgpack.packb(FORMAT))])
        return
    found = msgpack.unpackb(kept)
    if found > FORMAT:
        raise BadConfiguration(
            f"The database in {str(path)!r} was written by a newer peatnode (format {found}, this one reads "
            f"{FORMAT}): run that one, or give this node another PEAT_DATA_DIR."
        )


def _generation(database: Database, path: Path, is_damaged: bool) -> int:
    kept = database.get(_GENERATION_KEY)
    marker = _marker_inode(path)
    if kept is not None and not is_damaged:
        generation, inode = msgpack.unpackb(kept)
        if inode == marker:
            return int(generation)
    return new_generation(database, path)


def new_generation(database: Database, path: Path) -> int:
    """Written, and to be synced before it is used."""
    generation = int.from_bytes(os.urandom(6), "big")
    database.write([(_GENERATION_KEY, msgpack.packb((generation, _marker_inode(path))))])
    return generation


def _marker_inode(path: Path) -> int:
    """A file whose inode another copy of the directory does not have."""
    marker = path / _MARKER
    marker.touch(mode=0o600)
    return marker.stat().st_ino
