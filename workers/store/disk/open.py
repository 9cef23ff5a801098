"""Opens the database, and repairs it if it is damaged."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgpack

from peatnode.documents.replica.keyspace import META
from peatnode.errors import DISK_ERRORS, BadConfiguration, EntriesDiffer
from workers.store.disk.database import Database, Recovery, StorageFailed
from workers.store.disk.durable_files import sync_directory, sync_file
from workers.store.disk.exchange import (
    FRESH,
    LINKS,
    exchange,
    finish_exchange,
    hard_link_files,
    locked,
    make_directory,
    other_directory,
)
from workers.store.disk.format import check_noted_format, note_format, noted_format, refuse_newer
from workers.store.disk.generation import (
    GenerationChoice,
    continue_or_begin,
    explains_torn_end,
    kept_generation,
)
from workers.store.disk.log.files_note import NOTE, files_damage, manifest_damage
from workers.store.disk.log.records import is_torn_end
from workers.store.disk.log.recycled import correct_kinds, has_recycled
from workers.store.disk.reading import link_files
from workers.store.disk.repair import copy_readable, reconcile
from workers.store.disk.space import free_bytes, used_bytes
from workers.store.disk.witness import CommitWitness, no_witness, open_witness

FORMAT = 2
"""The format of the whole database. It is increased when older programs cannot read the new content."""

_FORMAT_KEY = META + b"format"
_DAMAGED, _DIFFERING = "damaged", "differing"
"""Marks for the next opening: files are damaged, or their entries differ."""


class Repair(Enum):
    """How an opening has repaired a database."""

    NONE = 0
    IN_PLACE = 1
    """What is sound was kept where it is. Blocks that nothing has read yet can still be damaged."""
    COPY = 2
    """Everything readable was copied, so that more damage can only come from the disk."""


@dataclass(slots=True)
class OpenedStore:
    """An open database, and what its opening has found."""

    database: Database
    choice: GenerationChoice
    witness: CommitWitness
    damage: str = ""
    """The damage that was repaired; empty if there was none."""
    repair: Repair = Repair.NONE

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
        except BlockingIOError:
            raise _in_use(path) from None
        except OSError as error:
            raise StorageFailed(f"the database cannot be opened: {error}") from error
        on_failure.pop_all()
        return opened


def _open_writable(path: Path, witness: CommitWitness) -> OpenedStore:
    finish_exchange(path)
    _check_directory(path)
    _create_if_empty(path)
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
        if damage_of(path) or files_damage(path, noted_format(path) > 0) or has_recycled(path):
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
        return OpenedStore(database, GenerationChoice(generation), no_witness(path))
    except BaseException:
        database.close()
        raise


def _open(path: Path, witness: CommitWitness) -> OpenedStore:
    was_opened = noted_format(path) > 0
    database, damage, repair = _open_repaired(path, witness)
    try:
        if was_opened and not damage and kept_generation(database) is None:
            # each store has a generation on disk before the number of its format is noted
            damage = "the database has lost everything: its log is empty"
        _check_format(database, path)
        choice = continue_or_begin(database, witness, damage)
        if (path / NOTE).exists():  # a store with the number of its format has a note of its files
            note_format(path, stored_format(database))
    except BaseException:
        database.close()
        raise
    return OpenedStore(database, choice, witness, damage, repair)


def _check_directory(path: Path) -> None:
    try:
        make_directory(path)
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


def _open_repaired(path: Path, witness: CommitWitness) -> tuple[Database, str, Repair]:
    """The database, and the damage that was repaired; empty if there was none."""
    corrected = _correct_kinds(path)
    damage = damage_of(path)
    if damage:
        return _open_copied(path), f"the database was damaged: {damage}", Repair.COPY
    damage = files_damage(path, noted_format(path) > 0) or _mark_of(path, _DIFFERING)
    if not damage and not _lacks_current(path):
        try:
            return Database(path), corrected, Repair.NONE
        except StorageFailed as error:
            damage = _damage(path, error)
        torn = _torn_end(path, witness, damage)
        if torn is not None:
            return Database(path, Recovery.TORN_END), torn or corrected, Repair.NONE
    damage = damage or "its file CURRENT is missing"
    # From here on, files change. The mark makes the next opening repeat an interrupted repair.
    mark_damaged(path, damage)
    database, repair = _open_reconciled(path)
    return database, f"the database was damaged: {damage}", repair


def _correct_kinds(path: Path) -> str:
    if not has_recycled(path):
        return ""
    with locked(path):
        return f"the database was damaged: {correct_kinds(path)}"


def _torn_end(path: Path, witness: CommitWitness, damage: str) -> str | None:
    """The damage to report if the log ends with an interrupted write; None for any other damage.

    It is empty if a power cut or the end of the process explains it: then nothing that was answered is missing.
    """
    try:
        database = Database(path, Recovery.TORN_END, is_read_only=True)
    except StorageFailed as error:
        _damage(path, error)
        return None
    try:
        if not is_torn_end(path, database.newest_write):
            return None
        is_explained = explains_torn_end(database, witness)
    finally:
        database.close()
    return "" if is_explained else f"the end of the log was incomplete: {damage}"


def _open_reconciled(path: Path) -> tuple[Database, Repair]:
    """The error of a failed repair keeps iterators open, and with them RocksDB's lock, until it is handled."""
    try:
        return _open_skipping_damage(path) or _open_relinked(path), Repair.IN_PLACE
    except StorageFailed as error:
        if not error.is_corruption:
            raise
    return _open_copied(path), Repair.COPY


def _open_skipping_damage(path: Path) -> Database | None:
    """The database without the damaged records of its log; None if RocksDB does not open it as a whole.

    With a part of its list of tables, RocksDB would remove the other tables.
    """
    if _lacks_current(path) or manifest_damage(path):
        return None
    try:
        database = Database(path, Recovery.ANYTHING)
    except StorageFailed as error:
        _damage(path, error)
        return None
    try:
        _complete(database, path)
    except StorageFailed:
        database.close()
        raise
    _unmark(path)
    return database


def _complete(repaired: Database, path: Path) -> None:
    """Makes the entries fit together, and writes the whole repair to sorted files.

    A repair that existed only in the log would be undone in part by the next damage of the log, and nothing would
    show that indexes and records differ.
    """
    _check_format(repaired, path)
    reconcile(repaired)
    repaired.flush()


def _damage(path: Path, error: StorageFailed) -> str:
    """The damage that an error reports. Raises BadConfiguration or the error itself for any other cause."""
    text = str(error)
    if "lock" in text.lower() and "LOCK" in text:
        raise _in_use(path) from None
    if "Permission denied" in text:
        raise BadConfiguration(
            f"PEAT_DATA_DIR: {str(path)!r} cannot be written ({text}). "
            "Name a directory that this user may read and write."
        ) from None
    if not (error.is_corruption or error.is_missing_file):
        raise error
    return text


def _in_use(path: Path) -> BadConfiguration:
    return BadConfiguration(
        f"The database in {str(path)!r} is in use by another process: stop it, "
        "or give this node a PEAT_DATA_DIR of its own."
    )


def _lacks_current(path: Path) -> bool:
    """Whether RocksDB would create a new database over existing files, because CURRENT is missing."""
    if (path / "CURRENT").exists():
        return False
    return any(path.glob("*.sst")) or any(path.glob("*.log")) or any(path.glob("MANIFEST-*"))


def _create_if_empty(path: Path) -> None:
    """Makes a new database elsewhere, so that an interrupted start leaves none without its file CURRENT."""
    if any(path.iterdir()):
        return
    try:
        with other_directory(path, FRESH) as fresh:
            Database(fresh).close()
            sync_directory(fresh)
            fresh.rename(path)
            sync_directory(path.parent)
    except OSError:  # `path` is a mount point: the database is created in it
        return


# --- repair into other directories


def _open_relinked(path: Path) -> Database:
    """Lets RocksDB repair links to the files, which then take the place of the files.

    RocksDB's own repair has moments at which only it could go on: it removes the list of files before it has another.
    """
    with locked(path), other_directory(path, FRESH) as fresh:
        hard_link_files(path, fresh, (_DAMAGED, _DIFFERING))
        Database.repair(fresh)
        repaired = Database(fresh, Recovery.ANYTHING)
        try:
            _complete(repaired, path)
        finally:
            repaired.close()
        exchange(path)
    return Database(path)


def _open_copied(path: Path) -> Database:
    """Copies what can be read of a damaged database into a new one, which takes its place."""
    if free_bytes(path) < used_bytes(path):
        raise StorageFailed(
            f"No space left on device to repair the database ({used_bytes(path)} bytes)"
        )
    with locked(path), other_directory(path, FRESH) as fresh:
        copied = Database(fresh)
        try:
            _copy_all(path, copied)
            _complete(copied, path)
        finally:
            copied.close()
        exchange(path)
    return Database(path)


def _copy_all(path: Path, into: Database) -> None:
    """Copies entries from the database as it is, and then after RocksDB's own repair.

    That repair drops each file with any damage. But it works without the list of files, and an unreadable file does
    not stop it. Both open links, because both delete files that are not in the list of files.
    """
    if not _lacks_current(path):
        with other_directory(path, LINKS) as links:
            hard_link_files(path, links, (_DAMAGED, _DIFFERING))
            _copy(_open_unrepaired(links), into, keep_existing=False)
    with other_directory(path, LINKS) as links:
        hard_link_files(path, links, (_DAMAGED, _DIFFERING))
        Database.repair(links)
        _copy(Database(links, Recovery.ANYTHING), into, keep_existing=True)


def _copy(damaged: Database | None, into: Database, keep_existing: bool) -> None:
    if damaged is None:
        return
    try:
        copy_readable(damaged, into, keep_existing)
    finally:
        damaged.close()


def _open_unrepaired(path: Path) -> Database | None:
    try:
        return Database(path, Recovery.ANYTHING)
    except StorageFailed as error:
        _damage(path, error)
        return None


def damage_of(path: Path) -> str:
    """The damage of files that was found and is not repaired yet; empty if there is none."""
    return _mark_of(path, _DAMAGED)


def _mark_of(path: Path, name: str) -> str:
    try:
        return (path / name).read_text(errors="replace") or "the damage is not recorded"
    except FileNotFoundError:
        return ""


def mark_for_repair(path: Path, error: StorageFailed, done: Repair) -> bool:
    """Marks the damage that an error shows. `done` is the repair of the opening before.

    Entries that differ are repaired where they are, unless that has not helped. Returns False, and marks nothing, if
    no repair can help. Raises OSError.
    """
    if not error.is_corruption or done is Repair.COPY:
        return False
    if isinstance(error, EntriesDiffer) and done is Repair.NONE:
        _write_mark(path, _DIFFERING, str(error))
    else:
        mark_damaged(path, str(error))
    return True


def mark_damaged(path: Path, damage: str) -> None:
    """Marks the database for a repair at the next opening, which reads all of its files. Raises OSError."""
    _write_mark(path, _DAMAGED, damage)


def _write_mark(path: Path, name: str, damage: str) -> None:
    with (path / name).open("w") as mark:
        mark.write(damage)
        mark.flush()
        os.fsync(mark.fileno())
    sync_directory(path)


def _unmark(path: Path) -> None:
    for name in (_DIFFERING, _DAMAGED):
        (path / name).unlink(missing_ok=True)
    sync_directory(path)


def _check_format(database: Database, path: Path) -> None:
    """Raises the number in an older database, whose entries are all read by the rules of this format. It is synced."""
    found = stored_format(database)
    refuse_newer(path, found, FORMAT)
    if found < FORMAT:
        database.write([(_FORMAT_KEY, msgpack.packb(FORMAT))])
        database.sync()


def stored_format(database: Database) -> int:
    """The number of the format in the database; 0 in a new one. Raises StorageFailed."""
    stored = database.get(_FORMAT_KEY)
    return 0 if stored is None else int(msgpack.unpackb(stored))
