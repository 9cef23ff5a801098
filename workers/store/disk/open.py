"""Opens the database, and repairs it if it is damaged."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgpack

from peatnode.documents.replica.keyspace import META
from peatnode.errors import DISK_ERRORS, BadConfiguration
from workers.store.disk.database import Database, Recovery, StorageFailed
from workers.store.disk.format import check_noted_format, note_format, refuse_newer
from workers.store.disk.generation import GenerationChoice, continue_or_begin, kept_generation
from workers.store.disk.log_records import is_torn_inside
from workers.store.disk.reading import link_files
from workers.store.disk.repair import copy_readable, reconcile
from workers.store.disk.space import free_bytes, used_bytes
from workers.store.disk.witness import CommitWitness, no_witness, open_witness
from workers.store.disk.write_ahead_log import missing_log

FORMAT = 2
"""The format of the whole database. It is increased when older programs cannot read the new content."""

_FORMAT_KEY = META + b"format"
_MARK = "damaged"
_FRESH, _DAMAGED, _LINKS = "store.mending", "store.damaged", "store.links"


@dataclass(slots=True)
class OpenedStore:
    """An open database, and what its opening has found."""

    database: Database
    choice: GenerationChoice
    witness: CommitWitness
    damage: str
    """The damage that was repaired; empty if there was none."""

    def close(self) -> None:
        self.witness.close()
        self.database.close()


def open_store(data_dir: Path, run_dir: Path | None = None) -> OpenedStore:
    """Opens the database in `data_dir`, and repairs it if it is damaged. `run_dir` may hold the witness.

    Raises BadConfiguration if the operator must change something, StorageFailed if another try may succeed.
    """
    path = data_dir / "store"
    check_noted_format(path, FORMAT)
    with ExitStack() as on_failure:
        witness = open_witness(path, run_dir)
        on_failure.callback(witness.close)
        try:
            opened = _open_writable(path, witness)
        except OSError as error:
            raise StorageFailed(f"the database cannot be opened: {error}") from error
        on_failure.pop_all()
        return opened


def _open_writable(path: Path, witness: CommitWitness) -> OpenedStore:
    finish_exchange(path)
    _check_directory(path)
    try:
        return _open(path, witness)
    except StorageFailed as error:
        if not error.is_corruption or damage_of(path):
            raise
        mark_damaged(path, str(error))
    return _open(path, witness)


def open_to_read(data_dir: Path, run_dir: Path) -> OpenedStore:
    """Opens a database whose disk refuses writes, for reads only. Nothing on that disk is written.

    Raises StorageFailed, also if it is uncertain whether the log is on disk.
    """
    path = data_dir / "store"
    check_noted_format(path, FORMAT)
    try:
        if damage_of(path) or missing_log(path):
            raise StorageFailed("it is damaged, and it cannot be repaired now")
        for log in path.glob("*.log"):
            sync_file(log)
    except OSError as error:
        raise StorageFailed(f"the log cannot be synced: {error}") from error
    try:
        links = link_files(path, run_dir)
    except OSError as error:
        raise StorageFailed(f"{str(run_dir)!r} cannot be written: {error}") from error
    database = Database(path, Recovery.TORN_END, is_read_only=True, links=links)
    try:
        generation = kept_generation(database)
        if generation is None:
            raise StorageFailed("the database is empty")
        refuse_newer(path, stored_format(database), FORMAT)
        return OpenedStore(database, GenerationChoice(generation), no_witness(path), "")
    except BaseException:
        database.close()
        raise


def sync_file(path: Path) -> None:
    """Brings the content of a file to the disk. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(file)
    finally:
        os.close(file)


def _open(path: Path, witness: CommitWitness) -> OpenedStore:
    database, damage = _open_repaired(path)
    try:
        _check_format(database, path)
        choice = continue_or_begin(database, witness, damage)
        note_format(path, stored_format(database))
    except BaseException:
        database.close()
        raise
    return OpenedStore(database, choice, witness, damage)


def _check_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_probe(path)
    except OSError as error:
        if error.errno in DISK_ERRORS and (path / "CURRENT").exists():
            raise StorageFailed(f"{str(path)!r} cannot be written: {error.strerror}") from None
        raise BadConfiguration(
            f"PEAT_DATA_DIR: {str(path)!r} cannot be written: {error.strerror}. Free some space there, "
            "or name a directory that this user may write."
        ) from None


def write_probe(path: Path) -> None:
    """Writes and syncs a small file. Raises OSError if the disk refuses it."""
    probe = os.open(path / "probe", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(probe, b"x" * 4096)
        os.fsync(probe)
    finally:
        os.close(probe)
        (path / "probe").unlink()


def _open_repaired(path: Path) -> tuple[Database, str]:
    """The database, and the damage that was repaired; empty if there was none."""
    damage = damage_of(path)
    if damage:
        return _open_copied(path), f"the database was damaged: {damage}"
    damage = missing_log(path)
    if not damage and not _lacks_current(path):
        try:
            return Database(path), ""
        except StorageFailed as error:
            damage = _damage(path, error)
        try:
            database = None if is_torn_inside(path) else Database(path, Recovery.TORN_END)
        except StorageFailed as error:
            database, damage = None, _damage(path, error)
        if database is not None:
            return database, f"the end of the log was incomplete: {damage}"
    damage = damage or "its file CURRENT is missing"
    # From here on, files change. The mark makes the next opening repeat an interrupted repair.
    mark_damaged(path, damage)
    return _open_reconciled(path, damage)


def _open_reconciled(path: Path, damage: str) -> tuple[Database, str]:
    database = None
    try:
        if _lacks_current(path):
            Database.repair(path)
        database = _open_skipping_damage(path)
        _check_format(database, path)
        _finish_repair(database)
    except StorageFailed as error:
        if database is not None:
            database.close()
        if not error.is_corruption:
            raise
        return _open_copied(path), f"the database was damaged: {damage}"
    unmark_damaged(path)
    return database, f"the database was damaged: {damage}"


def _finish_repair(database: Database) -> None:
    """Makes the entries fit together, and writes the whole repair to sorted files.

    A repair that existed only in the log would be undone in part by the next damage of the log, and nothing would
    show that indexes and records differ.
    """
    reconcile(database)
    database.flush()


def _open_skipping_damage(path: Path) -> Database:
    try:
        return Database(path, Recovery.ANYTHING)
    except StorageFailed as error:
        _damage(path, error)
    Database.repair(path)
    return Database(path, Recovery.ANYTHING)


def _damage(path: Path, error: StorageFailed) -> str:
    """The damage that an error reports. Raises BadConfiguration or the error itself for any other cause."""
    text = str(error)
    if "lock" in text.lower() and "LOCK" in text:
        raise BadConfiguration(
            f"The database in {str(path)!r} is in use by another process: stop it, "
            "or give this node a PEAT_DATA_DIR of its own."
        ) from None
    if "Permission denied" in text:
        raise BadConfiguration(
            f"PEAT_DATA_DIR: {str(path)!r} cannot be written ({text}). "
            "Name a directory that this user may read and write."
        ) from None
    if not (error.is_corruption or error.is_missing_file):
        raise error
    return text


def _lacks_current(path: Path) -> bool:
    """Whether RocksDB would create a new database over existing files, because CURRENT is missing."""
    if (path / "CURRENT").exists():
        return False
    return any(path.glob("*.sst")) or any(path.glob("*.log")) or any(path.glob("MANIFEST-*"))


# --- repair into a new database


def _open_copied(path: Path) -> Database:
    """Copies what can be read of a damaged database into a new one, which takes its place."""
    fresh = path.with_name(_FRESH)
    shutil.rmtree(fresh, ignore_errors=True)
    if free_bytes(path) < used_bytes(path):
        raise StorageFailed(
            f"No space left on device to repair the database ({used_bytes(path)} bytes)"
        )
    fresh.mkdir(mode=0o700)
    try:
        copied = Database(fresh)
        try:
            _copy_all(path, copied)
            _check_format(copied, path)
            _finish_repair(copied)
        finally:
            copied.close()
    except StorageFailed:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    path.rename(path.with_name(_DAMAGED))
    finish_exchange(path)
    return Database(path)


def _copy_all(path: Path, into: Database) -> None:
    """Copies entries from the database as it is, and then from links to its files after RocksDB's own repair.

    That repair drops each file with any damage. But it works without the list of files, and an unreadable file does
    not stop it.
    """
    damaged = None if _lacks_current(path) else _open_unrepaired(path)
    if damaged is not None:
        try:
            copy_readable(damaged, into, keep_existing=False)
        finally:
            damaged.close()
    links = _linked(path)
    Database.repair(links)
    repaired = Database(links, Recovery.ANYTHING)
    try:
        copy_readable(repaired, into, keep_existing=True)
    finally:
        repaired.close()
    shutil.rmtree(links)


def _linked(path: Path) -> Path:
    """A directory of hard links to the files, so that the repair removes no file before everything is copied.

    RocksDB does not write to files that exist when it starts.
    """
    links = path.with_name(_LINKS)
    shutil.rmtree(links, ignore_errors=True)
    links.mkdir(mode=0o700)
    for file in path.iterdir():
        if file.is_file() and file.name not in ("LOCK", "LOG"):
            os.link(file, links / file.name)
    return links


def _open_unrepaired(path: Path) -> Database | None:
    try:
        return Database(path, Recovery.ANYTHING)
    except StorageFailed as error:
        _damage(path, error)
        return None


def finish_exchange(path: Path) -> None:
    """Replaces the damaged files by the new ones. It completes an exchange that was interrupted at any point."""
    fresh, damaged = path.with_name(_FRESH), path.with_name(_DAMAGED)
    if damaged.exists():
        if fresh.exists() and not path.exists():
            fresh.rename(path)
            _sync_directory(path.parent)
        shutil.rmtree(damaged, ignore_errors=True)
    for leftover in (fresh, path.with_name(_LINKS)):
        shutil.rmtree(leftover, ignore_errors=True)


def damage_of(path: Path) -> str:
    """The damage that was found and is not repaired yet; empty if there is none."""
    try:
        return (path / _MARK).read_text() or "the damage is not recorded"
    except FileNotFoundError:
        return ""


def mark_damaged(path: Path, damage: str) -> None:
    """Marks the database for repair at the next opening."""
    with (path / _MARK).open("w") as mark:
        mark.write(damage)
        mark.flush()
        os.fsync(mark.fileno())
    _sync_directory(path)


def unmark_damaged(path: Path) -> None:
    (path / _MARK).unlink()
    _sync_directory(path)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _check_format(database: Database, path: Path) -> None:
    """Raises the number in an older database, whose entries are all read by the rules of this format.

    The caller syncs before it writes an entry that an older program cannot read.
    """
    found = stored_format(database)
    refuse_newer(path, found, FORMAT)
    if found < FORMAT:
        database.write([(_FORMAT_KEY, msgpack.packb(FORMAT))])


def stored_format(database: Database) -> int:
    """The number of the format in the database; 0 in a new one. Raises StorageFailed."""
    stored = database.get(_FORMAT_KEY)
    return 0 if stored is None else int(msgpack.unpackb(stored))
